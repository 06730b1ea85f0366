package l7

import (
	"io"
	"runtime/debug"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// tunnelIdle closes a tunnel without traffic, as the vendor documents for
// WebSocket.
const tunnelIdle = 60 * time.Second

// tunnel passes a 101 answer on and then bytes both ways until both sides have
// ended or nothing moves. The answer's head is at b[at:].
func (c *conn) tunnel(u *upstream, b *block, at, have int, plan *policy.Plan) outcome {
	w := c.w
	var edits h1.ResponseEdits
	w.mark = markSession(&edits, w.mark[:0], plan, w.resp.Status, u.member)
	w.head = w.resp.AppendHead(w.head[:0], b[at:at+have], &edits)
	c.count.answered(101, 101)
	w.rec.passed(101, len(w.head), loop.Clock())
	w.rec.look(c.front().fd)
	err := c.deliver(w.head)
	if rest := b[at+w.resp.Len() : at+have]; err == nil && len(rest) > 0 {
		err = c.deliver(rest)
	}
	putBlock(b)
	if rest := w.in[w.req.Len():]; err == nil && len(rest) > 0 {
		err = u.send(rest)
	}
	if err != nil {
		c.discard(u)
		return cutShort
	}
	rec := w.rec.moved()
	rec.whole = true // whatever comes now has no end of its own
	putWork(w)
	c.w = nil
	defer func() { rec.finished(c.shard, loop.Clock()) }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				c.h.e.log.Error("panic in an HTTP tunnel", "frontend", c.h.id, "client", c.peer, "panic", v, "stack", string(debug.Stack()))
				c.endTunnel(u)
			}
		}()
		c.carry(&c.socket, &u.socket, u, &c.h.in, c.count.bytesIn.Add)
	}()
	c.carry(&u.socket, &c.socket, u, &c.h.out, func(n uint64) uint64 {
		rec.out += int64(n)
		return c.count.bytesOut.Add(n)
	})
	<-done
	c.discard(u)
	return cutShort
}

// carry moves bytes one way. The end of the stream is passed on alone, so the
// other way may go on; anything else ends both.
func (c *conn) carry(from, to *socket, u *upstream, l *limit.Line, count func(uint64) uint64) {
	for {
		c.rtimer.arm(c.wheel.waits.tunnel)
		u.rtimer.arm(c.wheel.waits.tunnel)
		b, n, err := from.recvBlock(most(l))
		if err == io.EOF {
			to.endWrite(true)
			return
		}
		if err == nil {
			p := b[headRoom : headRoom+n]
			if !l.Allow(n) {
				p, b = c.awaitWithout(l, b, p), nil
			}
			if err = to.send(p); err != nil && to == &c.socket {
				c.noteSlowRead()
			}
			putBlock(b)
		}
		if err != nil {
			c.endTunnel(u)
			return
		}
		count(uint64(n))
	}
}

// endTunnel wakes both directions for good.
func (c *conn) endTunnel(u *upstream) {
	c.file.SetDeadline(past)
	u.file.SetDeadline(past)
}
