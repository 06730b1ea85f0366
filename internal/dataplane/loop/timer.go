package loop

import (
	"math"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"
)

// The timers are coarse and cheap: a wheel of slots of tick length, each a
// list. What lies beyond the wheel's reach waits in its last slot and is put
// back in. Timers of many seconds are rounded up to whole seconds, so that a
// loop with nothing but idle connections wakes once in a second at most.
const (
	tick       = int64(32 * time.Millisecond)
	wheelSlots = 1024
	reach      = wheelSlots - 2 // in ticks
	second     = int64(32)      // about one, in ticks
	longTimer  = 10 * second
)

// Expirer is called on the loop when its timer is due. If Expired panics and
// there is a method Abort, as a Handler has, that is called.
type Expirer interface{ Expired() }

// Timer is one timeout, embedded in what it is for. It must not be copied while
// it is armed.
//
// For an idle timeout do not re-arm the timer at each use: note the time of the
// use, and when the timer expires arm it again for what is left.
type Timer struct {
	Expirer Expirer // set before the timer is armed

	next, prev *Timer
	due        int64 // nanoseconds
	slot       int32 // place in the wheel plus 1; 0: not armed
}

// Armed reports whether the timer runs.
func (t *Timer) Armed() bool { return t.slot != 0 }

// Arm has t expire after d, or up to 1/10 later than that; a timer that runs
// starts anew.
func (l *Loop) Arm(t *Timer, d time.Duration) {
	l.Disarm(t)
	t.due = l.now + max(int64(d), 0)
	if l.now < l.wheel.due {
		l.wheel.now = max(l.wheel.now, l.now/tick) // no slot in between is taken
	}
	l.wheel.place(t)
}

// Disarm stops t. A timer that does not run is left alone.
func (l *Loop) Disarm(t *Timer) {
	if t.slot != 0 {
		l.wheel.remove(t)
	}
}

type wheel struct {
	slots    [wheelSlots]*Timer // lists; the head's prev is nil
	occupied [wheelSlots / 64]uint64
	now      int64 // in ticks: everything up to and with it has expired
	due      int64 // no timer expires before, in nanoseconds; MaxInt64: none at all

	expiring Expirer // what is called now, for the case of a panic
}

func (w *wheel) init(now int64) {
	w.now = now / tick
	w.due = math.MaxInt64
}

// place puts a timer that is in no list into its slot, never the current one.
func (w *wheel) place(t *Timer) {
	at := (t.due + tick - 1) / tick
	at = max(at, w.now+1)
	if at-w.now > longTimer {
		at = (at + second - 1) / second * second
	}
	if at-w.now > reach {
		at = (w.now + reach) / second * second
	}
	i := at % wheelSlots
	t.slot = int32(i) + 1
	t.prev, t.next = nil, w.slots[i]
	if t.next != nil {
		t.next.prev = t
	}
	w.slots[i] = t
	w.occupied[i/64] |= 1 << (i % 64)
	w.due = min(w.due, at*tick)
}

func (w *wheel) remove(t *Timer) {
	i := t.slot - 1
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.slots[i] = t.next
		if t.next == nil {
			w.occupied[i/64] &^= 1 << (i % 64)
		}
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.slot = nil, nil, 0
}

// advance expires what is due at now. After a panic of an Expirer it may be
// called again: a timer leaves the wheel before it is told.
func (w *wheel) advance(now int64) {
	to := now / tick
	for {
		at, ok := w.first()
		if !ok || at > to {
			break
		}
		w.now = at // place may use any later slot
		for t := w.slots[at%wheelSlots]; t != nil; t = w.slots[at%wheelSlots] {
			w.remove(t)
			if t.due > at*tick {
				w.place(t) // it was beyond reach
			} else {
				w.expiring = t.Expirer
				t.Expirer.Expired()
				w.expiring = nil
			}
		}
	}
	w.now = max(w.now, to)
	w.due = math.MaxInt64
	if at, ok := w.first(); ok {
		w.due = at * tick
	}
}

// first finds the first tick after now whose slot holds timers.
func (w *wheel) first() (at int64, ok bool) {
	from := (w.now + 1) % wheelSlots
	word := from / 64
	if b := w.occupied[word] >> (from % 64); b != 0 {
		return w.now + 1 + int64(bits.TrailingZeros64(b)), true
	}
	for k := int64(1); k <= int64(len(w.occupied)); k++ {
		i := (word + k) % int64(len(w.occupied))
		if b := w.occupied[i]; b != 0 {
			slot := i*64 + int64(bits.TrailingZeros64(b))
			return w.now + 1 + (slot-from+wheelSlots)%wheelSlots, true
		}
	}
	return 0, false
}

// armTimer sees to it that a parked loop is woken for its next timer. It may be
// woken earlier than needed, which saves setting the clock again at each wait.
func (l *Loop) armTimer() {
	if l.wheel.due == math.MaxInt64 || l.armed != 0 && l.armed <= l.wheel.due && l.armed > l.now {
		return
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(l.wheel.due-l.now, 1))}
	if unix.TimerfdSettime(l.timerFD, 0, &spec, nil) == nil {
		l.armed = l.wheel.due
	}
}

// timerHandler takes note that the clock went off; the turn looks at the wheel
// in any case.
type timerHandler struct{ l *Loop }

func (h timerHandler) Ready(Events) {
	drain(h.l.timerFD)
	h.l.armed = 0
}

func (timerHandler) Abort() {}
