package dataplane

import (
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

// endless serves bodies without an end.
func endless(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for piece := make([]byte, 32<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return netip.MustParseAddrPort(l.Addr().String())
}

// drinker reads all it gets and counts it.
type drinker struct {
	net.Conn
	got  atomic.Int64
	done chan struct{}
}

func drink(t *testing.T, addr netip.AddrPort) *drinker {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	d := &drinker{Conn: c, done: make(chan struct{})}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		for buf := make([]byte, 64<<10); ; {
			n, err := c.Read(buf)
			d.got.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(d.stop)
	return d
}

func (d *drinker) stop() { d.Close(); <-d.done }

// The listeners of a load balancer share its bandwidth whatever their protocol:
// one that has some of its own gets that, the others get even shares of the
// rest, and what one leaves the other has.
func TestLiveBandwidth(t *testing.T) {
	testutil.NoLeaks(t)
	vip := testutil.AddressPool(t).Addr().Next()
	server := endless(t)
	e := New(Options{Loops: 2})
	defer e.Close(context.Background())
	frontend := func(p spec.Protocol, port uint16, bandwidth int64) spec.Frontend {
		f := frontendOf("lb", p, port, "p")
		f.Listen, f.Bandwidth = netip.AddrPortFrom(vip, port), bandwidth
		return f
	}
	const mbyte = 8_000_000
	inst := &spec.Instance{
		ID:        "lb",
		Limits:    spec.Limits{Bandwidth: 3 * mbyte},
		Frontends: []spec.Frontend{frontend(spec.HTTP, 10080, 1*mbyte), frontend(spec.HTTP, 10081, 0), frontend(spec.TCP, 10082, 0)},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{{ID: "i", Addr: server, Weight: 100}}}},
	}
	mustApply(t, e, "lb", inst)
	own, web, tcp := drink(t, inst.Frontends[0].Listen), drink(t, inst.Frontends[1].Listen), drink(t, inst.Frontends[2].Listen)
	rates := func() (out [3]float64) { // in megabytes a second
		var before [3]int64
		all := [3]*drinker{own, web, tcp}
		for i, d := range all {
			before[i] = d.got.Load()
		}
		start := time.Now()
		time.Sleep(time.Second)
		for i, d := range all {
			out[i] = float64(d.got.Load()-before[i]) / 1e6 / time.Since(start).Seconds()
		}
		return out
	}
	expect := func(what string, want ...float64) {
		t.Helper()
		var got [3]float64
		for range 5 { // the machine may have been busy with others
			got = rates()
			good := true
			for i, w := range want {
				good = good && math.Abs(got[i]-w) <= w/4
			}
			if good {
				return
			}
		}
		t.Errorf("%s: %.2f MB/s, want %.2f", what, got, want)
	}
	time.Sleep(300 * time.Millisecond) // what may come at once has come
	expect("all busy", 1, 1, 1)
	tcp.stop()
	expect("without TCP", 1, 2)
	own.stop()
	expect("what is set aside stays aside", 0, 2)
	inst2 := *inst
	inst2.Limits.Bandwidth = 2 * mbyte
	mustApply(t, e, "lb", &inst2)
	expect("less for all", 0, 1)
	web.stop()
}
