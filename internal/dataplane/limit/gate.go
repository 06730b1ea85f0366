package limit

import "sync/atomic"

// Gate counts what is open at once and keeps it within a bound. The zero Gate
// has none. It is safe for concurrent use.
type Gate struct {
	open atomic.Int64
	most atomic.Int64 // 0: no bound
}

// setMost changes the bound; 0 is none. What is open stays open.
func (g *Gate) setMost(n int) { g.most.Store(int64(max(n, 0))) }

// enter counts one more, unless the bound is reached.
func (g *Gate) enter() bool {
	n := g.open.Add(1)
	if most := g.most.Load(); most > 0 && n > most {
		g.open.Add(-1)
		return false
	}
	return true
}

// leave counts one less.
func (g *Gate) leave() { g.open.Add(-1) }
