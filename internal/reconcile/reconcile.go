// Package reconcile carries what the store holds to the data plane, and goes on
// with every change.
//
// A change is planned and applied for the load balancers it affects and no
// others, so that its cost does not grow with their number. What fails is tried
// again, later and later, while everything else proceeds.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// resyncInterval is the pause between two comparisons of the whole engine with
// the whole state. Nothing should ever be found; it makes up for mistakes.
const resyncInterval = 5 * time.Minute

// ErrStopped is returned to those who wait for a reconciler that has ended.
var ErrStopped = errors.New("reconcile: stopped")

// Engine is what is kept in step: a *dataplane.Engine.
type Engine interface {
	// Sync makes the engine run exactly the configuration. Its error consists of
	// *dataplane.InstanceError.
	Sync(ctx context.Context, cfg spec.Config) error
	// Apply makes the engine run one load balancer so; nil takes it away.
	Apply(ctx context.Context, id string, inst *spec.Instance) error
}

// Source is where states come from: a *store.Store.
type Source interface {
	State() *slb.State
	Subscribe() *store.Subscription
}

// Reconciler is the loop. Run may be called once; WaitApplied is safe for
// concurrent use.
type Reconciler struct {
	source Source
	engine Engine
	log    *slog.Logger
	failed failures // used by Run alone

	mu      sync.Mutex
	stopped bool
	applied int64 // revision up to which everything was given to the engine; -1: none
	waiters []waiter
}

type waiter struct {
	revision int64
	reached  chan struct{}
}

// New returns a reconciler between a store and an engine. The engine must be
// changed by nobody else.
func New(s Source, e Engine, logger *slog.Logger) *Reconciler {
	if logger == nil {
		logger = slog.Default()
	}
	return &Reconciler{source: s, engine: e, log: logger, failed: make(failures), applied: -1}
}

// Run keeps the engine in step until ctx ends or the store is closed, and then
// leaves it as it is. It returns nil when ctx ended.
func (r *Reconciler) Run(ctx context.Context) error {
	defer r.stop()
	// The subscription comes before the first state, so that nothing falls
	// between the two.
	sub := r.source.Subscribe()
	defer sub.Close()
	state := r.source.State()
	r.sync(ctx, state)
	r.reach(state.Revision)

	resync := time.Now().Add(resyncInterval)
	for {
		waiting, cancel := context.WithDeadline(ctx, r.failed.first(resync))
		state, changes, all, err := sub.Next(waiting)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("follow the store: %w", err)
		case err == nil:
			if all {
				r.sync(ctx, state)
			} else {
				r.apply(ctx, state, affected(state, changes))
			}
			if ctx.Err() == nil { // else the work was cut short
				r.reach(state.Revision)
			}
		default:
			r.apply(ctx, r.source.State(), r.failed.due(time.Now()))
			if !time.Now().Before(resync) {
				r.sync(ctx, r.source.State())
				resync = time.Now().Add(resyncInterval)
			}
		}
	}
}

// reach marks a revision as applied and wakes who waits for it. Revisions go
// back only when the database was put back to an older copy.
func (r *Reconciler) reach(revision int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied = revision
	r.waiters = slices.DeleteFunc(r.waiters, func(w waiter) bool {
		if w.revision > revision {
			return false
		}
		close(w.reached)
		return true
	})
}

func (r *Reconciler) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for _, w := range r.waiters {
		close(w.reached)
	}
	r.waiters = nil
}

// WaitApplied returns when everything up to the revision was given to the
// engine. A load balancer that could not be applied does not hold it up: that
// is logged, is seen in the facts, and is tried again.
func (r *Reconciler) WaitApplied(ctx context.Context, revision int64) error {
	r.mu.Lock()
	if r.applied >= revision {
		r.mu.Unlock()
		return nil
	}
	if r.stopped {
		r.mu.Unlock()
		return ErrStopped
	}
	w := waiter{revision, make(chan struct{})}
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()

	select {
	case <-w.reached:
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.applied < revision && r.stopped {
			return ErrStopped
		}
		return nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiters = slices.DeleteFunc(r.waiters, func(o waiter) bool { return o.reached == w.reached })
		return fmt.Errorf("wait until revision %d is applied: %w", revision, context.Cause(ctx))
	}
}
