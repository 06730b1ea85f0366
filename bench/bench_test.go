package main

import (
	"context"
	"math"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be its own helper, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

// TestLoadAgainstBackends runs every mode without a proxy in between: what is
// left of the way must be free of faults.
func TestLoadAgainstBackends(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := startBackend(ctx, settings{net: onLoopback()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.stop()
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(b.addrs.Hosts[0], port) }
	for _, tc := range []struct {
		name string
		job  loadJob
	}{
		{"keep-alive", loadJob{Mode: httpKeep, Addr: at(b.addrs.HTTP), Conns: 8}},
		{"new connections", loadJob{Mode: httpNew, Addr: at(b.addrs.HTTP), Conns: 8}},
		{"1 KB", loadJob{Mode: httpKeep, Addr: at(b.addrs.HTTP), Conns: 8, Size: 1 << 10}},
		{"1 MB", loadJob{Mode: httpKeep, Addr: at(b.addrs.HTTP), Conns: 2, Size: 1 << 20}},
		{"paced", loadJob{Mode: httpKeep, Addr: at(b.addrs.HTTP), Conns: 8, Rate: 1000}},
		{"tcp new", loadJob{Mode: tcpNew, Addr: at(b.addrs.Echo), Conns: 8}},
		{"tcp exchange", loadJob{Mode: tcpEcho, Addr: at(b.addrs.Echo), Conns: 8}},
		{"udp exchange", loadJob{Mode: udpEcho, Addr: at(b.addrs.Echo), Conns: 8}},
		{"bulk", loadJob{Mode: tcpBulk, Addr: at(b.addrs.Bulk), Conns: 2}},
	} {
		for process, apart := range map[string]bool{"one process": false, "two processes": true} {
			t.Run(tc.name+", "+process, func(t *testing.T) {
				tc.job.Warm, tc.job.Duration = 20*time.Millisecond, 200*time.Millisecond
				l, err := startLoad(ctx, settings{net: onLoopback(), netns: apart}, b, tc.job)
				if err != nil {
					t.Fatal(err)
				}
				defer l.stop()
				if err := l.expect("begin"); err != nil {
					t.Fatal(err)
				}
				r, err := l.result()
				if err != nil {
					t.Fatal(err)
				}
				if r.Operations == 0 || r.Faults != 0 {
					t.Errorf("result: %+v", r)
				}
				if tc.job.Rate > 0 && float64(r.Operations) > 1.5*float64(tc.job.Rate)*tc.job.Duration.Seconds() {
					t.Errorf("%d operations are more than a paced load may send", r.Operations)
				}
			})
		}
	}
	t.Run("idle", func(t *testing.T) {
		l, err := startLoad(ctx, settings{net: onLoopback()}, b, loadJob{Mode: tcpEcho, Addr: at(b.addrs.Echo), Conns: 50, Idle: true})
		if err != nil {
			t.Fatal(err)
		}
		defer l.stop()
		if err := l.expect("begin"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		l, err := startLoad(ctx, settings{net: onLoopback(), netns: true}, b, loadJob{Mode: httpKeep, Addr: netip.MustParseAddrPort("127.0.0.2:1"), Conns: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer l.stop()
		if l.expect("begin") == nil {
			t.Error("a load without a server begins")
		}
	})
}

func TestParseProc(t *testing.T) {
	stat := "17 (a b) c) S 1 17 17 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 9 0 100"
	if got := parseStat(stat); got != 2500*time.Millisecond {
		t.Errorf("parseStat: %v, want 2.5 s", got)
	}
	if got := parseStat("nonsense"); got != 0 {
		t.Errorf("parseStat of nonsense: %v", got)
	}
	if got := parsePSS("Rss:  900 kB\nPss:                 123 kB\nPss_Dirty: 1 kB\n"); got != 123*1024 {
		t.Errorf("parsePSS: %d", got)
	}
	if got := parseBusy("cpu  100 0 50 9999 9999 7 3 40 5 5"); got != 2*time.Second {
		t.Errorf("parseBusy: %v, want 2s", got)
	}
	own := cpuTime(os.Getpid())
	for began := time.Now(); time.Since(began) < 5*time.Millisecond; {
	}
	// Others may have had the core, so that less is possible, but not nothing.
	if got := cpuTime(os.Getpid()).since(own); got.all <= 0 || got.user < 0 {
		t.Errorf("5 ms of work took %+v", got)
	}
	if m, err := memoryOf(os.Getpid()); err != nil || m < 1<<20 {
		t.Errorf("own memory: %d, %v", m, err)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(int64(i+1) * 1000)
	}
	for _, tc := range []struct{ q, want float64 }{{0.5, 500e3}, {0.99, 990e3}} {
		if got := float64(h.quantile(tc.q)); math.Abs(got-tc.want) > 0.07*tc.want {
			t.Errorf("quantile %v: %v, want about %v", tc.q, got, tc.want)
		}
	}
	// Every bucket's lower end falls into the bucket itself.
	for _, ns := range []int64{0, 1, 15, 16, 31, 32, 33, 1000, 123456789, 1 << 40} {
		b := bucket(ns)
		if low := int64(lower(b)); low > ns || bucket(low) != b {
			t.Errorf("%d ns: bucket %d from %d", ns, b, low)
		}
	}
}

func TestReport(t *testing.T) {
	r := results{}
	for round, v := range []float64{10, 12, 20} {
		r.add("l7-keepalive", "openslb", sample{round: round}, measurement{figure: v, user: v / 4, rate: 1000, core: 0.5})
		r.add("l7-keepalive", "nginx", sample{round: round}, measurement{figure: 2 * v, rate: 1000, core: 0.5})
	}
	if v, ok := r.ratio("l7-keepalive", "openslb", "nginx"); !ok || v.mean != 0.5 || v.deviation != 0 {
		t.Errorf("ratio: %+v, %v", v, ok)
	}
	for at, v := range map[sample]float64{{0, 0}: 1, {0, 1}: 4, {1, 0}: 8} {
		r.add("l7-steady", "openslb", at, measurement{figure: v})
		r.add("l7-steady", "nginx", at, measurement{figure: 1})
	}
	// The starts are at 2 and at 8: half the logarithm of four on either side of 4.
	if v, _ := r.ratio("l7-steady", "openslb", "nginx"); math.Abs(v.mean-4) > 1e-9 || math.Abs(v.deviation-4*math.Ln2) > 1e-9 {
		t.Errorf("ratio over two starts: %+v", v)
	}
	r.add("l7-1k", "openslb", sample{}, measurement{figure: 1})
	r.add("l7-1k", "nginx", sample{}, measurement{figure: 2})
	if v, _ := r.ratio("l7-1k", "openslb", "nginx"); v.String() != "0.500" {
		t.Errorf("ratio of a single round: %v", v)
	}
	var out strings.Builder
	report(&out, settings{rounds: 3}, scenarios[:1], []*proxy{{name: "openslb"}, {name: "nginx"}}, []string{"haproxy: not installed"}, r)
	for _, want := range []string{"| l7-keepalive | openslb | 12.0 CPU µs/request | 10.0–20.0 | 3.00 | – | 0.500 ± 0.000 | 1000 | 50 % | 0 % |", "Left out: haproxy: not installed."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestBounds(t *testing.T) {
	if _, err := chooseScenarios(settings{scenarios: "l7-keepalive,nope"}); err == nil {
		t.Error("an unknown scenario passes")
	}
	if err := run(context.Background(), settings{starts: 1, rounds: 1, duration: time.Hour, idle: 1, rate: 1}); err == nil {
		t.Error("an hour passes")
	}
}
