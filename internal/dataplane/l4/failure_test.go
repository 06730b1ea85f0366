package l4

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

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
