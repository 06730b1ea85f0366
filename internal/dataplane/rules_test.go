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
		{"another group with a server in common", with(spec.Pool{ID: "h", Origin: "h", Check: check(3 * time.Hour)}, port("i-2", 2), port("i-4", 4)), "h", []string{"i-2"}},
		{"another group of other servers", with(spec.Pool{ID: "i", Origin: "i", Check: check(3 * time.Hour)}, port("i-3", 3)), "i", nil},
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

// TestListenerWithAnotherGroup: servers that have a listener's traffic go on with
// it when the listener gets another group that they are in, whatever its check.
// Those that had none wait for their verdict, as does everybody where another
// listener has the group.
func TestListenerWithAnotherGroup(t *testing.T) {
	target := func(id string, n uint16, weight int) spec.Target {
		return spec.Target{ID: id, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), n), Weight: weight}
	}
	slave := target("i-2", 2, 1)
	slave.Backup, slave.Unchecked = true, true
	check := &spec.Check{Kind: spec.CheckTCP, Timeout: time.Hour, Interval: time.Hour, Healthy: 10, Unhealthy: 10}
	group := func(id string, c *spec.Check, targets ...spec.Target) spec.Pool {
		return spec.Pool{ID: id, Origin: id, Scheduler: spec.RR, Check: c, Targets: targets}
	}
	for _, c := range []struct {
		name         string
		first, other spec.Pool
		want         []string
	}{
		{"from servers without check", group("a", nil, target("i-1", 1, 1), target("i-2", 2, 1), target("i-3", 3, 0)),
			group("b", check, target("i-1", 1, 1), target("i-2", 22, 1), target("i-3", 3, 1), target("i-4", 4, 1)), []string{"i-1"}},
		{"from the slave that has the traffic", group("a", check, target("i-1", 1, 0), slave),
			group("b", check, target("i-1", 1, 1), target("i-2", 2, 1)), []string{"i-2"}},
		{"from the master", group("a", nil, target("i-1", 1, 1), slave),
			group("b", check, target("i-1", 1, 1), target("i-2", 2, 1)), []string{"i-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := recording(Options{})
			defer e.Close(context.Background())
			in := func(used spec.Pool) *spec.Instance {
				all := two("lb")
				all.Pools = []spec.Pool{used}
				all.Frontends = all.Frontends[1:]
				all.Frontends[0].Pool = used.ID
				return all
			}
			mustApply(t, e, "lb", in(c.first))
			mustApply(t, e, "lb", in(c.other))
			mustApply(t, e, "lb2", in(group("c", check, target("i-1", 1, 1))))
			for _, had := range []struct {
				lb, pool string
				want     []string
			}{{"lb", "b", c.want}, {"lb2", "c", nil}} {
				var got []string
				for _, m := range e.instances[had.lb].pools[had.pool].it.Usable() {
					got = append(got, m.ID())
				}
				if !slices.Equal(got, had.want) {
					t.Errorf("%s: traffic goes to %q, want %q", had.lb, got, had.want)
				}
			}
		})
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
