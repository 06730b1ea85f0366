// Package netns puts the data plane between hosts of their own: a client, two
// servers, and this process as the balancer, each in a network namespace, with
// real packets between them. So it sees what tests on loopback cannot: source
// addresses, dead hosts, silent networks, ICMP.
package netns

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/dataplane/transparent"
	"github.com/openslb/openslb/internal/testutil"
	"github.com/openslb/openslb/internal/testutil/netns"
)

func TestMain(m *testing.M) {
	if err := netns.Isolate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// The addresses. Every link has a network of its own; the balancer is number 1
// on each.
var (
	front4 = netip.MustParseAddr("10.9.0.1")
	front6 = netip.MustParseAddr("fd00:9::1")
)

// patience bounds waits that a failing test would never end.
const patience = 20 * time.Second

// host is one of those around the balancer.
type host struct {
	*netns.NS
	link   string // of the balancer, to this host
	v4, v6 netip.Addr
}

// world is the hosts with an engine in this process.
type world struct {
	t            *testing.T
	here         *netns.NS
	client, a, b *host
	engine       *dataplane.Engine
	log          *logText
}

func newWorld(t *testing.T, mode spec.SourceMode, probeSources ...netip.Addr) *world {
	t.Helper()
	testutil.Root(t)
	testutil.NoLeaks(t)
	w := &world{t: t, here: netns.Here(t), log: new(logText)}
	w.here.Address("lo", front4.String()+"/32", front6.String()+"/128")
	w.client, w.a, w.b = w.host("client", 1), w.host("a", 2), w.host("b", 3)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	source, err := transparent.Setup(mode, log)
	if err != nil {
		t.Fatal(err)
	}
	w.engine = dataplane.New(dataplane.Options{Logger: log, Source: source, ProbeSources: probeSources})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.engine.Close(ctx); err != nil {
			t.Errorf("close the engine: %v", err)
		}
		if err := source.Close(); err != nil {
			t.Errorf("take back the source addresses: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", w.log)
		}
	})
	return w
}

// host makes a host that reaches all others by way of the balancer.
func (w *world) host(name string, network int) *host {
	h := &host{
		NS: netns.New(w.t, name), link: "to-" + name,
		v4: netip.MustParseAddr(fmt.Sprintf("10.%d.0.2", network)),
		v6: netip.MustParseAddr(fmt.Sprintf("fd00:%d::2", network)),
	}
	netns.Join(w.here, h.link, h.NS, "eth0")
	w.here.Address(h.link, fmt.Sprintf("10.%d.0.1/24", network), fmt.Sprintf("fd00:%d::1/64", network))
	h.Address("eth0", h.v4.String()+"/24", h.v6.String()+"/64")
	h.Default(fmt.Sprintf("10.%d.0.1", network), fmt.Sprintf("fd00:%d::1", network))
	return h
}

// apply has the engine run one balancer of this form.
func (w *world) apply(instance spec.Instance) {
	w.t.Helper()
	instance.ID = "lb-1"
	for i := range instance.Frontends {
		f := &instance.Frontends[i]
		f.ID.Instance = instance.ID
		if f.Pool == "" && len(instance.Pools) > 0 {
			f.Pool = instance.Pools[0].ID
		}
	}
	if err := w.engine.Apply(w.t.Context(), instance.ID, &instance); err != nil {
		w.t.Fatal(err)
	}
}

// facts are those of the frontend at a port.
func (w *world) facts(port uint16) spec.FrontendFacts {
	for _, f := range w.engine.FrontendFacts() {
		if f.ID.Port == port {
			return f
		}
	}
	return spec.FrontendFacts{}
}

// health is the engine's verdict on a target.
func (w *world) health(target string) spec.Health {
	for _, f := range w.engine.TargetFacts("lb-1") {
		if f.Target == target {
			return f.Health
		}
	}
	return spec.HealthUnknown
}

// picks is how many connections a target was given, those that failed included.
func (w *world) picks(target string) int {
	for _, f := range w.engine.TargetFacts("lb-1") {
		if f.Target == target {
			return int(f.Total)
		}
	}
	return 0
}

// eventually waits for what is to come true.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	testutil.Eventually(w.t, patience, what, ok)
}

func tcpFrontend(ip netip.Addr, port uint16, o spec.TCPOptions) spec.Frontend {
	return spec.Frontend{ID: spec.FrontendID{Protocol: spec.TCP, Port: port}, Listen: netip.AddrPortFrom(ip, port), TCP: &o}
}

func udpFrontend(ip netip.Addr, port uint16, o spec.UDPOptions) spec.Frontend {
	return spec.Frontend{ID: spec.FrontendID{Protocol: spec.UDP, Port: port}, Listen: netip.AddrPortFrom(ip, port), UDP: &o}
}

func target(name string, ip netip.Addr, port uint16) spec.Target {
	return spec.Target{ID: name, Addr: netip.AddrPortFrom(ip, port), Weight: 100}
}

// logText is a log that can be read while it is written.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// has counts the lines with all of these in them.
func (l *logText) has(parts ...string) (n int) {
lines:
	for line := range strings.Lines(l.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		n++
	}
	return n
}

// serve accepts connections on a host until the test ends, each with a goroutine
// of its own. What it returns closes the port, and resets what is open.
func (h *host) serve(t *testing.T, ip netip.Addr, port uint16, handle func(net.Conn)) (kill func()) {
	t.Helper()
	var l net.Listener
	var err error
	h.Do(func() { l, err = net.Listen("tcp", netip.AddrPortFrom(ip, port).String()) })
	if err != nil {
		t.Fatalf("host %s: %v", h.Name, err)
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		open    = map[net.Conn]bool{}
	)
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				handle(c)
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	kill = sync.OnceFunc(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	t.Cleanup(kill)
	return kill
}

// packets receives datagrams on a host until the test ends.
func (h *host) packets(t *testing.T, ip netip.Addr, port uint16, handle func(b []byte, from netip.AddrPort) (answer []byte)) (kill func()) {
	t.Helper()
	var c *net.UDPConn
	var err error
	h.Do(func() { c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, port))) })
	if err != nil {
		t.Fatalf("host %s: %v", h.Name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, 64<<10); ; {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if answer := handle(buf[:n], from); answer != nil {
				_, _ = c.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	kill = sync.OnceFunc(func() { c.Close(); <-done })
	t.Cleanup(kill)
	return kill
}

// dial connects a host to an address, from a port of its own if that is not 0.
func (h *host) dial(network string, to netip.AddrPort, port uint16) (c net.Conn, err error) {
	from := netip.AddrPortFrom(h.v4, port)
	if to.Addr().Is6() {
		from = netip.AddrPortFrom(h.v6, port)
	}
	d := net.Dialer{Timeout: patience, LocalAddr: net.TCPAddrFromAddrPort(from), Control: reuseAddress}
	if network == "udp" {
		d = net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from)}
	}
	h.Do(func() { c, err = d.Dial(network, to.String()) })
	if err == nil {
		c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// mustDial is dial for connections that have to succeed, closed with the test.
func (h *host) mustDial(t *testing.T, network string, to netip.AddrPort, port uint16) net.Conn {
	t.Helper()
	c, err := h.dial(network, to, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
