package node

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/testutil"
)

// BenchmarkStart is the time from Start to serving: with an empty data
// directory, with one that was used before, and with one that holds 1,000
// running listeners and 10,000 servers.
func BenchmarkStart(b *testing.B) {
	b.Run("empty", func(b *testing.B) { benchmarkStart(b, func() string { return b.TempDir() }) })
	b.Run("again", func(b *testing.B) {
		dir := used(b, func(*Node) {})
		benchmarkStart(b, func() string { return dir })
	})
	b.Run("full", func(b *testing.B) {
		dir := used(b, func(n *Node) { fill(b, n, 100, 10, 100) })
		benchmarkStart(b, func() string { return dir })
	})
}

func benchmarkStart(b *testing.B, dir func() string) {
	b.StopTimer()
	b.ResetTimer()
	b.ReportAllocs()
	for range b.N {
		data := dir()
		b.StartTimer()
		n, err := tryStart(b, Config{Data: data})
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range n.Engine().FrontendFacts() {
			if !f.Listening {
				b.Fatalf("%v does not listen: %s", f.ID, f.Error)
			}
		}
		stop(b, n)
	}
}

// used is a data directory that a node has used before.
func used(b *testing.B, use func(*Node)) string {
	b.Helper()
	dir := b.TempDir()
	n, err := tryStart(b, Config{Data: dir})
	if err != nil {
		b.Fatal(err)
	}
	use(n)
	stop(b, n)
	return dir
}

// fill puts balancers into the store, each with so many running listeners and
// servers of its own, past the API's quotas. Health checks are off: they begin
// after the start, and would measure something else.
func fill(b *testing.B, n *Node, balancers, listeners, servers int) {
	b.Helper()
	pool := testutil.AddressPool(b).Addr()
	for i := range balancers {
		pool = pool.Next()
		lb := &slb.LoadBalancer{ID: slb.NewLoadBalancerID(), Status: slb.Active, Address: pool, AddressType: slb.Internet, AddressIPVersion: slb.IPv4}
		_, err := n.Store().Update(b.Context(), string(lb.ID), func(tx *store.Tx) error {
			lb.BackendServers = nil
			for j := range servers {
				id := slb.ServerID(fmt.Sprintf("i-%d-%d", i, j))
				addr := netip.AddrFrom4([4]byte{127, 3, byte(i), byte(j)})
				tx.Servers.Put(&slb.Server{ID: id, Addresses: []netip.Addr{addr}, Status: slb.ServerRunning})
				lb.BackendServers = append(lb.BackendServers, slb.BackendServer{ServerID: id, Weight: slb.DefaultWeight, Type: slb.ECS})
			}
			tx.LoadBalancers.Put(lb)
			for j := range listeners {
				l := slb.NewTCPListener(lb.ID, uint16(8000+j))
				if j%2 == 0 {
					l = slb.NewHTTPListener(lb.ID, uint16(8000+j))
				}
				l.Status, l.BackendServerPort, l.HealthCheck.Enabled = slb.Running, 80, false
				tx.Listeners.Put(l)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
