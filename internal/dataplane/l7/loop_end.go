package l7

import (
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// refuse answers a request that could not be read.
func (c *loopClient) refuse(why error, req *h1.Request, in []byte) {
	a := answer{status: 400, close: true}
	if e, ok := why.(*h1.Error); ok {
		a.status = e.Status
	}
	c.state, c.linger = loopBusy, true
	c.x = c.port.r.newExchange(c)
	c.port.count.requests.Add(1)
	c.x.beginRecord(req, in)
	c.x.answer(&a)
}

// refuseHeld refuses what is held of a request and will not become a whole one.
func (c *loopClient) refuseHeld(why error) {
	_, _ = c.w.req.Parse(c.w.in) // for the log: it has not been looked at yet
	c.refuse(why, &c.w.req, c.w.in)
}

// interruptible tells whether Close need not wait for the connection.
func (c *loopClient) interruptible() bool {
	return c.state == loopLingering || c.state == loopOpen && c.w == nil
}

// finish ends the connection after its last answer. Closing with unread bytes
// would make the system send a reset that can destroy an answer on its way, so
// where the client may be sending its end is waited for a little.
func (c *loopClient) finish() {
	c.release()
	if !c.linger {
		c.end(sock.Finish)
		return
	}
	sock.ShutdownWrite(int(c.fd))
	if c.port.h.closing.Load() {
		c.end(sock.Close)
		return
	}
	c.state = loopLingering
	c.setDeadline(lingerTime)
	c.readable = true
	if c.drain(); c.state == loopLingering {
		c.watch(false)
	}
}

// drain reads and drops what the client still sends.
func (c *loopClient) drain() {
	for c.readable {
		n, errno := sock.Recv(int(c.fd), c.port.r.block[:])
		if errno == syscall.EAGAIN {
			c.readable = false
			return
		}
		c.drained += int32(n)
		if errno != 0 || n == 0 || c.drained >= lingerBytes {
			c.end(sock.Close)
			return
		}
	}
}

// abort ends the connection, and what is under way, by a reset: the client must
// not take an answer for complete.
func (c *loopClient) abort() { c.end(sock.Reset) }

// end ends the connection; how closes the descriptor.
func (c *loopClient) end(how func(fd int)) {
	if c.state == loopGone {
		return
	}
	c.port.r.loop.Release(c.handle)
	how(int(c.fd))
	c.port.r.loop.Budget.Give(1)
	h := c.port.h
	h.left(c.port.count)
	c.forget()
	h.conns.Done()
}

// forget gives back all that belongs to the loop, the descriptor and its place in
// the budget excepted.
func (c *loopClient) forget() {
	p := c.port
	p.r.loop.Disarm(&c.timer)
	if x := c.x; x != nil {
		c.x = nil
		x.endRecord()
		x.drop()
		p.r.freeExchange(x)
	}
	c.release()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		p.clients = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	*c = loopClient{state: loopGone}
	p.r.clients.Put(c)
}
