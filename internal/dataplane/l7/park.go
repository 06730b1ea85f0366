package l7

import (
	"time"

	"github.com/openslb/openslb/internal/dataplane/loop"
)

// parkAfter is how long an idle client connection stays with its goroutine.
// Parking and coming back take some microseconds, which those who ask often are
// to be spared.
const parkAfter = 200 * time.Millisecond

// A client connection of the goroutine driver that has been idle for parkAfter is
// parked: its goroutine ends and a loop watches its descriptor, so that it holds
// no stack. Its timer stays in the wheel. What happens next, bytes or an end from
// the client, the timer, or somebody who interrupts, has a goroutine take it up
// again. An end of the stream that came together with the request, which is not
// announced twice to who waits in Go's poller, is found by the loop.
//
// The connection belongs to its goroutine until park, then to the loop until
// that has it served again. Others do not touch it: they note what they want, as
// they do for one that waits in the poller, and then call recall. Either the loop
// finds the note when it begins to watch, or recall finds that it is parked.

// parked is a connection as its loop sees it.
type parked conn

// lot is the loop that watches the connection while it is parked.
func (c *conn) lot() *loop.Loop {
	return c.h.lots[c.shard%uint32(len(c.h.lots))].loop
}

// park gives the connection to its loop. The caller must not touch it any more,
// unless it is false: then there is no loop any more.
func (c *conn) park() bool {
	if c.tls != nil {
		c.tls.shrink()
	}
	c.back = true
	c.away.Store(true)
	if c.lot().Post(func() { (*parked)(c).watch() }) {
		return true
	}
	c.away.Store(false)
	return false
}

// recall has a connection taken up by a goroutine if it is parked. What that is
// to find out must have been noted before.
func (c *conn) recall() {
	if c.away.Load() {
		c.lot().Post(func() { (*parked)(c).resume() }) // false: there is nothing left to recall
	}
}

// disturbed tells whether somebody wants something of the connection.
func (c *conn) disturbed() bool {
	hc := c.http2.Load()
	return c.rtimer.isFired() || c.cut.Load() || hc != nil && hc.isLost()
}

// watch waits for the client. What it has sent already is told at once.
func (p *parked) watch() {
	c := (*conn)(p)
	if !c.disturbed() {
		var err error
		if c.spot, err = c.lot().Register(c.fd, loop.Readable|loop.PeerClosed, p); err == nil {
			return
		}
		// The system's limit of watched descriptors: it goes on as if it had never
		// been idle.
	}
	p.unpark()
}

// resume has a goroutine take the connection up, unless one has.
func (p *parked) resume() {
	if c := (*conn)(p); c.spot != 0 {
		c.lot().Detach(c.spot)
		c.spot = 0
		p.unpark()
	}
}

func (p *parked) unpark() {
	c := (*conn)(p)
	c.away.Store(false)
	c.h.e.serve(c)
}

// Ready tells that the client has sent something or broken off.
func (p *parked) Ready(loop.Events) { p.resume() }

// Abort is called if Ready panicked, and leaves the rest to the goroutine.
func (p *parked) Abort() { p.resume() }
