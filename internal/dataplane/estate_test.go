package dataplane

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

var quiet = slog.New(slog.DiscardHandler)

// heirOf starts an engine that takes over from e what another process would.
func heirOf(t *testing.T, e *Engine, o Options, change ...func(*Estate)) *Engine {
	t.Helper()
	estate, fds := e.Bequeath()
	text, err := json.Marshal(estate)
	if err != nil {
		t.Fatal(err)
	}
	o.Estate = new(Estate)
	if err := json.Unmarshal(text, o.Estate); err != nil {
		t.Fatal(err)
	}
	o.FDs = copies(t, fds)
	for _, c := range change {
		c(o.Estate)
	}
	return New(o)
}

func copies(t *testing.T, fds []int) (out []int) {
	t.Helper()
	for _, fd := range fds {
		c, err := sock.Copy(fd)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// pass makes heir the one that serves.
func pass(t *testing.T, e, heir *Engine) {
	t.Helper()
	e.Hold()
	if err := e.Memories(func(id spec.FrontendID, memory []byte, fds []int) error {
		return heir.Recall(id, memory, copies(t, fds))
	}); err != nil {
		t.Fatal(err)
	}
	if err := heir.Resume(); err != nil {
		t.Fatal(err)
	}
	e.Leave()
}

// TestEstate passes an instance on while it is used over TCP, HTTP and UDP. Its
// checks are so slow that only inherited verdicts can let traffic through.
func TestEstate(t *testing.T) {
	testutil.NoLeaks(t)
	vip := testutil.AddressPool(t).Addr().Next()
	line, _ := lineServer(t, "line")
	lineTwo, stopTwo := lineServer(t, "two")
	web := webServer(t, "web")
	datagram, _ := datagramServer(t, "datagram")

	slow := func(kind spec.CheckKind) *spec.Check {
		c := &spec.Check{Kind: kind, Timeout: time.Second, Interval: time.Hour, Healthy: 1, Unhealthy: 1}
		if kind == spec.CheckUDP {
			c.Request, c.Expect = "alive", "yes"
		}
		return c
	}
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(vip, port) }
	inst := &spec.Instance{
		ID: "lb",
		Frontends: []spec.Frontend{
			{ID: spec.FrontendID{Instance: "lb", Protocol: spec.TCP, Port: 10080}, Listen: at(10080), Pool: "tcp", TCP: &spec.TCPOptions{}},
			{ID: spec.FrontendID{Instance: "lb", Protocol: spec.HTTP, Port: 10081}, Listen: at(10081), Pool: "http", HTTP: &spec.HTTPOptions{IdleTimeout: 2 * time.Second, RequestTimeout: time.Minute}},
			{ID: spec.FrontendID{Instance: "lb", Protocol: spec.UDP, Port: 10053}, Listen: at(10053), Pool: "udp", UDP: &spec.UDPOptions{}},
		},
		Pools: []spec.Pool{
			{ID: "tcp", Scheduler: spec.RR, Check: slow(spec.CheckTCP), Targets: []spec.Target{{ID: "i-1", Addr: line, Weight: 100}, {ID: "i-2", Addr: lineTwo, Weight: 100}}},
			{ID: "http", Scheduler: spec.WRR, Check: slow(spec.CheckTCP), Targets: []spec.Target{{ID: "i-3", Addr: web, Weight: 100}}},
			{ID: "udp", Scheduler: spec.RR, Check: slow(spec.CheckUDP), Targets: []spec.Target{{ID: "i-4", Addr: datagram, Weight: 100}}},
		},
	}
	stopTwo() // so that there is a verdict of each kind
	now := New(Options{Loops: 2, Logger: quiet})
	defer func() { _ = now.Close(context.Background()) }()
	mustApply(t, now, "lb", inst)
	decided := func(e *Engine) (up, down int) {
		for _, f := range e.TargetFacts("lb") {
			switch f.Health {
			case spec.HealthUp:
				up++
			case spec.HealthDown:
				down++
			}
		}
		return up, down
	}
	testutil.Eventually(t, 20*time.Second, "verdicts", func() bool { up, down := decided(now); return up == 3 && down == 1 })

	var stop atomic.Bool
	var clients sync.WaitGroup
	var asked [3]atomic.Int64
	keep := func(n int, try func() error) {
		clients.Go(func() {
			for !stop.Load() {
				if err := try(); err != nil {
					t.Error(err)
					return
				}
				asked[n].Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	keep(0, func() error {
		c, err := net.Dial("tcp", at(10080).String())
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		got, err := (&client{c, bufio.NewReader(c)}).ask()
		if err != nil || got != "line" {
			return fmt.Errorf("tcp: %q, %w", got, err)
		}
		return nil
	})
	web1 := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	defer web1.CloseIdleConnections()
	keep(1, func() error {
		answer, err := web1.Get("http://" + at(10081).String())
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 200 || string(body) != "web" {
			return fmt.Errorf("http: %s, %q, %w", answer.Status, body, err)
		}
		return nil
	})
	flow, err := net.Dial("udp", at(10053).String())
	if err != nil {
		t.Fatal(err)
	}
	defer flow.Close()
	keep(2, func() error {
		buf := make([]byte, 100)
		_ = flow.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(flow, "who")
		if n, err := flow.Read(buf); err != nil || string(buf[:n]) != "datagram" {
			return fmt.Errorf("udp: %q, %w", buf[:n], err)
		}
		return nil
	})
	all := func() {
		for i := range asked {
			before := asked[i].Load()
			testutil.Eventually(t, 20*time.Second, "traffic", func() bool { return asked[i].Load() > before+10 || t.Failed() })
		}
	}
	all()
	idle, busy := dial(t, at(10081)), dial(t, at(10080))
	if _, err := busy.ask(); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, 20*time.Second, "the idle connection to be there", func() bool { return now.FrontendFacts()[2].ActiveConnections >= 2 })

	for round := range 3 {
		heir := heirOf(t, now, Options{Loops: 1 + round, Logger: quiet})
		// Its first configuration may come in any order; nothing is bound anew, which
		// would be refused.
		mustApply(t, heir, "lb", inst)
		if up, down := decided(heir); up != 3 || down != 1 {
			t.Errorf("the heir knows %d targets up and %d down", up, down)
		}
		if round == 1 { // one that gives up leaves no trace
			if err := heir.Close(t.Context()); err != nil {
				t.Error(err)
			}
			now.Hold()
			if err := now.Resume(); err != nil {
				t.Fatal(err)
			}
			all()
			continue
		}
		pass(t, now, heir)
		all()
		old := now
		now = heir
		if round == 0 {
			// An idle connection may have one more request, whose answer says goodbye.
			fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, err := http.ReadResponse(idle.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "web" || !answer.Close {
				t.Errorf("answer %q, close %v, %v", body, answer.Close, err)
			}
			if _, err := busy.ask(); err != nil {
				t.Errorf("a connection that is open: %v", err)
			}
			busy.Close()
		}
		testutil.Eventually(t, 20*time.Second, "the old connections' end", func() bool { return old.Active() == 0 })
		if err := old.Close(t.Context()); err != nil {
			t.Error(err)
		}
		all()
	}
	stop.Store(true)
	clients.Wait()
	if t.Failed() {
		for _, f := range now.FrontendFacts() {
			t.Logf("%+v", f)
		}
	}
}

// TestEstateOfAnotherMind takes over where the configuration differs: checks with
// other settings, listeners that came and went.
func TestEstateOfAnotherMind(t *testing.T) {
	testutil.NoLeaks(t)
	vip := testutil.AddressPool(t).Addr().Next()
	up, _ := lineServer(t, "up")
	down, stopDown := lineServer(t, "down")
	stopDown()
	inst := func(interval time.Duration, ports ...uint16) *spec.Instance {
		in := &spec.Instance{ID: "lb", Pools: []spec.Pool{{ID: "p", Scheduler: spec.RR,
			Check:   &spec.Check{Kind: spec.CheckTCP, Timeout: time.Second, Interval: interval, Healthy: 3, Unhealthy: 1},
			Targets: []spec.Target{{ID: "i-1", Addr: up, Weight: 100}, {ID: "i-2", Addr: down, Weight: 100}}}}}
		for _, p := range ports {
			in.Frontends = append(in.Frontends, spec.Frontend{ID: spec.FrontendID{Instance: "lb", Protocol: spec.TCP, Port: p}, Listen: netip.AddrPortFrom(vip, p), Pool: "p", TCP: &spec.TCPOptions{}})
		}
		return in
	}
	old := New(Options{Loops: 1, Logger: quiet})
	mustApply(t, old, "lb", inst(10*time.Millisecond, 10080, 10081))
	testutil.Eventually(t, 20*time.Second, "verdicts", func() bool {
		f := old.TargetFacts("lb")
		return f[0].Health == spec.HealthUp && f[1].Health == spec.HealthDown
	})
	heir := heirOf(t, old, Options{Loops: 2, Logger: quiet}, func(e *Estate) {
		for i := range e.Sockets {
			if e.Sockets[i].Addr.Port() == 10081 {
				e.Sockets[i].Addr = netip.AddrPortFrom(vip, 10082) // a lie, which costs that socket
			}
		}
	})
	defer heir.Close(context.Background())
	// Under this check nothing will be decided before the test ends.
	mustApply(t, heir, "lb", inst(time.Hour, 10080, 10082))
	pass(t, old, heir)
	if err := old.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, port := range []uint16{10080, 10082} {
		for range 3 {
			c := dial(t, netip.AddrPortFrom(vip, port))
			if got, err := c.ask(); err != nil || got != "up" {
				t.Errorf("port %d: %q, %v", port, got, err)
			}
			c.Close()
		}
	}
	if c, err := net.Dial("tcp", netip.AddrPortFrom(vip, 10081).String()); err == nil {
		c.Close()
		t.Error("a listener that is not wanted any more accepts")
	}
	// A target that comes later is a new one, whatever was known of its like.
	changed := inst(time.Hour, 10080, 10082)
	changed.Pools[0].Targets = changed.Pools[0].Targets[1:]
	mustApply(t, heir, "lb", changed)
	mustApply(t, heir, "lb", inst(time.Hour, 10080, 10082))
	if got := heir.TargetFacts("lb")[0].Health; got != spec.HealthUnknown {
		t.Errorf("health %v of a target that came back", got)
	}
	c, err := net.Dial("tcp", netip.AddrPortFrom(vip, 10080).String())
	if err == nil { // else it was reset at once
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = (&client{c, bufio.NewReader(c)}).ask()
	}
	if err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a new target has traffic before its check says so: %v", err)
	}
}
