package l4

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

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
	expectAnswers(t, u, 2)
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
	last := u.now.Swap(&settings{pool: new(pool.Pool)})
	other := udpClient(t, u)
	other.Write([]byte("this one panics"))
	u.ports[0].worker.loop.Do(func() {})
	turns := int64(0)
	eventually(t, "the turn", func() bool {
		u.ports[0].worker.loop.Do(func() { turns = u.ports[0].worker.loop.Turn() })
		return turns > 4
	})
	u.now.Store(last)
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
