package l4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// newEngine starts an engine whose descriptors must all be gone in the end.
func newEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Loops == 0 {
		o.Loops = 2
	}
	before := descriptors(t)
	e, err := NewEngine(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		if n := e.budget.Used(); n != 0 {
			t.Errorf("%d descriptors are still taken from the budget", n)
		}
		eventually(t, "descriptors to be closed", func() bool { return descriptors(t) <= before })
	})
	return e
}

// frontend is a spec on a free port.
func frontend(o spec.TCPOptions) spec.Frontend {
	return spec.Frontend{
		ID:     spec.FrontendID{Instance: "lb-test", Protocol: spec.TCP, Port: 80},
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		TCP:    &o,
	}
}

func listen(t testing.TB, e *Engine, o spec.TCPOptions, p *pool.Pool) *TCP {
	t.Helper()
	f, err := e.NewTCP(frontend(o), p)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// server runs serve for each connection until the test ends.
func server(t testing.TB, serve func(c *net.TCPConn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns = map[net.Conn]bool{}
		ended bool
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if ended {
				mu.Unlock()
				c.Close()
				return
			}
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				serve(c.(*net.TCPConn))
				c.Close()
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		ended = true
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func echo(c *net.TCPConn) { io.Copy(onlyWriter{c}, onlyReader{c}) }

// The copies of a test must not splice in Go's own way.
type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

// named answers each connection with its name and ends it.
func named(name string) func(c *net.TCPConn) {
	return func(c *net.TCPConn) { io.WriteString(c, name) }
}

func target(id string, addr netip.AddrPort) spec.Target {
	return spec.Target{ID: id, Addr: addr, Weight: 100}
}

// closedPort is an address that refuses connections.
func closedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func dial(t testing.TB, f *TCP) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// exchange sends text and expects it back.
func exchange(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("%q, %v; want %q", got, err, text)
	}
}

// answer is all that one connection gives.
func answer(t testing.TB, f *TCP) string {
	t.Helper()
	c := dial(t, f)
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func expectReset(t testing.TB, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d, %v; want a reset", n, err)
	}
}

// expectRefusal dials and expects the connection to be reset, be it before the
// dial has returned.
func expectRefusal(t testing.TB, f *TCP) {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("dial: %v", err)
		}
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	expectReset(t, c)
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited in vain for %s", what)
			return
		}
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestEcho(t *testing.T) {
	p := pool.NewStatic(target("a", server(t, echo)))
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, p)
	for i := range 20 {
		c := dial(t, f)
		for k := range 20 {
			exchange(t, c, fmt.Sprintf("%d and %d", i, k))
		}
		if facts := f.Facts(); !facts.Listening || facts.ActiveConnections != 1 {
			t.Errorf("facts = %+v", facts)
		}
		c.Close()
		eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
	}
	facts := f.Facts()
	if facts.NewConnections != 20 || facts.DropConnections != 0 || facts.BytesIn == 0 || facts.BytesIn != facts.BytesOut {
		t.Errorf("facts = %+v", facts)
	}
	if tf := p.Facts()[0]; tf.Active != 0 || tf.Total != 20 {
		t.Errorf("target facts = %+v", tf)
	}
}

func TestServerSpeaksFirst(t *testing.T) {
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", server(t, named("hello")))))
	for range 10 {
		if got := answer(t, f); got != "hello" {
			t.Errorf("%q", got)
		}
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	l.Close()
	sf := frontend(spec.TCPOptions{})
	sf.Listen = netip.MustParseAddrPort("[::1]:0")
	f, err := newEngine(t, Options{}).NewTCP(sf, pool.NewStatic(target("a", server(t, echo))))
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, dial(t, f), "over IPv6")
}

func TestBindErrorIsTyped(t *testing.T) {
	e := newEngine(t, Options{})
	p := pool.NewStatic()
	first := listen(t, e, spec.TCPOptions{}, p)
	sf := frontend(spec.TCPOptions{})
	sf.Listen = first.Addr()
	_, err := e.NewTCP(sf, p)
	var be *sock.BindError
	if !errors.As(err, &be) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
}

func TestHalfCloseByClient(t *testing.T) {
	addr := server(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c) // until the client's end
		fmt.Fprintf(c, "got %d", len(b))
	})
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
	for _, size := range []int{0, 1, 300_000} {
		c := dial(t, f)
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		b, err := io.ReadAll(c)
		if want := fmt.Sprintf("got %d", size); err != nil || string(b) != want {
			t.Errorf("%q, %v; want %q", b, err, want)
		}
	}
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
}

func TestHalfCloseByServer(t *testing.T) {
	got := make(chan int, 1)
	addr := server(t, func(c *net.TCPConn) {
		io.WriteString(c, "bye")
		c.CloseWrite()
		b, _ := io.ReadAll(c)
		got <- len(b)
	})
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
	c := dial(t, f)
	if b, err := io.ReadAll(c); err != nil || string(b) != "bye" {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := c.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	if n := <-got; n != 100_000 {
		t.Errorf("the server got %d bytes after its end", n)
	}
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
}

func TestResetByServerReachesClientAfterItsData(t *testing.T) {
	addr := server(t, func(c *net.TCPConn) {
		c.Read(make([]byte, 1))
		io.WriteString(c, "refused")
		time.Sleep(20 * time.Millisecond) // the data is to arrive before the reset
		c.SetLinger(0)
	})
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
	c := dial(t, f)
	io.WriteString(c, "x")
	got := make([]byte, 7)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "refused" {
		t.Errorf("%q, %v", got, err)
	}
	expectReset(t, c)
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
}

func TestResetByClientReachesServer(t *testing.T) {
	result := make(chan error, 2)
	addr := server(t, func(c *net.TCPConn) {
		_, err := io.ReadFull(c, make([]byte, 2))
		result <- err
		_, err = c.Read(make([]byte, 1))
		result <- err
	})
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
	c := dial(t, f)
	io.WriteString(c, "hi")
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	c.SetLinger(0)
	c.Close()
	if err := <-result; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v", err)
	}
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
}

// A reset by the server must not take back what it had sent before.
func TestResetByServerWaitsForSlowClient(t *testing.T) {
	const size = 256 << 10
	reset := make(chan struct{})
	addr := server(t, func(c *net.TCPConn) {
		c.Write(make([]byte, size))
		<-reset
		c.SetLinger(0)
	})
	p := pool.NewStatic(target("a", addr))
	f := listen(t, newEngine(t, Options{Loops: 1}), spec.TCPOptions{}, p)
	c := dial(t, f)
	eventually(t, "the data", func() bool { return f.Facts().BytesOut == size })
	close(reset)
	conns := f.ports[0]
	eventually(t, "the reset", func() (parted bool) {
		conns.worker.loop.Do(func() { parted = conns.conns == nil || conns.conns.state == parting })
		return parted
	})
	if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
		t.Error(err)
	}
	expectReset(t, c)
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 && p.Facts()[0].Active == 0 })
}

// A client that ended its stream and then resets has no more to read: only the
// event tells, and the server must not wait for the idle timeout.
func TestResetByClientAfterItsEnd(t *testing.T) {
	result := make(chan error, 1)
	ended := make(chan struct{})
	addr := server(t, func(c *net.TCPConn) {
		io.ReadAll(c)
		close(ended)
		for { // writing tells of the reset, as the stream has ended
			if _, err := c.Write([]byte("x")); err != nil {
				result <- err
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
	c := dial(t, f)
	c.CloseWrite()
	<-ended
	c.SetLinger(0)
	c.Close()
	if err := <-result; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the server saw %v", err)
	}
	silent := server(t, func(c *net.TCPConn) { <-result })
	f.Update(frontend(spec.TCPOptions{}), pool.NewStatic(target("b", silent)))
	c = dial(t, f)
	c.CloseWrite()
	eventually(t, "the end of the stream", func() (seen bool) {
		for _, p := range f.ports {
			p.worker.loop.Do(func() { seen = seen || p.conns != nil && p.conns.client.eof })
		}
		return seen
	})
	c.SetLinger(0)
	c.Close()
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
	close(result)
}

func TestNoServerResetsClient(t *testing.T) {
	disabled := target("a", server(t, echo))
	disabled.Disabled = true
	for name, p := range map[string]*pool.Pool{
		"no pool":      nil,
		"empty pool":   pool.NewStatic(),
		"disabled":     pool.NewStatic(disabled),
		"all refusing": pool.NewStatic(target("a", closedPort(t)), target("b", closedPort(t))),
	} {
		t.Run(name, func(t *testing.T) {
			f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, p)
			for range 5 {
				expectRefusal(t, f)
			}
			eventually(t, "the counts", func() bool {
				facts := f.Facts()
				return facts.DropConnections == 5 && facts.ActiveConnections == 0
			})
			if p == nil {
				return
			}
			for _, tf := range p.Facts() {
				if tf.Active != 0 {
					t.Errorf("%+v", tf)
				}
			}
		})
	}
}

func TestRefusedConnectTriesOthers(t *testing.T) {
	p := pool.NewStatic(
		target("dead-1", closedPort(t)), target("dead-2", closedPort(t)), target("dead-3", closedPort(t)),
		target("alive", server(t, echo)))
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, p)
	for range 40 {
		c := dial(t, f)
		exchange(t, c, "the bytes sent early must reach the server that accepts")
		c.Close()
	}
	if facts := f.Facts(); facts.DropConnections != 0 {
		t.Errorf("facts = %+v", facts)
	}
}

// silentPort is an address where connecting never ends: its queue is full.
func silentPort(t testing.TB) netip.AddrPort {
	t.Helper()
	g, err := sock.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(g.FDs[0], 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	for range 4 {
		fd, errno := sock.Connect(g.Addr)
		if errno != 0 {
			t.Fatal(errno)
		}
		t.Cleanup(func() { sock.Close(fd) })
	}
	return g.Addr
}

func TestConnectTimeoutTriesOthers(t *testing.T) {
	p := pool.NewStatic(target("silent", silentPort(t)), target("alive", server(t, echo)))
	f := listen(t, newEngine(t, Options{ConnectTimeout: 150 * time.Millisecond}), spec.TCPOptions{}, p)
	for range 4 { // round robin: some begin with the silent one
		c := dial(t, f)
		exchange(t, c, "through after all")
		c.Close()
	}
	silent := pool.NewStatic(target("silent", silentPort(t)))
	f = listen(t, newEngine(t, Options{ConnectTimeout: 100 * time.Millisecond}), spec.TCPOptions{}, silent)
	expectRefusal(t, f)
	if facts := f.Facts(); facts.DropConnections != 1 {
		t.Errorf("facts = %+v", facts)
	}
}

func TestClientGivesUpWhileConnecting(t *testing.T) {
	p := pool.NewStatic(target("silent", silentPort(t)))
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, p)
	c := dial(t, f)
	eventually(t, "the connection", func() bool { return f.Facts().ActiveConnections == 1 })
	c.SetLinger(0)
	c.Close()
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 && p.Facts()[0].Active == 0 })
}

func TestIdleTimeoutResetsBothSides(t *testing.T) {
	result := make(chan error, 1)
	addr := server(t, func(c *net.TCPConn) {
		buf := make([]byte, 16)
		for {
			n, err := c.Read(buf)
			if err != nil {
				result <- err
				return
			}
			c.Write(buf[:n])
		}
	})
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{IdleTimeout: 300 * time.Millisecond}, pool.NewStatic(target("a", addr)))
	c := dial(t, f)
	begun := time.Now()
	for time.Since(begun) < 600*time.Millisecond { // traffic keeps it
		exchange(t, c, "x")
		time.Sleep(20 * time.Millisecond)
	}
	quiet := time.Now()
	expectReset(t, c)
	if d := time.Since(quiet); d < 200*time.Millisecond {
		t.Errorf("reset after %v", d)
	}
	if err := <-result; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v", err)
	}
	if facts := f.Facts(); facts.ActiveConnections != 0 || facts.DropConnections != 0 {
		t.Errorf("facts = %+v", facts)
	}
}

func TestUpdateLeavesConnectionsAlone(t *testing.T) {
	e := newEngine(t, Options{})
	first := pool.NewStatic(target("first", server(t, echo)))
	f := listen(t, e, spec.TCPOptions{IdleTimeout: time.Minute}, first)
	c := dial(t, f)
	exchange(t, c, "before")
	second := pool.NewStatic(target("second", server(t, named("second"))))
	f.Update(frontend(spec.TCPOptions{IdleTimeout: time.Hour}), second)
	if got := answer(t, f); got != "second" {
		t.Errorf("a new connection got %q", got)
	}
	first.Update(spec.Pool{ID: "static", Scheduler: spec.WRR}) // its server is removed
	exchange(t, c, "after")
	f.Update(frontend(spec.TCPOptions{}), nil)
	expectRefusal(t, f)
	exchange(t, c, "and still")
}

func TestUpdateUnderTraffic(t *testing.T) {
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", server(t, echo))))
	addr := server(t, echo)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := dial(t, f)
				exchange(t, c, "steady")
				c.Close()
			}
		})
	}
	for i := range 300 {
		f.Update(frontend(spec.TCPOptions{Persistence: time.Duration(i%2) * time.Minute}), pool.NewStatic(target("b", addr)))
		f.Facts()
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	if facts := f.Facts(); facts.DropConnections != 0 {
		t.Errorf("facts = %+v", facts)
	}
}

func TestCloseResetsConnections(t *testing.T) {
	p := pool.NewStatic(target("a", server(t, echo)))
	e := newEngine(t, Options{})
	f := listen(t, e, spec.TCPOptions{}, p)
	other := listen(t, e, spec.TCPOptions{}, p)
	var conns []*net.TCPConn
	for range 50 {
		c := dial(t, f)
		exchange(t, c, "x")
		conns = append(conns, c)
	}
	survivor := dial(t, other)
	exchange(t, survivor, "x")
	if err := f.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns {
		expectReset(t, c)
	}
	if _, err := net.Dial("tcp", f.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after close: %v", err)
	}
	if facts := f.Facts(); facts.Listening || facts.ActiveConnections != 0 {
		t.Errorf("facts = %+v", facts)
	}
	exchange(t, survivor, "another frontend goes on")
	// The address is free at once.
	sf := frontend(spec.TCPOptions{})
	sf.Listen = f.Addr()
	again, err := e.NewTCP(sf, p)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, dial(t, again), "x")
}

func TestClosedEngineRefuses(t *testing.T) {
	e := newEngine(t, Options{})
	e.Close()
	if _, err := e.NewTCP(frontend(spec.TCPOptions{}), pool.NewStatic()); !errors.Is(err, errClosed) {
		t.Errorf("%v", err)
	}
}
