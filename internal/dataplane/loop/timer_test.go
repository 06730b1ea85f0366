package loop

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A wheel must fire each armed timer once, not before it is due and not later
// than its rounding allows, whatever the steps of the clock.
func TestWheelKeepsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Loop{now: rapid.Int64Range(0, int64(time.Hour)).Draw(t, "start")}
		l.wheel.init(l.now)
		type entry struct {
			timer Timer
			due   int64
			late  int64 // the latest it may fire, given that the clock is looked at
			fired bool
		}
		armed := map[*entry]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0, 1:
				d := time.Duration(rapid.OneOf(
					rapid.Int64Range(0, int64(time.Second)),
					rapid.Int64Range(0, int64(2*time.Hour)),
				).Draw(t, "d"))
				e := &entry{due: l.now + int64(d)}
				e.late = e.due + max(2*tick, int64(d)/10)
				e.timer.Expirer = expirer(func() {
					if e.fired {
						t.Fatal("fired twice")
					}
					if l.now < e.due {
						t.Fatalf("fired %v early", time.Duration(e.due-l.now))
					}
					e.fired = true
					delete(armed, e)
				})
				l.Arm(&e.timer, d)
				armed[e] = true
			case 2:
				for e := range armed {
					l.Disarm(&e.timer)
					if e.timer.Armed() {
						t.Fatal("still armed")
					}
					e.fired = true
					delete(armed, e)
					break
				}
			case 3:
				step := rapid.OneOf(
					rapid.Int64Range(1, int64(100*time.Millisecond)),
					rapid.Int64Range(1, int64(time.Hour)),
				).Draw(t, "step")
				// Wake as the loop does: when the wheel says so.
				end := l.now + step
				for l.wheel.due <= end {
					l.now = max(l.now, l.wheel.due)
					l.wheel.advance(l.now)
				}
				l.now = end
				for e := range armed {
					if l.now > e.late {
						t.Fatalf("%v late", time.Duration(l.now-e.due))
					}
				}
			}
		}
	})
}

func TestTimerReArmsItself(t *testing.T) {
	l := newLoop(t, Options{})
	done := make(chan int, 1)
	n := 0
	var timer Timer
	timer.Expirer = expirer(func() {
		if timer.Armed() {
			t.Error("armed while it expires")
		}
		if n++; n == 4 {
			done <- n
			return
		}
		l.Arm(&timer, time.Millisecond)
	})
	l.Do(func() { l.Arm(&timer, time.Millisecond); l.Arm(&timer, 2*time.Millisecond) })
	receive(t, done)
}

func BenchmarkTimer(b *testing.B) {
	l := &Loop{}
	l.wheel.init(0)
	b.ReportAllocs()
	t := Timer{Expirer: expirer(func() {})}
	for b.Loop() {
		l.Arm(&t, 15*time.Minute)
		l.Disarm(&t)
	}
}
