// Package kvtest is the suite that every kv.KV passes.
package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/store/kv"
)

// Target is a new, empty KV to test.
type Target struct {
	KV kv.KV // closed by the suite
	// Compact forgets the history up to and including revision.
	Compact func(revision int64) error
	// MaxOps and MaxBytes are the limits of one transaction.
	MaxOps, MaxBytes int
}

// patience bounds every wait; reaching it is a failure.
const patience = 20 * time.Second

// Run tests the targets that open makes. A watch of a target has to report
// progress well within 20 seconds.
func Run(t *testing.T, open func(t *testing.T) Target) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"ListIsOrderedAndPrefixed", listOrder},
		{"RevisionsRise", revisionsRise},
		{"ConditionOnKey", keyConditions},
		{"ConditionOnRange", rangeConditions},
		{"DeleteOfNothing", deleteNothing},
		{"EmptyValueIsNoDeletion", emptyValue},
		{"LargeValue", largeValue},
		{"TooLarge", tooLarge},
		{"CancelledContext", cancelled},
		{"WatchFromRevision", watchFrom},
		{"WatchKeepsTransactionsWhole", watchWhole},
		{"WatchHasNoGapUnderLoad", watchUnderLoad},
		{"WatchReportsProgress", watchProgress},
		{"WatchOfCompactedRevision", watchCompacted},
		{"SlowWatchLosesNothing", watchSlow},
		{"WatchEndsWithContext", watchCancelled},
		{"CountersLoseNothing", counters},
		{"ValuesAreCopied", copies},
		{"Close", closing},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			s := &suite{Target: open(t), t: t, ctx: ctx}
			t.Cleanup(func() {
				if err := s.KV.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.run(t, s)
		})
	}
}

type suite struct {
	Target
	t   *testing.T
	ctx context.Context
}

// put writes pairs of key and value in one transaction.
func (s *suite) put(pairs ...string) int64 {
	s.t.Helper()
	var t kv.Txn
	for i := 0; i < len(pairs); i += 2 {
		t.Ops = append(t.Ops, kv.Op{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return s.commit(t)
}

func (s *suite) delete(key string) int64 {
	s.t.Helper()
	return s.commit(kv.Txn{Ops: []kv.Op{{Key: key}}})
}

func (s *suite) commit(t kv.Txn) int64 {
	s.t.Helper()
	rev, err := s.KV.Commit(s.ctx, t)
	if err != nil {
		s.t.Fatalf("commit: %v", err)
	}
	return rev
}

func (s *suite) list(prefix string) ([]string, int64) {
	s.t.Helper()
	pairs, rev, err := s.KV.List(s.ctx, prefix)
	if err != nil {
		s.t.Fatalf("list: %v", err)
	}
	var out []string
	for _, p := range pairs {
		out = append(out, fmt.Sprintf("%s=%s@%d", p.Key, p.Value, p.ModRevision))
	}
	return out, rev
}

func (s *suite) wantList(prefix string, want ...string) {
	s.t.Helper()
	if got, _ := s.list(prefix); !slices.Equal(got, want) {
		s.t.Fatalf("list of %q:\n got %v\nwant %v", prefix, got, want)
	}
}

func (s *suite) wantErr(err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Fatalf("error is %v, want %v", err, want)
	}
}
