package dataplane

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// ruled is an instance whose HTTP frontend has rules to b and c, made anew.
func ruled() *spec.Instance {
	in := two("lb")
	in.Frontends[1].HTTP.Rules = []spec.Rule{{ID: "1", Domain: "a.test", Pool: "c"}, {ID: "2", Path: "/x", Pool: "b"}}
	in.Pools = append(in.Pools, poolOf("c", "i-3"))
	return in
}

// TestDiffOfRules: a frontend is told of the pools of its rules, and when they
// are others.
func TestDiffOfRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*spec.Instance)
		want   []string
	}{
		{"nothing", func(*spec.Instance) {}, nil},
		{"server of a rule's group", func(in *spec.Instance) { in.Pools[2] = poolOf("c", "i-4") }, nil},
		{"domain", func(in *spec.Instance) { in.Frontends[1].HTTP.Rules[0].Domain = "b.test" },
			[]string{"update http:81 pool b[i-1 i-2] rule c[i-3] rule b[i-1 i-2]"}},
		{"group", func(in *spec.Instance) { in.Frontends[1].HTTP.Rules[0].Pool = "a"; in.Pools = in.Pools[:2] },
			[]string{"update http:81 pool b[i-1 i-2] rule a[i-1] rule b[i-1 i-2]"}},
		{"rule gone", func(in *spec.Instance) {
			in.Frontends[1].HTTP.Rules = in.Frontends[1].HTTP.Rules[1:]
			in.Pools = in.Pools[:2]
		},
			[]string{"update http:81 pool b[i-1 i-2] rule b[i-1 i-2]"}},
		{"all gone", func(in *spec.Instance) { in.Frontends[1].HTTP.Rules = nil }, []string{"update http:81 pool b[i-1 i-2]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, r := recording(Options{})
			defer e.Close(context.Background())
			mustApply(t, e, "lb", ruled())
			if got := r.take(); !slices.Contains(got, "start http:81 on 127.0.0.1:81 pool b[i-1 i-2] rule c[i-3] rule b[i-1 i-2]") {
				t.Fatalf("start: %q", got)
			}
			next := ruled()
			c.change(next)
			mustApply(t, e, "lb", next)
			if diff := cmp.Diff(c.want, r.take()); diff != "" {
				t.Errorf("change differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRuleWithOtherSettings: servers that have a rule's traffic go on with it when
// the rule gets a check of its own, and when it gives that up again. New servers
// wait for their verdict all the same.
func TestRuleWithOtherSettings(t *testing.T) {
	port := func(id string, n uint16) spec.Target {
		return spec.Target{ID: id, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), n), Weight: 1}
	}
	check := func(interval time.Duration) *spec.Check { // undecided for as long as the test runs
		return &spec.Check{Kind: spec.CheckTCP, Timeout: time.Hour, Interval: interval, Healthy: 10, Unhealthy: 10}
	}
	with := func(p spec.Pool, targets ...spec.Target) *spec.Instance {
		in := ruled()
		p.Scheduler, p.Targets = spec.RR, targets
		in.Frontends[1].HTTP.Rules = []spec.Rule{{ID: "1", Domain: "a.test", Pool: p.ID}}
		in.Pools = append(in.Pools[:2], p)
		return in
	}
	e, _ := recording(Options{})
	defer e.Close(context.Background())
	for _, step := range []struct {
		name string
		in   *spec.Instance
		pool string
		want []string
	}{
		{"listener's settings", with(spec.Pool{ID: "g", Origin: "g"}, port("i-1", 1), port("i-2", 2)), "g", []string{"i-1", "i-2"}},
		{"its own", with(spec.Pool{ID: "g:1", Origin: "g", Check: check(time.Hour)}, port("i-1", 1), port("i-2", 2), port("i-3", 3)), "g:1", []string{"i-1", "i-2"}},
		{"the listener's again, which has a check now", with(spec.Pool{ID: "g", Origin: "g", Check: check(2 * time.Hour)}, port("i-2", 2), port("i-3", 3)), "g", []string{"i-2"}},
		{"another group with the same servers", with(spec.Pool{ID: "h", Origin: "h", Check: check(3 * time.Hour)}, port("i-2", 2)), "h", nil},
	} {
		mustApply(t, e, "lb", step.in)
		var got []string
		for _, m := range e.instances["lb"].pools[step.pool].it.Usable() {
			got = append(got, m.ID())
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: traffic goes to %q, want %q", step.name, got, step.want)
		}
	}
}

func TestRuleWithoutPool(t *testing.T) {
	e, _ := recording(Options{})
	defer e.Close(context.Background())
	in := ruled()
	in.Pools = in.Pools[:2]
	if err := e.Apply(t.Context(), "lb", in); err == nil || !strings.Contains(err.Error(), "listener http:81: its pool c is not part") {
		t.Errorf("error %v", err)
	}
}
