package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store/kv"
)

// ErrClosed is returned by a Store or Subscription that has been closed.
var ErrClosed = errors.New("store: closed")

// DefaultCompareInterval is used when Options leave the interval zero.
const DefaultCompareInterval = time.Minute

// Options tune a Store; the zero value is good.
type Options struct {
	Logger *slog.Logger // nil: slog.Default()
	// CompareInterval is the pause between two comparisons of the State with a
	// full list; 0 means DefaultCompareInterval, less than 0 none at all.
	CompareInterval time.Duration
	// ProbeInterval is the pause between two questions whether the KV answers, for
	// one that may be gone; 0: none are asked.
	ProbeInterval time.Duration
}

// Store is the resources and their changes. All methods are safe for
// concurrent use. It does not own the kv.KV under it.
type Store struct {
	kv              kv.KV
	log             *slog.Logger
	compareInterval time.Duration

	snap atomic.Pointer[snapshot] // written by the follower alone

	scopes scopes
	// lane admits attempts side by side, or a single one that has lost too often.
	lane *semaphore.Weighted
	// committed is the newest revision that this process has committed.
	committed atomic.Int64
	stats     counters
	// doubt tells the follower that the KV's revision seems to have gone back.
	doubt chan struct{}

	reach reach

	stop   func()         // ends the follower and the probing
	done   chan struct{}  // closed when the follower has ended
	probes sync.WaitGroup // the probing

	mu       sync.Mutex
	closed   bool
	waiters  []waiter
	relisted chan struct{} // closed, and made anew, when everything was read again
	subs     map[*Subscription]struct{}
}

// snapshot is a State together with what could not be read into it.
type snapshot struct {
	slb.State
	// bad holds keys of the KV whose newest value cannot be used; the State has
	// the one before it, if any. Nil nearly always; never changed in place.
	bad map[string]*badValue
}

type badValue struct {
	err      *ValueError
	revision int64
}

type waiter struct {
	revision int64
	reached  chan struct{}
}

// New reads everything from k and follows it from there on. A value that cannot
// be read, for example one of a newer release, is an error that names it.
func New(ctx context.Context, k kv.KV, opts Options) (*Store, error) {
	s := &Store{
		kv:              k,
		log:             opts.Logger,
		compareInterval: opts.CompareInterval,
		lane:            semaphore.NewWeighted(laneWidth),
		doubt:           make(chan struct{}, 1),
		done:            make(chan struct{}),
		relisted:        make(chan struct{}),
		subs:            make(map[*Subscription]struct{}),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.compareInterval == 0 {
		s.compareInterval = DefaultCompareInterval
	}
	pairs, revision, err := k.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	snap, _ := (&snapshot{}).replaced(pairs, revision)
	if len(snap.bad) > 0 {
		var errs []error
		for _, key := range slices.Sorted(maps.Keys(snap.bad)) {
			errs = append(errs, snap.bad[key].err)
		}
		return nil, fmt.Errorf("read the store: %w", errors.Join(errs...))
	}
	s.snap.Store(snap)
	followCtx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.reach.begin()
	go s.follow(followCtx)
	if opts.ProbeInterval > 0 {
		s.probes.Go(func() { s.probe(followCtx, opts.ProbeInterval) })
	}
	return s, nil
}

// Close ends the following of changes, all waits and all subscriptions.
// Transactions still running may or may not be committed.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	for _, w := range s.waiters {
		close(w.reached)
	}
	s.waiters = nil
	for sub := range s.subs {
		sub.end()
	}
	clear(s.subs)
	s.mu.Unlock()
	if !already {
		s.stop()
	}
	<-s.done
	s.probes.Wait()
	return nil
}

// State is everything as of the newest revision seen: one atomic load. After
// Close it stays at the last one.
func (s *Store) State() *slb.State { return &s.snap.Load().State }

// Wait returns when State().Revision has reached revision.
func (s *Store) Wait(ctx context.Context, revision int64) error {
	if s.snap.Load().Revision >= revision {
		return nil
	}
	s.mu.Lock()
	// Looked at again: publish stores the snapshot before it takes mu.
	if s.snap.Load().Revision >= revision {
		s.mu.Unlock()
		return nil
	}
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	w := waiter{revision, make(chan struct{})}
	s.waiters = append(s.waiters, w)
	s.mu.Unlock()
	select {
	case <-w.reached:
		if s.snap.Load().Revision >= revision {
			return nil
		}
		return ErrClosed
	case <-ctx.Done():
		s.mu.Lock()
		s.waiters = slices.DeleteFunc(s.waiters, func(o waiter) bool { return o.reached == w.reached })
		s.mu.Unlock()
		return context.Cause(ctx)
	}
}

// waitRelist has everything read again, and returns when that has been done. The KV
// has shown that it does not know the revision any more.
func (s *Store) waitRelist(ctx context.Context, revision int64) error {
	s.mu.Lock()
	relisted := s.relisted
	s.mu.Unlock()
	if s.snap.Load().Revision < revision {
		return nil
	}
	select {
	case s.doubt <- struct{}{}:
	default: // it has been told
	}
	select {
	case <-relisted:
		return nil
	case <-s.done:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tellRelisted tells who waits that everything was read again.
func (s *Store) tellRelisted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.relisted)
	s.relisted = make(chan struct{})
}

// publish makes snap the State and tells everyone who waits; all: anything may
// have changed.
func (s *Store) publish(snap *snapshot, changes []Change, all bool) {
	s.snap.Store(snap)
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subs {
		sub.add(&snap.State, changes, all)
	}
	s.waiters = slices.DeleteFunc(s.waiters, func(w waiter) bool {
		if w.revision > snap.Revision {
			return false
		}
		close(w.reached)
		return true
	})
}

// Stats are counts since the store was made.
type Stats struct {
	Commits       int64 // transactions committed
	Conflicts     int64 // runs repeated, since what they had read had changed
	WatchRestarts int64 // times the watch ended or was found stuck
	MissedEvents  int64 // differences found by comparison; 0 unless the KV errs
}

type counters struct{ commits, conflicts, restarts, missed atomic.Int64 }

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{c.commits.Load(), c.conflicts.Load(), c.restarts.Load(), c.missed.Load()}
}
