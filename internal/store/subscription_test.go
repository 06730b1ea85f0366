package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/memkv"
)

func TestSubscriptionCoalesces(t *testing.T) {
	s := openStore(t, memkv.New())
	update(t, s, put(sampleLoadBalancer("lb-0", 1)))
	sub := s.Subscribe()
	defer sub.Close()
	update(t, s, put(sampleLoadBalancer("lb-2", 1)))
	update(t, s, put(sampleLoadBalancer("lb-1", 1)))
	rev := update(t, s, put(sampleLoadBalancer("lb-2", 2)))
	state, changes, all, err := sub.Next(t.Context())
	want := []store.Change{{Kind: slb.KindLoadBalancer, Key: "lb-2"}, {Kind: slb.KindLoadBalancer, Key: "lb-1"}}
	if err != nil || all || !slices.Equal(changes, want) || state.Revision != rev {
		t.Fatalf("changes %v (all=%v) at %d, %v", changes, all, state.Revision, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, changes, _, err := sub.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("nothing has changed, yet: %v, %v", changes, err)
	}
	update(t, s, func(tx *store.Tx) error { tx.LoadBalancers.Delete("lb-2"); return nil })
	if _, changes, _, err := sub.Next(t.Context()); err != nil || !slices.Equal(changes, want[:1]) {
		t.Fatalf("a deletion is reported as %v, %v", changes, err)
	}
}

func TestSubscriptionThatFallsFarBehind(t *testing.T) {
	s := openStore(t, memkv.New())
	sub := s.Subscribe()
	defer sub.Close()
	for at := range 3 {
		update(t, s, func(tx *store.Tx) error {
			for i := range 4000 {
				tx.Addresses.Put(&slb.AddressClaim{Address: fmt.Sprint(at, i)})
			}
			return nil
		})
	}
	state, changes, all, err := sub.Next(t.Context())
	if err != nil || !all || len(changes) != 0 || state.Addresses.Len() != 12_000 {
		t.Fatalf("all=%v with %d changes, %v", all, len(changes), err)
	}
	update(t, s, put(sampleLoadBalancer("lb-1", 1)))
	if _, changes, all, err = sub.Next(t.Context()); err != nil || all || len(changes) != 1 {
		t.Fatalf("afterwards all=%v, %v, %v", all, changes, err)
	}
}

func TestSubscriptionEnds(t *testing.T) {
	s := openStore(t, memkv.New())
	own, other := s.Subscribe(), s.Subscribe()
	own.Close()
	if _, _, _, err := own.Next(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, _, _, err := other.Next(t.Context())
		ended <- err
	}()
	s.Close()
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
	if _, _, _, err := s.Subscribe().Next(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
	other.Close()
}
