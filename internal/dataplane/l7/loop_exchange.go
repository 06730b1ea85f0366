package l7

import (
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// loopExchange is a request under way and its answer, from the moment the head
// is read until the client has all of the answer.
type loopExchange struct {
	underWay
	plan  policy.Plan
	rec   record
	tried [maxConnectTries]*member // the first nTried count
}

// underWay is what of an exchange begins as zero with every request. It is kept
// apart from what is large and need not.
type underWay struct {
	body
	r *reactor
	c *loopClient
	s *loopServer // nil: none asked now
	m *member     // acquired; nil: none

	out  []byte // what goes to the server
	sent int    // bytes of out

	taken uint64 // by the server, see takesOn; 0: not known

	began int64 // on the loop's clock, with the request; 0: there was none

	// What the answer depends on.

	minor      uint8
	head       bool // the method was HEAD
	gzip       bool // the client takes gzip
	persistent bool
	replayable bool

	kept     bool // s had been used before
	fresh    bool // no kept connection is to be used any more
	answered bool // the final head is on its way to the client
	reusable bool // s may be kept if the body ends well
	keep     bool // the client connection goes on after the answer
	interim  int
	nTried   int

	// b holds the beginning of the server's answer up to have, or what the client
	// has not taken yet, at [from:to].
	b        *block
	have     int
	from, to int

	progress progress // of the client, while it is paused for
	pending  answer   // of our own, that waits for bandwidth; status 0: none
	large
}

// paused tells whether the client has to take something before the server is
// read again.
func (x *loopExchange) paused() bool { return x.to > x.from || x.pipe != nil }

// begin handles the request that is in, head and body.
func (c *loopClient) begin(req *h1.Request, in []byte) {
	r, s := c.port.r, c.port.h.snap.Load()
	c.requests++
	x := r.newExchange(c)
	c.x, c.state = x, loopBusy
	x.beginRecord(req, in)
	x.began = x.rec.read
	x.minor, x.persistent, x.head, x.gzip = req.Minor, req.Persistent, req.IsHead(in), s.offersGzip(req, in)
	if !c.port.h.admitRequest(c.port.count) {
		x.answerLocally(&answer{status: 503})
		return
	}
	view := newView(req, in, c.peer, c.key)
	plan := &x.plan
	*plan = s.Decide(&view)
	if plan.Action != policy.Forward {
		a := answer{status: plan.Status}
		if plan.Action == policy.Redirect {
			x.out = s.appendLocation(x.out[:0], &view, plan)
			a.location = x.out
		}
		x.answerLocally(&a)
		return
	}
	peer, port := c.text.of(c.peer, &r.text)
	s.editRequest(&r.edits, plan, peer, port)
	r.outgoing.edit(&r.edits)
	x.out = req.AppendHead(x.out[:0], in, &r.edits)
	x.rec.forwards(plan, len(x.out))
	x.out = append(x.out, in[req.Len():]...)
	x.replayable = req.Body == h1.NoBody && req.Idempotent(in)

	m := plan.Pick()
	if m == nil {
		c.port.count.dropped.Add(1)
		status := 503
		if plan.Pool.HasWeight() {
			status = 502 // there are servers, and all are down
		}
		x.fail(status)
		return
	}
	x.try(m)
}

// try asks m, or another server as long as that fails at once.
func (x *loopExchange) try(m *member) {
	for ; m != nil; m = x.another() {
		m.Acquire()
		x.m = m
		x.rec.try(m.Addr(), x.r.loop.Now(), x.out)
		if x.connect() {
			return
		}
	}
	x.fail(502)
}

// another gives a server that has not been tried, after x.m was; nil: none.
func (x *loopExchange) another() *member {
	x.m.Release()
	x.tried[x.nTried] = x.m
	x.m = nil
	if x.nTried++; x.nTried == maxConnectTries {
		return nil
	}
	return x.plan.Pool.PickOther(x.plan.Key, x.tried[:x.nTried])
}

// unreachable goes on to another server after a connect that failed late.
func (x *loopExchange) unreachable() {
	x.discard()
	x.try(x.another())
}

// connect sends the request to x.m, over a kept connection if one is alive.
// False says that the server cannot be reached.
func (x *loopExchange) connect() bool {
	x.sent, x.kept = 0, false
	since := int64(0)
	if !x.replayable {
		since = x.r.loop.Now() - int64(x.r.e.wheel.waits.sure)
	}
	for !x.fresh && x.minor > 0 {
		s := x.r.kept.take(x.m, since)
		if s == nil {
			break
		}
		// It is read first: one that has something to say before it is asked, its
		// end included, is of no use. If the request can be repeated should it have
		// ended since, it is enough that nothing had come when the turn began.
		if x.replayable && s.restful() || s.quiet() {
			n, errno := sock.Send(int(s.fd), x.out)
			if errno == 0 || errno == syscall.EAGAIN {
				x.kept = true
				x.ask(s, n)
				return true
			}
		}
		s.close()
	}
	s, n := x.r.dial(x.m, x.out)
	if s == nil {
		return false
	}
	if s.connecting {
		x.s, s.x = s, x
		x.c.setDeadline(x.r.e.wheel.waits.connect)
		return true
	}
	x.ask(s, n)
	return true
}

// ask waits for the answer of s, which was sent n bytes of the request.
func (x *loopExchange) ask(s *loopServer, n int) {
	x.s, s.x = s, x
	x.sent = n
	x.taken = 0
	if n < len(x.out) {
		s.watchWritable()
		x.taken = takenBy(int(s.fd))
	}
	x.c.setDeadline(x.plan.Timeout)
}

// push sends what of the request the server had no room for.
func (x *loopExchange) push() {
	n, errno := sock.Send(int(x.s.fd), x.out[x.sent:])
	switch {
	case errno == syscall.EAGAIN:
	case errno != 0:
		// An answer given early may be there: reading shows. The connection is of
		// no use for another request.
		x.s.readable = true
	default:
		x.sent += n
		x.taken = takenBy(int(x.s.fd))
		x.c.setDeadline(x.plan.Timeout)
	}
}

// expired ends a wait that took too long.
func (x *loopExchange) expired() {
	switch {
	case x.paused() && x.progress.made(int(x.c.fd), 1):
		x.c.setDeadline(x.r.e.wheel.waits.slow / 2)
	case x.paused():
		x.c.port.count.slowReads.Add(1)
		x.c.abort()
	case x.s != nil && x.s.connecting:
		x.unreachable()
	case !x.answered && x.s != nil && x.takesOn():
		x.c.setDeadline(x.plan.Timeout)
	case !x.answered:
		x.fail(504)
	default:
		x.breakOff()
	}
}

// takesOn tells whether the server has taken more of the request of late.
func (x *loopExchange) takesOn() bool {
	before := x.taken
	x.taken = takenBy(int(x.s.fd))
	return takesOn(int(x.s.fd), before, x.taken)
}

// lost deals with a server that ended the connection without a word of a final
// answer.
func (x *loopExchange) lost() {
	again := x.kept && x.replayable && x.interim == 0
	x.discard()
	if !again {
		x.fail(502)
		return
	}
	x.fresh = true
	x.rec.try(x.m.Addr(), x.r.loop.Now(), x.out)
	if !x.connect() {
		x.try(x.another())
	}
}

// breakOff ends the connection in the middle of an answer, where the server has
// not sent the rest. Where the client
// would take the end of the connection for that of the body it gets a reset.
func (x *loopExchange) breakOff() {
	x.rec.broke()
	if x.chunked || x.framing == h1.Length {
		x.c.end(sock.Close)
		return
	}
	x.c.abort()
}

// discard closes the connection to the server.
func (x *loopExchange) discard() {
	if s := x.s; s != nil {
		x.s = nil
		s.close()
	}
}

// keepServer puts the connection to the server aside for others.
func (x *loopExchange) keepServer() {
	s := x.s
	x.s, s.x = nil, nil
	x.r.kept.put(s)
}

// drop gives up what is held towards the server.
func (x *loopExchange) drop() {
	x.discard()
	if x.m != nil {
		x.m.Release()
		x.m = nil
	}
}

// fail answers in place of the server.
func (x *loopExchange) fail(status int) {
	x.drop()
	x.answerLocally(&answer{status: status})
}

// answerLocally answers a request that no server answers.
func (x *loopExchange) answerLocally(a *answer) {
	x.keep = x.mayKeep()
	a.head = x.head
	a.close, a.keepAlive = !x.keep, x.keep && x.minor == 0
	if !x.keep {
		x.c.linger = true
	}
	x.answer(a)
}

// answer sends an answer of our own.
func (x *loopExchange) answer(a *answer) {
	if !x.c.port.out.pass(x.c) {
		x.pending = *a
		return
	}
	r := x.r
	r.head = a.append(r.head[:0], r.stamp())
	x.c.port.count.answered(a.status, 0)
	x.rec.answered(a.status, len(r.head)-a.size(), r.loop.Now())
	x.framing, x.done, x.answered = h1.Length, true, true
	if x.sendBytes(r.head) && !x.paused() {
		x.complete()
	}
}

// mayKeep tells whether the client connection may carry another request.
func (x *loopExchange) mayKeep() bool {
	if !x.persistent {
		return false
	}
	if x.c.requests >= maxRequests || x.c.port.h.ends() {
		x.c.linger = true // the client may have sent another request already
		return false
	}
	return true
}

// complete ends the exchange: the client has taken all of the answer.
func (x *loopExchange) complete() {
	c, keep := x.c, x.keep
	x.rec.whole = true
	if x.began != 0 {
		c.port.count.response.took(x.r.loop.Now() - x.began)
	}
	x.endRecord()
	x.drop()
	c.x = nil
	x.r.freeExchange(x)
	if !keep {
		c.finish()
		return
	}
	c.state = loopOpen
}

// beginRecord begins what is noted of a request; in is what has been read of it.
func (x *loopExchange) beginRecord(req *h1.Request, in []byte) {
	c := x.c
	now := x.r.loop.Now()
	began := now
	if c.began != 0 {
		began, c.began = c.began, 0
	}
	x.rec.begin(began, now, int64(len(in)))
	s := c.port.h.snap.Load()
	if t := x.r.e.options.Tracer; t != nil {
		x.r.outgoing.begin(t, s, &x.rec, req, in, c.peer)
	}
	if s.log != nil {
		var q logged
		describe(&q, req, in)
		s.log.begin(&x.rec, c.peer, &q)
	}
}

// endRecord ends what is noted of a request.
func (x *loopExchange) endRecord() {
	x.rec.finished(x.c.port.shard, x.r.loop.Now())
}
