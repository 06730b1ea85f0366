package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/kv"
	"github.com/openslb/openslb/internal/store/memkv"
)

func TestMain(m *testing.M) {
	crashChild() // does not return in the child process of the crash test
	goleak.VerifyTestMain(m)
}

func update(t testing.TB, s *store.Store, fn func(tx *store.Tx) error) int64 {
	t.Helper()
	rev, err := s.Update(t.Context(), "", fn)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func put(lbs ...*slb.LoadBalancer) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		for _, lb := range lbs {
			tx.LoadBalancers.Put(lb)
		}
		return nil
	}
}

// addBandwidth is a change that loses updates unless transactions are isolated.
func addBandwidth(id string) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Edit(id)
		if !ok {
			lb = &slb.LoadBalancer{ID: slb.LoadBalancerID(id)}
		}
		lb.Bandwidth++
		tx.LoadBalancers.Put(lb)
		return nil
	}
}

// Two stores on one database are two nodes: scope and lane do not help between
// them, only the conditions do.
func TestNoUpdateIsLost(t *testing.T) {
	k := memkv.New()
	nodes := []*store.Store{openStore(t, k), openStore(t, k)}
	const workers, rounds = 8, 25
	var wg sync.WaitGroup
	for w := range workers {
		s := nodes[w%2]
		wg.Go(func() {
			for range rounds {
				rev, err := s.Update(t.Context(), "", addBandwidth("lb-1"))
				if err != nil {
					t.Error(err)
					return
				}
				if got := s.State().Revision; got < rev {
					t.Errorf("State is at %d after a commit at %d", got, rev)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range nodes {
		if err := s.Wait(t.Context(), max(nodes[0].State().Revision, nodes[1].State().Revision)); err != nil {
			t.Fatal(err)
		}
		if lb, ok := s.State().LoadBalancers.Get("lb-1"); !ok || lb.Bandwidth != workers*rounds {
			t.Fatalf("counted %+v, want %d", lb, workers*rounds)
		}
	}
}

func TestWriteSkewIsRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		read    func(tx *store.Tx)
		between func(tx *store.Tx)
		reruns  bool
	}{
		{"key read, then written", readKey("lb-1"), writeLB("lb-1"), true},
		{"key read, then deleted", readKey("lb-1"), deleteLB("lb-1"), true},
		{"absent key read, then created", readKey("lb-9"), writeLB("lb-9"), true},
		{"key read, another written", readKey("lb-1"), writeLB("lb-2"), false},
		{"range read, member written", readPrefix("lb-"), writeLB("lb-1"), true},
		{"range read, member created", readPrefix("lb-"), writeLB("lb-9"), true},
		{"range read, other created", readPrefix("lb-"), writeLB("x-1"), false},
		{"range counted, member created", countPrefix("lb-"), writeLB("lb-9"), true},
		{"range counted, member written", countPrefix("lb-"), writeLB("lb-1"), false},
		{"length read, member created", func(tx *store.Tx) { tx.LoadBalancers.Len() }, writeLB("lb-9"), false},
		{"blind write, then written", func(tx *store.Tx) { writeLB("lb-1")(tx) }, writeLB("lb-1"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t, memkv.New())
			update(t, s, put(sampleLoadBalancer("lb-1", 1), sampleLoadBalancer("lb-2", 1)))
			runs := 0
			update(t, s, func(tx *store.Tx) error {
				c.read(tx)
				tx.ClientTokens.Put(&slb.ClientToken{Token: "out"})
				if runs++; runs == 1 {
					// Another goroutine, as Updates do not nest.
					done := make(chan struct{})
					go func() {
						defer close(done)
						update(t, s, func(tx *store.Tx) error { c.between(tx); return nil })
					}()
					<-done
				}
				return nil
			})
			if (runs == 2) != c.reruns {
				t.Fatalf("ran %d times", runs)
			}
		})
	}
}

func readKey(key string) func(*store.Tx) {
	return func(tx *store.Tx) { tx.LoadBalancers.Get(key) }
}

func readPrefix(prefix string) func(*store.Tx) {
	return func(tx *store.Tx) {
		for range tx.LoadBalancers.Prefix(prefix) {
		}
	}
}

func countPrefix(prefix string) func(*store.Tx) {
	return func(tx *store.Tx) { tx.LoadBalancers.CountPrefix(prefix) }
}

func writeLB(id string) func(*store.Tx) {
	return func(tx *store.Tx) { tx.LoadBalancers.Put(sampleLoadBalancer(id, 2)) }
}

func deleteLB(id string) func(*store.Tx) {
	return func(tx *store.Tx) { tx.LoadBalancers.Delete(id) }
}

// Many callers at once neither pass the quota nor starve.
func TestQuotaHoldsAgainstParallelCallers(t *testing.T) {
	s := openStore(t, memkv.New())
	errQuota := errors.New("quota")
	const quota, callers = 20, 64
	var made, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			_, err := s.Update(t.Context(), "", func(tx *store.Tx) error {
				if tx.LoadBalancers.CountPrefix("") >= quota {
					return errQuota
				}
				tx.LoadBalancers.Put(sampleLoadBalancer(fmt.Sprintf("lb-%d", i), 0))
				return nil
			})
			switch {
			case err == nil:
				made.Add(1)
			case errors.Is(err, errQuota):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != quota || refused.Load() != callers-quota || s.State().LoadBalancers.Len() != quota {
		t.Fatalf("made %d, refused %d, stored %d", made.Load(), refused.Load(), s.State().LoadBalancers.Len())
	}
}

// A transaction that others always disturb gets its turn.
func TestLongTransactionIsNotStarved(t *testing.T) {
	s := openStore(t, memkv.New())
	update(t, s, put(sampleLoadBalancer("lb-1", 0)))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Update(ctx, "", addBandwidth("lb-1")); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	runs := 0
	rev, err := s.Update(t.Context(), "", func(tx *store.Tx) error {
		runs++
		lb, _ := tx.LoadBalancers.Edit("lb-1")
		if runs <= 3 { // lets another in between for as long as others run beside it
			if err := s.Wait(t.Context(), tx.State().Revision+1); err != nil {
				return err
			}
		}
		lb.Name = "mine"
		tx.LoadBalancers.Put(lb)
		return nil
	})
	cancel()
	wg.Wait()
	if err != nil || rev == 0 || runs != 4 {
		t.Fatalf("after %d runs: %v", runs, err)
	}
}

func TestErrorOfTheFunctionWritesNothing(t *testing.T) {
	s := openStore(t, memkv.New())
	_, err := s.Update(t.Context(), "", func(tx *store.Tx) error {
		writeLB("lb-1")(tx)
		return slb.ErrLoadBalancerNotFound
	})
	if err != error(slb.ErrLoadBalancerNotFound) {
		t.Fatalf("the error is %v", err)
	}
	if s.State().LoadBalancers.Len() != 0 {
		t.Fatal("something was written")
	}
}

func TestScopeSerialises(t *testing.T) {
	s := openStore(t, memkv.New())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10 {
				if _, err := s.Update(t.Context(), "lb-1", addBandwidth("lb-1")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := s.Stats().Conflicts; n != 0 {
		t.Fatalf("%d conflicts within a scope", n)
	}
	inside, release := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		s.Update(t.Context(), "lb-1", func(*store.Tx) error { close(inside); <-release; return nil })
	})
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Update(ctx, "lb-1", addBandwidth("lb-1")); !errors.Is(err, context.Canceled) {
		t.Fatalf("waiting for a held scope: %v", err)
	}
	if _, err := s.Update(t.Context(), "lb-2", addBandwidth("lb-2")); err != nil {
		t.Fatalf("another scope: %v", err)
	}
	close(release)
	wg.Wait()
}

func TestTooLargeTransaction(t *testing.T) {
	s := openStore(t, memkv.New())
	_, err := s.Update(t.Context(), "", func(tx *store.Tx) error {
		for i := range memkv.MaxTxnOps + 1 {
			tx.Addresses.Put(&slb.AddressClaim{Address: fmt.Sprint(i)})
		}
		return nil
	})
	if !errors.Is(err, kv.ErrTooLarge) {
		t.Fatal(err)
	}
}

func TestAttachmentsFollow(t *testing.T) {
	s := openStore(t, memkv.New())
	using := func(want ...slb.LoadBalancerID) {
		t.Helper()
		if got := s.State().LoadBalancersUsing("i-1"); !slices.Equal(got, want) {
			t.Fatalf("i-1 is used by %v, want %v", got, want)
		}
	}
	lb := func(id string, servers ...slb.ServerID) *slb.LoadBalancer {
		lb := sampleLoadBalancer(id, 0)
		for i, server := range servers {
			lb.BackendServers = append(lb.BackendServers, slb.BackendServer{ServerID: server, ServerIP: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})})
		}
		return lb
	}
	update(t, s, put(lb("lb-a", "i-1", "i-2"), lb("lb-b", "i-2"), lb("lb-c", "i-1", "i-1")))
	using("lb-a", "lb-c")
	update(t, s, put(lb("lb-a", "i-2"), lb("lb-b", "i-1", "i-2"), lb("lb-c", "i-1")))
	using("lb-b", "lb-c")
	update(t, s, func(tx *store.Tx) error { deleteLB("lb-c")(tx); return nil })
	using("lb-b")
}

// Reads within a transaction are those of a plain map.
func TestTransactionReadsItsOwnWrites(t *testing.T) {
	s := openStore(t, memkv.New())
	rapid.Check(t, func(r *rapid.T) {
		keys := rapid.SampledFrom([]string{"a", "a/1", "a/2", "a/10", "b", "b/1", "c"})
		model := map[string]string{}
		for _, c := range s.State().ClientTokens.All() {
			model[c.Token] = c.ParamsHash
		}
		_, err := s.Update(context.Background(), "", func(tx *store.Tx) error {
			for range rapid.IntRange(1, 20).Draw(r, "steps") {
				key := keys.Draw(r, "key")
				switch rapid.IntRange(0, 3).Draw(r, "step") {
				case 0, 1:
					v := rapid.StringN(0, 5, -1).Draw(r, "value")
					v = strings.ToValidUTF8(v, "?")
					tx.ClientTokens.Put(&slb.ClientToken{Token: key, ParamsHash: v})
					model[key] = v
				case 2:
					tx.ClientTokens.Delete(key)
					delete(model, key)
				case 3:
					if got, ok := tx.ClientTokens.Edit(key); ok {
						got.ParamsHash = "changed, and not put"
					}
				}
				prefix := rapid.SampledFrom([]string{"", "a", "a/", "b", "z"}).Draw(r, "prefix")
				checkAgainst(r, &tx.ClientTokens, model, prefix)
			}
			return nil
		})
		if err != nil {
			r.Fatal(err)
		}
		stored := 0
		for key, c := range s.State().ClientTokens.All() {
			if stored++; model[key] != c.ParamsHash {
				r.Fatalf("stored %s=%q, want %q", key, c.ParamsHash, model[key])
			}
		}
		if stored != len(model) {
			r.Fatalf("stored %d, want %d", stored, len(model))
		}
	})
}

func checkAgainst(r *rapid.T, table *store.TxTable[slb.ClientToken], model map[string]string, prefix string) {
	var want, got []string
	for key, v := range model {
		if strings.HasPrefix(key, prefix) {
			want = append(want, key+"="+v)
		}
		if have, ok := table.Get(key); !ok || have.ParamsHash != v {
			r.Fatalf("Get(%q) is %v, want %q", key, have, v)
		}
	}
	slices.SortFunc(want, func(a, b string) int {
		ka, _, _ := strings.Cut(a, "=")
		kb, _, _ := strings.Cut(b, "=")
		return strings.Compare(ka, kb)
	})
	for key, v := range table.Prefix(prefix) {
		got = append(got, key+"="+v.ParamsHash)
	}
	if !slices.Equal(got, want) {
		r.Fatalf("Prefix(%q) is %q, want %q", prefix, got, want)
	}
	if n := table.CountPrefix(prefix); n != len(want) {
		r.Fatalf("CountPrefix(%q) is %d, want %d", prefix, n, len(want))
	}
	if table.Len() != len(model) {
		r.Fatalf("Len is %d, want %d", table.Len(), len(model))
	}
}
