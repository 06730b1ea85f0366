package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// script is a checker whose probes take some time and end as told.
type script struct {
	mu     sync.Mutex
	takes  time.Duration
	fail   error
	starts []time.Duration // since begin, by round
	begin  time.Time
	busy   atomic.Int32
	most   atomic.Int32
}

func (s *script) Check(ctx context.Context, _ netip.AddrPort) error {
	if n := s.busy.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.busy.Add(-1)
	s.mu.Lock()
	s.starts = append(s.starts, time.Since(s.begin))
	takes, fail := s.takes, s.fail
	s.mu.Unlock()
	select {
	case <-time.After(takes):
		return fail
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *script) set(takes time.Duration, fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes, s.fail = takes, fail
}

func (s *script) rounds() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.starts) }

// scripted returns a runner whose checks are played by s.
func scripted(o Options, s *script) *Runner {
	s.begin = time.Now()
	r := NewRunner(o)
	r.newChecker = func(spec.Check) (Checker, error) { return s, nil }
	return r
}

var (
	target = netip.MustParseAddrPort("192.0.2.1:80")
	check  = spec.Check{Kind: spec.CheckTCP, Timeout: 5 * time.Second, Interval: 2 * time.Second, Healthy: 3, Unhealthy: 3}
	errOut = errors.New("out of order")
)

// history records when which health was reported.
type history struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
}

func (h *history) add(s spec.Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf("%s %v", time.Since(h.begin).Round(100*time.Millisecond), map[spec.Health]string{spec.HealthUp: "up", spec.HealthDown: "down"}[s]))
}

func (h *history) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, ", ")
}

// The windows are those of the vendor's page: with the defaults 7 s to come up
// at answers of one second, 19 s to go down at probes that time out.
func TestWindows(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		fail  error
		check func(*spec.Check)
		want  string
	}{
		{"up at once answers", 0, nil, nil, "4s up"},
		{"up, answers of 1 s", time.Second, nil, nil, "7s up"},
		{"down by timeout", time.Minute, nil, nil, "19s down"},
		{"down by refusal", 0, errOut, nil, "4s down"},
		{"other thresholds", 0, nil, func(c *spec.Check) { c.Healthy = 2 }, "2s up"},
		{"slow to go down", time.Minute, nil, func(c *spec.Check) { c.Timeout, c.Interval, c.Unhealthy = 10*time.Second, 5*time.Second, 2 }, "25s down"},
		{"zero values are the defaults", time.Minute, nil, func(c *spec.Check) { *c = spec.Check{Kind: spec.CheckTCP} }, "19s down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{takes: c.takes, fail: c.fail}
				r := scripted(Options{}, s)
				defer r.Close()
				settings := check
				if c.check != nil {
					c.check(&settings)
				}
				h := &history{begin: time.Now()}
				sub := r.Subscribe(settings, target, h.add)
				if sub.Health() != spec.HealthUnknown {
					t.Errorf("health %v before any probe", sub.Health())
				}
				time.Sleep(40 * time.Second)
				if got := h.String(); got != c.want {
					t.Errorf("reports %q, want %q", got, c.want)
				}
			})
		})
	}
}

// One result of the other kind begins the count anew: + is a success, - a
// failure; three successes or two failures decide.
func TestOnlyConsecutiveResultsCount(t *testing.T) {
	for _, c := range []struct{ results, want string }{
		{"++-+++", "?????u"},
		{"-++-+-++--", "?????????d"},
		{"+++-+-+--", "??uuuuuud"},
		{"--++-++-+++", "?dddddddddu"},
		{"---+++---", "?dddduudd"},
	} {
		v, got := verdict{}, ""
		for _, r := range c.results {
			was := v.health
			if changed := v.add(r == '+', 3, 2); changed != (v.health != was) {
				t.Errorf("%s: changed is %v from %v to %v", c.results, changed, was, v.health)
			}
			got += string("?ud"[v.health])
		}
		if got != c.want {
			t.Errorf("%s gives %s, want %s", c.results, got, c.want)
		}
	}
}

func TestFlapsAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := &script{}
		r := scripted(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, s)
		h := &history{begin: time.Now()}
		sub := r.Subscribe(check, target, h.add)
		time.Sleep(5 * time.Second)
		s.set(0, errOut)
		time.Sleep(10 * time.Second)
		s.set(0, nil)
		time.Sleep(10 * time.Second)
		if got, want := h.String(), "4s up, 10s down, 20s up"; got != want {
			t.Errorf("reports %q, want %q", got, want)
		}
		if sub.Health() != spec.HealthUp {
			t.Errorf("health %v", sub.Health())
		}
		r.Close()
		for _, want := range []string{"target is up", "target is down", "target=192.0.2.1:80", errOut.Error(), "level=WARN"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log lacks %q:\n%s", want, log.String())
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 3 {
			t.Errorf("%d log lines for 3 changes", n)
		}
	})
}

// The interval begins when a probe has ended.
func TestIntervalCountsFromTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{takes: 3 * time.Second}
		r := scripted(Options{}, s)
		defer r.Close()
		r.Subscribe(check, target, func(spec.Health) {})
		time.Sleep(11 * time.Second)
		r.Close()
		for i := 1; i < len(s.starts); i++ {
			if d := s.starts[i] - s.starts[i-1]; d != 5*time.Second {
				t.Errorf("round %d came %v after the one before, want 5s", i, d)
			}
		}
		if len(s.starts) != 3 {
			t.Errorf("%d rounds, want 3", len(s.starts))
		}
	})
}

// Targets of before the process are well by one result, if it is the first and good.
// For all else the windows stay.
func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name   string
		failed time.Duration // how long probes fail at first
		want   string
	}{
		{"well", 0, "0s up"},
		{"well after one failure", time.Second, "6s up"},
		{"down", 5 * time.Second, "4s down, 10s up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				r := scripted(Options{}, s)
				defer r.Close()
				r.Restore()
				if c.failed > 0 {
					s.set(0, errOut)
					time.AfterFunc(c.failed, func() { s.set(0, nil) })
				}
				h := &history{begin: time.Now()}
				sub := r.Subscribe(check, target, h.add)
				r.Forget()
				later := &history{begin: time.Now()}
				if sub.Health() != spec.HealthUnknown {
					t.Errorf("health %v before any probe", sub.Health())
				}
				if c.failed == 0 {
					r.Subscribe(check, netip.AddrPortFrom(target.Addr(), 81), later.add)
				}
				time.Sleep(20 * time.Second)
				s.set(0, errOut)
				time.Sleep(time.Minute)
				want := c.want + ", 24s down"
				if got := h.String(); got != want {
					t.Errorf("reports %q, want %q", got, want)
				}
				if got := later.String(); c.failed == 0 && got != "4s up, 24s down" {
					t.Errorf("a new target: %q", got)
				}
			})
		})
	}
}

func TestOneProbeForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		r := scripted(Options{}, s)
		defer r.Close()
		begin := time.Now()
		first, second, third := history{begin: begin}, history{begin: begin}, history{begin: begin}
		a := r.Subscribe(check, target, first.add)
		b := r.Subscribe(check, target, second.add)
		withPort := check
		withPort.Port = target.Port()
		r.Subscribe(withPort, netip.AddrPortFrom(target.Addr(), 1), func(spec.Health) {})
		if probesOf(r) != 1 {
			t.Errorf("%d probes for one address, port and settings", probesOf(r))
		}
		time.Sleep(5 * time.Second)
		if n := s.rounds(); n != 3 {
			t.Errorf("%d rounds in 5 s, want 3", n)
		}
		late := r.Subscribe(check, target, third.add)
		if late.Health() != spec.HealthUp {
			t.Errorf("one that joins has health %v, want the verdict", late.Health())
		}
		a.Close()
		a.Close()
		s.set(0, errOut)
		time.Sleep(10 * time.Second)
		if a, b, c := first.String(), second.String(), third.String(); a != "4s up" || b != "4s up, 10s down" || c != "10s down" {
			t.Errorf("reports %q, %q, %q", a, b, c)
		}
		if down := r.Subscribe(check, target, func(spec.Health) {}); down.Health() != spec.HealthDown || down.Cause() == "" {
			t.Errorf("one that joins has health %v for %q, want the verdict", down.Health(), down.Cause())
		}
		b.Close()
		if probesOf(r) != 1 {
			t.Error("the probe ended before its last subscription")
		}
		other := check
		other.URI = "/x"
		r.Subscribe(other, target, func(spec.Health) {})
		if probesOf(r) != 2 {
			t.Errorf("%d probes for two settings", probesOf(r))
		}
	})
}

func TestCloseEndsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{takes: time.Hour}
		r := scripted(Options{}, s)
		long := check
		long.Timeout = time.Hour
		sub := r.Subscribe(long, target, func(spec.Health) { t.Error("a report from a probe that was stopped") })
		time.Sleep(time.Second)
		if s.busy.Load() != 1 {
			t.Fatal("no probe under way")
		}
		sub.Close()
		synctest.Wait()
		if s.busy.Load() != 0 || probesOf(r) != 0 {
			t.Error("the probe goes on after its last subscription ended")
		}
		r.Subscribe(long, target, func(spec.Health) {})
		time.Sleep(time.Second)
		r.Close()
		if s.busy.Load() != 0 {
			t.Error("Close did not wait for the probe")
		}
		n := s.rounds()
		if h := r.Subscribe(check, target, func(spec.Health) {}).Health(); h != spec.HealthUnknown {
			t.Errorf("health %v from a closed runner", h)
		}
		time.Sleep(time.Minute)
		if s.rounds() != n {
			t.Error("probes after Close")
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{takes: time.Second}
		r := scripted(Options{MaxConcurrent: 4}, s)
		defer r.Close()
		for i := range 20 {
			r.Subscribe(check, netip.AddrPortFrom(target.Addr(), uint16(i+1)), func(spec.Health) {})
		}
		time.Sleep(6 * time.Second)
		if s.most.Load() != 4 || s.rounds() < 20 {
			t.Errorf("%d probes at once and %d in all, want 4 and at least 20", s.most.Load(), s.rounds())
		}
	})
}

// A few new targets are probed at once; many are spread over the interval.
func TestFirstProbesAreSpread(t *testing.T) {
	for _, c := range []struct {
		targets            int
		allWithin, notSoon time.Duration
	}{
		{3, 3 * time.Millisecond, 0},
		{5000, 2 * time.Second, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			r := scripted(Options{}, s)
			defer r.Close()
			for i := range c.targets {
				r.Subscribe(check, netip.AddrPortFrom(target.Addr(), uint16(i+1)), func(spec.Health) {})
			}
			time.Sleep(c.allWithin)
			synctest.Wait()
			starts := slices.Sorted(slices.Values(s.starts))
			if len(starts) < c.targets {
				t.Fatalf("%d of %d targets probed within %v", len(starts), c.targets, c.allWithin)
			}
			if last := starts[c.targets-1]; last < c.notSoon {
				t.Errorf("%d targets were all probed within %v", c.targets, last)
			}
			if c.notSoon > 0 {
				busiest := 0
				for i := range starts {
					j, _ := slices.BinarySearch(starts, starts[i]+10*time.Millisecond)
					busiest = max(busiest, j-i)
				}
				if busiest > c.targets/10 {
					t.Errorf("%d of %d first probes in one hundredth of a second", busiest, c.targets)
				}
			}
		})
	}
}

// A host out of descriptors must not take its servers down.
func TestLocalFailuresDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := &script{}
		r := scripted(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, s)
		h := &history{begin: time.Now()}
		r.Subscribe(check, target, h.add)
		time.Sleep(5 * time.Second)
		s.set(0, fmt.Errorf("dial: %w", syscall.EMFILE))
		time.Sleep(time.Minute)
		r.Close()
		if got := h.String(); got != "4s up" {
			t.Errorf("reports %q", got)
		}
		if n := strings.Count(log.String(), "not possible on this host"); n != 1 {
			t.Errorf("%d warnings, want 1", n)
		}
	})
}

func TestRefusedSettingsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRunner(Options{})
		defer r.Close()
		h := &history{begin: time.Now()}
		bad := check
		bad.Kind = "smoke"
		r.Subscribe(bad, target, h.add)
		time.Sleep(5 * time.Second)
		if got := h.String(); got != "4s down" {
			t.Errorf("reports %q", got)
		}
	})
}

func BenchmarkRound(b *testing.B) {
	r := NewRunner(Options{})
	defer r.Close()
	done := make(chan struct{}, 1)
	s := &instant{done}
	r.newChecker = func(spec.Check) (Checker, error) { return s, nil }
	c := check
	c.Interval = time.Nanosecond
	b.ReportAllocs()
	r.Subscribe(c, target, func(spec.Health) {})
	for b.Loop() {
		<-done
	}
}

type instant struct{ done chan struct{} }

func (i *instant) Check(ctx context.Context, _ netip.AddrPort) error {
	select {
	case i.done <- struct{}{}:
	case <-ctx.Done():
	}
	return nil
}

// probesOf is the number of targets being probed.
func probesOf(r *Runner) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.probes)
}
