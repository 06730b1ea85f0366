package system

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

// clients is the number of concurrent API clients of the throughput benchmarks.
const clients = 64

// BenchmarkAddToFirstConnection is the time from sending AddBackendServers to
// the moment at which a client's new connection has been answered by the new
// server.
func BenchmarkAddToFirstConnection(b *testing.B) {
	web, echo := testutil.Hosts(b, ids("i", 2)...)
	c := startNode(b)
	c.register(web...)
	lb := c.balancer("bench")
	addr := lb.listen("TCP", tcpPort, echo[0].Addr().Port(), off...)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		s := web[i%2]
		began := time.Now()
		lb.add(entry{s.ID, 100})
		conn, err := testutil.DialEcho(addr)
		if err != nil {
			b.Fatalf("first connection: %v", err)
		}
		took = append(took, time.Since(began))
		conn.Close()
		if conn.ServerID != s.ID {
			b.Fatalf("%s answered, want %s", conn.ServerID, s.ID)
		}
		lb.call("RemoveBackendServers", "LoadBalancerId", lb.id, "BackendServers", list(entry{s.ID, 0}))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// parallel runs fn from 64 clients, each with an instance of its own, and
// reports calls per second. Clients and node share the machine's cores.
func parallel(b *testing.B, fn func(lb *balancer, i int) error) {
	c := startNode(b)
	lbs := make(chan *balancer, 2*clients)
	for i := range 60 { // the default quota of instances
		lbs <- c.balancer(fmt.Sprintf("bench-%d", i))
	}
	b.SetParallelism((clients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		lb := <-lbs
		lbs <- lb // the last few clients share one
		for i := 0; pb.Next(); i++ {
			if err := fn(lb, i); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkReads asks for one instance's attributes.
func BenchmarkReads(b *testing.B) {
	parallel(b, func(lb *balancer, _ int) error {
		return lb.try("DescribeLoadBalancerAttribute", "LoadBalancerId", lb.id)
	})
}

// BenchmarkWrites renames instances.
func BenchmarkWrites(b *testing.B) {
	parallel(b, func(lb *balancer, i int) error {
		return lb.try("SetLoadBalancerName", "LoadBalancerId", lb.id, "LoadBalancerName", fmt.Sprintf("name-%d", i))
	})
}

// fill makes instances, each with listeners and servers in its group, from many
// clients at once. Health checks are off, as nobody is behind the addresses.
func (c *cluster) fill(instances, listeners, servers int) []*balancer {
	c.t.Helper()
	var (
		mu    sync.Mutex
		out   []*balancer
		slots = make(chan struct{}, 16)
		all   sync.WaitGroup
	)
	for n := range instances {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			b := c.balancer(fmt.Sprintf("fill-%d", n))
			for first := 0; first < servers; first += 20 {
				var batch []entry
				for i := first; i < min(first+20, servers); i++ {
					id := fmt.Sprintf("i-%d-%d", n, i)
					if err := c.try("RegisterServer", "ServerId", id, "Address.1", netip.AddrFrom4([4]byte{127, 240, byte(n), byte(i)})); err != nil {
						c.t.Error(err)
						return
					}
					batch = append(batch, entry{id, 100})
				}
				b.add(batch...)
			}
			for i := range listeners {
				b.listen("TCP", uint16(10000+i), 80, off...)
			}
			mu.Lock()
			out = append(out, b)
			mu.Unlock()
		})
	}
	all.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
	return out
}

// BenchmarkStart is the time from the call of Start until the node serves, empty
// and with 1,000 listeners and 10,000 servers.
func BenchmarkStart(b *testing.B) {
	for _, tc := range []struct {
		name                          string
		instances, listeners, servers int
	}{{"empty", 0, 0, 0}, {"1000-listeners", 50, 20, 200}} {
		b.Run(tc.name, func(b *testing.B) {
			cfg := node.Config{Data: b.TempDir(), Listen: "127.0.0.1:0", Dev: true, InternetPool: []netip.Prefix{testutil.AddressPool(b)}}
			c := &cluster{t: b}
			c.start(cfg)
			lbs := c.fill(tc.instances, tc.listeners, tc.servers)
			c.stop()
			var total time.Duration
			for b.Loop() {
				began := time.Now()
				c.start(cfg)
				total += time.Since(began)
				if len(lbs) > 0 { // the last listener is there as well
					addr := netip.AddrPortFrom(lbs[len(lbs)-1].ip, uint16(10000+tc.listeners-1))
					conn, err := net.Dial("tcp", addr.String())
					if err != nil {
						b.Fatalf("a listener is missing after the start: %v", err)
					}
					conn.Close()
				}
				c.stop()
			}
			b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/start")
		})
	}
}

// BenchmarkWeightChange is one SetBackendServers, applied, among few and among
// many listeners: its cost must follow the change, not the total.
func BenchmarkWeightChange(b *testing.B) {
	for _, tc := range []struct {
		name                          string
		instances, listeners, servers int
	}{{"among-10", 1, 10, 20}, {"among-1000", 50, 20, 20}} {
		b.Run(tc.name, func(b *testing.B) {
			c := startNode(b)
			lbs := c.fill(tc.instances, tc.listeners, tc.servers)
			var out struct {
				BackendServers struct{ BackendServer []entry }
			}
			lb := lbs[0]
			if err := lb.do("DescribeLoadBalancerAttribute", &out, "LoadBalancerId", lb.id); err != nil {
				b.Fatal(err)
			}
			server := out.BackendServers.BackendServer[0].ServerID
			for i := 0; b.Loop(); i++ {
				lb.set(entry{server, 1 + i%100})
			}
		})
	}
}
