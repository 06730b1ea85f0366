package limit

import "time"

// Part is the share of one event loop in a Pace. Loops wake for their waiting
// connections at the same moments, and the first to look would take everything;
// so each is assured its even part, and may have more only of what the others
// leave, by the same rule as frontends in an instance.
//
// A Part belongs to one loop and is not safe for concurrent use. The zero Part
// has no limit.
type Part struct {
	whole *Pace // nil: no limit
	parts int64
	paid  int64 // when what this part took is paid for, at its share of the rate
}

// Part gives one of so many parts.
func (p *Pace) Part(parts int) Part { return Part{whole: p, parts: int64(max(parts, 1))} }

// Limited reports whether there is a limit. It costs next to nothing, and
// without a limit nothing else need be asked.
func (p *Part) Limited() bool { return p.whole != nil && p.whole.Limited() }

// Chunk is how many bytes should be moved at once under the limit: few enough
// that many connections get their turn.
func (p *Part) Chunk() int { return p.whole.Chunk() }

// Wait is how long to wait before anything may pass; 0: it may at once.
func (p *Part) Wait() time.Duration {
	if !p.Limited() {
		return 0
	}
	return p.wait(clock())
}

// Take counts n bytes that pass. It is for those who have asked Wait and learn
// only then how much there is.
func (p *Part) Take(n int) {
	if p.Limited() {
		p.take(n, clock())
	}
}

// Allow counts n bytes and reports true if they may pass now.
func (p *Part) Allow(n int) bool {
	if !p.Limited() {
		return true
	}
	now := clock()
	if p.wait(now) > 0 {
		return false
	}
	p.take(n, now)
	return true
}

func (p *Part) wait(now int64) time.Duration {
	over := time.Duration(p.paid-now) - bandwidthBurst + 1
	if over <= 0 {
		return 0
	}
	return min(over, p.whole.wait(now))
}

func (p *Part) take(n int, now int64) {
	rate := p.whole.own.rate.Load()
	assured := rate > 0 && time.Duration(p.paid-now) < bandwidthBurst
	if assured {
		p.paid = max(p.paid, now) + int64(n)*int64(time.Second)/rate*p.parts
	}
	p.whole.take(n, now, assured)
}
