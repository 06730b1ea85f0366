package l4

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	peer "github.com/pires/go-proxyproto"

	"github.com/openslb/openslb/internal/dataplane/pool"
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

// expectAnswers waits until so many are counted: they are when they have been sent.
func expectAnswers(t testing.TB, u *UDP, n uint64) {
	t.Helper()
	eventually(t, "answers to be counted", func() bool { return u.Facts().PacketsOut >= n })
	if got := u.Facts().PacketsOut; got != n {
		t.Errorf("%d answers are counted, want %d", got, n)
	}
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
			expectAnswers(t, u, 6*clients+5)
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
			// Flows to two servers share sockets: a loop needs as many as it has
			// flows to one of them.
			for _, p := range u.ports {
				p.worker.loop.Do(func() {
					most, to := 0, map[*upstream]int{}
					for _, f := range p.flows {
						to[f.server]++
						most = max(most, to[f.server])
					}
					if n := len(p.carriers[0]); n > most {
						t.Errorf("%d sockets for %d flows, at most %d to one server", n, len(p.flows), most)
					}
				})
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

// Answers alone keep a flow in use: a client may listen to a stream.
func TestUDPAnswersKeepAFlow(t *testing.T) {
	const idle, answers = 200 * time.Millisecond, 15
	p := pool.NewStatic(target("a", udpServer(t, "127.0.0.1:0", func(_ []byte, _ netip.AddrPort, answer func([]byte)) {
		for range answers {
			time.Sleep(idle / 5)
			answer([]byte("a:tick"))
		}
	})))
	u := listenUDP(t, newEngine(t, Options{}), spec.UDPOptions{IdleTimeout: idle}, p)
	c := udpClient(t, u)
	c.Write([]byte("begin"))
	for range answers {
		hear(t, c, "tick")
	}
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
				w, lineOf := connectionLogs(t)
				e := newEngine(t, Options{Log: w})
				t.Cleanup(w.Close)
				u := listenUDP(t, e, o, p)
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
				if on {
					if l := lineOf(clientAddr(onA)); l.End != "drained" {
						t.Errorf("line %+v", l)
					}
				}
			})
		}
	}
}

// A flow that sends without end to a server that left and is silent would never
// be idle; it counts as over all the same.
func TestUDPLeavesASilentServer(t *testing.T) {
	const idle = 400 * time.Millisecond
	silent := target("silent", udpServer(t, "127.0.0.1:0", func([]byte, netip.AddrPort, func([]byte)) {}))
	p, update := poolOf(false, nil, silent)
	w, lineOf := connectionLogs(t)
	e := newEngine(t, Options{Log: w})
	t.Cleanup(w.Close)
	u := listenUDP(t, e, spec.UDPOptions{IdleTimeout: idle}, p)
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
	if l := lineOf(clientAddr(c)); l.End != "server_lost" {
		t.Errorf("line %+v", l)
	}
}
