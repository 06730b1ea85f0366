package limit

import "sync/atomic"

// gate counts what is open at once and keeps it within a bound. The zero gate
// has none. It is safe for concurrent use.
type gate struct {
	open atomic.Int64
	most atomic.Int64 // 0: no bound
}

// setMost changes the bound; 0 is none. What is open stays open.
func (g *gate) setMost(n int) { g.most.Store(int64(max(n, 0))) }

// enter counts one more, unless the bound is reached.
func (g *gate) enter() bool {
	n := g.open.Add(1)
	if most := g.most.Load(); most > 0 && n > most {
		g.open.Add(-1)
		return false
	}
	return true
}

// leave counts one less.
func (g *gate) leave() { g.open.Add(-1) }
