package balance

// wlc takes the target with the fewest active connections for its weight. Equal
// ones, such as all targets of an idle service, are taken by weighted round
// robin, so that short connections spread by weight too.
//
// A pick looks at every target: cheap for the group sizes of a load balancer,
// and free of the lock that an ordered structure would need. Picks at the same
// moment may see the same counts; the tie rule keeps them apart.
type wlc struct {
	weights []int64
	load    func(i int) int64
	ties    *wrr
}

func newWLC(weights []int, load func(i int) int64) *wlc {
	p := &wlc{weights: make([]int64, len(weights)), load: load, ties: newWRR(weights)}
	for i, w := range weights {
		p.weights[i] = int64(w)
	}
	return p
}

// Pick returns the least loaded target.
func (p *wlc) Pick(key uint64) int {
	first := p.ties.Pick(key)
	best, bestLoad := first, p.load(first)
	for n := 1; n < len(p.weights) && bestLoad > 0; n++ {
		i := first + n
		if i >= len(p.weights) {
			i -= len(p.weights)
		}
		// a/w < b/v without division.
		if l := p.load(i); l*p.weights[best] < bestLoad*p.weights[i] {
			best, bestLoad = i, l
		}
	}
	return best
}
