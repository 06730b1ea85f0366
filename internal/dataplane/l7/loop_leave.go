package l7

import (
	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// What a loop has no means for goes to a goroutine with its connection, which
// stays there. It is a request that takes more than a head and a body at hand, or
// an answer that is to be compressed.

// handOver has a goroutine go on with the connection; in is what was read of it
// and not yet handled, from the start of a request on.
func (c *loopClient) handOver(in []byte) {
	w := c.w
	if w == nil {
		w = getWork()
		w.fill(in)
	}
	if c.began != 0 {
		w.began = c.began
	}
	c.leave(w, nil)
}

// leave hands the connection over with what was read of it, and with the
// exchange under way if there is one.
func (c *loopClient) leave(w *work, x *handed) {
	p := c.port
	if c.handle != 0 {
		p.r.loop.Detach(c.handle)
	}
	to := newConn(p.h, c.peer, p.h.e.seq.Add(1))
	to.count, to.requests = p.count, int(c.requests)
	fd := int(c.fd)
	c.w = nil
	c.forget()
	if err := to.init(fd, p.h.e.wheel, p.h.budget); err != nil {
		putWork(w)
		if x != nil {
			x.drop(p.h)
		}
		p.h.left(p.count)
		p.h.conns.Done()
		return
	}
	to.w, to.phase, to.taken, to.handed = w, phaseIdle, len(w.in), x
	p.h.adopt(to)
}

// handed is an exchange whose answer begins, on its way from a loop to a
// goroutine, with a compressor reserved for it.
type handed struct {
	plan       policy.Plan
	m          *member // acquired
	fd         int     // of the server
	b          *block  // what came of the answer, from headRoom on
	have       int
	rec        record
	minor      uint8
	persistent bool
	began      int64
}

// drop gives up all that goes along.
func (t *handed) drop(h *HTTP) {
	sock.Close(t.fd)
	h.budget.Give(1)
	putBlock(t.b)
	t.m.Release()
	h.e.compressors.cancel()
}

// coding decides about the compression of the answer whose head is in b. With
// Gzip, a compressor is reserved if there is a body.
func (x *loopExchange) coding(b *block) policy.Coding {
	h, resp := x.c.port.h, &x.r.resp
	coding := h.snap.Load().coding(resp, b[headRoom:headRoom+x.have], h1.Asked{Head: x.head}, x.gzip)
	if coding == policy.Gzip && resp.Body != h1.NoBody && (x.sent < len(x.out) || !h.e.compressors.reserve()) {
		return policy.Varies
	}
	return coding
}

// handOver has a goroutine go on with the exchange, whose answer's head is in b.
func (x *loopExchange) handOver(b *block) {
	r, c, s := x.r, x.c, x.s
	t := &handed{plan: x.plan, m: x.m, fd: int(s.fd), b: b, have: x.have, rec: x.rec.moved(), minor: x.minor, persistent: x.persistent, began: x.began}
	if b == r.block {
		r.yieldBlock()
	}
	x.b, x.m, x.s = nil, nil, nil
	s.detach()
	c.x = nil
	r.freeExchange(x)
	w := c.w
	if w == nil {
		w = getWork()
	}
	c.leave(w, t)
}

// resume goes on with an exchange that a loop began. It is false when the
// connection is to be closed.
func (c *conn) resume() bool {
	t := c.handed
	c.handed = nil
	u := &upstream{member: t.m}
	if err := u.init(t.fd, c.h.e.wheel, c.h.budget); err != nil {
		putBlock(t.b)
		t.m.Release()
		c.h.e.compressors.cancel()
		return false
	}
	u.askFn = u.tryAsk
	u.rtimer.arm(t.plan.Timeout)
	c.current.Store(u)
	c.gzip, c.reserved, c.began = true, true, t.began
	c.w.req.Reset()
	c.w.req.Minor, c.w.req.Persistent = t.minor, t.persistent
	c.w.rec = t.rec
	defer c.endRecord(nil)
	result := c.passAnswer(u, t.b, t.have, &t.plan, nil)
	t.m.Release()
	c.cancelCompressor()
	switch result {
	case delivered:
		return true
	case cutShort:
		return false
	default:
		return c.answerLocally(&answer{status: 502}, nil)
	}
}

// cancelCompressor takes back a reservation that was of no use.
func (c *conn) cancelCompressor() {
	if c.reserved {
		c.reserved = false
		c.h.e.compressors.cancel()
	}
}
