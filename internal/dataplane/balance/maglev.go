package balance

import (
	"cmp"
	"slices"
)

// The sizes of Maglev tables: primes, so that every step width visits every
// slot. The larger one keeps shares even above largeAbove targets.
const (
	smallTable = 16381
	largeTable = 65521
	largeAbove = 100
)

// maglev maps a key to a target through a table that every node builds alike
// (Eisenbud et al., Maglev, NSDI 2016, section 3.4). Losing a target moves its
// own keys and hardly any other.
type maglev struct {
	table []uint16
}

// Pick returns the target of the key's slot.
func (p *maglev) Pick(key uint64) int { return int(p.table[slot(key, len(p.table))]) }

// slot maps the upper half of a key evenly to 0..n-1.
func slot(key uint64, n int) int { return int((key >> 32) * uint64(n) >> 32) }

// newMaglev fills a table. In each round every target takes the next free slot
// of its own permutation of all slots; a target of less than the greatest
// weight sits out so many rounds that its slots follow its weight.
func newMaglev(weights []int, ids []string) *maglev {
	size := smallTable
	if len(ids) > largeAbove {
		size = largeTable
	}
	order := make([]int, min(len(ids), size))
	for i := range order {
		order[i] = i
	}
	// By id, as targets earlier in a round take contested slots first.
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(ids[a], ids[b]) })

	type turn struct{ next, step, weight, credit int }
	turns := make([]turn, len(order))
	greatest := 0
	for n, i := range order {
		turns[n] = turn{
			next:   int(hashID(1, ids[i]) % uint64(size)),
			step:   int(hashID(2, ids[i])%uint64(size-1)) + 1,
			weight: weights[i],
		}
		greatest = max(greatest, weights[i])
	}

	table := make([]uint16, size)
	taken := make([]bool, size)
	for free := size; free > 0; {
		for n := range turns {
			t := &turns[n]
			if t.credit += t.weight; t.credit < greatest {
				continue
			}
			t.credit -= greatest
			for taken[t.next] {
				t.next = advance(t.next, t.step, size)
			}
			taken[t.next] = true
			table[t.next] = uint16(order[n])
			t.next = advance(t.next, t.step, size)
			if free--; free == 0 {
				break
			}
		}
	}
	return &maglev{table}
}

func advance(at, step, size int) int {
	at += step
	if at >= size {
		at -= size
	}
	return at
}
