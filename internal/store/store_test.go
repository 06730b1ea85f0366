package store

import (
	"context"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store/memkv"
)

func newStore(t testing.TB) (*Store, *memkv.KV) {
	t.Helper()
	k := memkv.New()
	s, err := New(context.Background(), k, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		k.Close()
	})
	return s, k
}

func TestCountersOnOneKeyLoseNothing(t *testing.T) {
	s, _ := newStore(t)
	ctx := context.Background()
	const workers, rounds = 16, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				rev, err := s.Update(ctx, "", func(tx *Tx) error {
					lb, ok := tx.LoadBalancers.Edit("lb-1")
					if !ok {
						lb = &slb.LoadBalancer{ID: "lb-1"}
					}
					lb.Bandwidth++
					tx.LoadBalancers.Put(lb)
					return nil
				})
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
	lb, ok := s.State().LoadBalancers.Get("lb-1")
	if !ok || lb.Bandwidth != workers*rounds {
		t.Fatalf("counted %+v, want %d", lb, workers*rounds)
	}
}
