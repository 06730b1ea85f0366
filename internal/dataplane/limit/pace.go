package limit

import (
	"sync/atomic"
	"time"
)

const (
	// bandwidthBurst is what may pass at once after a pause. It is longer than
	// the timers of the loops are coarse, so that who waits for a timer still
	// gets the whole rate.
	bandwidthBurst = 100 * time.Millisecond
	// chunkShare is the part of a second's bytes to move at once.
	chunkShare = 100
	leastChunk = 4 << 10
)

// Pace is the bandwidth of a frontend in one direction, in bytes.
//
// A frontend with a limit of its own has its own bucket and no other: its limit
// is a reservation, kept for it though it is idle, and its ceiling. The others
// share what the instance has beyond the reservations. Each of them is assured
// an even part of that, and what one does not use any other may borrow: who
// stays within its part is charged to both buckets and never waits, so that
// borrowers, who need room in the shared one, find just what was left over.
//
// The zero Pace has no limit. All methods are safe for concurrent use. What
// passes is counted through the Parts of a Pace.
type Pace struct {
	own     bucket
	shared  *bucket // of the instance; set before use
	borrows atomic.Bool
}

// Limited reports whether there is a limit. It costs next to nothing, and
// without a limit nothing else need be asked.
func (p *Pace) Limited() bool { return p.own.limited() }

// Chunk is how many bytes should be moved at once under the limit: few enough
// that many connections get their turn.
func (p *Pace) Chunk() int { return int(max(p.own.rate.Load()/chunkShare, leastChunk)) }

func (p *Pace) wait(now int64) time.Duration {
	wait := p.own.wait(now)
	if wait > 0 && p.borrows.Load() {
		wait = min(wait, p.shared.wait(now))
	}
	return wait
}

// take takes n bytes. assured tells that they are within what a Part is assured:
// they have passed whatever the others took, and are not borrowed.
func (p *Pace) take(n int, now int64, assured bool) {
	if !p.borrows.Load() {
		p.own.take(n, now)
		return
	}
	if assured || p.own.wait(now) == 0 {
		p.own.take(n, now)
	}
	p.shared.take(n, now)
}

// set changes the limit to rate bytes a second; 0 is none.
func (p *Pace) set(rate int64, borrows bool) {
	p.borrows.Store(borrows)
	p.own.set(rate, bandwidthBurst)
}
