package l4

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// successor is an engine that takes the sockets of frontends of another one, as
// another process would.
func successor(t testing.TB, o Options, datagram bool, addr netip.AddrPort, fds []int) *Engine {
	t.Helper()
	o.Sockets, o.Held = new(sock.Inherited), new(atomic.Bool)
	o.Held.Store(true)
	o.Sockets.Add(datagram, &sock.Group{Addr: addr, FDs: copies(t, fds)})
	return newEngine(t, o)
}

func copies(t testing.TB, fds []int) (out []int) {
	t.Helper()
	for _, fd := range fds {
		c, err := sock.Copy(fd)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// passed is a memory as it arrives in another process.
func passed(t testing.TB, m *Memory) *Memory {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := DecodeMemory(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPassOnTCP passes a port on while clients connect without pause, to engines
// of fewer and of more loops, and back.
func TestPassOnTCP(t *testing.T) {
	p := pool.NewStatic(target("a", server(t, echo)))
	now := listen(t, newEngine(t, Options{Loops: 2}), spec.TCPOptions{}, p)
	addr := now.Addr()
	var stop atomic.Bool
	var served atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				c, err := net.Dial("tcp", addr.String())
				if err != nil {
					t.Errorf("refused: %v", err)
					return
				}
				exchange(t, c, "hello")
				c.Close()
				served.Add(1)
			}
		})
	}
	lasting := dial(t, now)
	old := []*TCP{}
	for _, loops := range []int{1, 3, 2} {
		next := successor(t, Options{Loops: loops}, false, addr, now.Sockets())
		f := frontend(spec.TCPOptions{})
		f.Listen = addr
		heir, err := next.NewTCP(f, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := max(loops, len(now.Sockets())); len(heir.Sockets()) != want {
			t.Errorf("%d sockets for %d loops, want %d", len(heir.Sockets()), loops, want)
		}
		// First in vain: the old one goes on.
		now.Hold()
		if err := now.Resume(); err != nil {
			t.Fatal(err)
		}
		before := served.Load()
		eventually(t, "connections after a hold", func() bool { return served.Load() > before+20 })
		if n := heir.Facts().NewConnections; n != 0 {
			t.Errorf("%d connections to the new one before its time", n)
		}
		now.Hold()
		if err := heir.Resume(); err != nil {
			t.Fatal(err)
		}
		now.Leave()
		last := now.Facts().NewConnections
		before = served.Load()
		eventually(t, "connections to the new one", func() bool { return served.Load() > before+20 })
		if n := now.Facts().NewConnections; n != last {
			t.Errorf("the old one has taken %d more connections", n-last)
		}
		old = append(old, now)
		now = heir
	}
	stop.Store(true)
	clients.Wait()
	exchange(t, lasting, "still there")
	lasting.Close()
	for i, f := range old {
		eventually(t, fmt.Sprintf("end of the connections of engine %d", i), func() bool { return f.Facts().ActiveConnections == 0 })
	}
}

// TestPassOnKeepsPersistence passes on which client belongs to which server.
func TestPassOnKeepsPersistence(t *testing.T) {
	var targets []spec.Target
	for i := range 8 {
		targets = append(targets, target(fmt.Sprint(i), server(t, named(fmt.Sprint(i)))))
	}
	p := pool.NewStatic(targets...)
	o := spec.TCPOptions{Persistence: time.Hour}
	now := listen(t, newEngine(t, Options{Loops: 2}), o, p)
	want := map[string]string{}
	for i := range 20 {
		source := fmt.Sprintf("127.0.0.%d", i+1)
		want[source] = from(t, now, source)
	}
	next := successor(t, Options{Loops: 2}, false, now.Addr(), now.Sockets())
	f := frontend(o)
	f.Listen = now.Addr()
	// Its pool is another, of which one server is missing.
	heir, err := next.NewTCP(f, pool.NewStatic(targets[1:]...), nil)
	if err != nil {
		t.Fatal(err)
	}
	now.Hold()
	m, _ := now.Remember()
	heir.Recall(passed(t, m), nil)
	if err := heir.Resume(); err != nil {
		t.Fatal(err)
	}
	now.Leave()
	for source, name := range want {
		if got := from(t, heir, source); got != name && name != "0" || got == "0" {
			t.Errorf("client %s comes to server %s, and was on %s", source, got, name)
		}
	}
}

// TestPassOnUDP passes flows on while they are in use, in both directions and
// several times. Each stays on its server and with the port that it has there,
// and no datagram is lost.
func TestPassOnUDP(t *testing.T) {
	type seen struct{ server, port string }
	var targets []spec.Target
	for i := range 3 {
		name := fmt.Sprint(i)
		at := udpServer(t, "127.0.0.1:0", func(b []byte, from netip.AddrPort, answer func([]byte)) {
			answer(fmt.Appendf(nil, "%s %s %d", b, name, from.Port()))
		})
		targets = append(targets, target(name, at))
	}
	p := pool.NewStatic(targets...)
	now := listenUDP(t, newEngine(t, Options{Loops: 2}), spec.UDPOptions{}, p)
	addr := now.Addr()

	const flows = 30
	var stop atomic.Bool
	var clients sync.WaitGroup
	counts := make([]atomic.Int64, flows)
	for i := range flows {
		clients.Go(func() {
			c, err := net.Dial("udp", addr.String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			var first seen
			buf := make([]byte, 100)
			for k := 0; !stop.Load(); k++ {
				fmt.Fprintf(c, "%d", k)
				c.SetReadDeadline(time.Now().Add(20 * time.Second))
				n, err := c.Read(buf)
				if err != nil {
					t.Errorf("flow %d: datagram %d is lost: %v", i, k, err)
					return
				}
				var number int
				var at seen
				if _, err := fmt.Sscan(string(buf[:n]), &number, &at.server, &at.port); err != nil || number != k {
					t.Errorf("flow %d: %q as answer to %d", i, buf[:n], k)
					return
				}
				if k == 0 {
					first = at
				} else if at != first {
					t.Errorf("flow %d moved from %v to %v", i, first, at)
					return
				}
				counts[i].Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	all := func(more int64) {
		for i := range counts {
			before := counts[i].Load()
			eventually(t, "all flows in use", func() bool { return counts[i].Load() >= before+more || t.Failed() })
		}
	}
	all(3)
	for round := range 4 {
		next := successor(t, Options{Loops: 1 + round%3}, true, addr, now.Sockets())
		f := udpFrontend(spec.UDPOptions{})
		f.Listen = addr
		heir, err := next.NewUDP(f, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		// First in vain.
		now.Hold()
		if m, _ := now.Remember(); len(m.Ports) != len(now.Sockets()) {
			t.Errorf("%d ports are remembered", len(m.Ports))
		}
		if err := now.Resume(); err != nil {
			t.Fatal(err)
		}
		all(2)
		now.Hold()
		m, fds := now.Remember()
		if lost := heir.Recall(passed(t, m), copies(t, fds)); lost != 0 {
			t.Fatalf("%d flows lost", lost)
		}
		if err := heir.Resume(); err != nil {
			t.Fatal(err)
		}
		now.Leave()
		if err := now.Close(context.Background()); err != nil {
			t.Error(err)
		}
		all(3)
		if got := heir.Facts(); got.ActiveConnections != flows || got.NewConnections != 0 {
			t.Errorf("the new one has %d flows and began %d, want %d and 0", got.ActiveConnections, got.NewConnections, flows)
		}
		now = heir
	}
	stop.Store(true)
	clients.Wait()
}

// TestRecallLeavesOutNonsense gives what a process of another mind might.
func TestRecallLeavesOutNonsense(t *testing.T) {
	at := udpServer(t, "127.0.0.1:0", func([]byte, netip.AddrPort, func([]byte)) {})
	e := newEngine(t, Options{Loops: 1})
	client := netip.MustParseAddrPort("127.0.0.1:1000")
	good := RememberedFlow{Client: client, Server: at, Idle: time.Hour, Used: time.Second, Answered: time.Second}
	for _, c := range []struct {
		name  string
		flows func() []RememberedFlow
		lost  int
	}{
		{"good", func() []RememberedFlow { return []RememberedFlow{good} }, 0},
		{"twice", func() []RememberedFlow { return []RememberedFlow{good, good} }, 1},
		{"two on one socket", func() []RememberedFlow {
			other := good
			other.Client = netip.MustParseAddrPort("127.0.0.1:1001")
			return []RememberedFlow{good, other}
		}, 1},
		{"no such member", func() []RememberedFlow { f := good; f.Member = 7; return []RememberedFlow{f} }, 1},
		{"no such socket", func() []RememberedFlow { f := good; f.Carrier = 7; return []RememberedFlow{f} }, 1},
		{"no server", func() []RememberedFlow { f := good; f.Server = netip.AddrPort{}; return []RememberedFlow{f} }, 1},
		{"another family", func() []RememberedFlow {
			f := good
			f.Server = netip.MustParseAddrPort("[::1]:53")
			return []RememberedFlow{f}
		}, 1},
		{"no time", func() []RememberedFlow { f := good; f.Idle = 0; return []RememberedFlow{f} }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := descriptors(t)
			u := listenUDP(t, e, spec.UDPOptions{}, pool.NewStatic(target("a", at)))
			u.Hold()
			fd, err := sock.DatagramSocket(false)
			if err != nil {
				t.Fatal(err)
			}
			more, err := sock.DatagramSocket(false)
			if err != nil {
				t.Fatal(err)
			}
			flows := c.flows()
			lost := u.Recall(&Memory{Members: []RememberedMember{{ID: "a", Addr: at}}, Ports: []RememberedPort{
				{Carriers: []RememberedCarrier{{Index: 3}, {Index: 3}}, Flows: flows}, {Flows: []RememberedFlow{}},
			}}, []int{fd, more})
			if lost != c.lost || u.Facts().ActiveConnections != uint64(len(flows)-lost) {
				t.Errorf("%d flows lost, %d there, want %d lost", lost, u.Facts().ActiveConnections, c.lost)
			}
			if err := u.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

func sampleMemory() *Memory {
	a := netip.MustParseAddrPort("127.0.0.1:80")
	return &Memory{
		Members:  []RememberedMember{{"i-1", a, 0}, {"i-2", netip.MustParseAddrPort("[fe80::1%eth0]:443"), time.Minute}},
		Affinity: []RememberedClient{{netip.MustParseAddr("10.0.0.1"), 1, time.Second}},
		Ports: []RememberedPort{
			{Carriers: []RememberedCarrier{{0, false, false}, {5, true, false}, {0, true, true}}, Flows: []RememberedFlow{{a, a, 1, 1, time.Hour, 1, 2, true}}},
			{Flows: []RememberedFlow{}},
		},
	}
}

func TestMemoryIsTheSameAfterTheWay(t *testing.T) {
	if got := passed(t, sampleMemory()); !reflect.DeepEqual(got, sampleMemory()) {
		t.Errorf("got %+v", got)
	}
	b, err := sampleMemory().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		if _, err := DecodeMemory(b[:i]); err == nil {
			t.Errorf("%d of %d bytes are taken for the whole", i, len(b))
		}
	}
}

func FuzzDecodeMemory(f *testing.F) {
	b, err := sampleMemory().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{memoryForm, 0, 0, 0})
	f.Add([]byte{memoryForm, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMemory(slices.Clone(b))
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := DecodeMemory(again); err != nil || !reflect.DeepEqual(m, same) {
			t.Errorf("%+v became %+v, %v", m, same, err)
		}
	})
}

// BenchmarkPassFlows measures the pause of a frontend with many flows, but for
// the way of the sockets.
func BenchmarkPassFlows(b *testing.B) {
	at := udpServer(b, "127.0.0.1:0", func([]byte, netip.AddrPort, func([]byte)) {})
	e := newEngine(b, Options{Loops: 2})
	m := &Memory{Members: []RememberedMember{{ID: "a", Addr: at}}, Ports: make([]RememberedPort, 2)}
	const flows, servers = 20000, 100
	for i := range flows {
		p := &m.Ports[i%2]
		n := len(p.Flows)
		if n%servers == 0 {
			p.Carriers = append(p.Carriers, RememberedCarrier{Index: n / servers})
		}
		p.Flows = append(p.Flows, RememberedFlow{
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1000), Server: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(1000+n%servers)),
			Carrier: n / servers, Idle: time.Hour,
		})
	}
	b.ReportMetric(flows, "flows")
	for b.Loop() {
		u := listenUDP(b, e, spec.UDPOptions{}, pool.NewStatic(target("a", at)))
		u.Hold()
		var fds []int
		for range len(m.Ports[0].Carriers) + len(m.Ports[1].Carriers) {
			fd, err := sock.DatagramSocket(false)
			if err != nil {
				b.Fatal(err)
			}
			fds = append(fds, fd)
		}
		if lost := u.Recall(m, fds); lost > 0 {
			b.Fatalf("%d lost", lost)
		}
		begun := time.Now()
		out, _ := u.Remember()
		coded, err := out.Encode()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := DecodeMemory(coded); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begun).Microseconds()), "µs/remember+way")
		if err := u.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// TestPassOnAges: flows and persistence come to their ends in the process that takes
// over when they would have in the one before; their times do not begin anew.
func TestPassOnAges(t *testing.T) {
	const idle, soon = time.Hour, 500 * time.Millisecond
	var targets []spec.Target
	for i := range 2 {
		name := fmt.Sprint(i)
		targets = append(targets, target(name, udpServer(t, "127.0.0.1:0", func(b []byte, _ netip.AddrPort, answer func([]byte)) { answer(fmt.Appendf(nil, "%s:%s", name, b)) })))
	}
	p := pool.NewStatic(targets...)
	o := spec.UDPOptions{IdleTimeout: idle, Persistence: idle}
	now := listenUDP(t, newEngine(t, Options{Loops: 1}), o, p)
	clients := map[string]*net.UDPConn{}
	for _, name := range []string{"fresh", "resting", "used"} {
		clients[name] = udpFrom(t, now, fmt.Sprintf("127.0.0.%d", 10+len(clients)))
		ask(t, clients[name], name)
	}
	began := time.Now()
	time.Sleep(20 * time.Millisecond)
	now.Hold()
	m, fds := now.Remember()
	m = passed(t, m)
	least := time.Since(began) / 2
	for i := range m.Ports[0].Flows {
		f := &m.Ports[0].Flows[i]
		if f.Used < least || f.Used > time.Minute || f.Answered < least || f.Idle != idle {
			t.Errorf("remembered %+v", f)
		}
		if f.Client != clients["fresh"].LocalAddr().(*net.UDPAddr).AddrPort() {
			f.Used = idle - soon // nearly an hour ago
		}
	}
	for i := range m.Affinity {
		a := &m.Affinity[i]
		if a.Age < least || a.Age > time.Minute {
			t.Errorf("remembered %+v", a)
		}
		if a.Source == netip.MustParseAddr("127.0.0.11") {
			a.Age = idle - soon
		}
	}
	next := successor(t, Options{Loops: 1}, true, now.Addr(), now.Sockets())
	f := udpFrontend(o)
	f.Listen = now.Addr()
	heir, err := next.NewUDP(f, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lost := heir.Recall(m, copies(t, fds)); lost != 0 {
		t.Fatalf("%d flows lost", lost)
	}
	if err := heir.Resume(); err != nil {
		t.Fatal(err)
	}
	now.Leave()
	took := time.Now()
	ask(t, clients["used"], "used")
	if n := heir.Facts().ActiveConnections; n != 3 && time.Since(took) < soon/2 {
		t.Errorf("%d flows at first", n)
	}
	eventually(t, "the end of the flow that rests", func() bool { return heir.Facts().ActiveConnections == 2 })
	s := heir.now.Load()
	var kept, gone *pool.Member
	heir.ports[0].worker.loop.Do(func() {
		clock := heir.ports[0].worker.loop.Now()
		kept = s.affinity.get(netip.MustParseAddr("127.0.0.10"), clock, s.persistence)
		gone = s.affinity.get(netip.MustParseAddr("127.0.0.11"), clock, s.persistence)
	})
	if kept == nil || gone != nil {
		t.Errorf("persistence of the fresh one %v, of the one that rests %v", kept, gone)
	}
	for _, name := range []string{"fresh", "used", "resting"} {
		ask(t, clients[name], name)
	}
	if got := heir.Facts(); got.ActiveConnections != 3 || got.NewConnections != 1 {
		t.Errorf("%d flows, of which %d are new, want 3 and 1", got.ActiveConnections, got.NewConnections)
	}
}
