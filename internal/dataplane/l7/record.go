package l7

import (
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/trace"
)

// record is what is noted of one request by the driver that serves it, for the
// access log and for traces. The driver
//
//   - begins it when the head of the request has come, or cannot be read,
//   - calls try for every connection that the request is sent over,
//   - says what was answered (answered, passed) and how much it sent (out), and
//     whether the client got all of it (whole),
//   - calls finished once, when the client has all of the answer or none
//     will come.
//
// Times are those of loop.Clock.
type record struct {
	noted
	tries [maxConnectTries + 1]try // the first n count
}

// noted is a record without its tries, which are many and of which one counts
// mostly.
type noted struct {
	began, read int64 // the first byte, the whole head; with an upload, its end
	length      int64 // of the request, with its body
	out         int64 // bytes sent to the client
	head        int64 // those of them that are the answer's head
	replied     int64 // the answer's head was ready
	status      int   // of the answer; 0: none
	server      bool  // a server's
	left        bool  // the client had gone before the answer
	whole       bool  // the client got all of the answer
	rtt         uint32
	n           int // tries

	log  *requestLog // nil: not logged
	line []byte      // what the log says of the request
	// hostless: the request names no host, the server's address stands in.
	hostless bool

	span     *trace.Span // nil: not recorded
	parentAt int         // where in the head to the server its traceparent stands
}

// try is one connection that a request was sent over, or was to be.
type try struct {
	addr         netip.AddrPort
	begun, ended int64
	status       int  // 0: no answer
	broken       bool // the answer ended before its end
}

// begin starts a record. The line's memory is used again.
func (r *record) begin(began, read, length int64) {
	r.noted = noted{began: began, read: read, length: length, line: r.line[:0]}
}

// shrink gives back the memory of an unusually long line.
func (r *record) shrink() {
	if cap(r.line) > 4*workSize {
		r.line = nil
	}
}

// try notes that the request goes to a server, with the given head.
func (r *record) try(addr netip.AddrPort, now int64, head []byte) {
	r.endTry(now)
	if r.span != nil {
		trace.SetSpan(head[r.parentAt:], r.span.AttemptID(r.n))
	}
	if r.n < len(r.tries) {
		r.tries[r.n] = try{addr: addr, begun: now}
		r.n++
	}
}

// endTry notes the end of the try under way: the last byte of an answer, or a
// failure.
func (r *record) endTry(now int64) {
	if r.n > 0 && r.tries[r.n-1].ended == 0 {
		r.tries[r.n-1].ended = now
	}
}

// broke notes that the server has not sent its answer to the end.
func (r *record) broke() {
	if r.n > 0 {
		r.tries[r.n-1].broken = true
	}
}

// answered notes that the client is told something of our own; head is the size
// of the answer's head.
func (r *record) answered(status, head int, now int64) {
	r.status, r.head, r.replied = status, int64(head), now
}

// passed notes that the client is about to get the server's answer.
func (r *record) passed(status, head int, now int64) {
	r.answered(status, head, now)
	r.server = true
	if r.n > 0 {
		r.tries[r.n-1].status = status
	}
}

// look finds out about the client's connection, if that is to be logged.
func (r *record) look(fd int) {
	if r.log != nil {
		open := false
		r.rtt, open = sock.RoundTrip(fd)
		r.left = !open
	}
}

// wanted tells whether anybody wants to know what is noted.
func (r *record) wanted() bool { return r.log != nil || r.span != nil }

// finished ends the record of a request that is over, writes its line if it is
// logged, and hands its span over if there is one. The shard is a number that
// other callers seldom use.
func (r *record) finished(shard uint32, now int64) {
	if r.log != nil {
		r.endTry(now)
		r.log.write(shard, r, now)
	}
	if r.span != nil {
		r.endTry(now)
		r.finishSpan(now)
	}
}

// moved is the record where another driver goes on with the request.
func (r *record) moved() record {
	to := *r
	r.line, r.span = nil, nil
	return to
}
