package api

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// crowd fills the store with n instances, each with two listeners and two of the
// n registered servers, and returns the ids of the instances.
func crowd(b testing.TB, n int) (*world, []slb.LoadBalancerID) {
	b.Helper()
	w := newWorld(b, func(c *Config) {
		c.Quotas.LoadBalancers, c.Quotas.BackendServers, c.Quotas.AttachmentsPerServer = Unlimited, Unlimited, Unlimited
	})
	ids := make([]slb.LoadBalancerID, n)
	for first := 0; first < n; first += 100 {
		_, err := w.store.Update(context.Background(), "", func(tx *store.Tx) error {
			for i := first; i < min(first+100, n); i++ {
				id := slb.LoadBalancerID(fmt.Sprintf("lb-%021d", i))
				ids[i] = id
				addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
				server := slb.ServerID(fmt.Sprintf("i-%d", i))
				tx.Servers.Put(&slb.Server{ID: server, Addresses: []netip.Addr{addr}, Status: slb.ServerRunning})
				tx.LoadBalancers.Put(&slb.LoadBalancer{ID: id, Name: fmt.Sprint("web-", i), Tags: []slb.Tag{{Key: "team", Value: "web"}, {Key: "service", Value: fmt.Sprint(i)}}, Status: slb.Active, Address: addr, AddressIPVersion: slb.IPv4,
					BackendServers: []slb.BackendServer{{ServerID: server, Weight: 100, Type: slb.ECS}, {ServerID: "i-0", Weight: 100, Type: slb.ECS}}})
				tx.Listeners.Put(slb.NewTCPListener(id, 9000))
				tx.Listeners.Put(slb.NewHTTPListener(id, 80))
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return w, ids
}

var crowds = []int{10, 10_000}

// The calls are those of the actions, without signature and encoding.

func BenchmarkAddBackendServers(b *testing.B) {
	for _, n := range crowds {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, ids := crowd(b, n)
			ctx := context.Background()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := loadBalancerParams{LoadBalancerID: ids[i%n]}
				list := []backendParam{{ServerID: slb.ServerID(fmt.Sprintf("i-%d", (i+1)%10))}}
				if _, err := w.server.addBackendServers(ctx, &addBackendServersParams{p, list}); err != nil {
					b.Fatal(err)
				}
				if _, err := w.server.removeBackendServers(ctx, &removeBackendServersParams{p, list}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDescribeLoadBalancerAttribute(b *testing.B) {
	for _, n := range crowds {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, ids := crowd(b, n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := w.server.describeLoadBalancerAttribute(context.Background(), &loadBalancerParams{LoadBalancerID: ids[i%n]}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDescribeLoadBalancersByID(b *testing.B) {
	for _, n := range crowds {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, ids := crowd(b, n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := &describeLoadBalancersParams{RegionID: "cn-hangzhou", LoadBalancerIDs: string(ids[i%n]), PageNumber: 1, PageSize: 50}
				if _, err := w.server.describeLoadBalancers(context.Background(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDescribeLoadBalancersBy finds one instance by what a controller
// searches for.
func BenchmarkDescribeLoadBalancersBy(b *testing.B) {
	value := func(i int) *string { s := fmt.Sprint(i); return &s }
	for name, fill := range map[string]func(p *describeLoadBalancersParams, i int){
		"name": func(p *describeLoadBalancersParams, i int) { p.LoadBalancerNames = fmt.Sprint("web-", i) },
		"tag":  func(p *describeLoadBalancersParams, i int) { p.TagsJSON = []tagJSON{{"service", value(i)}} },
		"tags": func(p *describeLoadBalancersParams, i int) {
			p.Tags = []tagParam{{Key: "team"}, {"service", value(i)}}
		},
	} {
		for _, n := range crowds {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				w, _ := crowd(b, n)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					p := &describeLoadBalancersParams{RegionID: "cn-hangzhou", PageNumber: 1, PageSize: 50}
					fill(p, i%n)
					r, err := w.server.describeLoadBalancers(context.Background(), p)
					if err != nil || r.TotalCount != 1 {
						b.Fatal(r, err)
					}
				}
			})
		}
	}
}

func BenchmarkCreateLoadBalancer(b *testing.B) {
	for _, n := range crowds {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, _ := crowd(b, n)
			w.server.pools[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10")}
			w.server.cfg.Quotas.LoadBalancers = 1 << 30 // counted, never reached
			p := &createLoadBalancerParams{RegionID: "cn-hangzhou", AddressIPVersion: slb.IPv4}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.server.createLoadBalancer(context.Background(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
