package l7

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// loopClient is a client connection on a loop. Between requests it is this and
// a registration, nothing else.
//
// Whatever happens to it or to its server ends with run, which goes on with the
// client as far as that is possible without waiting.
type loopClient struct {
	port     *loopPort
	handle   loop.Handle // 0: not yet watched
	timer    loop.Timer
	deadline int64 // on the loop's clock
	armed    int64 // when timer comes up; it is not moved to a later time
	began    int64 // when a head had begun that had to be waited for; 0: none had
	rttAt    int64 // when rtt was looked up
	peer     netip.AddrPort
	text     peerText // of peer
	key      uint64
	w        *work         // bytes that wait for others, or for the request under way
	x        *loopExchange // the request under way
	fd       int32
	held     int64  // when it began to wait for bandwidth, on the loop's clock
	drained  int32  // bytes read and dropped while lingering
	rtt      uint32 // for the log, in microseconds; 0: not looked up
	state    loopState
	phase    loopPhase
	requests uint8

	readable bool // a read may give something
	ending   bool // the client ended its direction or broke off: read until that shows
	parse    bool // w may hold a whole request
	watching bool // events of being writable are waited for
	linger   bool // the client may still be sending: close gently
	waiting  bool // in a queue for bandwidth

	prev, next *loopClient // in port.clients
}

// loopState is what a client connection is about.
type loopState uint8

const (
	loopOpen      loopState = iota // a request may begin
	loopBusy                       // a request is under way
	loopLingering                  // all is said: waiting for the client's end
	loopGone                       // back in the slab, or handed over
)

// loopPhase is what the deadline of an open connection is about.
type loopPhase uint8

const (
	loopFresh loopPhase = iota // none is set
	loopIdle
	loopHead // a head has begun
)

// Ready handles events of the client.
func (c *loopClient) Ready(ev loop.Events) {
	if ev&(loop.PeerClosed|loop.Hangup|loop.Failed) != 0 {
		c.ending = true
	}
	if c.ending || ev&loop.Readable != 0 {
		c.readable = true
	}
	switch c.state {
	case loopBusy:
		if c.x.paused() && ev&(loop.Writable|loop.Hangup|loop.Failed) != 0 {
			c.x.flush()
		}
	case loopLingering:
		c.drain()
	}
	c.run()
}

// run does what there is to do until the client or a server must be waited for.
func (c *loopClient) run() {
	for c.state == loopOpen && !c.waiting {
		switch {
		case c.parse:
			c.takeHeld()
		case c.readable:
			c.read()
		default:
			c.wait()
			return
		}
	}
}

// read reads once. What comes is looked at where it was read; only what has to
// wait moves to memory of the connection.
func (c *loopClient) read() {
	r, in := c.port.r, &c.port.in
	if !in.pass(c) {
		return
	}
	room := r.block[:]
	if c.w != nil {
		if !c.w.grow() {
			c.refuse(h1.ErrHeaderTooLarge, &c.w.req, c.w.in)
			return
		}
		room = c.w.in[len(c.w.in):cap(c.w.in)]
	}
	if in.Limited() {
		room = room[:min(len(room), in.Chunk())]
	}
	n, errno := sock.Recv(int(c.fd), room)
	switch {
	case errno == syscall.EAGAIN:
		c.readable, c.ending = false, false
		return
	case errno == 0 && n == 0 && c.w != nil && begun(c.w.in):
		c.refuseHeld(errBrokenOff)
		return
	case errno != 0 || n == 0:
		c.end(sock.Close)
		return
	}
	// A read that does not fill the room has taken all there was; what comes
	// after it is told by a new event, except an end told already.
	c.readable = n == len(room) || c.ending
	c.port.count.bytesIn.Add(uint64(n))
	in.Take(n)
	if c.w != nil {
		c.w.in = c.w.in[:len(c.w.in)+n]
		c.parse = true
		return
	}
	c.take(room[:n])
}

// take handles the requests in what was read, and holds what is not yet one or
// has to wait for the one under way.
func (c *loopClient) take(in []byte) {
	req := &c.port.r.req
	for len(in) > 0 && c.state == loopOpen {
		req.Reset()
		done, err := req.Parse(in)
		if err != nil {
			c.refuse(err, req, in)
			return
		}
		if !done {
			c.hold(in)
			return
		}
		n := c.request(req, in)
		in = in[n:]
	}
	if len(in) > 0 && c.state == loopBusy {
		c.hold(in)
		c.parse = true
	}
}

// takeHeld handles one request of what is held.
func (c *loopClient) takeHeld() {
	w := c.w
	done, err := w.req.Parse(w.in)
	if err != nil {
		c.refuse(err, &w.req, w.in)
		return
	}
	if !done {
		c.parse = false
		return
	}
	n := c.request(&w.req, w.in)
	if c.w != w {
		return // the connection has ended or has said all
	}
	w.consume(n)
	if len(w.in) == 0 {
		c.release()
	}
}

// hold keeps bytes that have to wait.
func (c *loopClient) hold(in []byte) {
	c.w = getWork()
	c.w.fill(in)
}

// release gives back what is held.
func (c *loopClient) release() {
	if c.w != nil {
		putWork(c.w)
		c.w = nil
	}
	c.parse = false
}

// request begins the request at the start of in and tells how long it is. One
// that is more than its head and a body at hand goes to a goroutine with all
// that is left of the connection.
func (c *loopClient) request(req *h1.Request, in []byte) int {
	body := bodyAtHand(req, in)
	if body < 0 || req.WebSocket {
		c.handOver(in)
		return len(in)
	}
	c.phase = loopFresh
	n := req.Len() + body
	c.begin(req, in[:n])
	return n
}

// wait waits for the client.
func (c *loopClient) wait() {
	switch {
	case c.w != nil:
		if c.phase != loopHead {
			c.phase = loopHead
			c.began = c.port.r.loop.Now()
			c.setDeadline(c.port.h.snap.Load().RequestTimeout())
		}
	case c.port.h.closing.Load():
		c.end(sock.Close)
		return
	case c.phase != loopIdle:
		c.phase = loopIdle
		c.setDeadline(c.port.h.snap.Load().IdleTimeout())
	}
	c.watch(false)
}

// watch sees to it that events of the client are told. A connection that ends
// with its first answer is never registered.
func (c *loopClient) watch(writable bool) {
	writable = writable || c.watching
	if c.handle != 0 && writable == c.watching {
		return
	}
	interest := loop.Readable | loop.PeerClosed
	if writable {
		interest |= loop.Writable
	}
	c.watching = writable
	var err error
	if c.handle == 0 {
		c.handle, err = c.port.r.loop.Register(int(c.fd), interest, c)
	} else {
		err = c.port.r.loop.Modify(c.handle, interest)
	}
	if err != nil { // the system's limit of watched descriptors
		c.abort()
	}
}

// setDeadline has Expired called in d, unless that is changed before.
func (c *loopClient) setDeadline(d time.Duration) {
	l := c.port.r.loop
	c.deadline = l.Now() + int64(d)
	if !c.timer.Armed() || c.deadline < c.armed {
		c.armed = c.deadline
		l.Arm(&c.timer, d)
	}
}

// Expired looks whether the deadline has come.
func (c *loopClient) Expired() {
	l := c.port.r.loop
	if c.waiting {
		c.armed = l.Now() + int64(time.Second)
		l.Arm(&c.timer, time.Second)
		return
	}
	if left := c.deadline - l.Now(); left > 0 {
		c.armed = c.deadline
		l.Arm(&c.timer, time.Duration(left))
		return
	}
	switch c.state {
	case loopOpen:
		if c.phase == loopHead {
			c.port.count.slowHeads.Add(1)
			c.refuseHeld(errTimeout)
		} else {
			c.end(sock.Close)
		}
	case loopBusy:
		c.x.expired()
	case loopLingering:
		c.end(sock.Close)
	}
	c.run()
}

// Abort ends the connection after a panic.
func (c *loopClient) Abort() { c.abort() }
