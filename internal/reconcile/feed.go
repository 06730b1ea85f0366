package reconcile

import (
	"context"
	"sync"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// batch is what has changed up to a state.
type batch struct {
	state   *slb.State
	changes []store.Change
	all     bool // anything may have changed
}

// feed gathers batches from a subscription, so that the loop can wait for them
// and for its timers at once.
type feed struct {
	signal chan struct{} // full when there is something to take
	ended  chan struct{} // closed when no more comes
	err    error         // why; set before ended is closed

	mu      sync.Mutex
	pending batch // state is nil when there is nothing
}

func newFeed() *feed {
	return &feed{signal: make(chan struct{}, 1), ended: make(chan struct{})}
}

// read fills the feed until ctx ends or the subscription does.
func (f *feed) read(ctx context.Context, sub *store.Subscription) {
	defer close(f.ended)
	for {
		state, changes, all, err := sub.Next(ctx)
		if err != nil {
			f.err = err
			return
		}
		f.mu.Lock()
		f.pending.state = state
		f.pending.all = f.pending.all || all
		f.pending.changes = append(f.pending.changes, changes...)
		f.mu.Unlock()
		select {
		case f.signal <- struct{}{}:
		default:
		}
	}
}

// take returns what has gathered.
func (f *feed) take() (batch, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.pending
	f.pending = batch{}
	return b, b.state != nil
}
