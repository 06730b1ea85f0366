// Package balance holds the schedulers: each picks one of a fixed set of
// targets for a new connection or request.
//
// A Picker is built for one set and thrown away when the set, a weight or the
// health of a member changes. Pick runs on every connection and request, so it
// takes no lock and allocates nothing; the work is done when the picker is
// built.
package balance

import (
	"fmt"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Picker chooses among the targets it was built for. It is safe for use by many
// goroutines at once.
type Picker interface {
	// Pick returns the index of a target, or -1 when there is none. Schedulers
	// that hash use key (HashSource, HashFlow); the others ignore it.
	Pick(key uint64) int
}

// set is what a picker is built for.
type set struct {
	weights []int
	ids     []string
	load    func(i int) int64
}

// builders is the table of schedulers. Every spec.Scheduler has a row.
var builders = map[spec.Scheduler]func(set) Picker{
	spec.WRR: func(s set) Picker { return newWRR(s.weights) },
	spec.RR:  func(s set) Picker { return newRR(len(s.weights)) },
	spec.WLC: func(s set) Picker { return newWLC(s.weights, s.load) },
	spec.SCH: func(s set) Picker { return newMaglev(s.weights, s.ids) },
	spec.TCH: func(s set) Picker { return newMaglev(s.weights, s.ids) },
	spec.QCH: func(s set) Picker { return newMaglev(s.weights, s.ids) },
}

// Known reports whether the scheduler has a picker.
func Known(s spec.Scheduler) bool { return builders[s] != nil }

// UsesKey reports whether the scheduler's choice depends on the key, so that a
// caller may spare itself the hashing.
func UsesKey(s spec.Scheduler) bool { return s == spec.SCH || s == spec.TCH || s == spec.QCH }

// New builds the scheduler's picker for targets with these weights, which are
// all above 0, and ids. The ids are unique and stable: the hashing schedulers
// give equal answers for equal ids and weights whatever the order and the
// process. load tells the connections now on target i; only wlc asks, on every
// pick. A scheduler without a row is served by wrr.
func New(s spec.Scheduler, weights []int, ids []string, load func(i int) int64) Picker {
	if len(weights) != len(ids) {
		panic(fmt.Sprintf("balance: %d weights for %d ids", len(weights), len(ids)))
	}
	for i, w := range weights {
		if w <= 0 {
			panic(fmt.Sprintf("balance: target %s has weight %d", ids[i], w))
		}
	}
	switch len(weights) {
	case 0:
		return only(-1)
	case 1:
		return only(0)
	}
	build := builders[s]
	if build == nil {
		build = builders[spec.WRR]
	}
	return build(set{weights, ids, load})
}

// Apart gives a picker like p that takes no turns away from it: its picks do not
// change what p picks next. A picker that knows no turns is given as it is.
func Apart(p Picker) Picker {
	if p, ok := p.(interface{ apart() Picker }); ok {
		return p.apart()
	}
	return p
}

// only answers the same index always: the single target, or -1 without any. It
// spares the shared cursor in the common small cases.
type only int

// Pick returns the one answer.
func (o only) Pick(uint64) int { return int(o) }
