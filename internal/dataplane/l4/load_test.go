package l4

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestManyConnections(t *testing.T) {
	const conns = 2000
	e := newEngine(t, Options{})
	f := listen(t, e, spec.TCPOptions{}, pool.NewStatic(target("a", server(t, echo)), target("b", server(t, echo))))
	before := runtime.NumGoroutine()
	open := make([]*net.TCPConn, conns)
	for i := range open {
		open[i] = dial(t, f)
	}
	for range 2 {
		for _, c := range open {
			if _, err := io.WriteString(c, "ping"); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 4)
		for _, c := range open {
			if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "ping" {
				t.Fatalf("%q, %v", buf, err)
			}
		}
	}
	facts := f.Facts()
	if facts.ActiveConnections != conns || facts.NewConnections != conns {
		t.Errorf("facts = %+v", facts)
	}
	// The servers of this test have a goroutine for each connection.
	if n := runtime.NumGoroutine() - before - conns; n > 20 {
		t.Errorf("%d goroutines more than the servers'", n)
	}
	for _, p := range f.ports {
		if n := p.active.Load(); n == 0 {
			t.Error("one loop has no connections")
		}
	}
	for _, c := range open {
		c.Close()
	}
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
}

func TestAcceptStorm(t *testing.T) {
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", server(t, named("hello")))))
	const (
		clients = 32
		each    = 60
	)
	var (
		wg   sync.WaitGroup
		good atomic.Int64
	)
	for range clients {
		wg.Go(func() {
			for range each {
				c, err := net.Dial("tcp", f.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(patience))
				if b, err := io.ReadAll(c); err == nil && string(b) == "hello" {
					good.Add(1)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	if good.Load() != clients*each {
		t.Errorf("%d of %d were served", good.Load(), clients*each)
	}
	eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
}

func TestBudgetRefusesBeyond(t *testing.T) {
	e := newEngine(t, Options{Loops: 1, Budget: loop.NewBudgetOf(8)})
	if e.Connections() != 4 {
		t.Errorf("room for %d", e.Connections())
	}
	f := listen(t, e, spec.TCPOptions{}, pool.NewStatic(target("a", server(t, echo))))
	var open []*net.TCPConn
	for range 3 {
		c := dial(t, f)
		exchange(t, c, "x")
		open = append(open, c)
	}
	expectRefusal(t, f)
	if facts := f.Facts(); facts.DropConnections != 1 || facts.ShortConnections != 1 || facts.ActiveConnections != 3 {
		t.Errorf("facts = %+v", facts)
	}
	open[0].Close()
	eventually(t, "room", func() bool { return f.Facts().ActiveConnections == 2 })
	exchange(t, dial(t, f), "x")
	if _, err := e.NewTCP(frontend(spec.TCPOptions{}), nil, nil); err != nil {
		t.Error(err) // the eighth
	}
	if _, err := e.NewTCP(frontend(spec.TCPOptions{}), nil, nil); !errors.Is(err, syscall.EMFILE) {
		t.Error(err)
	}
}

// A panic costs the connection it happens in, and nothing else.
func TestPanicEndsOneConnection(t *testing.T) {
	e := newEngine(t, Options{Loops: 1})
	w := e.workers[0]
	p := pool.NewStatic(target("a", server(t, echo)))
	f := listen(t, e, spec.TCPOptions{}, p)
	other := dial(t, f)
	exchange(t, other, "x")
	buffer := w.loop.Buffer
	for name, damage := range map[string]func(c *conn){
		"in a timer": func(c *conn) {
			c.settings = nil
			w.loop.Arm(&c.timer, 0)
		},
		"in a read": func(c *conn) {
			c.client.readable = true
			w.loop.Again(c.client.handle, 0)
			w.loop.Buffer = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, f)
			exchange(t, c, "x")
			w.loop.Do(func() { damage(f.ports[0].conns) })
			expectReset(t, c)
			w.loop.Do(func() { w.loop.Buffer = buffer })
			exchange(t, other, "goes on")
		})
	}
	t.Run("in an accept", func(t *testing.T) {
		settings := f.now.Swap(&settings{pool: new(pool.Pool)})
		expectRefusal(t, f)
		f.now.Store(settings)
		exchange(t, other, "goes on")
	})
	if facts := f.Facts(); facts.ActiveConnections != 1 || p.Facts()[0].Active != 1 {
		t.Errorf("%+v, %+v", facts, p.Facts())
	}
}

// Out of descriptors, accepting rests and goes on when there are some again.
func TestOutOfDescriptors(t *testing.T) {
	e := newEngine(t, Options{Loops: 1})
	f := listen(t, e, spec.TCPOptions{}, pool.NewStatic(target("a", server(t, echo))))
	exchange(t, dial(t, f), "x")

	held, release := make(chan struct{}), make(chan struct{})
	e.workers[0].loop.Post(func() { close(held); <-release })
	<-held
	c := dial(t, f) // in the queue while the loop is held
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	close(release)
	var turns, later int64
	e.workers[0].loop.Do(func() { turns = e.workers[0].loop.Turn() })
	time.Sleep(100 * time.Millisecond) // two rests
	e.workers[0].loop.Do(func() { later = e.workers[0].loop.Turn() })
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if later-turns > 20 {
		t.Errorf("the loop turned %d times for a connection it cannot accept", later-turns)
	}
	exchange(t, c, "accepted after all")
}

// from dials f from a source address of the loopback network.
func from(t *testing.T, f *TCP, source string) string {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0)), Timeout: patience}
	c, err := d.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPersistence(t *testing.T) {
	targets := []spec.Target{
		target("a", server(t, named("a"))), target("b", server(t, named("b"))), target("c", server(t, named("c"))),
	}
	p := pool.NewStatic(targets...)
	o := spec.TCPOptions{Persistence: time.Minute}
	f := listen(t, newEngine(t, Options{}), o, p)
	first := map[string]string{}
	for _, source := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		first[source] = from(t, f, source)
	}
	if first["127.0.0.2"] == first["127.0.0.3"] {
		t.Errorf("two clients in turn got one server: %v", first)
	}
	for range 5 {
		for source, want := range first {
			if got := from(t, f, source); got != want {
				t.Errorf("%s came to %s, then to %s", source, want, got)
			}
		}
	}
	// A server that may have no new connections is left, and the choice stays.
	gone := first["127.0.0.2"]
	for i := range targets {
		if targets[i].ID == gone {
			targets[i].Weight = 0
		}
	}
	p.Update(spec.Pool{ID: "static", Scheduler: spec.WRR, Targets: targets})
	next := from(t, f, "127.0.0.2")
	if next == gone {
		t.Errorf("still %s, which has no weight", gone)
	}
	for range 5 {
		if got := from(t, f, "127.0.0.2"); got != next {
			t.Errorf("%s, then %s", next, got)
		}
	}
	// Off means off.
	f.Update(frontend(spec.TCPOptions{}), p)
	seen := map[string]bool{}
	for range 4 {
		seen[from(t, f, "127.0.0.2")] = true
	}
	if len(seen) != 2 {
		t.Errorf("without persistence: %v", seen)
	}
}

func TestSourceHash(t *testing.T) {
	var targets []spec.Target
	for _, name := range []string{"a", "b", "c", "d"} {
		targets = append(targets, target(name, server(t, named(name))))
	}
	p := pool.New(spec.Pool{ID: "p", Scheduler: spec.SCH, Targets: targets}, nil)
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, p)
	servers := map[string]bool{}
	for i := range 16 {
		source := netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}).String()
		want := from(t, f, source)
		servers[want] = true
		for range 3 {
			if got := from(t, f, source); got != want {
				t.Errorf("%s: %s, then %s", source, want, got)
			}
		}
	}
	if len(servers) < 2 {
		t.Errorf("all clients came to %v", servers)
	}
	p.Update(spec.Pool{ID: "p", Scheduler: spec.TCH, Targets: targets})
	clear(servers)
	for range 24 {
		servers[from(t, f, "127.0.1.1")] = true
	}
	if len(servers) < 2 {
		t.Errorf("all flows of a client came to %v under tch", servers)
	}
}

func TestAffinityTableIsBounded(t *testing.T) {
	a := newAffinity()
	p := pool.NewStatic(target("a", netip.MustParseAddrPort("127.0.0.1:1")))
	m := p.Pick(0)
	second := pool.NewStatic(target("b", netip.MustParseAddrPort("127.0.0.1:2"))).Pick(0)
	client := netip.MustParseAddr("192.0.2.1")
	if a.put(client, m, 0, 10) != m || a.put(client, second, 1, 10) != m {
		t.Error("of two loops at once, the first must win")
	}
	if a.replace(client, second, 2); a.get(client, 3, 10) != second {
		t.Error("a replacement is not recorded")
	}
	if a.get(client, 12, 10) != second || a.get(client, 21, 10) != second || a.get(client, 31, 10) != nil {
		t.Error("the time does not count from the last use")
	}
	size := func() (n int) {
		for i := range a.shards {
			n += len(a.shards[i].entries)
		}
		return n
	}
	const keep = int64(time.Hour)
	for i := range 200_000 {
		a.put(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), m, int64(i), keep)
	}
	if n := size(); n > 65536 || n < 60000 {
		t.Errorf("%d entries", n)
	}
	last := netip.AddrFrom4([4]byte{10, byte(199_999 >> 16), byte(199_999 >> 8 & 0xff), byte(199_999 & 0xff)})
	if a.get(last, 200_000, keep) != m {
		t.Error("the newest entry is gone")
	}
	if a.get(last, 200_000+keep, keep) != nil {
		t.Error("an entry outlived its time")
	}
	// New entries push out those whose time is over.
	for i := range 100_000 {
		a.put(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), m, 10*keep, 2*keep)
		if i == 20_000 && size() > 50_000 {
			t.Errorf("%d entries, most of them out of date", size())
		}
	}
	p.Update(spec.Pool{ID: "static", Scheduler: spec.WRR})
	if a.get(netip.MustParseAddr("11.0.0.1"), 10*keep, keep) != nil {
		t.Error("a removed server is still given")
	}
}

// allocations counts the allocations of the whole process for each of n calls.
// testing.AllocsPerRun would not do: it leaves Go one processor, on which a
// goroutine that waits busily keeps the poller from being asked.
func allocations(n int, f func()) float64 {
	f()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// noise is what the runtime and the test framework may allocate meanwhile.
const noise = 0.05

// await waits until a socket can be read, without allocating.
func await(t *testing.T, fd int) {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(p[:], int(patience.Milliseconds())); err != nil && err != unix.EINTR {
		t.Fatal(err)
	}
}

func TestRelayDoesNotAllocate(t *testing.T) {
	// The other ends are raw sockets, as Go's own would allocate.
	back, err := sock.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	f := listen(t, newEngine(t, Options{Loops: 1}), spec.TCPOptions{}, pool.NewStatic(target("a", back.Addr)))
	buf := make([]byte, 64)
	connect := func() (client, server int) {
		client, errno := sock.Connect(f.Addr())
		if errno != 0 {
			t.Fatal(errno)
		}
		for {
			fd, _, errno := sock.Accept(back.FDs[0])
			if errno == 0 {
				return client, fd
			}
			if errno != syscall.EAGAIN {
				t.Fatal(errno)
			}
			await(t, back.FDs[0])
		}
	}
	receive := func(fd, want int) {
		for want > 0 {
			n, errno := sock.Recv(fd, buf)
			if errno != 0 && errno != syscall.EAGAIN {
				t.Fatal(errno)
			}
			if want -= n; want > 0 {
				await(t, fd)
			}
		}
	}
	c, s := connect()
	if n := allocations(500, func() {
		sock.Send(c, buf)
		receive(s, len(buf))
		sock.Send(s, buf)
		receive(c, len(buf))
	}); n > noise {
		t.Errorf("%v allocations for one exchange", n)
	}
	sock.Close(c)
	sock.Close(s)
	if n := allocations(500, func() {
		c, s := connect()
		sock.Send(c, buf)
		receive(s, len(buf))
		sock.Close(s)
		sock.Close(c)
		for f.Facts().ActiveConnections > 0 {
			unix.Poll(nil, 1)
		}
	}); n > noise {
		t.Errorf("%v allocations for one connection", n)
	}
}
