package system

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// limitDescriptors lowers the limit of this process, which a node reads when it
// starts, and tells what holds: at most n.
func limitDescriptors(t *testing.T, n uint64) uint64 {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	now := before
	now.Cur = min(before.Cur, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	return now.Cur
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// memory is the proportional set size of this process in bytes, without what
// earlier tests have left to the collector.
func memory(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Fatal("no Pss in smaps_rollup")
	return 0
}

// crowded is a node with TCP listeners over the servers of a crowd: one of echo,
// one of floods.
func crowded(t *testing.T) (b *balancer, crowd *testutil.Crowd) {
	t.Helper()
	crowd = testutil.StartCrowd(t, 4)
	c := startNode(t)
	b = c.balancer("crowded")
	patient := []any{"healthCheckInterval", 2, "HealthCheckConnectTimeout", 20, "HealthyThreshold", 2, "UnhealthyThreshold", 10}
	b.listen("TCP", tcpPort, crowd.Echo[0].Port(), patient...)
	b.listen("TCP", floodPort, crowd.Flood[0].Port(), patient...)
	var entries []entry
	for i, at := range crowd.Echo {
		id := fmt.Sprintf("i-crowd-%d", i+1)
		c.call("RegisterServer", "ServerId", id, "Address.1", at.Addr())
		entries = append(entries, entry{id, 100})
	}
	b.add(entries...)
	for _, e := range entries {
		b.await(tcpPort, e.ServerID, "normal")
		b.await(floodPort, e.ServerID, "normal")
	}
	return b, crowd
}

const floodPort = tcpPort + 1000

// counts are some facts of one of the node's listeners.
type counts struct{ Active, Dropped, Short, BytesOut uint64 }

func (b *balancer) counts(port uint16) counts {
	b.t.Helper()
	for _, f := range b.node.Engine().FrontendFacts() {
		if f.ID.Instance == b.id && f.ID.Port == port {
			return counts{f.ActiveConnections, f.DropConnections, f.ShortConnections, f.BytesOut}
		}
	}
	b.t.Fatalf("no facts of port %d", port)
	return counts{}
}

// calm fails the test if the crowd has met a fault.
func calm(t *testing.T, what string, r testutil.CrowdReport) {
	t.Helper()
	if r.Faults > 0 {
		t.Fatalf("%s: %d faults, the first: %s (%+v)", what, r.Faults, r.First, r)
	}
}

// TestNineThousandConnections holds a node to what a limit of 20,000 descriptors
// promises: nine thousand connections at once, under churn and changes, an
// orderly refusal beyond, and a node that can be operated all the while.
func TestNineThousandConnections(t *testing.T) {
	testutil.NoLeaks(t)
	limit := limitDescriptors(t, 20_000)
	conns := min(9_000, int(limit)/2-1_000)
	b, crowd := crowded(t)
	at := b.counts(tcpPort)
	rest := memory(t)

	addr := b.address(tcpPort)
	began := time.Now()
	r := crowd.Connect(addr, conns)
	calm(t, "connect", r)
	if r.Open != conns {
		t.Fatalf("%d of %d are open", r.Open, conns)
	}
	each := (memory(t) - rest) / int64(conns)
	t.Logf("%d connections in %v; %d descriptors of %d; %d bytes each", conns, time.Since(began).Round(time.Millisecond), descriptors(t), limit, each)
	if n := descriptors(t); n > int(limit) {
		t.Errorf("%d descriptors", n)
	}
	if most := int64(2_000); each > most && !raced {
		t.Errorf("%d bytes of memory for a connection, want %d at most", each, most)
	}
	if f := b.counts(tcpPort); f.Active < uint64(conns) || f.Short != 0 {
		t.Errorf("facts %+v", f)
	}

	// Connections come and go, weights change: nobody else notices.
	for i := range 4 {
		calm(t, "close", crowd.Close(conns/8))
		b.set(entry{"i-crowd-1", 100 - i}, entry{"i-crowd-2", 50 + i})
		testutil.Eventually(t, time.Minute, "the closed ones to be gone", func() bool {
			return b.counts(tcpPort).Active <= uint64(conns-conns/8+16)
		})
		calm(t, "connect again", crowd.Connect(addr, conns/8))
		r := crowd.Exchange()
		calm(t, "exchange", r)
		if r.Good != conns {
			t.Fatalf("%d of %d exchanges", r.Good, conns)
		}
	}

	// Beyond the limit connections are refused and counted; the others, the API
	// and the health of the servers do not suffer.
	refused := crowd.Connect(addr, int(limit)/2-conns).Faults
	if refused == 0 {
		t.Error("more connections than descriptors")
	}
	f := b.counts(tcpPort)
	if f.Short < uint64(refused) || f.Dropped-at.Dropped < f.Short {
		t.Errorf("%d were refused; counted %d, and %d as dropped in all", refused, f.Short, f.Dropped)
	}
	full := crowd.Exchange()
	calm(t, "exchange beside refusals", full)
	for i := range 4 {
		if got := b.health(tcpPort, fmt.Sprintf("i-crowd-%d", i+1)); got != "normal" {
			t.Errorf("server %d is %s", i+1, got)
		}
	}
	t.Logf("%d connections at the most, %d refused", full.Open, refused)

	// When some have gone there is room again.
	calm(t, "close", crowd.Close(full.Open-conns+1_000))
	testutil.Eventually(t, time.Minute, "room", func() bool { return b.counts(tcpPort).Active < uint64(conns) })
	calm(t, "connect when there is room", crowd.Connect(addr, 500))
	calm(t, "exchange in the end", crowd.Exchange())
}

// TestStalledReaders lets thousands of clients ask for floods and read nothing:
// that must not grow the node, nor slow down who behaves.
func TestStalledReaders(t *testing.T) {
	testutil.NoLeaks(t)
	const stalled, others = 2_000, 100
	b, crowd := crowded(t)
	calm(t, "connect", crowd.Connect(b.address(tcpPort), others))
	before := memory(t)
	r := crowd.Stall(b.address(floodPort), stalled)
	calm(t, "stall", r)
	if r.Stalls != stalled {
		t.Fatalf("%d of %d are stalled", r.Stalls, stalled)
	}
	// Until nothing moves any more.
	last := b.counts(floodPort).BytesOut
	testutil.Eventually(t, 2*time.Minute, "all to be full", func() bool {
		calm(t, "exchange meanwhile", crowd.Exchange())
		time.Sleep(300 * time.Millisecond)
		now := b.counts(floodPort).BytesOut
		quiet := now == last
		last = now
		return quiet
	})
	grown := memory(t) - before
	t.Logf("%d stalled readers, %d kB each in the kernel's hands; the node grew by %d kB", stalled, last/stalled>>10, grown>>10)
	// Each loop lends 4 MB in full pieces, then 12 MB in smaller ones, then pieces
	// of 4 kB; see l4.stash.
	if most := int64(2*16<<20 + stalled*(4<<10+2<<10)); grown > most && !raced {
		t.Errorf("%d stalled readers cost %d kB, want %d at most", stalled, grown>>10, most>>10)
	}
	calm(t, "exchange beside stalled readers", crowd.Exchange())
	if n := b.counts(floodPort).Active; n < stalled {
		t.Errorf("%d connections are left of %d", n, stalled)
	}
}
