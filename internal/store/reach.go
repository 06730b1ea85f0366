package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store/kv"
)

const (
	// commitTime bounds one attempt to write. It ends before the patience of the
	// vendor's clients, so that they read an answer.
	commitTime = 8 * time.Second
	// probeTime is how long the KV may take to answer a probe.
	probeTime = 3 * time.Second
)

// errUnreachable is the cause of what ends since the KV does not answer.
var errUnreachable = errors.New("the store cannot be reached")

// reach knows whether the KV answers.
type reach struct {
	mu sync.Mutex
	// period lasts as long as the KV answers; between two periods it has ended.
	period context.Context //nolint:containedctx // a state, not a call's
	end    context.CancelCauseFunc
	since  time.Time // when it ended; zero: it has not
}

func (r *reach) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.period, r.end = context.WithCancelCause(context.Background())
	r.since = time.Time{}
}

// within is ctx within the period.
func (r *reach) within(ctx context.Context) (context.Context, func()) {
	r.mu.Lock()
	period := r.period
	r.mu.Unlock()
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(period, func() { end(context.Cause(period)) })
	return ctx, func() {
		stop()
		end(nil)
	}
}

// Reachable tells whether the KV answers; if not, since when it does not. A store
// that does not probe takes it for granted.
func (s *Store) Reachable() (ok bool, since time.Time) {
	s.reach.mu.Lock()
	defer s.reach.mu.Unlock()
	return s.reach.since.IsZero(), s.reach.since
}

// probe asks the KV again and again until ctx ends, so that its silence is known,
// and told, before somebody waits for it, and its return at once.
func (s *Store) probe(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		asked, cancel := context.WithTimeoutCause(ctx, probeTime, fmt.Errorf("no answer within %v", probeTime))
		_, _, err := s.kv.List(asked, prefix+"probe/")
		if err != nil && asked.Err() != nil {
			err = context.Cause(asked)
		}
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.lost(err)
		default:
			s.found()
		}
	}
}

// lost tells that the KV does not answer.
func (s *Store) lost(err error) {
	s.reach.mu.Lock()
	defer s.reach.mu.Unlock()
	if s.reach.since.IsZero() {
		s.log.Error("the store cannot be reached: changes are refused until it can, traffic goes on as it is", "err", err)
		s.reach.since = time.Now()
		s.reach.end(errUnreachable)
	}
}

// found tells that it does.
func (s *Store) found() {
	if ok, since := s.Reachable(); !ok {
		s.reach.begin()
		s.log.Warn("the store can be reached again: changes are taken", "after", time.Since(since).Round(time.Millisecond).String())
	}
}

// trouble is the level for troubles with the KV: what follows from its silence is
// not worth a word beside that.
func (s *Store) trouble() slog.Level {
	if ok, _ := s.Reachable(); !ok {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// commit writes t, or says that the KV does not take it.
func (s *Store) commit(ctx context.Context, t kv.Txn) (int64, error) {
	if ok, _ := s.Reachable(); !ok {
		return 0, fmt.Errorf("%w: %w", slb.ErrStoreUnreachable, errUnreachable)
	}
	period, done := s.reach.within(ctx)
	defer done()
	bounded, cancel := context.WithTimeoutCause(period, commitTime, errUnreachable)
	defer cancel()
	revision, err := s.kv.Commit(bounded, t)
	if errors.Is(err, kv.ErrNoSpace) {
		return 0, fmt.Errorf("%w: %w", slb.ErrStoreFull, err)
	}
	return revision, s.silent(ctx, bounded, err)
}

// silent makes what ended for want of an answer the API's error for that; ctx is
// what bounded was made of.
func (s *Store) silent(ctx, bounded context.Context, err error) error {
	if err != nil && (errors.Is(err, kv.ErrUnavailable) || bounded.Err() != nil && ctx.Err() == nil) {
		return fmt.Errorf("%w: %w", slb.ErrStoreSilent, err)
	}
	return err
}
