package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/etcdkv"
	"github.com/openslb/openslb/internal/store/kv"
	"github.com/openslb/openslb/internal/store/memkv"
)

func openEtcd(t testing.TB, dir string) *etcdkv.KV {
	t.Helper()
	k, err := etcdkv.Open(t.Context(), etcdkv.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func openStore(t testing.TB, k kv.KV) *store.Store {
	t.Helper()
	s, err := store.New(t.Context(), k, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func sampleLoadBalancer(id string, servers int) *slb.LoadBalancer {
	lb := &slb.LoadBalancer{ID: slb.LoadBalancerID(id), Name: "sample", Status: slb.Active}
	for i := range servers {
		lb.BackendServers = append(lb.BackendServers, slb.BackendServer{
			ServerID: slb.ServerID(fmt.Sprintf("i-%020d", i)), Weight: 100, Type: slb.ECS,
		})
	}
	return lb
}

// BenchmarkUpdate64 is 64 clients that each change a weight on an instance of
// their own, with 20 servers.
func BenchmarkUpdate64(b *testing.B) {
	for _, c := range []struct {
		name string
		open func(b *testing.B) kv.KV
	}{
		{"etcdkv", func(b *testing.B) kv.KV { return openEtcd(b, b.TempDir()) }},
		{"memkv", func(*testing.B) kv.KV { return memkv.New() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := openStore(b, c.open(b))
			ctx := context.Background()
			const clients = 64
			for i := range clients {
				if _, err := s.Update(ctx, "", func(tx *store.Tx) error {
					tx.LoadBalancers.Put(sampleLoadBalancer(fmt.Sprintf("lb-%d", i), 20))
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			var next atomic.Int64
			b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				id := fmt.Sprintf("lb-%d", next.Add(1)%clients)
				for pb.Next() {
					if _, err := s.Update(ctx, id, func(tx *store.Tx) error {
						lb, _ := tx.LoadBalancers.Edit(id)
						lb.BackendServers[0].Weight = (lb.BackendServers[0].Weight + 1) % 101
						tx.LoadBalancers.Put(lb)
						return nil
					}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			b.ReportMetric(float64(s.Stats().Conflicts), "conflicts")
		})
	}
}

func BenchmarkStateGet(b *testing.B) {
	s := openStore(b, memkv.New())
	for i := range 1000 {
		if _, err := s.Update(b.Context(), "", func(tx *store.Tx) error {
			tx.LoadBalancers.Put(sampleLoadBalancer(fmt.Sprintf("lb-2ze7o5h52g02kkzze%04d", i), 1))
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok := s.State().LoadBalancers.Get("lb-2ze7o5h52g02kkzze0500"); !ok {
				b.Fatal("absent")
			}
		}
	})
}

// BenchmarkStart is from nothing, or from a filled data directory, to the first
// commit that State shows.
func BenchmarkStart(b *testing.B) {
	for _, servers := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			dir := b.TempDir()
			if servers > 0 {
				fill(b, dir, servers)
			}
			for b.Loop() {
				in := dir
				if servers == 0 {
					in = b.TempDir()
				}
				start(b, in, func(s *store.Store) {})
			}
		})
	}
}

func start(b *testing.B, dir string, then func(*store.Store)) {
	b.Helper()
	k, err := etcdkv.Open(b.Context(), etcdkv.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.New(b.Context(), k, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Update(b.Context(), "", func(tx *store.Tx) error {
		tx.LoadBalancers.Put(sampleLoadBalancer("lb-first", 1))
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	then(s)
	s.Close()
	k.Close()
	b.StartTimer()
}

func fill(b *testing.B, dir string, servers int) {
	b.Helper()
	start(b, dir, func(s *store.Store) {
		for at := 0; at < servers; at += 1000 {
			if _, err := s.Update(b.Context(), "", func(tx *store.Tx) error {
				for i := range min(1000, servers-at) {
					tx.Servers.Put(&slb.Server{ID: slb.ServerID(fmt.Sprintf("i-%06d", at+i)), Name: "sample"})
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
