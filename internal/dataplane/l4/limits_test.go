package l4

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// limitsOf gives the limits of the frontends of one instance.
func limitsOf(l spec.Limits, frontends ...spec.Frontend) *limit.Instance {
	i := &limit.Instance{}
	i.Update(&spec.Instance{Limits: l, Frontends: frontends})
	return i
}

func limitedBy(t testing.TB, e *Engine, f spec.Frontend, p *pool.Pool, i *limit.Instance) *TCP {
	t.Helper()
	one, err := e.NewTCP(f, p, i.Frontend(f.ID))
	if err != nil {
		t.Fatal(err)
	}
	return one
}

func other(f spec.Frontend) spec.Frontend {
	f.ID.Port++
	return f
}

func TestMaxConnections(t *testing.T) {
	e := newEngine(t, Options{})
	p := pool.NewStatic(target("a", server(t, echo)))
	f := frontend(spec.TCPOptions{})
	f.MaxConnections = 2
	i := limitsOf(spec.Limits{}, f)
	l := limitedBy(t, e, f, p, i)
	first := dial(t, l)
	exchange(t, first, "x")
	exchange(t, dial(t, l), "x")
	expectRefusal(t, l)
	if facts := l.Facts(); facts.DropConnections != 1 || facts.ActiveConnections != 2 {
		t.Errorf("%+v", facts)
	}
	first.Close()
	eventually(t, "room", func() bool { return l.Facts().ActiveConnections == 1 })
	third := dial(t, l)
	exchange(t, third, "x")
	// Lowering the limit harms nobody who is there; raising it lets more in.
	f.MaxConnections = 1
	i.Update(&spec.Instance{Frontends: []spec.Frontend{f}})
	exchange(t, third, "still here")
	expectRefusal(t, l)
	f.MaxConnections = 0
	i.Update(&spec.Instance{Frontends: []spec.Frontend{f}})
	for range 5 {
		exchange(t, dial(t, l), "x")
	}
}

func TestLimitsOfTheInstance(t *testing.T) {
	e := newEngine(t, Options{})
	p := pool.NewStatic(target("a", server(t, echo)))
	f := frontend(spec.TCPOptions{})
	g := other(f)
	i := limitsOf(spec.Limits{Connections: 3}, f, g)
	one, two := limitedBy(t, e, f, p, i), limitedBy(t, e, g, p, i)
	exchange(t, dial(t, one), "x")
	exchange(t, dial(t, one), "x")
	exchange(t, dial(t, two), "x")
	expectRefusal(t, one)
	expectRefusal(t, two)
	if one.Facts().DropConnections != 1 || two.Facts().DropConnections != 1 {
		t.Errorf("%+v, %+v", one.Facts(), two.Facts())
	}
	// New connections a second, again of both together.
	i.Update(&spec.Instance{Limits: spec.Limits{ConnectionRate: 4}, Frontends: []spec.Frontend{f, g}})
	for range 2 {
		exchange(t, dial(t, one), "x")
		exchange(t, dial(t, two), "x")
	}
	before := two.Facts().DropConnections
	expectRefusal(t, two)
	if got := two.Facts().DropConnections; got != before+1 {
		t.Errorf("%d dropped, %d before", got, before)
	}
	// A connection that found no server is not held against the limit.
	empty := other(g)
	i.Update(&spec.Instance{Limits: spec.Limits{Connections: 8}, Frontends: []spec.Frontend{f, g, empty}})
	none := limitedBy(t, e, empty, pool.NewStatic(), i)
	for range 5 {
		expectRefusal(t, none)
	}
	exchange(t, dial(t, one), "x")
}

// proxied serves echo behind a PROXY header, which it checks against the
// client's real addresses.
func proxied(t *testing.T, want func(h *proxyproto.Header)) func(c *net.TCPConn) {
	return func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		h, err := proxyproto.Read(r)
		if err != nil {
			t.Errorf("header: %v", err)
			return
		}
		want(h)
		io.WriteString(c, "hello\n") // before the client says anything
		io.Copy(onlyWriter{c}, onlyReader{r})
	}
}

func TestProxyHeader(t *testing.T) {
	var (
		mu   sync.Mutex
		seen = map[string]string{}
	)
	serve := proxied(t, func(h *proxyproto.Header) {
		if h.Version != 2 || !h.TransportProtocol.IsStream() {
			t.Errorf("header %+v", h)
		}
		mu.Lock()
		defer mu.Unlock()
		seen[h.SourceAddr.String()] = h.DestinationAddr.String()
	})
	for name, servers := range map[string][]spec.Target{
		"one server":              {target("a", server(t, serve))},
		"after a refusal":         {target("no", closedPort(t)), target("a", server(t, serve)), target("never", closedPort(t))},
		"with a slow client path": {target("a", server(t, serve))},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, Options{})
			f := listen(t, e, spec.TCPOptions{ProxyProtocol: true}, pool.NewStatic(servers...))
			check := func(c *net.TCPConn, text string) {
				t.Helper()
				hello := make([]byte, len("hello\n"))
				if text != "" {
					if _, err := io.WriteString(c, text); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := io.ReadFull(c, hello); err != nil || string(hello) != "hello\n" {
					t.Fatalf("%q, %v", hello, err)
				}
				if text != "" {
					got := make([]byte, len(text))
					if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
						t.Fatalf("%q, %v", got, err)
					}
				}
				exchange(t, c, "and on")
				mu.Lock()
				defer mu.Unlock()
				if got := seen[c.LocalAddr().String()]; got != f.Addr().String() {
					t.Errorf("the server was told that %v spoke to %q, want %v", c.LocalAddr(), got, f.Addr())
				}
			}
			for i := range 20 {
				if name == "with a slow client path" {
					// Failed early exchanges make the loop skip them.
					for _, p := range f.ports {
						p.worker.loop.Do(func() { p.earlySkip = i % 2 * 10 })
					}
				}
				c := dial(t, f)
				check(c, []string{"", "first words"}[i%2])
				c.Close()
			}
			// The client's own bytes alone are counted.
			eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
			if got, want := f.Facts().BytesIn, uint64(20*len("and on")+10*len("first words")); got != want {
				t.Errorf("%d bytes in, want %d", got, want)
			}
		})
	}
}

// rate measures what a reader gets in Mbit/s after the burst.
func rate(t testing.TB, r io.Reader, seconds float64) float64 {
	t.Helper()
	buf := make([]byte, 64<<10)
	read := func(until time.Time) (n int) {
		for time.Now().Before(until) {
			k, err := r.Read(buf)
			n += k
			if err != nil {
				t.Error(err)
				return n
			}
		}
		return n
	}
	began := time.Now()
	read(began.Add(500 * time.Millisecond))
	began = time.Now()
	n := read(began.Add(time.Duration(seconds * float64(time.Second))))
	return float64(n) * 8 / 1e6 / time.Since(began).Seconds()
}

func flood(c *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

func TestBandwidth(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const mbit = 1_000_000
	p := pool.NewStatic(target("a", server(t, flood)))
	within := func(t *testing.T, what string, got, want float64) {
		t.Helper()
		t.Logf("%s: %.1f Mbit/s of %.1f", what, got, want)
		// The upper bound is what is promised. A machine that is busy may give less.
		if got > want*1.15 || got < want*0.5 {
			t.Errorf("%s: %.1f Mbit/s, want %.1f", what, got, want)
		}
	}
	t.Run("to clients", func(t *testing.T) {
		f := frontend(spec.TCPOptions{})
		f.Bandwidth = 16 * mbit
		i := limitsOf(spec.Limits{}, f)
		l := limitedBy(t, newEngine(t, Options{}), f, p, i)
		var wg sync.WaitGroup
		var got [4]float64
		for k := range got {
			c := dial(t, l)
			wg.Go(func() { got[k] = rate(t, c, 2) })
		}
		wg.Wait()
		sum := 0.0
		for _, g := range got {
			sum += g
			if g < 1 || g > 12 {
				t.Errorf("shares are %.1f", got)
			}
		}
		within(t, "four connections", sum, 16)
		// A limit that is lifted is off at once, for them that run as well.
		c := dial(t, l)
		rate(t, c, 0.2)
		i.Update(&spec.Instance{Frontends: []spec.Frontend{frontend(spec.TCPOptions{})}})
		if got := rate(t, c, 0.5); got < 100 {
			t.Errorf("without a limit: %.1f Mbit/s", got)
		}
	})
	t.Run("shared by two listeners", func(t *testing.T) {
		f := frontend(spec.TCPOptions{})
		g, h := other(f), other(other(f))
		f.Bandwidth = 8 * mbit
		e := newEngine(t, Options{})
		i := limitsOf(spec.Limits{Bandwidth: 32 * mbit}, f, g, h)
		var wg sync.WaitGroup
		var got [3]float64
		for k, f := range []spec.Frontend{f, g, h} {
			c := dial(t, limitedBy(t, e, f, p, i))
			wg.Go(func() { got[k] = rate(t, c, 2) })
		}
		wg.Wait()
		within(t, "set aside", got[0], 8)
		within(t, "shared, one", got[1], 12)
		within(t, "shared, another", got[2], 12)
	})
	t.Run("from clients", func(t *testing.T) {
		seen := make(chan float64, 1)
		sink := pool.NewStatic(target("a", server(t, func(c *net.TCPConn) {
			select {
			case seen <- rate(t, c, 1):
			default:
			}
		})))
		f := frontend(spec.TCPOptions{})
		l := limitedBy(t, newEngine(t, Options{}), f, sink, limitsOf(spec.Limits{Bandwidth: 16 * mbit}, f))
		c := dial(t, l)
		done := make(chan struct{})
		go func() { defer close(done); flood(c) }()
		within(t, "one connection", <-seen, 16)
		c.Close()
		<-done
	})
}

// What a limit delays is not lost, be it at the end of a stream or of a client.
func TestBandwidthLosesNothing(t *testing.T) {
	const size = 300_000
	f := frontend(spec.TCPOptions{})
	f.Bandwidth = 8_000_000
	p := pool.NewStatic(target("a", server(t, func(c *net.TCPConn) {
		io.CopyN(io.Discard, c, 1)
		c.Write(make([]byte, size))
	})))
	l := limitedBy(t, newEngine(t, Options{}), f, p, limitsOf(spec.Limits{}, f))
	var wg sync.WaitGroup
	for k := range 4 {
		c := dial(t, l)
		io.WriteString(c, "x")
		if k == 3 {
			c.CloseWrite()
		}
		wg.Go(func() {
			defer c.Close()
			if b, err := io.ReadAll(c); err != nil || len(b) != size {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
	gone := dial(t, l)
	io.WriteString(gone, "x")
	io.ReadFull(gone, make([]byte, 10_000))
	gone.Close() // while it waits for bandwidth
	wg.Wait()
	eventually(t, "the end", func() bool { return l.Facts().ActiveConnections == 0 })
}

func poolOf(check bool, watch pool.WatchFunc, targets ...spec.Target) (*pool.Pool, func(...spec.Target)) {
	s := spec.Pool{ID: "p", Scheduler: spec.RR, Targets: targets}
	if check {
		s.Check = &spec.Check{Kind: spec.CheckTCP}
	}
	p := pool.New(s, watch)
	return p, func(targets ...spec.Target) {
		s.Targets = targets
		p.Update(s)
	}
}

// verdicts decides the health of targets at will.
type verdicts struct {
	mu   sync.Mutex
	live map[netip.AddrPort]*verdict
}

type verdict struct {
	health spec.Health
	report func(spec.Health)
}

func (v *verdicts) watch(_ spec.Check, addr netip.AddrPort, report func(spec.Health)) pool.Watch {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.live == nil {
		v.live = map[netip.AddrPort]*verdict{}
	}
	one := &verdict{health: spec.HealthUp, report: report}
	v.live[addr] = one
	return one
}

func (v *verdicts) decide(addr netip.AddrPort, h spec.Health) {
	v.mu.Lock()
	one := v.live[addr]
	v.mu.Unlock()
	one.health = h
	one.report(h)
}

func (v *verdict) Health() spec.Health { return v.health }
func (v *verdict) Close()              {}

func TestConnectionDrain(t *testing.T) {
	const drain = 300 * time.Millisecond
	addrs := []netip.AddrPort{server(t, echo), server(t, echo)}
	a, b := target("a", addrs[0]), target("b", addrs[1])
	var v verdicts
	zero := a
	zero.Weight = 0
	for _, c := range []struct {
		name        string
		leave, back func(update func(...spec.Target))
	}{
		{"removed", func(update func(...spec.Target)) { update(b) }, nil},
		{"weight 0", func(update func(...spec.Target)) { update(zero, b) }, func(update func(...spec.Target)) { update(a, b) }},
		{"unhealthy", func(func(...spec.Target)) { v.decide(a.Addr, spec.HealthDown) }, func(func(...spec.Target)) { v.decide(a.Addr, spec.HealthUp) }},
	} {
		for _, on := range []bool{true, false} {
			t.Run(fmt.Sprint(c.name, ", drain ", on), func(t *testing.T) {
				p, update := poolOf(true, v.watch, a, b)
				defer p.Close()
				o := spec.TCPOptions{}
				if on {
					o.Drain = drain
				}
				e := newEngine(t, Options{})
				f := listen(t, e, o, p)
				defer f.Close(t.Context())
				onA, onB := 0, 0
				var stay, go_ []*net.TCPConn
				for range 20 { // spread over both loops
					conn := dial(t, f)
					exchange(t, conn, "x")
					facts := map[string]int{}
					for _, x := range p.Facts() {
						facts[x.Target] = int(x.Active)
					}
					if facts["a"] > onA {
						go_ = append(go_, conn)
					} else {
						stay = append(stay, conn)
					}
					onA, onB = facts["a"], facts["b"]
				}
				if onA == 0 || onB == 0 {
					t.Fatalf("%d on a, %d on b", onA, onB)
				}
				if c.back != nil && on {
					c.leave(update)
					c.back(update)
					time.Sleep(drain + 200*time.Millisecond)
					for _, conn := range go_ {
						exchange(t, conn, "it came back in time")
					}
				}
				began := time.Now()
				c.leave(update)
				for _, conn := range append(stay, go_...) {
					exchange(t, conn, "goes on for now")
				}
				for range 4 {
					conn := dial(t, f)
					exchange(t, conn, "new")
					conn.Close()
				}
				if !on {
					time.Sleep(drain + 200*time.Millisecond)
					for _, conn := range go_ {
						exchange(t, conn, "goes on without drain")
					}
					// Turned on later, it holds for the server that left before.
					began = began.Add(-time.Hour)
					o.Drain = drain
					f.Update(frontend(o), p)
				}
				for _, conn := range go_ {
					expectReset(t, conn)
				}
				if took := time.Since(began); took < drain {
					t.Errorf("cut after %v", took)
				}
				for _, conn := range stay {
					exchange(t, conn, "the other server is not concerned")
				}
			})
		}
	}
}

// A listener that is given another pool drains the connections on the one it
// had, whose servers are gone with it.
func TestDrainOfAnotherPool(t *testing.T) {
	first, second := pool.NewStatic(target("a", server(t, echo))), pool.NewStatic(target("b", server(t, named("b"))))
	o := spec.TCPOptions{Drain: 100 * time.Millisecond}
	f := listen(t, newEngine(t, Options{}), o, first)
	c := dial(t, f)
	exchange(t, c, "x")
	f.Update(frontend(o), second)
	exchange(t, c, "x")
	first.Close()
	expectReset(t, c)
	if got := answer(t, f); got != "b" {
		t.Errorf("new connections come to %q", got)
	}
	f.Update(frontend(o), pool.NewStatic())
	if f.watched[first] || !f.watched[second] || len(f.watched) != 2 {
		t.Errorf("%d pools are held on to", len(f.watched))
	}
}
