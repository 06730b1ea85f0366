package l4

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	peer "github.com/pires/go-proxyproto"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

func udpFrontend(o spec.UDPOptions) spec.Frontend {
	return spec.Frontend{
		ID:     spec.FrontendID{Instance: "lb-test", Protocol: spec.UDP, Port: 53},
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		UDP:    &o,
	}
}

func listenUDP(t testing.TB, e *Engine, o spec.UDPOptions, p *pool.Pool) *UDP {
	t.Helper()
	u, err := e.NewUDP(udpFrontend(o), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// udpServer gives each datagram to serve, which may answer, until the test ends.
func udpServer(t testing.TB, listen string, serve func(b []byte, from netip.AddrPort, answer func(b []byte))) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(listen)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			serve(buf[:n], from, func(b []byte) { c.WriteToUDPAddrPort(b, from) })
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// namedUDP answers with its name in front of what was asked.
func namedUDP(t testing.TB, name string) spec.Target {
	t.Helper()
	return target(name, udpServer(t, "127.0.0.1:0", func(b []byte, _ netip.AddrPort, answer func([]byte)) {
		answer(append([]byte(name+":"), b...))
	}))
}

// udpClient is a socket of its own port.
func udpClient(t testing.TB, u *UDP) *net.UDPConn { return udpFrom(t, u, "") }

func udpFrom(t testing.TB, u *UDP, source string) *net.UDPConn {
	t.Helper()
	var local *net.UDPAddr
	if source != "" {
		local = &net.UDPAddr{IP: net.ParseIP(source)}
	}
	c, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(u.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends text and returns the name of the server that answered it.
func ask(t testing.TB, c *net.UDPConn, text string) string {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return hear(t, c, text)
}

func hear(t testing.TB, c *net.UDPConn, text string) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("no answer to %.40q: %v", text, err)
	}
	name, rest, ok := strings.Cut(string(buf[:n]), ":")
	if !ok || rest != text {
		t.Fatalf("%.80q answers %.40q", buf[:n], text)
	}
	return name
}

// expectSilence sends text, which must get no answer.
func expectSilence(t testing.TB, u *UDP, c *net.UDPConn, text string) {
	t.Helper()
	before := u.Facts().DropPacketsIn
	c.Write([]byte(text))
	eventually(t, "the datagram to be dropped", func() bool { return u.Facts().DropPacketsIn == before+1 })
}

func TestUDPFlows(t *testing.T) {
	for name, listenOn := range map[string]string{"IPv4": "127.0.0.1:0", "IPv6 to IPv4": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			p := pool.NewStatic(namedUDP(t, "a"), namedUDP(t, "b"))
			f := udpFrontend(spec.UDPOptions{})
			f.Listen = netip.MustParseAddrPort(listenOn)
			u, err := newEngine(t, Options{}).NewUDP(f, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			const clients = 40
			servers := map[string]int{}
			var conns []*net.UDPConn
			for range clients {
				c := udpClient(t, u)
				conns = append(conns, c)
				first := ask(t, c, "hello")
				servers[first]++
				for i := range 5 {
					if got := ask(t, c, fmt.Sprint("again", i)); got != first {
						t.Errorf("a flow moved from %s to %s", first, got)
					}
				}
			}
			if servers["a"] != clients/2 || servers["b"] != clients/2 {
				t.Errorf("shares are %v", servers)
			}
			// Sizes, down to nothing and up to the most there is.
			for _, size := range []int{0, 1, 1472, 9000, 65_000} {
				ask(t, conns[0], strings.Repeat("x", size))
			}
			facts := u.Facts()
			if facts.ActiveConnections != clients || facts.NewConnections != clients || facts.PacketsIn != 6*clients+5 || facts.PacketsOut != 6*clients+5 {
				t.Errorf("%+v", facts)
			}
			if want := uint64(clients*(5+5*6) + 75_473); facts.BytesIn != want || facts.BytesOut != want+2*facts.PacketsOut {
				t.Errorf("%d bytes in, %d out, want %d", facts.BytesIn, facts.BytesOut, want)
			}
			if facts.DropPacketsIn+facts.DropPacketsOut+facts.DropConnections != 0 {
				t.Errorf("drops: %+v", facts)
			}
			// Flows to two servers share sockets.
			sockets := 0
			for _, p := range u.ports {
				p.worker.loop.Do(func() { sockets += len(p.carriers[0]) })
			}
			if sockets > clients*3/4 {
				t.Errorf("%d sockets for %d flows to two servers", sockets, clients)
			}
		})
	}
}

// Many at once: nothing is lost or reaches another client, in both directions.
func TestUDPStream(t *testing.T) {
	p := pool.NewStatic(namedUDP(t, "a"), namedUDP(t, "b"), namedUDP(t, "c"))
	u := listenUDP(t, newEngine(t, Options{}), spec.UDPOptions{}, p)
	var wg sync.WaitGroup
	for client := range 30 {
		c := udpClient(t, u)
		wg.Go(func() {
			const window = 8
			first := ""
			for round := range 30 {
				for k := range window {
					fmt.Fprintf(c, "%d/%d/%d", client, round, k)
				}
				for k := range window {
					name := hear(t, c, fmt.Sprintf("%d/%d/%d", client, round, k))
					if first == "" {
						first = name
					}
					if name != first {
						t.Errorf("client %d came to %s and to %s", client, first, name)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestUDPFlowEndsWhenIdle(t *testing.T) {
	p := pool.NewStatic(namedUDP(t, "a"), namedUDP(t, "b"))
	const idle = 200 * time.Millisecond
	u := listenUDP(t, newEngine(t, Options{}), spec.UDPOptions{IdleTimeout: idle}, p)
	c := udpClient(t, u)
	first := ask(t, c, "x")
	began := time.Now()
	for time.Since(began) < 3*idle {
		if got := ask(t, c, "in use"); got != first {
			t.Fatalf("a flow in use moved from %s to %s", first, got)
		}
		time.Sleep(idle / 4)
	}
	eventually(t, "the flow to end", func() bool { return u.Facts().ActiveConnections == 0 })
	for _, m := range p.Facts() {
		if m.Active != 0 {
			t.Errorf("%+v", m)
		}
	}
	if got := ask(t, c, "x"); got == first {
		t.Errorf("the next flow came to %s again, out of turn", got)
	}
	// What servers send to a flow that has ended goes nowhere. Sockets that are
	// not used are closed.
	for _, p := range u.ports {
		p.worker.loop.Do(func() {
			for _, f := range p.flows {
				f.end()
			}
			tidier{p}.Expired()
			for _, c := range p.carriers[0] {
				if c.fd >= 0 {
					t.Error("a socket without flows is open")
				}
			}
			if len(p.servers) != 0 {
				t.Errorf("%d servers are remembered", len(p.servers))
			}
		})
	}
	ask(t, c, "once more")
}

func TestUDPSchedulers(t *testing.T) {
	targets := []spec.Target{namedUDP(t, "a"), namedUDP(t, "b"), namedUDP(t, "c")}
	e := newEngine(t, Options{})
	build := func(s spec.Scheduler, targets ...spec.Target) *UDP {
		return listenUDP(t, e, spec.UDPOptions{}, pool.New(spec.Pool{ID: "p", Scheduler: s, Targets: targets}, nil))
	}
	t.Run("wrr", func(t *testing.T) {
		heavy := targets[0]
		heavy.Weight = 300
		u := build(spec.WRR, heavy, targets[1])
		got := map[string]int{}
		for range 40 {
			got[ask(t, udpClient(t, u), "x")]++
		}
		if got["a"] != 30 || got["b"] != 10 {
			t.Errorf("%v", got)
		}
	})
	t.Run("rr", func(t *testing.T) {
		heavy := targets[0]
		heavy.Weight = 300
		u := build(spec.RR, heavy, targets[1])
		got := map[string]int{}
		for range 40 {
			got[ask(t, udpClient(t, u), "x")]++
		}
		if got["a"] != 20 || got["b"] != 20 {
			t.Errorf("%v", got)
		}
	})
	t.Run("wlc", func(t *testing.T) {
		u := build(spec.WLC, targets...)
		got := map[string]int{}
		for range 30 {
			got[ask(t, udpClient(t, u), "x")]++
		}
		if got["a"] != 10 || got["b"] != 10 || got["c"] != 10 {
			t.Errorf("%v", got)
		}
	})
	t.Run("sch", func(t *testing.T) {
		u := build(spec.SCH, targets...)
		all := map[string]bool{}
		for i := range 20 {
			source := fmt.Sprintf("127.0.2.%d", i+1)
			first := ask(t, udpFrom(t, u, source), "x")
			all[first] = true
			for range 3 {
				if got := ask(t, udpFrom(t, u, source), "x"); got != first {
					t.Errorf("%s came to %s and to %s", source, first, got)
				}
			}
		}
		if len(all) < 2 {
			t.Errorf("all came to %v", all)
		}
	})
	t.Run("tch", func(t *testing.T) {
		u := build(spec.TCH, targets...)
		all := map[string]bool{}
		for range 40 {
			all[ask(t, udpClient(t, u), "x")] = true
		}
		if len(all) != 3 {
			t.Errorf("40 flows of one address came to %v", all)
		}
	})
	t.Run("qch", func(t *testing.T) {
		u := build(spec.QCH, targets...)
		all := map[string]bool{}
		for i := range 30 {
			id := binary.BigEndian.AppendUint64(nil, uint64(i)*0x9e3779b97f4a7c15)
			packets := []string{
				"\x42" + string(id) + "short header",
				"\xc3\x00\x00\x00\x01\x08" + string(id) + "version 1",
				"\xff" + string(id) + "\xff\x00\x00\x0adraft 10",
			}
			first := ask(t, udpClient(t, u), packets[0])
			all[first] = true
			for _, packet := range packets {
				// Of other ports and addresses too: the client has moved.
				if got := ask(t, udpFrom(t, u, fmt.Sprintf("127.0.3.%d", i+1)), packet); got != first {
					t.Errorf("connection %x came to %s and to %s", id, first, got)
				}
			}
		}
		if len(all) != 3 {
			t.Errorf("30 connections came to %v", all)
		}
		all = map[string]bool{}
		for range 40 {
			all[ask(t, udpClient(t, u), "none")] = true
		}
		if len(all) != 3 {
			t.Errorf("what is not QUIC came to %v alone", all)
		}
	})
}

func TestUDPPersistence(t *testing.T) {
	p := pool.NewStatic(namedUDP(t, "a"), namedUDP(t, "b"), namedUDP(t, "c"))
	u := listenUDP(t, newEngine(t, Options{}), spec.UDPOptions{Persistence: time.Minute}, p)
	first := ask(t, udpFrom(t, u, "127.0.4.1"), "x")
	for range 10 {
		if got := ask(t, udpFrom(t, u, "127.0.4.1"), "x"); got != first {
			t.Errorf("came to %s, then to %s", first, got)
		}
	}
	if got := ask(t, udpFrom(t, u, "127.0.4.2"), "x"); got == first {
		t.Error("another client came to the same server, out of turn")
	}
}

func TestUDPProxyHeader(t *testing.T) {
	answers := udpServer(t, "127.0.0.1:0", func(b []byte, _ netip.AddrPort, answer func([]byte)) {
		h, err := peer.Read(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			t.Errorf("%q: %v", b, err)
			return
		}
		if h.Version != 2 || !h.TransportProtocol.IsDatagram() {
			t.Errorf("%+v", h)
		}
		answer([]byte(h.SourceAddr.String() + ">" + h.DestinationAddr.String() + " " + string(b[28:])))
	})
	u := listenUDP(t, newEngine(t, Options{}), spec.UDPOptions{ProxyProtocol: true}, pool.NewStatic(target("a", answers)))
	c := udpClient(t, u)
	for _, text := range []string{"first", "second", ""} {
		c.Write([]byte(text))
		buf := make([]byte, 200)
		c.SetReadDeadline(time.Now().Add(patience))
		n, err := c.Read(buf)
		if want := fmt.Sprintf("%v>%v %s", c.LocalAddr(), u.Addr(), text); err != nil || string(buf[:n]) != want {
			t.Errorf("%q, %v; want %q", buf[:n], err, want)
		}
	}
}

func TestUDPNoServer(t *testing.T) {
	a := namedUDP(t, "a")
	p, update := poolOf(false, nil, a)
	u := listenUDP(t, newEngine(t, Options{}), spec.UDPOptions{}, p)
	c := udpClient(t, u)
	ask(t, c, "x")
	update()
	other := udpClient(t, u)
	expectSilence(t, u, other, "nobody is there")
	if facts := u.Facts(); facts.DropConnections != 1 || facts.DropBytesIn != 15 || facts.ActiveConnections != 1 {
		t.Errorf("%+v", facts)
	}
	// The flow that is there goes on with the server that was removed.
	if got := ask(t, c, "still"); got != "a" {
		t.Error(got)
	}
	update(a)
	if got := ask(t, other, "it is back"); got != "a" {
		t.Error(got)
	}
	// A server that does not listen costs the answer and nothing else.
	refusing := target("no", netip.MustParseAddrPort("127.0.0.1:1"))
	update(refusing)
	third := udpClient(t, u)
	for range 3 {
		third.Write([]byte("x"))
	}
	eventually(t, "datagrams to pass", func() bool { return u.Facts().PacketsIn >= 6 })
	ask(t, c, "no flow minds")
}

func TestUDPDrain(t *testing.T) {
	const drain = 300 * time.Millisecond
	a, b := namedUDP(t, "a"), namedUDP(t, "b")
	var v verdicts
	zero := a
	zero.Weight = 0
	for _, c := range []struct {
		name  string
		leave func(update func(...spec.Target))
	}{
		{"removed", func(update func(...spec.Target)) { update(b) }},
		{"weight 0", func(update func(...spec.Target)) { update(zero, b) }},
		{"unhealthy", func(func(...spec.Target)) { v.decide(a.Addr, spec.HealthDown) }},
	} {
		for _, on := range []bool{true, false} {
			t.Run(fmt.Sprint(c.name, ", drain ", on), func(t *testing.T) {
				p, update := poolOf(true, v.watch, a, b)
				defer p.Close()
				o := spec.UDPOptions{}
				if on {
					o.Drain = drain
				}
				u := listenUDP(t, newEngine(t, Options{}), o, p)
				one, two := udpClient(t, u), udpClient(t, u)
				onA, onB := one, two
				if ask(t, one, "x") != "a" {
					onA, onB = two, one
				}
				ask(t, two, "x")
				c.leave(update)
				if ask(t, onA, "goes on for now") != "a" || ask(t, onB, "not concerned") != "b" {
					t.Error("a flow moved at once")
				}
				if got := ask(t, udpClient(t, u), "new"); got != "b" {
					t.Errorf("a new flow came to %s", got)
				}
				time.Sleep(drain + 50*time.Millisecond)
				want := map[bool]string{true: "b", false: "a"}[on]
				if got := ask(t, onA, "later"); got != want {
					t.Errorf("after the drain time the flow is on %s, want %s", got, want)
				}
			})
		}
	}
}

// A flow that sends without end to a server that left and is silent would never
// be idle; it counts as over all the same.
func TestUDPLeavesASilentServer(t *testing.T) {
	const idle = 200 * time.Millisecond
	silent := target("silent", udpServer(t, "127.0.0.1:0", func([]byte, netip.AddrPort, func([]byte)) {}))
	p, update := poolOf(false, nil, silent)
	u := listenUDP(t, newEngine(t, Options{}), spec.UDPOptions{IdleTimeout: idle}, p)
	c := udpClient(t, u)
	send := func() {
		c.Write([]byte("x"))
		time.Sleep(10 * time.Millisecond)
	}
	for began := time.Now(); time.Since(began) < 3*idle; {
		send()
	}
	if facts := u.Facts(); facts.NewConnections != 1 {
		t.Errorf("one-way traffic to a good server: %+v", facts)
	}
	update(namedUDP(t, "b"))
	began := time.Now()
	for u.Facts().PacketsOut == 0 {
		if send(); time.Since(began) > patience {
			t.Fatal("the flow never moved")
		}
	}
	if took := time.Since(began); took < idle {
		t.Errorf("it moved after %v already", took)
	}
}

func TestUDPLimits(t *testing.T) {
	p := pool.NewStatic(namedUDP(t, "a"))
	e := newEngine(t, Options{})
	f := udpFrontend(spec.UDPOptions{IdleTimeout: 300 * time.Millisecond})
	f.MaxConnections = 2
	g := other(f)
	i := limitsOf(spec.Limits{Connections: 3}, f, g)
	build := func(f spec.Frontend) *UDP {
		u, err := e.NewUDP(f, p, i.Frontend(f.ID))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	one, two := build(f), build(g)
	first, second := udpClient(t, one), udpClient(t, one)
	ask(t, first, "x")
	ask(t, second, "x")
	third := udpClient(t, one)
	expectSilence(t, one, third, "beyond the listener's limit")
	ask(t, first, "not concerned")
	ask(t, udpClient(t, two), "x")
	expectSilence(t, two, udpClient(t, two), "beyond the instance's limit")
	eventually(t, "flows to end", func() bool { return one.Facts().ActiveConnections == 0 })
	ask(t, third, "room")
}

func TestUDPBandwidth(t *testing.T) {
	p := pool.NewStatic(target("a", udpServer(t, "127.0.0.1:0", func(b []byte, _ netip.AddrPort, answer func([]byte)) {
		for range 10 {
			answer(make([]byte, 1000))
		}
	})))
	f := udpFrontend(spec.UDPOptions{})
	f.Bandwidth = 8_000_000 // 1000 answers a second, and a burst of 100
	u, err := newEngine(t, Options{Loops: 1}).NewUDP(f, p, limitsOf(spec.Limits{}, f).Frontend(f.ID))
	if err != nil {
		t.Fatal(err)
	}
	c := udpClient(t, u)
	began := time.Now()
	asked := uint64(0)
	for time.Since(began) < 500*time.Millisecond {
		c.Write([]byte("x"))
		asked++
		time.Sleep(2 * time.Millisecond)
	}
	took := time.Since(began).Seconds()
	eventually(t, "all answers", func() bool { f := u.Facts(); return f.PacketsOut+f.DropPacketsOut == 10*asked })
	facts := u.Facts()
	if most := uint64(took*1000*1.1) + 110; facts.PacketsOut > most || facts.PacketsOut < most/3 {
		t.Errorf("%d answers passed in %.2f s, want about %d", facts.PacketsOut, took, most)
	}
	if facts.DropBytesOut != 1000*facts.DropPacketsOut || facts.DropPacketsOut == 0 {
		t.Errorf("%+v", facts)
	}
}

// With few descriptors flows are bounded: quiet ones give way, and those in use
// are kept.
func TestUDPMakesRoom(t *testing.T) {
	p := pool.NewStatic(namedUDP(t, "a"))
	e := newEngine(t, Options{Loops: 1, Budget: loop.NewBudgetOf(40)}) // 10 sockets for a frontend
	u := listenUDP(t, e, spec.UDPOptions{}, p)
	if got := u.ports[0].most.carriers; got != 10 {
		t.Fatalf("%d sockets", got)
	}
	w := u.ports[0]
	var clients []*net.UDPConn
	for range 10 {
		c := udpClient(t, u)
		ask(t, c, "x")
		clients = append(clients, c)
	}
	expectSilence(t, u, udpClient(t, u), "all are in use")
	// Time passes for all but the first two.
	w.worker.loop.Do(func() {
		for client, f := range w.flows {
			if client != addrOf(clients[0]) && client != addrOf(clients[1]) {
				f.used -= 2 * evictIdle
			}
		}
	})
	for range 8 {
		ask(t, udpClient(t, u), "one of the quiet gives way")
	}
	expectSilence(t, u, udpClient(t, u), "none is quiet")
	if facts := u.Facts(); facts.EvictedFlows != 8 || facts.ActiveConnections != 10 || facts.NewConnections != 18 {
		t.Errorf("%+v", facts)
	}
	ask(t, clients[0], "kept")
	ask(t, clients[1], "kept")
	// The number of flows is bounded too.
	w.worker.loop.Do(func() {
		w.most.flows = 10
		for _, f := range w.flows {
			f.used -= 2 * evictIdle
		}
	})
	ask(t, udpClient(t, u), "by the table's size")
	if n := e.budget.Used(); n > 11 {
		t.Errorf("%d descriptors are in use", n)
	}
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// A place beside a server is not given on while a late answer may come.
func TestUDPQuarantine(t *testing.T) {
	var mu sync.Mutex
	from := map[netip.AddrPort]bool{}
	p := pool.NewStatic(target("a", udpServer(t, "127.0.0.1:0", func(b []byte, client netip.AddrPort, answer func([]byte)) {
		mu.Lock()
		from[client] = true
		mu.Unlock()
		answer(append([]byte("a:"), b...))
	})))
	u := listenUDP(t, newEngine(t, Options{Loops: 1}), spec.UDPOptions{}, p)
	w := u.ports[0]
	for range 5 {
		ask(t, udpClient(t, u), "x")
		w.worker.loop.Do(func() {
			for _, f := range w.flows {
				f.end()
			}
		})
	}
	ports := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(from)
	}
	if n := ports(); n != 5 {
		t.Errorf("5 flows in turn had %d ports towards the server", n)
	}
	w.worker.loop.Do(func() {
		for _, s := range w.servers {
			for i := range s.free {
				s.free[i].used -= 2 * quarantine
			}
		}
	})
	for range 5 {
		ask(t, udpClient(t, u), "x")
	}
	if n := ports(); n != 5 {
		t.Errorf("after the quarantine there are %d ports", n)
	}
}

// What strangers send to a socket towards servers reaches no client.
func TestUDPStrangers(t *testing.T) {
	p := pool.NewStatic(namedUDP(t, "a"))
	u := listenUDP(t, newEngine(t, Options{Loops: 1}), spec.UDPOptions{}, p)
	c := udpClient(t, u)
	ask(t, c, "x")
	var towards netip.AddrPort
	u.ports[0].worker.loop.Do(func() {
		local, err := sock.LocalAddr(u.ports[0].carriers[0][0].fd)
		if err != nil {
			t.Error(err)
		}
		towards = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), local.Port())
	})
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(towards))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	stranger.Write([]byte("evil:y"))
	ask(t, c, "y") // and nothing before it
	if facts := u.Facts(); facts.PacketsOut != 2 {
		t.Errorf("%+v", facts)
	}
}

func TestUDPAddresses(t *testing.T) {
	e := newEngine(t, Options{})
	u := listenUDP(t, e, spec.UDPOptions{}, pool.NewStatic())
	f := udpFrontend(spec.UDPOptions{})
	f.Listen = u.Addr()
	var bind *sock.BindError
	if _, err := e.NewUDP(f, nil, nil); !errors.As(err, &bind) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second frontend on one address: %v", err)
	}
	if err := sock.CanBindUDP(u.Addr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("CanBindUDP says %v", err)
	}
	f.Listen = netip.MustParseAddrPort("0.0.0.0:0")
	if _, err := e.NewUDP(f, nil, nil); !errors.As(err, &bind) {
		t.Errorf("no address of its own: %v", err)
	}
	if err := u.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sock.CanBindUDP(u.Addr()); err != nil {
		t.Errorf("after the close: %v", err)
	}
}

// Closing with flows, and while they are busy, leaves nothing behind.
func TestUDPCloseUnderLoad(t *testing.T) {
	e := newEngine(t, Options{})
	p := pool.NewStatic(namedUDP(t, "a"), namedUDP(t, "b"))
	u := listenUDP(t, e, spec.UDPOptions{}, p)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("udp", u.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					c.Write([]byte("x"))
				}
				c.Close()
			}
		})
	}
	eventually(t, "flows", func() bool { return u.Facts().ActiveConnections > 3*closeMost })
	if err := u.Close(t.Context()); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	if facts := u.Facts(); facts.ActiveConnections != 0 || facts.Listening {
		t.Errorf("%+v", facts)
	}
	for _, m := range p.Facts() {
		if m.Active != 0 {
			t.Errorf("%+v", m)
		}
	}
	if n := e.carriers.Used(); n != 0 {
		t.Errorf("%d sockets are still counted", n)
	}
}

// A panic costs the datagrams of one batch.
func TestUDPPanic(t *testing.T) {
	u := listenUDP(t, newEngine(t, Options{Loops: 1}), spec.UDPOptions{}, pool.NewStatic(namedUDP(t, "a")))
	c := udpClient(t, u)
	ask(t, c, "x")
	settings := u.now.Swap(&udpSettings{pool: new(pool.Pool)})
	other := udpClient(t, u)
	other.Write([]byte("this one panics"))
	u.ports[0].worker.loop.Do(func() {})
	turns := int64(0)
	eventually(t, "the turn", func() bool {
		u.ports[0].worker.loop.Do(func() { turns = u.ports[0].worker.loop.Turn() })
		return turns > 4
	})
	u.now.Store(settings)
	ask(t, c, "goes on")
	ask(t, other, "goes on")
}

func TestUDPDoesNotAllocate(t *testing.T) {
	back, err := sock.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	u := listenUDP(t, newEngine(t, Options{Loops: 1}), spec.UDPOptions{ProxyProtocol: true}, pool.NewStatic(target("a", back.Addr)))
	client, err := sock.DatagramSocket(false)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(client)
	in, out := sock.NewBatch(4), sock.NewOutgoing(4)
	to := sock.NameOf(u.Addr())
	body := make([]byte, 64)
	failed := func(int, syscall.Errno) { t.Error("not sent") }
	receive := func(fd int) {
		for {
			if _, errno := in.Receive(fd, 0); errno == 0 {
				return
			}
			await(t, fd)
		}
	}
	w := u.ports[0]
	exchange := func() {
		out.Add(&to, nil, body)
		out.Send(client, failed)
		receive(back.FDs[0])
		out.Add(in.From(0), nil, body)
		out.Send(back.FDs[0], failed)
		receive(client)
	}
	if n := allocations(500, exchange); n > noise {
		t.Errorf("%v allocations for an exchange", n)
	}
	end := make(chan struct{}, 1)
	forget := func() {
		for _, f := range w.flows {
			f.end()
		}
		for _, s := range w.servers {
			s.free[s.taken].used -= 2 * quarantine
		}
		end <- struct{}{}
	}
	if n := allocations(500, func() {
		exchange()
		w.worker.loop.Post(forget)
		<-end
	}); n > noise {
		t.Errorf("%v allocations for a flow", n)
	}
	if got := u.Facts(); got.NewConnections < 500 || got.DropPacketsIn != 0 {
		t.Errorf("%+v", got)
	}
}
