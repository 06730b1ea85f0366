package store

import (
	"context"
	"sync"

	"github.com/openslb/openslb/internal/slb"
)

// maxPending is the number of changes a subscription tells apart; with more it
// says that anything may have changed.
const maxPending = 10_000

// Change names a resource that was created, changed or deleted.
type Change struct {
	Kind slb.Kind
	Key  string
}

// Subscription gathers what has changed while its reader was busy. One
// goroutine at a time may call Next.
type Subscription struct {
	store *Store
	// signal is full when there is something to fetch.
	signal chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	done    bool
	state   *slb.State // the one that pending leads to
	all     bool
	pending []Change
	seen    map[Change]struct{}
}

// Subscribe reports the changes from now on: every State later than the one
// that State returns before the call is told of.
func (s *Store) Subscribe() *Subscription {
	sub := &Subscription{
		store:  s,
		signal: make(chan struct{}, 1),
		ended:  make(chan struct{}),
		seen:   make(map[Change]struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		sub.end()
		return sub
	}
	s.subs[sub] = struct{}{}
	return sub
}

// Next waits until the store has moved on since the last call and returns a
// State with what has changed up to it, each once, in the order of first
// change. There may be none when the revision alone has risen. all: too many to
// tell. Every change that the State shows has been reported: whoever has acted
// upon the changes is up to date with the State's revision.
func (sub *Subscription) Next(ctx context.Context) (state *slb.State, changes []Change, all bool, err error) {
	select {
	case <-sub.ended:
		return nil, nil, false, ErrClosed
	default:
	}
	select {
	case <-sub.signal:
	case <-sub.ended:
		return nil, nil, false, ErrClosed
	case <-ctx.Done():
		return nil, nil, false, context.Cause(ctx)
	}
	sub.mu.Lock()
	state, changes, all = sub.state, sub.pending, sub.all
	sub.pending, sub.all = nil, false
	clear(sub.seen)
	sub.mu.Unlock()
	return state, changes, all, nil
}

// Close ends the subscription; a waiting Next returns ErrClosed.
func (sub *Subscription) Close() {
	sub.store.mu.Lock()
	delete(sub.store.subs, sub)
	sub.store.mu.Unlock()
	sub.end()
}

func (sub *Subscription) end() {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if !sub.done {
		sub.done = true
		close(sub.ended)
	}
}

// add takes in the changes that lead to state.
func (sub *Subscription) add(state *slb.State, changes []Change, all bool) {
	sub.mu.Lock()
	sub.state = state
	if all {
		sub.overflowLocked()
	}
	for _, c := range changes {
		if sub.all {
			break
		}
		if _, ok := sub.seen[c]; ok {
			continue
		}
		if len(sub.pending) == maxPending {
			sub.overflowLocked()
			break
		}
		sub.seen[c] = struct{}{}
		sub.pending = append(sub.pending, c)
	}
	sub.mu.Unlock()
	select {
	case sub.signal <- struct{}{}:
	default:
	}
}

func (sub *Subscription) overflowLocked() {
	sub.all, sub.pending = true, nil
	clear(sub.seen)
}
