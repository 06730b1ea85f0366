package balance

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyWeights draws the weights of a group and names for its members.
func anyWeights(t *rapid.T, least int) (weights []int, ids []string) {
	weights = rapid.SliceOfN(rapid.IntRange(1, 100), least, 24).Draw(t, "weights")
	base := rapid.IntRange(0, 1<<20).Draw(t, "names")
	for i := range weights {
		ids = append(ids, fmt.Sprintf("i-%d@10.0.0.%d:80", base+i, i+1))
	}
	return weights, ids
}

// Whatever the weights: a whole sequence gives exactly the shares, and no
// stretch from its beginning is off by more than one turn of a target, or of a
// group of equal ones.
func TestSmoothProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights, _ := anyWeights(t, 1)
		reduced := reduce(weights)
		total := 0
		for _, w := range reduced {
			total += w
		}
		sequence := smooth(weights)
		if len(sequence) != total {
			t.Fatalf("a sequence of %d for weights that sum up to %d", len(sequence), total)
		}
		got := make([]int, len(weights))
		for n, i := range sequence {
			got[i]++
			if n%7 != 0 && n+1 < total {
				continue
			}
			for k, w := range reduced {
				if due := float64(w) * float64(n+1) / float64(total); float64(got[k]) > due+2 || float64(got[k]) < due-2 {
					t.Fatalf("after %d picks target %d of weight %d was picked %d times, %.1f are due", n+1, k, w, got[k], due)
				}
			}
		}
		if !slices.Equal(got, reduced) {
			t.Fatalf("picked %v for weights %v", got, reduced)
		}
	})
}

// Whatever the weights: slots follow them, one target's loss or change moves its
// own keys and few others, and the table is the same on every node.
func TestMaglevProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights, ids := anyWeights(t, 2)
		total := 0
		for _, w := range weights {
			total += w
		}
		before := newMaglev(weights, ids)
		slots := make([]int, len(ids))
		for _, i := range before.table {
			slots[i]++
		}
		for i, n := range slots {
			// The table is full in the middle of a sequence of turns.
			const off = 16
			if due := float64(weights[i]) * smallTable / float64(total); float64(n) < due-off || float64(n) > due+off {
				t.Fatalf("target %d of weights %v has %d slots, %.1f are due", i, weights, n, due)
			}
		}

		at := rapid.IntRange(0, len(ids)-1).Draw(t, "target")
		// moved is the share of the other targets' slots that change hands.
		moved := func(after *maglev, names []string) float64 {
			n := 0
			for s, i := range before.table {
				if int(i) != at && names[after.table[s]] != ids[i] {
					n++
				}
			}
			return float64(n) / float64(smallTable-slots[at])
		}
		less, lessIDs := slices.Delete(slices.Clone(weights), at, at+1), slices.Delete(slices.Clone(ids), at, at+1)
		if got := moved(newMaglev(less, lessIDs), lessIDs); got > mostMoved(slots[at]) {
			t.Fatalf("without target %d of weights %v %.1f%% of the others' slots moved", at, weights, 100*got)
		}
		// A change of weight moves the target's own slots, or to it, and few others.
		other := slices.Clone(weights)
		other[at] = rapid.IntRange(1, 100).Draw(t, "weight")
		after := newMaglev(other, ids)
		n := 0
		for s, i := range before.table {
			if j := after.table[s]; i != j && int(i) != at && int(j) != at {
				n++
			}
		}
		if got := float64(n) / smallTable; got > mostMoved(slots[at]) {
			t.Fatalf("weight %d for target %d of %v moved %.1f%% of the slots from others to others", other[at], at, weights, 100*got)
		}

		// Every node: another order of the same.
		order := rapid.Permutation(ids).Draw(t, "order")
		there := make([]int, len(order))
		for k, id := range order {
			there[k] = weights[slices.Index(ids, id)]
		}
		same := newMaglev(there, order)
		for s, i := range before.table {
			if order[same.table[s]] != ids[i] {
				t.Fatalf("slot %d is of %s, and of %s in another order", s, ids[i], order[same.table[s]])
			}
		}
	})
}

// mostMoved bounds what a change of a target with so many slots may move beside
// its own.
func mostMoved(slots int) float64 { return 0.02 + 0.6*float64(slots)/smallTable }
