package l7

import (
	"bytes"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// maxRequests is how many requests one client connection may carry, as the
// vendor documents; the last answer says that it closes.
const maxRequests = 100

// How long a client may take to end a connection that was ended with something
// unread, and how much it may send meanwhile: more than what the systems on both
// sides take from a client that sends all it has before it reads.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 16 << 20
)

// conn is a client connection.
type conn struct {
	socket
	h        *HTTP
	count    *counters
	shard    uint32
	peer     netip.AddrPort
	peerKey  uint64
	peerText []byte // address; shares its array with portText
	portText []byte

	// current is the server connection in use, for cutOff.
	current atomic.Pointer[upstream]
	cut     atomic.Bool

	http2  atomic.Pointer[http2Conn] // set while the connection carries HTTP/2
	away   atomic.Bool               // parked, or about to be
	spot   loop.Handle               // of the loop it is parked at, which alone uses it
	stream *stream                   // set if this is a request of HTTP/2: no socket of its own

	// The rest belongs to the serving goroutine.

	turnFn   func(uintptr) bool
	w        *work // nil while idle
	phase    phase
	todo     todo
	refusal  error
	requests int
	began    int64 // of the request, by loop.Clock; 0: it could not be read
	taken    int   // bytes in w that passed the limit on a loop
	idleEnd  int64 // when being idle is over, on the wheel's clock
	quiet    bool  // all that came was read, and nothing is held, since it became idle
	back     bool  // from being parked
	linger   bool  // the client may still be sending: close gently
	broken   bool  // the client must not take the answer for complete
	last     bool  // what is delivered next is the end of an answer
	// cert is what certLines made last; nil: nothing yet.
	cert atomic.Pointer[certLines]
	// names are those of agreed; nil: nobody has asked yet.
	names    atomic.Pointer[[2]string]
	toHTTP2  bool // the server of the request under way is asked by HTTP/2
	gzip     bool // the client of the request under way takes gzip
	reserved bool // a compressor, for its answer
	handed   *handed

	next, prev *conn // guarded by HTTP.mu
}

// phase is what the read timer is about.
type phase uint8

const (
	phaseRest phase = iota // idle for a moment: then it is parked
	phaseIdle              // idle; parked, unless its time is short
	phaseHead              // a head has begun
)

// todo is why the connection left its read loop.
type todo uint8

const (
	todoWait   todo = iota // nothing: read on
	todoRefuse             // answer conn.refusal
	todoSlow               // an exchange that has to read more from the client
	todoPark               // nothing for a while
	todoClose
)

func newConn(h *HTTP, remote netip.AddrPort, shard uint32) *conn {
	c := &conn{h: h, shard: shard, count: &h.shards[shard%counterShards], peer: remote}
	text := make([]byte, 0, 48)
	text = remote.Addr().AppendTo(text)
	n := len(text)
	text = strconv.AppendUint(text, uint64(remote.Port()), 10)
	c.peerText, c.portText = text[:n:n], text[n:]
	c.peerKey = balance.HashSource(remote.Addr())
	c.turnFn, c.client = c.turn, c
	return c
}

// serve serves the connection until its end or until it is parked. It does not
// panic.
func (c *conn) serve() {
	if c.stream != nil {
		c.stream.serve()
		return
	}
	for c.attend() && !c.park() {
	}
}

// attend serves the connection until its end or, if it is true, until it is to
// be parked.
func (c *conn) attend() (rests bool) {
	defer c.finish(&rests)
	if c.back {
		c.back = false
		if hc := c.http2.Load(); hc != nil {
			return hc.resume()
		}
		c.rest()
		return c.read()
	}
	s := c.h.snap.Load()
	if s.tls != nil && !c.handshake(s.tls) {
		return false
	}
	if s.tls != nil && c.tls.conn.ConnectionState().NegotiatedProtocol == "h2" {
		return c.serveHTTP2()
	}
	switch {
	case c.handed != nil:
		if !c.resume() {
			return false
		}
		c.after(0)
	case c.w == nil:
		c.becomeIdle(s.IdleTimeout())
	}
	return c.read()
}

// read is the loop of attend.
func (c *conn) read() (rests bool) {
	for {
		c.todo = todoWait
		err := c.rc.Read(c.turnFn)
		if err != nil && !c.timedOut() {
			return false
		}
		switch c.todo {
		case todoRefuse:
			c.refuse()
			return false
		case todoSlow:
			if !c.exchangeSlowly() {
				return false
			}
		case todoPark:
			return true
		case todoClose:
			return false
		}
	}
}

// timedOut deals with the read timer going off. It is false when the connection
// is over.
func (c *conn) timedOut() bool {
	if !c.rtimer.isFired() || c.h.closing.Load() && c.phase != phaseHead || c.cut.Load() {
		return false
	}
	switch c.phase {
	case phaseRest:
		c.rtimer.acknowledge()
		if !c.quiet { // it has not been read since: TLS may hold something
			c.rest()
			return true
		}
		c.armIdle()
		c.todo = todoPark
		return true
	case phaseHead:
		c.count.slowHeads.Add(1)
		c.todo, c.refusal = todoRefuse, errTimeout
		return true
	}
	return false
}

var errTimeout = &h1.Error{Status: 408, Reason: "request not complete in time"}

// errBrokenOff is the end of what the client sends in the middle of a head. A
// client that merely ended its own direction learns of it, and the log tells.
// Source: the vendor's page on status codes.
var errBrokenOff = &h1.Error{Status: 400, Reason: "the request ends within its head"}

// begun tells whether what there is of a head is more than the empty line that
// some clients send behind a body.
func begun(in []byte) bool { return len(bytes.TrimLeft(in, "\r\n")) > 0 }

// becomeIdle starts the wait for the next request.
func (c *conn) becomeIdle(limit time.Duration) {
	c.idleEnd = c.rtimer.in(limit)
	c.quiet = false
	c.rest()
}

// rest goes on with the wait for the next request.
func (c *conn) rest() {
	pause := c.wheel.waits.park
	if c.idleEnd-c.wheel.now() <= int64(pause+tick) || !c.rtimer.armIdle(pause) {
		c.armIdle()
		return
	}
	c.phase = phaseRest
	if c.h.closing.Load() {
		c.rtimer.interrupt()
	}
}

// armIdle has the timer go off at the end of being idle.
func (c *conn) armIdle() {
	c.phase = phaseIdle
	c.rtimer.armIdle(time.Duration(c.idleEnd - c.wheel.now()))
	if c.h.closing.Load() {
		c.rtimer.interrupt() // Close may have looked just before
	}
}

// turn is called by the poller when there may be something to read, and handles
// all requests that are there whole. Since the visit to the poller does not end
// between requests, no readiness is lost and nothing is read in vain. false
// waits for more; true leaves, with the reason in todo.
func (c *conn) turn(uintptr) bool {
	c.visit()
	if c.w != nil && len(c.w.in) > 0 && !c.requestsReady() {
		return true
	}
	for {
		if c.w == nil {
			c.w = getWork()
		}
		w := c.w
		if !w.grow() {
			c.todo, c.refusal = todoRefuse, h1.ErrHeaderTooLarge
			return true
		}
		room := w.in[len(w.in):cap(w.in)]
		n, errno := c.recvNow(room)
		if errno != 0 || n == 0 {
			if len(w.in) == 0 {
				putWork(w)
				c.w = nil
				c.quiet = true
			}
			if errno == syscall.EAGAIN {
				return false
			}
			if errno == 0 && c.w != nil && begun(w.in) {
				c.todo, c.refusal = todoRefuse, errBrokenOff
				return true
			}
			c.linger = errno == syscall.EPROTO // the client should read why
			c.todo = todoClose
			return true
		}
		c.count.bytesIn.Add(uint64(n))
		fresh := len(w.in) == 0
		w.in = w.in[:len(w.in)+n]
		if fresh && !c.beginHead() {
			return true
		}
		if !c.requestsReady() {
			return true
		}
		if n < len(room) && c.tls == nil && c.w == nil {
			// Drained: more will be announced. An end that came with the bytes was
			// announced already, which parking finds for an idle connection, and
			// half a head at once, by reading on.
			c.quiet = true
			return false
		}
	}
}

// beginHead marks the connection busy. When the timer went off at this moment
// the poller has to be left, so that the deadline can be taken back.
func (c *conn) beginHead() bool {
	if c.rtimer.disarm() {
		return true
	}
	if c.phase == phaseRest && !c.h.closing.Load() {
		c.rtimer.acknowledge()
		return true
	}
	c.todo = todoClose
	return false
}

// requestsReady handles what is complete in the buffer. It is false when turn
// must return.
func (c *conn) requestsReady() bool {
	for {
		w := c.w
		if w.began == 0 {
			w.began = loop.Clock()
		}
		done, err := w.req.Parse(w.in)
		switch {
		case err != nil:
			c.todo, c.refusal = todoRefuse, err
			return false
		case !done:
			if c.phase != phaseHead {
				c.phase = phaseHead
				if !c.rtimer.arm(c.h.snap.Load().RequestTimeout()) {
					c.todo = todoClose
					return false
				}
			}
			return true
		}
		w.read = w.began
		if c.phase == phaseHead {
			w.read = loop.Clock()
			if !c.rtimer.disarm() {
				c.count.slowHeads.Add(1)
				c.todo, c.refusal = todoRefuse, errTimeout
				return false
			}
		}
		body := bodyAtHand(&w.req, w.in)
		if body < 0 || w.req.WebSocket {
			c.todo = todoSlow
			return false
		}
		if !c.exchange(nil, body) {
			c.todo = todoClose
			return false
		}
		if !c.after(w.req.Len() + body) {
			return true
		}
	}
}

// after drops a finished request from the buffer. It is true when bytes of
// another one are there.
func (c *conn) after(n int) bool {
	c.w.consume(n)
	if len(c.w.in) > 0 {
		c.phase = phaseIdle // requestsReady arms the head timer if need be
		return true
	}
	putWork(c.w)
	c.w = nil
	c.becomeIdle(c.h.snap.Load().IdleTimeout())
	return false
}

// refuse answers a request that could not be read.
func (c *conn) refuse() {
	a := answer{status: 400, close: true}
	if e, ok := c.refusal.(*h1.Error); ok {
		a.status = e.Status
	}
	c.count.requests.Add(1)
	c.beginRecord(len(c.w.in))
	c.began = 0
	_ = c.answer(&a) // the connection ends either way
	c.linger = true
	c.endRecord(nil)
}

// answer sends an answer of our own.
func (c *conn) answer(a *answer) error {
	w := c.w
	w.head = a.append(w.head[:0], *c.h.e.stamp.Load())
	c.await(&c.h.out, len(w.head))
	c.count.answered(a.status, 0)
	w.rec.answered(a.status, len(w.head)-a.size(), loop.Clock())
	c.last = true
	err := c.deliver(w.head)
	w.rec.whole = err == nil
	if err == nil && c.began != 0 {
		c.count.response.took(loop.Clock() - c.began)
	}
	return err
}

// deliver sends bytes to the client.
func (c *conn) deliver(p []byte) error {
	if c.stream != nil {
		// p must not be needed here afterwards: it would stay in memory while the
		// stream waits with a copy of what is left of it.
		return c.stream.deliver(p)
	}
	if err := c.send(p); err != nil {
		c.broken = true
		c.noteSlowRead()
		return err
	}
	c.count.bytesOut.Add(uint64(len(p)))
	c.w.rec.out += int64(len(p))
	return nil
}

// noteSlowRead counts a client that takes too little, if that is why it could
// not be sent anything.
func (c *conn) noteSlowRead() {
	if c.wtimer.isFired() {
		c.count.slowReads.Add(1)
	}
}

// finish ends the connection, whatever ended the serving, unless it rests.
func (c *conn) finish(rests *bool) {
	if *rests {
		return
	}
	defer c.h.forget(c)
	defer c.cancelCompressor()
	if v := recover(); v != nil {
		c.h.e.log.Error("panic in an HTTP connection", "frontend", c.h.id, "client", c.peer, "panic", v, "stack", string(debug.Stack()))
		c.broken = true
		if u := c.current.Swap(nil); u != nil {
			u.close()
			u.member.Release()
		}
	} else if c.w != nil { // after a panic, others may still hold its buffers
		putWork(c.w)
		c.w = nil
	}
	switch {
	case c.broken:
		c.abort()
	case c.linger && !c.cut.Load():
		c.drain()
		fallthrough
	default:
		c.close()
	}
}

// drain ends our direction and waits a little for the client to end its own.
// Closing with unread bytes would make the system send a reset that can destroy
// an answer on its way.
func (c *conn) drain() {
	c.endWrite(false)
	c.tls = nil // what still comes is not for reading, and may be no TLS
	if c.rtimer.isFired() {
		c.rtimer.acknowledge()
	}
	// As an idle connection, so that Close need not wait for it.
	if !c.rtimer.armIdle(lingerTime) || c.h.closing.Load() {
		return
	}
	for total := 0; total < lingerBytes; {
		b, n, err := c.recvBlock(blockSize)
		if err != nil {
			return
		}
		putBlock(b)
		total += n
	}
}

// interruptIdle closes the connection if it is between requests.
func (c *conn) interruptIdle() {
	if hc := c.http2.Load(); hc != nil {
		hc.leave()
		return
	}
	c.rtimer.interrupt()
}

// cutOff ends the connection whatever it is doing.
func (c *conn) cutOff() {
	c.cut.Store(true)
	if hc := c.http2.Load(); hc != nil {
		hc.cutOff()
	}
	if c.stream == nil {
		c.file.SetDeadline(past)
		c.recall()
	}
	if u := c.current.Load(); u != nil {
		u.file.SetDeadline(past)
	}
}

// isTimeout tells whether a deadline ended a wait.
func isTimeout(err error) bool { return os.IsTimeout(err) }
