package dataplane

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

// datagramServer answers the request of its health check as it should, and
// everything else with its name.
func datagramServer(t *testing.T, name string) (addr netip.AddrPort, stop func()) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			answer := name
			if string(buf[:n]) == "alive" {
				answer = "yes"
			}
			c.WriteTo([]byte(answer), from)
		}
	}()
	stop = func() { c.Close(); <-done }
	t.Cleanup(stop)
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), stop
}

// A UDP listener beside a TCP listener of the same number: health checks decide
// where flows go, and taking the listener away frees the port.
func TestLiveUDP(t *testing.T) {
	testutil.NoLeaks(t)
	at := netip.AddrPortFrom(testutil.AddressPool(t).Addr().Next(), 10053)
	one, stopOne := datagramServer(t, "one")
	two, _ := datagramServer(t, "two")
	e := New(Options{Loops: 2})
	defer e.Close(t.Context())
	check := &spec.Check{Kind: spec.CheckUDP, Request: "alive", Expect: "yes", Timeout: time.Second, Interval: 10 * time.Millisecond, Healthy: 2, Unhealthy: 2}
	inst := &spec.Instance{
		ID: "lb",
		Frontends: []spec.Frontend{
			{ID: spec.FrontendID{Instance: "lb", Protocol: spec.UDP, Port: at.Port()}, Listen: at, Pool: "udp", UDP: &spec.UDPOptions{}},
			{ID: spec.FrontendID{Instance: "lb", Protocol: spec.TCP, Port: at.Port()}, Listen: at, Pool: "tcp", TCP: &spec.TCPOptions{}},
		},
		Pools: []spec.Pool{
			{ID: "udp", Scheduler: spec.RR, Check: check, Targets: []spec.Target{{ID: "i-1", Addr: one, Weight: 100}, {ID: "i-2", Addr: two, Weight: 100}}},
			{ID: "tcp", Scheduler: spec.RR},
		},
	}
	if err := e.CanServe(spec.UDP, at); err != nil {
		t.Errorf("a free port: %v", err)
	}
	mustApply(t, e, "lb", inst)
	if err := e.CanServe(spec.UDP, at); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port in use: %v", err)
	}
	health := func() (out []spec.Health) {
		for _, f := range e.TargetFacts("lb") {
			out = append(out, f.Health)
		}
		return out
	}
	testutil.Eventually(t, 20*time.Second, "both servers up", func() bool {
		return slices.Equal(health(), []spec.Health{spec.HealthUp, spec.HealthUp})
	})
	ask := func() string {
		c, err := net.Dial("udp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() }) // its port would be another's, who had its flow
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		buf := make([]byte, 100)
		c.Write([]byte("who"))
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	got := []string{ask(), ask()}
	slices.Sort(got)
	if !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("two flows came to %v", got)
	}
	stopOne() // its port refuses from now on
	testutil.Eventually(t, 20*time.Second, "one server down", func() bool {
		return slices.Equal(health(), []spec.Health{spec.HealthDown, spec.HealthUp})
	})
	for range 4 {
		if got := ask(); got != "two" {
			t.Errorf("a flow came to %s", got)
		}
	}
	testutil.Eventually(t, 20*time.Second, "answers to be counted", func() bool { return e.FrontendFacts()[1].PacketsOut >= 6 })
	facts := e.FrontendFacts()
	if len(facts) != 2 || facts[1].ID.Protocol != spec.UDP || facts[1].PacketsOut != 6 || facts[1].ActiveConnections != 6 {
		t.Errorf("%+v", facts)
	}
	inst = &spec.Instance{ID: "lb", Frontends: inst.Frontends[1:], Pools: inst.Pools[1:]}
	mustApply(t, e, "lb", inst)
	if err := e.CanServe(spec.UDP, at); err != nil {
		t.Errorf("after the listener was taken away: %v", err)
	}
}
