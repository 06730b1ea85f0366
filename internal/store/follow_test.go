package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// faultyKV is a KV whose watches can be made to misbehave.
type faultyKV struct {
	*memkv.KV
	watches atomic.Int64
	// pass decides on each batch: what is delivered instead, or an error that ends
	// the watch.
	pass func(b kv.Batch) (kv.Batch, error)
}

func (f *faultyKV) Watch(ctx context.Context, prefix string, after int64) (<-chan kv.Batch, func() error) {
	f.watches.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	in, inErr := f.KV.Watch(ctx, prefix, after)
	out := make(chan kv.Batch)
	var err error
	go func() {
		defer close(out)
		defer cancel()
		for b := range in {
			if b, err = f.pass(b); err != nil {
				return
			}
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
		err = inErr()
	}()
	return out, func() error { return err }
}

// quietStore logs into the returned buffer's handler instead of the test's
// output.
func quietStore(t *testing.T, k kv.KV) (*store.Store, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	s, err := store.New(t.Context(), k, store.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s, &log
}

func tokenOp(key, v string) kv.Op {
	return kv.Op{Key: "/openslb/1/clienttoken/" + key, Value: []byte(v)}
}

const goodToken = `{"v":1,"Token":"k","ParamsHash":%q}`

func TestComparisonHealsMissedEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		missed func(e kv.Event) bool
		want   string // tokens after healing
	}{
		{"write", func(e kv.Event) bool { return strings.HasSuffix(e.Key, "/changed") }, "changed=2 created=2 kept=1"},
		{"creation", func(e kv.Event) bool { return strings.HasSuffix(e.Key, "/created") }, "changed=2 created=2 kept=1"},
		{"deletion", func(e kv.Event) bool { return e.Deleted }, "changed=2 created=2 kept=1"},
		{"all", func(kv.Event) bool { return true }, "changed=2 created=2 kept=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				drop := atomic.Bool{}
				k := &faultyKV{KV: memkv.New(), pass: func(b kv.Batch) (kv.Batch, error) {
					if drop.Load() {
						b.Events = slices.DeleteFunc(slices.Clone(b.Events), c.missed)
					}
					return b, nil
				}}
				s, log := quietStore(t, k)
				token := func(tx *store.Tx, key, v string) {
					tx.ClientTokens.Put(&slb.ClientToken{Token: key, ParamsHash: v})
				}
				update(t, s, func(tx *store.Tx) error {
					token(tx, "kept", "1")
					token(tx, "changed", "1")
					token(tx, "deleted", "1")
					return nil
				})
				sub := s.Subscribe()
				drop.Store(true)
				update(t, s, func(tx *store.Tx) error {
					token(tx, "changed", "2")
					token(tx, "created", "2")
					tx.ClientTokens.Delete("deleted")
					return nil
				})
				drop.Store(false)
				if tokens(s.State()) == c.want {
					t.Fatal("nothing was missed")
				}
				time.Sleep(2 * store.DefaultCompareInterval)
				synctest.Wait()
				if got := tokens(s.State()); got != c.want {
					t.Fatalf("healed to %s, want %s", got, c.want)
				}
				if s.Stats().MissedEvents == 0 {
					t.Fatal("not counted")
				}
				seen := map[string]bool{}
				for len(seen) < 3 {
					_, changes, _, err := sub.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, c := range changes {
						seen[c.Key] = true
					}
				}
				s.Close()
				if !strings.Contains(log.String(), "missed changes") {
					t.Fatalf("not logged:\n%s", log)
				}
				k.Close()
			})
		})
	}
}

func tokens(s *slb.State) string {
	var out []string
	for key, c := range s.ClientTokens.All() {
		out = append(out, key+"="+c.ParamsHash)
	}
	return strings.Join(out, " ")
}

// Comparisons find nothing while writers go on.
func TestComparisonRaisesNoFalseAlarm(t *testing.T) {
	k := memkv.New()
	s, err := store.New(t.Context(), k, store.Options{CompareInterval: time.Millisecond / 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		update(t, s, func(tx *store.Tx) error {
			key := fmt.Sprint(i % 17)
			if i%3 == 0 {
				tx.ClientTokens.Delete(key)
			} else {
				tx.ClientTokens.Put(&slb.ClientToken{Token: key})
			}
			return nil
		})
	}
	s.Close()
	if st := s.Stats(); st.MissedEvents != 0 || st.WatchRestarts != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestStuckWatchIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		k := &faultyKV{KV: memkv.New()}
		release := make(chan struct{})
		k.pass = func(b kv.Batch) (kv.Batch, error) {
			if stuck.Load() && k.watches.Load() == 1 {
				<-release
			}
			return b, nil
		}
		s, _ := quietStore(t, k)
		stuck.Store(true)
		update(t, s, put(sampleLoadBalancer("lb-1", 1))) // returns only when the State shows it
		synctest.Wait()
		if k.watches.Load() != 2 || s.Stats().WatchRestarts == 0 {
			t.Fatalf("%d watches", k.watches.Load())
		}
		close(release)
		s.Close()
		k.Close()
	})
}

func TestWatchFailureIsOvercome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		k := &faultyKV{KV: memkv.New(), pass: func(b kv.Batch) (kv.Batch, error) {
			if fail.Swap(false) {
				return b, errors.New("broken on purpose")
			}
			return b, nil
		}}
		s, _ := quietStore(t, k)
		for i := range 5 {
			fail.Store(true)
			update(t, s, put(sampleLoadBalancer(fmt.Sprintf("lb-%d", i), 1)))
		}
		if n := s.Stats().WatchRestarts; n != 5 {
			t.Fatalf("%d restarts", n)
		}
		s.Close()
		k.Close()
	})
}

func TestCompactionUnderTheWatchIsOvercome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memkv.New()
		var fail atomic.Bool
		k := &faultyKV{KV: mem, pass: func(b kv.Batch) (kv.Batch, error) {
			if fail.Load() {
				// What came meanwhile is lost to a watch from where this one stood.
				fail.Store(false)
				for i := range 3 {
					if _, err := mem.Commit(context.Background(), kv.Txn{Ops: []kv.Op{tokenOp("k", fmt.Sprintf(goodToken, fmt.Sprint(i)))}}); err != nil {
						return b, err
					}
				}
				mem.Compact(1 << 30)
				return b, fmt.Errorf("test: %w", kv.ErrCompacted)
			}
			return b, nil
		}}
		s, _ := quietStore(t, k)
		fail.Store(true)
		update(t, s, put(sampleLoadBalancer("lb-1", 1)))
		if got := tokens(s.State()); got != "k=2" {
			t.Fatalf("State has %q", got)
		}
		s.Close()
		k.Close()
	})
}

func TestUnreadableValues(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"newer schema", `{"v":2,"Token":"k"}`, "schema version 2"},
		{"no version", `{"Token":"k"}`, "schema version 0"},
		{"not JSON", `{"v":1,"Token":`, "unexpected end of JSON"},
		{"empty", ``, "unexpected end of JSON"},
		{"another type", `[1]`, "cannot unmarshal array"},
		{"another key", `{"v":1,"Token":"other"}`, `key "other"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := memkv.New()
			defer k.Close()
			s, _ := quietStore(t, k)
			defer s.Close()
			write := func(v string) {
				t.Helper()
				rev, err := k.Commit(t.Context(), kv.Txn{Ops: []kv.Op{tokenOp("k", v)}})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Wait(t.Context(), rev); err != nil {
					t.Fatal(err)
				}
			}
			write(fmt.Sprintf(goodToken, "old"))
			write(c.value)
			if got := tokens(s.State()); got != "k=old" {
				t.Fatalf("State has %q", got)
			}
			for name, fn := range map[string]func(tx *store.Tx){
				"get":    func(tx *store.Tx) { tx.ClientTokens.Get("k") },
				"put":    func(tx *store.Tx) { tx.ClientTokens.Put(&slb.ClientToken{Token: "k"}) },
				"prefix": func(tx *store.Tx) { tx.ClientTokens.CountPrefix("") },
			} {
				_, err := s.Update(t.Context(), "", func(tx *store.Tx) error { fn(tx); return nil })
				bad, ok := errors.AsType[*store.ValueError](err)
				if !ok || !strings.HasSuffix(bad.Key, "/clienttoken/k") || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if _, err := s.Update(t.Context(), "", put(sampleLoadBalancer("lb-1", 1))); err != nil {
				t.Fatalf("others are disturbed: %v", err)
			}
			if _, err := store.New(t.Context(), k, store.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("opening the store: %v", err)
			}
			write(fmt.Sprintf(goodToken, "new"))
			if got := tokens(s.State()); got != "k=new" {
				t.Fatalf("after repair State has %q", got)
			}
			update(t, s, func(tx *store.Tx) error { tx.ClientTokens.Delete("k"); return nil })
		})
	}
}

// What a newer release stores beside is left alone.
func TestUnknownKindsAreIgnored(t *testing.T) {
	k := memkv.New()
	defer k.Close()
	future := kv.Txn{Ops: []kv.Op{{Key: "/openslb/1/future/x", Value: []byte("?")}, {Key: "/openslb/2/server/x", Value: []byte("?")}}}
	if _, err := k.Commit(t.Context(), future); err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), k, store.Options{CompareInterval: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 50 {
		if _, err := k.Commit(t.Context(), future); err != nil {
			t.Fatal(err)
		}
		update(t, s, put(sampleLoadBalancer("lb-1", 1)))
	}
	if st := s.Stats(); st.MissedEvents != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestWaitEnds(t *testing.T) {
	k := memkv.New()
	defer k.Close()
	s, _ := quietStore(t, k)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx, 1<<40); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- s.Wait(t.Context(), 1<<40) }()
	s.Close()
	if err := <-waited; !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
	if err := s.Wait(t.Context(), 1<<40); !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
}
