package limit

import (
	"sync/atomic"
	"time"
)

// bucket lets through so many units a second, and after a pause a burst of
// them. It is a virtual clock: each unit moves the time at which everything
// taken is paid for, and that time may run ahead of the real one by the burst.
//
// A taker may overdraw: whoever learns only afterwards how much it took (a read
// of a socket) takes it then, and the next one waits longer. The zero bucket
// has no limit. All methods are safe for concurrent use.
type bucket struct {
	rate  atomic.Int64 // units a second; 0: no limit
	burst atomic.Int64 // nanoseconds
	paid  atomic.Int64 // when everything taken is paid for
}

// set changes the limit to rate units a second; 0 is none.
func (b *bucket) set(rate int64, burst time.Duration) {
	b.burst.Store(int64(burst))
	b.rate.Store(max(rate, 0))
}

// limited reports whether there is a limit.
func (b *bucket) limited() bool { return b.rate.Load() > 0 }

// wait is how long after now the next unit may be taken; 0: at once.
func (b *bucket) wait(now int64) time.Duration {
	if !b.limited() {
		return 0
	}
	return time.Duration(max(0, b.paid.Load()-now-b.burst.Load()+1))
}

// take takes n units, be there a limit or not and whatever it says.
func (b *bucket) take(n int, now int64) {
	rate := b.rate.Load()
	if rate <= 0 {
		return
	}
	cost := int64(n) * int64(time.Second) / rate
	for {
		paid := b.paid.Load()
		if b.paid.CompareAndSwap(paid, max(paid, now)+cost) {
			return
		}
	}
}

// allow takes n units if the limit lets all of them pass at now.
func (b *bucket) allow(n int, now int64) bool {
	rate := b.rate.Load()
	if rate <= 0 {
		return true
	}
	cost := int64(n) * int64(time.Second) / rate
	for {
		paid := b.paid.Load()
		next := max(paid, now) + cost
		if next-now > b.burst.Load() {
			return false
		}
		if b.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}

var start = time.Now()

// clock is the time of all buckets: nanoseconds that only run forward.
func clock() int64 { return int64(time.Since(start)) }
