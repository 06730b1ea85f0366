package l4

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Fifty thousand clients of one listener: the sockets towards the servers are as
// many as the busiest server has flows, and nobody has to give way.
func TestUDPManyFlows(t *testing.T) {
	const servers, window = 16, 100
	e := newEngine(t, Options{})
	before := e.budget.Used()
	targets := make([]spec.Target, servers)
	for i := range targets {
		targets[i] = namedUDP(t, string(rune('a'+i)))
	}
	u := listenUDP(t, e, spec.UDPOptions{}, pool.NewStatic(targets...))
	// What fits where the process may open fewer descriptors, at even shares with
	// some room.
	flows := min(50_000, len(u.ports)*u.ports[0].most.carriers*servers*7/10)

	// One socket has all the clients' addresses.
	c, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 64)
	to := net.UDPAddrFromAddrPort(u.Addr())
	round := func(first int) {
		for n := first; n < first+window; n++ {
			var source [4]byte
			binary.BigEndian.PutUint32(source[:], 127<<24|1<<20+uint32(n))
			if _, _, err := c.WriteMsgUDP([]byte("x"), unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: source}), to); err != nil {
				t.Fatal(err)
			}
		}
		c.SetReadDeadline(time.Now().Add(patience))
		for range window {
			if _, from, err := c.ReadFromUDPAddrPort(buf); err != nil || netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) != u.Addr() {
				t.Fatalf("an answer of flows from %d on: from %v, %v", first, from, err)
			}
		}
	}
	flows -= flows % window
	for range 2 { // each flow is met again
		for n := 0; n < flows; n += window {
			round(n)
		}
	}
	f := u.Facts()
	if f.ActiveConnections != uint64(flows) || f.NewConnections != uint64(flows) || f.EvictedFlows+f.ShortConnections+f.DropPacketsIn+f.DropPacketsOut != 0 {
		t.Errorf("facts %+v", f)
	}
	held := e.budget.Used() - before
	t.Logf("%d flows to %d servers through %d descriptors", flows, servers, held)
	if most := flows/servers*5/4 + 10; held > most {
		t.Errorf("%d descriptors, want %d at most", held, most)
	}
}
