package l7

import (
	"math"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h2"
)

// Times of an HTTP/2 connection.
const (
	// http2Idle ends a connection without requests, as the vendor documents; the
	// idle timeout of the listener is for HTTP/1.
	http2Idle = 180 * time.Second
	// http2Leave is how long a client may take to acknowledge that it has been
	// told to leave.
	http2Leave = time.Second
)

// http2Clock is what the read timer of an HTTP/2 connection is about, on the
// wheel's clock: its end for want of requests, parking before that, and the time
// for what the client has begun to say. A head of HTTP/2 keeps all other requests
// of its connection waiting until it is whole.
type http2Clock struct {
	until int64 // the end of a connection without requests
	park  int64 // when that is to be parked; 0: it has been
	open  bool  // something has begun
	since int64 // when it had
}

// changes takes note of what the client has begun, and reports whether that is
// another thing than before.
func (k *http2Clock) changes(core *h2.Conn) bool {
	since, open := core.Begun()
	if open == k.open && (!open || int64(since) == k.since) {
		return false
	}
	k.open, k.since = open, int64(since)
	return true
}

// restUntil notes that there are no requests, for which the connection ends in
// d. The lock is held.
func (hc *http2Conn) restUntil(d time.Duration) {
	hc.clock.until = hc.c.wheel.now() + int64(d)
	hc.stay()
	hc.schedule()
}

// stay puts off parking. The lock is held.
func (hc *http2Conn) stay() {
	hc.clock.park = hc.c.wheel.now() + int64(hc.c.wheel.waits.park)
}

// parks tells whether the connection is to be parked now, and notes it. The lock
// is held.
func (hc *http2Conn) parks(now int64) bool {
	switch {
	case len(hc.running) > 0 || now < hc.clock.park:
		return false
	case !hc.c.quiet || hc.clock.open || hc.flushing || hc.core.Pending() > 0:
		hc.stay() // it has not been read since, or somebody is about to say something
		return false
	}
	hc.clock.park = 0
	hc.core.Rest()
	return true
}

// headTime is how long the client may take for what it has begun. The lock is
// held.
func (hc *http2Conn) headTime() time.Duration {
	if !hc.core.Settled() {
		return hc.c.wheel.waits.handshake // of which this is the rest
	}
	return hc.c.h.snap.Load().RequestTimeout()
}

// schedule sets the read timer. It is false when that has gone off meanwhile. The
// lock is held.
func (hc *http2Conn) schedule() bool {
	at := int64(math.MaxInt64)
	if len(hc.running) == 0 {
		at = hc.clock.until
		if hc.clock.park > 0 {
			at = min(at, hc.clock.park)
		}
	}
	if hc.clock.open {
		at = min(at, hc.clock.since+int64(hc.headTime()))
	}
	if at == math.MaxInt64 {
		return hc.c.rtimer.disarm()
	}
	return hc.c.rtimer.armIdle(time.Duration(at - hc.c.wheel.now()))
}

// timedOut deals with the read timer. going is false when the connection is over;
// rests has it parked.
func (hc *http2Conn) timedOut() (going, rests bool) {
	c := hc.c
	if !c.rtimer.isFired() || c.cut.Load() {
		return false, false
	}
	hc.mu.Lock()
	defer hc.mu.Unlock()
	now, idle := c.wheel.now(), len(hc.running) == 0
	switch {
	case hc.lost || idle && hc.core.Left():
	case hc.clock.open && now >= hc.clock.since+int64(hc.headTime()):
		c.count.slowHeads.Add(1)
		hc.core.Fail(h2.EnhanceYourCalm, "not complete in time")
		return false, false
	case !idle || now < hc.clock.until: // a request came at the last moment, or it is to be parked
		c.rtimer.acknowledge()
		rests = hc.parks(now)
		hc.schedule()
		return true, rests
	}
	hc.core.LeaveNow()
	return false, false
}

// isLost tells whether nothing can be sent any more.
func (hc *http2Conn) isLost() bool {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	return hc.lost
}
