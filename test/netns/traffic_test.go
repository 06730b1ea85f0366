package netns

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// echo is a server that says its name and sends everything back. It ends its
// stream when the client ends its own.
func echo(name string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := io.WriteString(c, name+"\n"); err == nil {
			_, _ = io.Copy(c, c)
		}
	}
}

// talk is a connection to an echo server.
type talk struct {
	net.Conn
	r    *bufio.Reader
	name string // of the server
}

// open connects the client and waits for the server's name.
func (w *world) open(port uint16) *talk {
	w.t.Helper()
	c := w.client.mustDial(w.t, "tcp", netip.AddrPortFrom(front4, port), 0)
	k := &talk{Conn: c, r: bufio.NewReader(c)}
	name, err := k.r.ReadString('\n')
	if err != nil {
		w.t.Fatalf("no greeting: %v", err)
	}
	k.name = strings.TrimSpace(name)
	return k
}

// say sends a word and demands it back.
func (k *talk) say(t *testing.T, word string) {
	t.Helper()
	k.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(k, word); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(k.r, got); err != nil || string(got) != word {
		t.Fatalf("%q comes back as %q, %v", word, got, err)
	}
}

// ends waits for the connection's reset and tells how long that took.
func (k *talk) ends(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	k.SetDeadline(begun.Add(patience))
	if _, err := k.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v, want a reset", err)
	}
	return time.Since(begun)
}

// TestNextServer has the first choice refuse, or be silent.
func TestNextServer(t *testing.T) {
	w := newWorld(t, spec.SourceTransparent)
	w.b.serve(t, w.b.v4, 7000, echo("b"))
	last := target("b", w.b.v4, 7000)
	last.Weight = 1 // a is the first choice, but once in 101
	w.apply(spec.Instance{
		Frontends: []spec.Frontend{tcpFrontend(front4, 101, spec.TCPOptions{})},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{target("a", w.a.v4, 7000), last}}},
	})
	for n, fault := range []string{"refuses", "is silent"} {
		if fault == "is silent" {
			w.a.BlackHole()
		}
		for range 2 { // the turns begin anywhere, and b has never two in a row
			k := w.open(101)
			if k.name != "b" {
				t.Errorf("a %s, and %s answers", fault, k.name)
			}
			k.say(t, "hello")
			if w.picks("a") > n {
				break
			}
		}
		if picks := w.picks("a"); picks != n+1 {
			t.Errorf("a was tried %d times", picks)
		}
	}
	if f := w.facts(101); f.DropConnections != 0 {
		t.Errorf("%d dropped", f.DropConnections)
	}
}

// TestMasterAndSlave fails over and back, with connections that stay.
func TestMasterAndSlave(t *testing.T) {
	w := newWorld(t, spec.SourceProxy)
	w.a.serve(t, w.a.v4, 7000, echo("master"))
	w.b.serve(t, w.b.v4, 7000, echo("slave"))
	master, slave := target("a", w.a.v4, 7000), target("b", w.b.v4, 7000)
	slave.Backup, slave.Unchecked = true, true
	w.apply(spec.Instance{
		Frontends: []spec.Frontend{tcpFrontend(front4, 101, spec.TCPOptions{})},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Check: check(spec.CheckTCP), Targets: []spec.Target{master, slave}}},
	})
	w.eventually("the master is well", func() bool { return w.health("a") == spec.HealthUp })
	first := w.open(101)
	if first.name != "master" {
		t.Errorf("%s answers, and the master is well", first.name)
	}
	end := w.a.BlackHole()
	w.eventually("the master is down", func() bool { return w.health("a") == spec.HealthDown })
	second := w.open(101)
	if second.name != "slave" {
		t.Errorf("%s answers after the failover", second.name)
	}
	end()
	first.say(t, "still here") // it was held up, no more
	w.eventually("the master is well again", func() bool { return w.health("a") == spec.HealthUp })
	if k := w.open(101); k.name != "master" {
		t.Errorf("%s answers after the fail-back", k.name)
	}
	second.say(t, "still here")
	if h := w.health("b"); h != spec.HealthUnknown {
		t.Errorf("the slave is judged: %d", h)
	}
}

// TestDrain ends the connections of a server that may have no new ones, in each
// case, and leaves them alone without draining.
func TestDrain(t *testing.T) {
	w := newWorld(t, spec.SourceProxy)
	const drain = 300 * time.Millisecond
	a, b := target("a", w.a.v4, 7000), target("b", w.b.v4, 7000)
	weightless := a
	weightless.Weight = 0
	w.b.serve(t, w.b.v4, 7000, echo("b"))
	for i, row := range []struct {
		name   string
		drain  time.Duration
		after  []spec.Target // of the group; nil: the server's fault alone
		health bool
	}{
		{"removed", drain, []spec.Target{b}, false},
		{"weight 0", drain, []spec.Target{weightless, b}, false},
		{"unhealthy", drain, nil, true},
		{"removed, no drain", 0, []spec.Target{b}, false},
		{"weight 0, no drain", 0, []spec.Target{weightless, b}, false},
		{"unhealthy, no drain", 0, nil, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			outer := w.t
			w.t = t
			defer func() { w.t = outer }()
			// The server sees the end too; its checks are on a port of their own.
			ends := make(chan error, 10)
			w.a.serve(t, w.a.v4, 7000, func(c net.Conn) {
				_, _ = io.WriteString(c, "a\n")
				_, err := io.Copy(c, c)
				ends <- err
			})
			stop := w.a.serve(t, w.a.v4, 7001, func(net.Conn) {})
			port := uint16(100 + i)
			instance := func(targets ...spec.Target) spec.Instance {
				p := spec.Pool{ID: row.name, Scheduler: spec.WRR, Targets: targets}
				if row.health {
					p.Check = check(spec.CheckTCP)
					p.Check.Port = 7001
				}
				return spec.Instance{Pools: []spec.Pool{p}, Frontends: []spec.Frontend{tcpFrontend(front4, port, spec.TCPOptions{Drain: row.drain})}}
			}
			if row.health {
				stop2 := w.b.serve(t, w.b.v4, 7001, func(net.Conn) {})
				defer stop2()
			}
			w.apply(instance(a))
			if row.health {
				w.eventually("the server is well", func() bool { return w.health("a") == spec.HealthUp })
			}
			old := w.open(port)
			begun := time.Now()
			if row.after != nil {
				w.apply(instance(row.after...))
			} else {
				w.apply(instance(a, b))
				stop()
				w.eventually("the servers are told apart", func() bool { return w.health("a") == spec.HealthDown && w.health("b") == spec.HealthUp })
			}
			for range 3 {
				if k := w.open(port); k.name != "b" {
					t.Errorf("a new connection gets %s", k.name)
				}
			}
			if row.drain == 0 {
				time.Sleep(2 * drain)
				old.say(t, "still here")
				return
			}
			old.ends(t)
			if took := time.Since(begun); took < drain {
				t.Errorf("cut after %v", took)
			}
			select {
			case err := <-ends:
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the server sees %v, want a reset", err)
				}
			case <-time.After(patience):
				t.Error("the server sees no end")
			}
		})
	}
}

// A connection without traffic is reset to both sides when its time is over.
func TestIdleConnection(t *testing.T) {
	w := newWorld(t, spec.SourceTransparent)
	ends := make(chan error, 1)
	w.a.serve(t, w.a.v4, 7000, func(c net.Conn) {
		_, _ = io.WriteString(c, "a\n")
		_, err := io.Copy(c, c)
		ends <- err
	})
	const idle = 700 * time.Millisecond
	w.apply(spec.Instance{
		Frontends: []spec.Frontend{tcpFrontend(front4, 101, spec.TCPOptions{IdleTimeout: idle})},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{target("a", w.a.v4, 7000)}}},
	})
	k := w.open(101)
	for range 4 { // traffic keeps it
		time.Sleep(idle / 3)
		k.say(t, "x")
	}
	if took := k.ends(t); took < idle*9/10 {
		t.Errorf("reset after %v", took)
	}
	if err := <-ends; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server sees %v, want a reset", err)
	}
}

// Each side may end its stream and still receive.
func TestHalfClose(t *testing.T) {
	w := newWorld(t, spec.SourceTransparent)
	w.a.serve(t, w.a.v4, 7000, func(c net.Conn) { // answers after the client's end
		all, _ := io.ReadAll(c)
		_, _ = c.Write(all)
	})
	got := make(chan string, 1)
	w.a.serve(t, w.a.v4, 7001, func(c net.Conn) { // ends first and listens on
		_ = c.(*net.TCPConn).CloseWrite()
		all, _ := io.ReadAll(c)
		got <- string(all)
	})
	instance := spec.Instance{}
	for _, port := range []uint16{7000, 7001} {
		p := spec.Pool{ID: netip.AddrPortFrom(w.a.v4, port).String(), Scheduler: spec.WRR, Targets: []spec.Target{target("a", w.a.v4, port)}}
		f := tcpFrontend(front4, port, spec.TCPOptions{})
		f.Pool = p.ID
		instance.Pools, instance.Frontends = append(instance.Pools, p), append(instance.Frontends, f)
	}
	w.apply(instance)
	c := w.client.mustDial(t, "tcp", netip.AddrPortFrom(front4, 7000), 0).(*net.TCPConn)
	_, _ = io.WriteString(c, "question")
	_ = c.CloseWrite()
	if all, err := io.ReadAll(c); err != nil || string(all) != "question" {
		t.Errorf("after its end the client gets %q, %v", all, err)
	}
	c = w.client.mustDial(t, "tcp", netip.AddrPortFrom(front4, 7001), 0).(*net.TCPConn)
	if all, err := io.ReadAll(c); err != nil || len(all) > 0 {
		t.Errorf("the server's end arrives as %q, %v", all, err)
	}
	_, _ = io.WriteString(c, "afterwards")
	_ = c.Close()
	if text := <-got; text != "afterwards" {
		t.Errorf("after its end the server gets %q", text)
	}
}

// A cable that is out for a moment costs time and nothing else, whichever it is.
func TestLinkDownAndUp(t *testing.T) {
	w := newWorld(t, spec.SourceTransparent)
	w.a.serve(t, w.a.v4, 7000, echo("a"))
	w.apply(spec.Instance{
		Frontends: []spec.Frontend{tcpFrontend(front4, 101, spec.TCPOptions{})},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{target("a", w.a.v4, 7000)}}},
	})
	k := w.open(101)
	for _, h := range []*host{w.a, w.client} {
		h.Down("eth0")
		if _, err := io.WriteString(k, h.Name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		h.Up("eth0")
		h.Default(strings.Replace(h.v4.String(), ".0.2", ".0.1", 1))
		got := make([]byte, len(h.Name))
		if _, err := io.ReadFull(k.r, got); err != nil || string(got) != h.Name {
			t.Errorf("after the link of %s was down: %q, %v", h.Name, got, err)
		}
	}
}

// Groups share hosts, and one server may be in a group with several ports. A
// listener that changes its group keeps its connections.
func TestGroups(t *testing.T) {
	w := newWorld(t, spec.SourceTransparent)
	w.a.serve(t, w.a.v4, 7000, echo("a0"))
	w.a.serve(t, w.a.v4, 7001, echo("a1"))
	w.b.serve(t, w.b.v4, 7000, echo("b0"))
	first := spec.Pool{ID: "rsp-1", Scheduler: spec.RR, Targets: []spec.Target{target("a", w.a.v4, 7000), target("a", w.a.v4, 7001)}}
	second := spec.Pool{ID: "rsp-2", Scheduler: spec.RR, Targets: []spec.Target{target("b", w.b.v4, 7000)}}
	front := tcpFrontend(front4, 101, spec.TCPOptions{})
	front.Pool = first.ID
	w.apply(spec.Instance{Frontends: []spec.Frontend{front}, Pools: []spec.Pool{first, second}})
	seen := map[string]int{}
	var kept []*talk
	for range 6 {
		k := w.open(101)
		seen[k.name]++
		kept = append(kept, k)
	}
	if seen["a0"] != 3 || seen["a1"] != 3 {
		t.Errorf("the first group: %v", seen)
	}
	front.Pool = second.ID
	w.apply(spec.Instance{Frontends: []spec.Frontend{front}, Pools: []spec.Pool{first, second}})
	if k := w.open(101); k.name != "b0" {
		t.Errorf("the second group: %s", k.name)
	}
	for _, k := range kept {
		k.say(t, "still here")
	}
}
