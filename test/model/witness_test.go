package model

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// witness looks for a serial order of a history, given in the order of returns.
// It knows one thing that a general checker does not: a read or an error changes
// nothing wherever it stands, so that it may stand at the first moment at which
// its answer is true. Only the other calls have to be tried.
type witness struct {
	model   porcupine.Model
	history []porcupine.Operation // by Return
	order   []int                 // what has been placed, as indexes of history
	placed  []bool
	dead    map[string]bool // where nothing led on, by key
	budget  int             // steps of the model that are left
	attempt int             // steps that are left of this attempt; below 0: it is given up
	random  *rand.Rand      // changes the order of trying; nil: not yet
	longest int             // calls in the longest order so far
}

// firstAttempt is how many steps the search takes before it begins anew. Most need
// few; of the others one that made a wrong choice early would take for ever
// to come back to it, and another order of trying mostly finds what is there.
const firstAttempt = 5_000

// newWitness prepares the search for an order of the history in so many steps.
func newWitness(model porcupine.Model, history []porcupine.Operation, steps int) *witness {
	w := &witness{model: model, history: slices.Clone(history), placed: make([]bool, len(history)), dead: map[string]bool{}, budget: steps}
	slices.SortFunc(w.history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	return w
}

// confined returns the history with each call confined to the moment at which
// the order that was found has its effect.
func (w *witness) confined() []porcupine.Operation {
	var out []porcupine.Operation
	at := int64(0)
	for i, n := range w.order {
		op := w.history[n]
		at = max(at, op.Call)
		if at > op.Return {
			panic("an order against the clock")
		}
		// Moments of the clock first, places in the order after them.
		op.Call = at*int64(len(w.history)) + int64(i)
		op.Return = op.Call
		out = append(out, op)
	}
	return out
}

// find searches in attempts, each longer than the one before. If it is false and
// known, there is no order.
func (w *witness) find() (found, known bool) {
	for steps := firstAttempt; ; steps *= 2 {
		w.attempt = min(steps, w.budget)
		if w.search(w.model.Init()) {
			return true, true
		}
		if w.attempt >= 0 {
			return false, true
		}
		if w.budget < 0 {
			return false, false
		}
		w.random = rand.New(rand.NewPCG(uint64(steps), 0))
	}
}

func (w *witness) step(state any, n int) (ok bool, after any) {
	w.budget--
	w.attempt--
	ok, after = w.model.Step(state, w.history[n].Input, w.history[n].Output)
	return ok, after
}

// open are the calls that may come next: they began before any that is left has
// returned.
func (w *witness) open() []int {
	var out []int
	limit := int64(-1)
	for n, op := range w.history {
		if w.placed[n] {
			continue
		}
		if limit < 0 {
			limit = op.Return
		}
		if op.Call <= limit {
			out = append(out, n)
		}
	}
	return out
}

func (w *witness) place(n int) {
	w.placed[n] = true
	w.order = append(w.order, n)
}

func (w *witness) back(to int) {
	for _, n := range w.order[to:] {
		w.placed[n] = false
	}
	w.order = w.order[:to]
}

// settle places all reads and errors that are true now.
func (w *witness) settle(state any) {
	for again := true; again; {
		again = false
		for _, n := range w.open() {
			op := &w.history[n]
			if op.Output.(answer).code == "" && !strings.HasPrefix(op.Input.(call).action, "Describe") {
				continue
			}
			if ok, _ := w.step(state, n); ok {
				w.place(n)
				again = true // others may have become open
			}
		}
	}
}

func (w *witness) search(state any) bool {
	begin := len(w.order)
	w.settle(state)
	w.longest = max(w.longest, len(w.order))
	open := w.open()
	if len(open) == 0 {
		return true
	}
	key := w.key(state)
	if w.dead[key] || w.attempt < 0 {
		w.back(begin)
		return false
	}
	for _, n := range w.vary(w.urgent(state, open)) {
		ok, after := w.step(state, n)
		if !ok {
			continue
		}
		w.place(n)
		if w.search(after) {
			return true
		}
		w.back(len(w.order) - 1)
		if w.attempt < 0 {
			break
		}
	}
	w.dead[key] = w.attempt >= 0 // else not all was tried
	w.back(begin)
	return false
}

// urgent puts first what lets the call that must be placed soonest be true.
func (w *witness) urgent(state any, open []int) []int {
	if ok, _ := w.step(state, open[0]); ok {
		return open
	}
	var first, rest []int
	for _, n := range open[1:] {
		if ok, after := w.step(state, n); ok {
			if ok, _ := w.step(after, open[0]); ok {
				first = append(first, n)
				continue
			}
		}
		rest = append(rest, n)
	}
	return append(first, rest...)
}

// vary changes a little of an order of trying after the first attempt: calls
// returned much in the order in which they had their effects.
func (w *witness) vary(calls []int) []int {
	if w.random == nil {
		return calls
	}
	for i := range len(calls) - 1 {
		if w.random.IntN(3) == 0 {
			calls[i], calls[i+1] = calls[i+1], calls[i]
		}
	}
	return calls
}

// key names what was placed and the state that it has led to.
func (w *witness) key(state any) string {
	var b strings.Builder
	b.WriteString(state.(*point).text)
	for _, p := range w.placed {
		if p {
			b.WriteByte('1')
		} else {
			b.WriteByte('0')
		}
	}
	return b.String()
}
