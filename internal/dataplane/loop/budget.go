package loop

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Budget is how many descriptors the connections of a process may hold, so that
// they can never starve the store, the API and the health checks. It is safe for
// concurrent use.
type Budget struct {
	limit  int64
	system int64
	used   atomic.Int64
	short  atomic.Uint64
	silent atomic.Int64 // until when shortages are not logged, on the loops' clock
}

// complainGap is how long a shortage is not logged again: they come in crowds.
const complainGap = time.Minute

// reserve is how many of a limit of descriptors are kept back for the rest of
// the process: an eighth of a small one, a sixteenth of a large one.
func reserve(system int64) int64 {
	const (
		least  = 64
		enough = 512
		most   = 4096
	)
	return min(max(system/16, min(system/8, enough), least), most)
}

// Room is how many of a process's limit of descriptors a Budget has.
func Room(system int64) int64 { return max(system-reserve(system), 0) }

// NewBudget reads the process's limit of descriptors and keeps a part of it
// back. The Go runtime has raised the soft limit to the hard one at start.
func NewBudget() (*Budget, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return nil, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	const most = 1 << 30 // "unlimited" and beyond the kernel's own ceiling
	system := int64(min(r.Cur, most))
	return &Budget{limit: Room(system), system: system}, nil
}

// NewBudgetOf is a budget of limit descriptors.
func NewBudgetOf(limit int) *Budget {
	return &Budget{limit: int64(limit), system: int64(limit)}
}

// Take takes n descriptors from the budget, or none if there are fewer left.
func (b *Budget) Take(n int) bool { return b.take(n, b.limit) }

// TakeFirst is Take for one that will want more later, such as a client that has
// no server yet: a part of the budget is left to those who came before, so that
// a crowd which wants nothing cannot keep them from what they want.
func (b *Budget) TakeFirst(n int) bool { return b.take(n, b.limit-b.limit/firstShare) }

// firstShare is the part of a budget that TakeFirst leaves, as a divisor.
const firstShare = 8

func (b *Budget) take(n int, most int64) bool {
	if b.used.Add(int64(n)) > most {
		b.used.Add(int64(-n))
		b.short.Add(1)
		return false
	}
	return true
}

// Give returns n descriptors.
func (b *Budget) Give(n int) { b.used.Add(int64(-n)) }

// Used is the number of descriptors taken now.
func (b *Budget) Used() int { return int(b.used.Load()) }

// Shortages is how often Take has found too few.
func (b *Budget) Shortages() uint64 { return b.short.Load() }

// Complain reports whether a shortage is to be logged, and that it will be.
func (b *Budget) Complain() bool {
	now, until := Clock(), b.silent.Load()
	return now >= until && b.silent.CompareAndSwap(until, now+int64(complainGap))
}

// Limit is the number of descriptors that may be taken.
func (b *Budget) Limit() int { return int(b.limit) }

// System is the limit of the process as it was read.
func (b *Budget) System() int { return int(b.system) }
