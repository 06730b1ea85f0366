package l7

import (
	"net/netip"
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// Limits of a frontend and its instance. A connection beyond them is closed
// without a word, a request is answered by 503. Bandwidth is kept by waiting
// before something is sent to the client, or taken from it, so nothing is lost:
// on a loop before more is read from the other side, in a goroutine with
// what is to be sent in hand. What counts is what is inside of TLS.

// bounds are the limits of a frontend for those it serves.
type bounds struct {
	limits *limit.Frontend
	// Of the connections that goroutines serve. Each loop has a part of its own.
	in, out limit.Line
}

// init takes on limits that parts share the bandwidth of: the loops, and the
// goroutines together.
func (b *bounds) init(limits *limit.Frontend, loops int) {
	if limits == nil {
		limits = &limit.Frontend{}
	}
	b.limits = limits
	b.in.Init(limits.In.Part(loops + 1))
	b.out.Init(limits.Out.Part(loops + 1))
}

// admit counts a connection that begins and reports whether it may: access
// control and limits can be against it. One that was admitted must be left.
func (h *HTTP) admit(remote netip.Addr, count *counters) bool {
	count.opened.Add(1)
	if h.snap.Load().acl.Admits(remote) && h.limits.Admit() {
		return true
	}
	count.dropped.Add(1)
	count.closed.Add(1)
	return false
}

// noRoom counts a connection that was admitted, and is refused for want of
// descriptors.
func (h *HTTP) noRoom(count *counters) {
	count.dropped.Add(1)
	count.short.Add(1)
	h.left(count)
	h.complain("connection refused: no room for more", syscall.EMFILE)
}

// complain logs a shortage, now and then.
func (h *HTTP) complain(of string, errno syscall.Errno) {
	if h.budget.Complain() {
		h.e.log.Error(of+"; raise the limit of descriptors (LimitNOFILE= or ulimit -n)", "listener", h.addr.String(), "limit", h.budget.System(), "error", errno)
	}
}

// left counts the end of a connection that was admitted.
func (h *HTTP) left(count *counters) {
	h.limits.Leave()
	count.closed.Add(1)
}

// admitRequest counts a request of any protocol and reports whether it may be
// served. If not it is to be answered by 503.
func (h *HTTP) admitRequest(count *counters) bool {
	count.requests.Add(1)
	if h.limits.Request() {
		return true
	}
	count.dropped.Add(1)
	return false
}

// awaitWithout waits until p may pass through l. p lies in b, which is given
// back before: a connection that waits holds what is to be sent and no more. It
// returns where that is.
func (c *conn) awaitWithout(l *limit.Line, b *block, p []byte) []byte {
	p = append([]byte(nil), p...)
	putBlock(b)
	c.await(l, len(p))
	return p
}

// await waits until n bytes may pass through l.
func (c *conn) await(l *limit.Line, n int) {
	if !l.Allow(n) {
		l.Wait(n, c.stopped)
	}
}

// stopped tells whether there is nothing to wait for any more.
func (c *conn) stopped() bool { return c.cut.Load() || c.stream != nil && c.stream.gone() }

// most is how many bytes are to be read at once of what is to pass through l.
func most(l *limit.Line) int {
	if l.Limited() {
		return min(l.Chunk(), blockSize)
	}
	return blockSize
}

// loopQueue holds the clients of a port that wait for bandwidth in one
// direction.
type loopQueue struct {
	limit.Queue[*loopClient]
	timer loop.Timer
}

func (q *loopQueue) init(r *reactor, part limit.Part) {
	q.timer.Expirer = q
	q.Init(part, r.restart(&q.timer))
}

// Expired serves those who wait.
func (q *loopQueue) Expired() { q.Serve() }

// Abort ends the connection whose turn panicked; the queue goes on.
func (q *loopQueue) Abort() {
	if c := q.Queue.Abort(); c != nil {
		c.abort()
	}
}

// pass reports whether c may send or take something now. If not, its turn will
// come, and until then its deadline rests.
func (q *loopQueue) pass(c *loopClient) bool {
	if !q.Limited() {
		return true
	}
	held := c.waiting
	if q.Pass(c) {
		return true
	}
	if !held {
		c.held = c.port.r.loop.Now()
	}
	return false
}

// Waits is where a queue notes that c waits.
func (c *loopClient) Waits() *bool { return &c.waiting }

// Turn goes on where pass said no.
func (c *loopClient) Turn() {
	c.deadline += c.port.r.loop.Now() - c.held
	if x := c.x; x == nil {
	} else if x.pending.status != 0 {
		x.answer(&x.pending)
	} else {
		x.pull()
	}
	c.run()
}
