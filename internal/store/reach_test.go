package store_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/kv"
	"github.com/openslb/openslb/internal/store/memkv"
)

// mutedKV is a KV that can be made to say nothing, as a database does whose host
// is gone.
type mutedKV struct {
	*memkv.KV
	muted atomic.Bool
	lists atomic.Int64
}

func (m *mutedKV) List(ctx context.Context, prefix string) ([]kv.Pair, int64, error) {
	m.lists.Add(1)
	if m.muted.Load() {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	return m.KV.List(ctx, prefix)
}

func (m *mutedKV) Commit(ctx context.Context, t kv.Txn) (int64, error) {
	if m.muted.Load() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return m.KV.Commit(ctx, t)
}

func putToken(tx *store.Tx) error {
	tx.ClientTokens.Put(&slb.ClientToken{Token: "t", ParamsHash: "1"})
	return nil
}

// TestUnreachable: a store whose database says nothing any more refuses writes soon
// and then at once, answers reads, tells of it once, and takes writes again when the
// database is back.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &mutedKV{KV: memkv.New()}
		var log strings.Builder
		s, err := store.New(t.Context(), k, store.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), ProbeInterval: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		try := func(want error, within time.Duration) {
			t.Helper()
			begun := time.Now()
			_, err := s.Update(t.Context(), "lb", putToken)
			if took := time.Since(begun); !errors.Is(err, want) || took > within {
				t.Errorf("after %v: %v, want %v within %v", took, err, want, within)
			}
		}
		try(nil, 0)
		k.muted.Store(true)
		try(slb.ErrStoreSilent, 5*time.Second) // it was begun before anybody knew
		try(slb.ErrStoreUnreachable, 0)
		if ok, since := s.Reachable(); ok || time.Since(since) > 5*time.Second {
			t.Errorf("reachable %v, since %v", ok, since)
		}
		if _, err := s.Update(t.Context(), "lb", func(tx *store.Tx) error { _, _ = tx.ClientTokens.Get("t"); return nil }); err != nil {
			t.Errorf("a transaction that reads: %v", err)
		}
		if got := tokens(s.State()); got != "t=1" {
			t.Errorf("the state is %q", got)
		}
		time.Sleep(10 * time.Minute) // comparisons fail meanwhile
		k.muted.Store(false)
		time.Sleep(5 * time.Second)
		if ok, _ := s.Reachable(); !ok {
			t.Error("it is not reachable again")
		}
		try(nil, 0)
		k.muted.Store(true)
		time.Sleep(6 * time.Second)
		k.muted.Store(false)
		time.Sleep(6 * time.Second)
		k.muted.Store(true)
		time.Sleep(6 * time.Second)
		begun := time.Now()
		s.Close()
		if time.Since(begun) > 0 {
			t.Error("the end waits for the database")
		}
		for part, n := range map[string]int{"cannot be reached": 3, "can be reached again": 2, "level=": 5} {
			if got := strings.Count(log.String(), part); got != n {
				t.Errorf("%d lines with %q, want %d:\n%s", got, part, n, &log)
			}
		}
		k.Close()
	})
}

// failedKV is a KV that says, from some moment on, that it has failed.
type failedKV struct {
	*memkv.KV
	failed atomic.Bool
	end    context.CancelFunc // of the watch
}

func (f *failedKV) List(ctx context.Context, prefix string) ([]kv.Pair, int64, error) {
	if f.failed.Load() {
		return nil, 0, kv.ErrUnavailable
	}
	return f.KV.List(ctx, prefix)
}

func (f *failedKV) Watch(ctx context.Context, prefix string, after int64) (<-chan kv.Batch, func() error) {
	ctx, f.end = context.WithCancel(ctx)
	return f.KV.Watch(ctx, prefix, after)
}

// TestFailedWithoutProbes: a database of the node's own that says that it has
// failed is unreachable too, until it is not.
func TestFailedWithoutProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &failedKV{KV: memkv.New()}
		s, log := quietStore(t, k)
		synctest.Wait()
		k.failed.Store(true)
		k.end()
		time.Sleep(10 * time.Minute)
		if _, err := s.Update(t.Context(), "", putToken); !errors.Is(err, slb.ErrStoreUnreachable) {
			t.Error(err)
		}
		k.failed.Store(false)
		time.Sleep(time.Minute)
		if _, err := s.Update(t.Context(), "", putToken); err != nil {
			t.Error(err)
		}
		s.Close()
		k.Close()
		for part, n := range map[string]int{"cannot be reached": 1, "can be reached again": 1} {
			if got := strings.Count(log.String(), part); got != n {
				t.Errorf("%d lines with %q, want %d:\n%s", got, part, n, log)
			}
		}
	})
}

// TestSilentWithoutProbes: a write that the database does not answer ends too where
// nobody asks whether it is there; and nobody asks for nothing.
func TestSilentWithoutProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &mutedKV{KV: memkv.New()}
		s, err := store.New(t.Context(), k, store.Options{CompareInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		k.muted.Store(true)
		begun := time.Now()
		_, err = s.Update(t.Context(), "", putToken)
		if took := time.Since(begun); !errors.Is(err, slb.ErrStoreSilent) || took > 10*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Update(ctx, "", putToken); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, slb.ErrStoreSilent) {
			t.Errorf("a caller without patience: %v", err)
		}
		time.Sleep(time.Hour)
		if n := k.lists.Load(); n != 1 {
			t.Errorf("%d lists", n)
		}
		s.Close()
		k.Close()
	})
}

// TestBackAndForth: a commit that finds the database behind what was read returns
// although the database has come up to the old revision before everything is read
// again, so that the State does not go back.
func TestBackAndForth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, older := memkv.New(), memkv.New()
		k := &listedLate{catchUp: func() {
			for _, v := range []string{"a", "b", "c", "d", "e", "f"} {
				if _, err := older.Commit(context.Background(), kv.Txn{Ops: []kv.Op{tokenOp("other", `{"v":1,"Token":"other","ParamsHash":"`+v+`"}`)}}); err != nil {
					t.Error(err)
				}
			}
		}}
		k.now.Store(first)
		s, log := quietStore(t, k)
		for _, v := range []string{"1", "2", "3"} {
			update(t, s, func(tx *store.Tx) error {
				tx.ClientTokens.Put(&slb.ClientToken{Token: "old", ParamsHash: v})
				return nil
			})
		}
		before := s.State().Revision
		k.now.Store(older)
		k.late.Store(true)
		begun := time.Now()
		revision, err := s.Update(t.Context(), "", putToken)
		if took := time.Since(begun); err != nil || took > 5*time.Second || s.State().Revision < before {
			t.Errorf("after %v: revision %d, before %d, the state at %d: %v", took, revision, before, s.State().Revision, err)
		}
		if got := tokens(s.State()); got != "other=f t=1" {
			t.Errorf("the state is %q", got)
		}
		if strings.Contains(log.String(), "went back") {
			t.Errorf("the state went back, so that this test shows nothing:\n%s", log)
		}
		s.Close()
		first.Close()
		older.Close()
	})
}

// listedLate is a replacedKV whose data come up before they are listed.
type listedLate struct {
	replacedKV
	late    atomic.Bool
	catchUp func()
}

func (l *listedLate) List(ctx context.Context, prefix string) ([]kv.Pair, int64, error) {
	if l.late.CompareAndSwap(true, false) {
		l.catchUp()
	}
	return l.replacedKV.List(ctx, prefix)
}
