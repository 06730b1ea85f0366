package balance

// rr takes the targets in turn. Weights do not matter; targets of weight 0 are
// not among them. Source: behaviour of Scheduler=rr in CreateLoadBalancer*Listener.
type rr struct {
	n      int
	cursor cursor
}

func newRR(n int) *rr {
	p := &rr{n: n}
	p.cursor.start()
	return p
}

// Pick returns the next target.
func (p *rr) Pick(uint64) int { return p.cursor.next(p.n) }

func (p *rr) apart() Picker { return newRR(p.n) }
