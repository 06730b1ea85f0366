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
// wheel's clock: its end for want of requests, and the time for what the client
// has begun to say. A head of HTTP/2 keeps all other requests of its connection
// waiting until it is whole.
type http2Clock struct {
	until int64 // the end of a connection without requests
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
	hc.schedule()
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
	}
	if hc.clock.open {
		at = min(at, hc.clock.since+int64(hc.headTime()))
	}
	if at == math.MaxInt64 {
		return hc.c.rtimer.disarm()
	}
	return hc.c.rtimer.armIdle(time.Duration(at - hc.c.wheel.now()))
}

// timedOut deals with the read timer. It is false when the connection is over.
func (hc *http2Conn) timedOut() bool {
	c := hc.c
	if !c.rtimer.isFired() || c.cut.Load() {
		return false
	}
	hc.mu.Lock()
	defer hc.mu.Unlock()
	now, idle := c.wheel.now(), len(hc.running) == 0
	switch {
	case hc.lost || idle && hc.core.Left():
	case hc.clock.open && now >= hc.clock.since+int64(hc.headTime()):
		c.count.slowHeads.Add(1)
		hc.core.Fail(h2.TooSlow, "not complete in time")
		return false
	case !idle || now < hc.clock.until: // a request came at the last moment
		c.rtimer.acknowledge()
		hc.schedule()
		return true
	}
	hc.core.LeaveNow()
	return false
}
