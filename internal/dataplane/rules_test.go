package dataplane

import (
	"context"
	"slices"
	"strings"
	"testing"

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

func TestRuleWithoutPool(t *testing.T) {
	e, _ := recording(Options{})
	defer e.Close(context.Background())
	in := ruled()
	in.Pools = in.Pools[:2]
	if err := e.Apply(t.Context(), "lb", in); err == nil || !strings.Contains(err.Error(), "listener http:81: its pool c is not part") {
		t.Errorf("error %v", err)
	}
}
