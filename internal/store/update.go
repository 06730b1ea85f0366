package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/openslb/openslb/internal/store/kv"
)

const (
	// maxAttempts ends a transaction that always loses. Losing to this process is
	// over after patience attempts, so what is left is other nodes.
	maxAttempts = 50
	// patience is how often a transaction runs beside others before it has the
	// process for itself.
	patience = 3
	// laneWidth is more than there will ever be transactions at a time.
	laneWidth = 1 << 30
	// catchUpTime bounds the wait for the State to show what was in the way; past
	// it the next attempt finds out by itself.
	catchUpTime = time.Second
)

// Update runs fn, which may run more than once and must have no effects but on
// tx, and commits what it wrote; an error of fn is returned as it is and nothing
// is written. Calls with the same scope, normally the id of a load balancer, go
// one after the other in this process; "" is no scope. Updates must not nest.
//
// The result is the commit's revision, which State has reached. A transaction
// without writes returns the revision it has read. An error that wraps
// kv.ErrConflict means that nothing was written; after the end of ctx or of the
// store the transaction may have been committed or not. Where the KV does not
// answer, the call ends within some seconds with one of the API's errors about the
// store.
func (s *Store) Update(ctx context.Context, scope string, fn func(tx *Tx) error) (revision int64, err error) {
	if scope != "" {
		unlock, err := s.scopes.lock(ctx, scope)
		if err != nil {
			return 0, fmt.Errorf("wait for the lock on %s: %w", scope, err)
		}
		defer unlock()
	}
	for attempt := 1; ; attempt++ {
		revision, err = s.attempt(ctx, fn, attempt > patience)
		conflict, ok := errors.AsType[*kv.ConflictError](err)
		if !ok {
			break
		}
		s.stats.conflicts.Add(1)
		if attempt == maxAttempts {
			return 0, fmt.Errorf("transaction lost %d times in a row: %w", attempt, err)
		}
		if err := s.afterConflict(ctx, conflict.Revision, attempt); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return 0, err
	}
	bounded, done := s.reach.within(ctx)
	defer done()
	if err := s.silent(ctx, bounded, s.Wait(bounded, revision)); err != nil {
		return revision, fmt.Errorf("wait for revision %d, which is committed: %w", revision, err)
	}
	return revision, nil
}

// attempt runs fn once and commits. With alone, no other transaction of this
// process commits from its reading to its commit.
func (s *Store) attempt(ctx context.Context, fn func(tx *Tx) error, alone bool) (int64, error) {
	width := int64(1)
	if alone {
		width = laneWidth
	}
	if err := s.lane.Acquire(ctx, width); err != nil {
		return 0, err
	}
	defer s.lane.Release(width)
	if alone {
		// What others committed before must be seen, else the attempt is in vain.
		if err := s.Wait(ctx, s.committed.Load()); err != nil {
			return 0, err
		}
	}
	tx := newTx(s.snap.Load())
	if err := fn(tx); err != nil {
		return 0, err
	}
	if tx.err != nil {
		return 0, tx.err
	}
	t, err := tx.txn()
	if err != nil {
		return 0, err
	}
	if len(t.Ops) == 0 {
		return tx.snap.Revision, nil
	}
	revision, err := s.commit(ctx, t)
	at := revision
	if conflict, ok := errors.AsType[*kv.ConflictError](err); ok {
		at = conflict.Revision + 1
	} else if err != nil {
		return 0, err
	}
	if at <= tx.snap.Revision { // it must be newer than what was read
		bounded, done := s.reach.within(ctx)
		defer done()
		if err := s.silent(ctx, bounded, s.waitRelist(bounded, tx.snap.Revision)); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return 0, err
	}
	s.stats.commits.Add(1)
	for {
		seen := s.committed.Load()
		if seen >= revision || s.committed.CompareAndSwap(seen, revision) {
			return revision, nil
		}
	}
}

// afterConflict waits until the State shows the change that was in the way, and
// from the second time on a little more, so that rivals fall out of step.
func (s *Store) afterConflict(ctx context.Context, revision int64, attempt int) error {
	waitCtx, cancel := context.WithTimeout(ctx, catchUpTime)
	err := s.Wait(waitCtx, revision)
	cancel()
	if errors.Is(err, ErrClosed) {
		return err
	}
	if attempt > 1 {
		t := time.NewTimer(rand.N(time.Duration(min(attempt, 10)) * time.Millisecond))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}
