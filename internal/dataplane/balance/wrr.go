package balance

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// maxSequence bounds the length of a weighted sequence. Weights from 0 to 100
// are exact up to 655 targets; larger sets are scaled down.
const maxSequence = 65536

// cursor is a counter on a cache line of its own, as all cores write it.
type cursor struct {
	_ [64]byte
	n atomic.Uint64
	_ [56]byte
}

// start puts the cursor at a random place. Pickers are rebuilt on every change
// and live in many pools and nodes; starting all of them at the first target
// would give it more than its share.
func (c *cursor) start() { c.n.Store(uint64(rand.Uint32())) }

// next returns the next of n places in turn.
func (c *cursor) next(n int) int { return int(c.n.Add(1) % uint64(n)) }

// wrr walks a sequence in which every target appears as often as its weight
// says, spread as evenly as can be. Every stretch as long as the sequence has
// exact shares, and shorter ones come close.
type wrr struct {
	sequence []uint32
	cursor   cursor
}

func newWRR(weights []int) *wrr {
	p := &wrr{sequence: smooth(weights)}
	p.cursor.start()
	return p
}

// Pick returns the next target of the sequence.
func (p *wrr) Pick(uint64) int { return int(p.sequence[p.cursor.next(len(p.sequence))]) }

// apart walks the same sequence with a cursor of its own.
func (p *wrr) apart() Picker {
	other := &wrr{sequence: p.sequence}
	other.cursor.start()
	return other
}

// smooth returns the order of smooth weighted round robin: each turn every
// target gains its weight, the one with most credit is taken and pays the sum
// of all.
//
// Targets of one weight form a group that takes part as one, and take the
// group's turns in rotation. That keeps them apart as well as single entries
// would be, and a turn costs the number of different weights, not of targets.
func smooth(weights []int) []uint32 {
	weights = reduce(weights)
	order := make([]uint32, len(weights))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(weights[b], weights[a]) })

	type group struct {
		members      []uint32
		turn         int
		gain, credit int
	}
	var groups []group
	total := 0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && weights[order[j]] == weights[order[i]] {
			j++
		}
		gain := weights[order[i]] * (j - i)
		groups = append(groups, group{members: order[i:j], gain: gain})
		total += gain
		i = j
	}

	sequence := make([]uint32, total)
	for n := range sequence {
		best := 0
		for g := range groups {
			groups[g].credit += groups[g].gain
			if groups[g].credit > groups[best].credit {
				best = g
			}
		}
		g := &groups[best]
		g.credit -= total
		sequence[n] = g.members[g.turn]
		g.turn = (g.turn + 1) % len(g.members)
	}
	return sequence
}

// reduce divides the weights by their greatest common divisor and, when their
// sum would still be too long a sequence, scales them down without losing any.
func reduce(weights []int) []int {
	out := slices.Clone(weights)
	divisor, sum := 0, 0
	for _, w := range out {
		divisor = gcd(divisor, w)
		sum += w
	}
	for i := range out {
		out[i] /= divisor
	}
	sum /= divisor
	if sum > maxSequence {
		for i := range out {
			out[i] = max(1, out[i]*maxSequence/sum)
		}
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
