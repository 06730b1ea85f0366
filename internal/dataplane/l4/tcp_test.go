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
	f, err := e.NewTCP(frontend(o), p, nil)
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
	f, err := newEngine(t, Options{}).NewTCP(sf, pool.NewStatic(target("a", server(t, echo))), nil)
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
	_, err := e.NewTCP(sf, p, nil)
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
	again, err := e.NewTCP(sf, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, dial(t, again), "x")
}

func TestClosedEngineRefuses(t *testing.T) {
	e := newEngine(t, Options{})
	e.Close()
	if _, err := e.NewTCP(frontend(spec.TCPOptions{}), pool.NewStatic(), nil); !errors.Is(err, errClosed) {
		t.Errorf("%v", err)
	}
}
