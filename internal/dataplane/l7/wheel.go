package l7

import (
	"sync"
	"sync/atomic"
	"time"
)

// The wheel's resolution. Deadlines of HTTP are seconds long; one request costs
// two atomic stores here instead of a runtime timer set and reset.
const (
	tick  = 100 * time.Millisecond
	slots = 1024
)

// fired is the value of a timer that has gone off and was not acknowledged.
const fired = -1

// timer is a deadline of one direction of a socket. It is moved in the wheel
// only when it must go off earlier than planned; a deadline that moves later is
// noticed when the old one comes up.
type timer struct {
	// at is the deadline on the wheel's clock, 0 for none, or fired. Bit 0 is
	// set while the connection is idle and may be closed at will; of a write timer, and
	// of a server's, while it does not go off as long as the other side takes
	// something.
	at    atomic.Int64
	s     *socket
	write bool

	planned    atomic.Int64 // the tick at which the wheel looks, 0: not in the wheel
	next, prev *timer       // guarded by wheel.mu
}

// waits are the constants of an engine's connections, which tests shorten.
type waits struct{ slow, connect, tunnel, handshake, park, http2, sure time.Duration }

// wheel holds the timers of an engine. Its goroutine sleeps while there are
// none.
type wheel struct {
	clock   atomic.Int64 // nanoseconds since start, advanced every tick
	start   time.Time
	onTick  func(now int64) // called every second without the lock
	stamp   func()          // called when the clock starts after a pause and every second
	wake    chan struct{}
	stopped chan struct{}
	waits   waits

	mu   sync.Mutex
	list [slots]*timer
	size int
	last int64 // the tick handled last
}

func newWheel(onTick func(now int64), stamp func()) *wheel {
	return &wheel{start: time.Now(), onTick: onTick, stamp: stamp,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		waits: waits{slow: slowTime, connect: connectTimeout, tunnel: tunnelIdle, handshake: handshakeTimeout, park: parkAfter, http2: http2Idle, sure: keptSure}}
}

// now is the wheel's clock, at most a tick behind while there are timers.
func (w *wheel) now() int64 { return w.clock.Load() }

func (w *wheel) advance() int64 {
	now := int64(time.Since(w.start)) + int64(time.Hour) // never near 0
	w.clock.Store(now)
	return now
}

// run turns the wheel until quit is closed.
func (w *wheel) run(quit <-chan struct{}) {
	defer close(w.stopped)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var due []*timer
	var second int64
	for {
		select {
		case <-quit:
			return
		case <-ticker.C:
		}
		now := w.advance()
		due = w.collect(now, due[:0])
		for _, t := range due {
			t.expire()
		}
		if s := now / int64(time.Second); s != second {
			second = s
			w.stamp()
			w.onTick(now)
		}
		w.mu.Lock()
		idle := w.size == 0
		w.mu.Unlock()
		if !idle {
			continue
		}
		ticker.Stop()
		select {
		case <-quit:
			return
		case <-w.wake:
		}
		ticker.Reset(tick)
	}
}

// collect takes the timers that are due and replans those that moved.
func (w *wheel) collect(now int64, due []*timer) []*timer {
	w.mu.Lock()
	defer w.mu.Unlock()
	for end := now / int64(tick); w.last < end; {
		w.last++
		t := w.list[w.last%slots]
		w.list[w.last%slots] = nil
		for t != nil {
			next := t.next
			t.next, t.prev = nil, nil
			at := t.at.Load()
			if at > 0 && at <= now {
				to := int64(fired)
				if at&1 == 1 {
					if d := t.takes(); d > 0 {
						to = (now + int64(d)) | 1
					}
				}
				if t.at.CompareAndSwap(at, to) {
					at = to
				}
				if at == fired {
					due = append(due, t)
				}
			}
			if at <= 0 {
				at = now + int64(time.Hour) // off: look again on a later round
			}
			w.planLocked(t, at)
			t = next
		}
	}
	return due
}

// planLocked puts a timer that is in no list where it comes up at the given
// time, or on the furthest slot if that is beyond the wheel.
func (w *wheel) planLocked(t *timer, at int64) {
	n := min(max(at/int64(tick)+1, w.last+1), w.last+slots-1)
	t.planned.Store(n)
	head := &w.list[n%slots]
	t.next, t.prev = *head, nil
	if *head != nil {
		(*head).prev = t
	}
	*head = t
}

func (w *wheel) unlinkLocked(t *timer) {
	switch {
	case t.prev != nil:
		t.prev.next = t.next
	case w.list[t.planned.Load()%slots] == t:
		w.list[t.planned.Load()%slots] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
}

// add brings a timer into the wheel, without a deadline yet.
func (w *wheel) add(t *timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size++; w.size == 1 { // the clock stood still until now
		w.last = w.advance() / int64(tick)
		w.stamp()
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	w.planLocked(t, w.now()+int64(time.Hour))
}

// move makes the wheel look at a timer earlier than planned.
func (w *wheel) move(t *timer, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlinkLocked(t)
	w.planLocked(t, at)
}

// remove takes a timer out for good.
func (w *wheel) remove(t *timer) {
	if t.planned.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlinkLocked(t)
	t.planned.Store(0)
	w.size--
}

// arm sets the deadline to d from now. It returns false when the timer has gone
// off meanwhile and was not acknowledged.
func (t *timer) arm(d time.Duration) bool { return t.set(d, 0) }

// armIdle is arm with the mark that the connection may be closed meanwhile.
func (t *timer) armIdle(d time.Duration) bool { return t.set(d, 1) }

// armTaking is arm for one who sends: the deadline moves on as long as the other
// side takes something.
func (t *timer) armTaking(d time.Duration) bool { return t.set(d, 1) }

// in is the time d from now, on the wheel's clock, which may have stood still.
func (t *timer) in(d time.Duration) int64 {
	if t.planned.Load() == 0 {
		t.s.wheel.add(t)
	}
	return t.s.wheel.now() + int64(d)
}

func (t *timer) set(d time.Duration, idle int64) bool {
	at := t.in(d)&^1 | idle
	if t.at.Swap(at) == fired {
		t.at.Store(fired)
		return false
	}
	if at/int64(tick)+1 < t.planned.Load() {
		t.s.wheel.move(t, at)
	}
	return true
}

// disarm takes the deadline away; false as for arm.
func (t *timer) disarm() bool {
	if t.at.Swap(0) == fired {
		t.at.Store(fired)
		return false
	}
	return true
}

// isFired tells whether the timer went off.
func (t *timer) isFired() bool { return t.at.Load() == fired }

// interrupt makes the timer go off now if its connection is idle.
func (t *timer) interrupt() {
	if at := t.at.Load(); at > 0 && at&1 == 1 && t.at.CompareAndSwap(at, fired) {
		t.expire()
	}
}

// expire wakes who waits on the socket, unless it acknowledged before.
func (t *timer) expire() {
	t.s.expiry.Lock()
	defer t.s.expiry.Unlock()
	if t.at.Load() != fired {
		return
	}
	switch {
	case t.write:
		t.s.file.SetWriteDeadline(past)
	case t.s.client == nil: // who waits for a server may be sending still
		t.s.file.SetDeadline(past)
	default:
		t.s.interruptRead()
	}
}

// acknowledge takes note that a read timer went off and lets reading go on.
func (t *timer) acknowledge() {
	t.s.expiry.Lock()
	defer t.s.expiry.Unlock()
	t.at.Store(0)
	t.s.file.SetReadDeadline(time.Time{})
}

var past = time.Unix(1, 0)
