package dataplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

// lineServer answers every line with its name, until stopped.
func lineServer(t *testing.T, name string) (addr netip.AddrPort, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					if _, err := r.ReadString('\n'); err != nil {
						return
					}
					fmt.Fprintln(c, name)
				}
			}()
		}
	}()
	stop = func() { l.Close(); <-done }
	t.Cleanup(stop)
	return netip.MustParseAddrPort(l.Addr().String()), stop
}

func webServer(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return netip.MustParseAddrPort(l.Addr().String())
}

type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr netip.AddrPort) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{c, bufio.NewReader(c)}
}

func (c *client) ask() (string, error) {
	if _, err := io.WriteString(c, "who\n"); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	return strings.TrimSpace(line), err
}

func get(t *testing.T, addr netip.AddrPort) (int, string) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	answer, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get("http://" + addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// One load balancer with both kinds of listeners, real sockets all the way: a
// change of one thing leaves the rest alone, and traffic obeys at once.
func TestLive(t *testing.T) {
	testutil.NoLeaks(t)
	vip := testutil.AddressPool(t).Addr().Next()
	one, stopOne := lineServer(t, "one")
	two, _ := lineServer(t, "two")
	web := webServer(t, "web")

	e := New(Options{Loops: 2})
	closed := false
	defer func() {
		if !closed {
			_ = e.Close(context.Background())
		}
	}()
	tcpAt, httpAt := netip.AddrPortFrom(vip, 10080), netip.AddrPortFrom(vip, 10081)
	check := &spec.Check{Kind: spec.CheckTCP, Timeout: time.Second, Interval: 10 * time.Millisecond, Healthy: 2, Unhealthy: 2}
	inst := func(change ...func(*spec.Instance)) *spec.Instance {
		in := &spec.Instance{
			ID: "lb",
			Frontends: []spec.Frontend{
				{ID: spec.FrontendID{Instance: "lb", Protocol: spec.TCP, Port: 10080}, Listen: tcpAt, Pool: "tcp", TCP: &spec.TCPOptions{IdleTimeout: time.Minute}},
				{ID: spec.FrontendID{Instance: "lb", Protocol: spec.HTTP, Port: 10081}, Listen: httpAt, Pool: "http", HTTP: &spec.HTTPOptions{IdleTimeout: time.Minute, RequestTimeout: time.Minute}},
			},
			Pools: []spec.Pool{
				{ID: "tcp", Scheduler: spec.WRR, Check: check, Targets: []spec.Target{{ID: "i-1", Addr: one, Weight: 100}, {ID: "i-2", Addr: two, Weight: 0}}},
				{ID: "http", Scheduler: spec.WRR, Targets: []spec.Target{{ID: "i-3", Addr: web, Weight: 100}}},
			},
		}
		for _, c := range change {
			c(in)
		}
		return in
	}
	mustApply(t, e, "lb", inst())
	healthOf := func(target string) spec.Health {
		for _, f := range e.TargetFacts("lb") {
			if f.Target == target {
				return f.Health
			}
		}
		return spec.HealthUnknown
	}
	testutil.Eventually(t, 20*time.Second, "both TCP servers up", func() bool {
		return healthOf("i-1") == spec.HealthUp && healthOf("i-2") == spec.HealthUp
	})
	if status, body := get(t, httpAt); status != 200 || body != "web" {
		t.Fatalf("HTTP answers %d %q", status, body)
	}
	var stays []*client
	for range 4 {
		c := dial(t, tcpAt)
		if who, err := c.ask(); who != "one" {
			t.Fatalf("answer %q, %v", who, err)
		}
		stays = append(stays, c)
	}

	// Swap the weights, drop the HTTP listener: new connections go to the other
	// server at once, those that are open stay, the HTTP port is closed.
	shifted := inst(func(in *spec.Instance) {
		in.Pools[0].Targets[0].Weight, in.Pools[0].Targets[1].Weight = 0, 100
		in.Frontends, in.Pools = in.Frontends[:1], in.Pools[:1]
	})
	mustApply(t, e, "lb", shifted)
	if who, err := dial(t, tcpAt).ask(); who != "two" {
		t.Errorf("after the weights were swapped: %q, %v", who, err)
	}
	for _, c := range stays {
		if who, err := c.ask(); who != "one" {
			t.Errorf("a connection from before: %q, %v", who, err)
		}
	}
	if _, err := net.Dial("tcp", httpAt.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the HTTP port after its listener was taken away: %v", err)
	}
	if err := e.CanServe(spec.HTTP, httpAt); err != nil {
		t.Errorf("a free port: %v", err)
	}
	if err := e.CanServe(spec.TCP, tcpAt); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port in use: %v", err)
	}

	// A server that dies stops getting traffic.
	mustApply(t, e, "lb", inst(func(in *spec.Instance) { in.Pools[0].Targets[1].Weight = 100 }))
	stopOne()
	testutil.Eventually(t, 20*time.Second, "server one down", func() bool { return healthOf("i-1") == spec.HealthDown })
	for range 6 {
		if who, err := dial(t, tcpAt).ask(); who != "two" {
			t.Errorf("after server one died: %q, %v", who, err)
		}
	}
	for _, f := range e.FrontendFacts() {
		if !f.Listening || f.Error != "" {
			t.Errorf("facts %+v", f)
		}
		if f.ID.Protocol == spec.TCP && f.NewConnections != 11 {
			t.Errorf("%d connections counted, want 11", f.NewConnections)
		}
	}

	closed = true
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := stays[0].ask(); err == nil {
		t.Error("a connection lives on after Close")
	}
	if _, err := net.Dial("tcp", tcpAt.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the TCP port after Close: %v", err)
	}
}

// A port that somebody else has is an error that the next try mends.
func TestPortTaken(t *testing.T) {
	testutil.NoLeaks(t)
	vip := testutil.AddressPool(t).Addr().Next()
	at := netip.AddrPortFrom(vip, 10080)
	other, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	e := New(Options{Loops: 1})
	defer e.Close(context.Background())
	inst := &spec.Instance{
		ID:        "lb",
		Frontends: []spec.Frontend{{ID: spec.FrontendID{Instance: "lb", Protocol: spec.HTTP, Port: 10080}, Listen: at, Pool: "p", HTTP: &spec.HTTPOptions{}}},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{{ID: "i-3", Addr: webServer(t, "web"), Weight: 100}}}},
	}
	if err := e.Apply(t.Context(), "lb", inst); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Apply says %v", err)
	}
	if f := e.FrontendFacts(); len(f) != 1 || f[0].Listening || f[0].Error == "" {
		t.Errorf("facts %+v", f)
	}
	other.Close()
	mustApply(t, e, "lb", inst)
	if status, body := get(t, at); status != 200 || body != "web" {
		t.Errorf("HTTP answers %d %q", status, body)
	}
}
