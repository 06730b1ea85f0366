package api

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFiltersTogether compares the ways through the index with looking at every
// instance.
func TestFiltersTogether(t *testing.T) {
	w := newWorld(t)
	type made struct{ id, name, team, env string }
	var all []made
	for i := range 40 {
		m := made{name: fmt.Sprint("n", i%4), team: fmt.Sprint("t", rand.IntN(3)), env: fmt.Sprint("e", rand.IntN(2))}
		m.id = w.create("LoadBalancerName", m.name, "Tag.1.Key", "team", "Tag.1.Value", m.team, "Tag.2.Key", "env", "Tag.2.Value", m.env)
		all = append(all, m)
	}
	for range 60 {
		p := params{"RegionId", "cn-hangzhou", "PageSize", "100"}
		want := all
		keep := func(fn func(m made) bool) {
			want = slices.DeleteFunc(slices.Clone(want), func(m made) bool { return !fn(m) })
		}
		if rand.IntN(2) == 0 {
			p = append(p, "LoadBalancerName", "n1, n3,n1,none")
			keep(func(m made) bool { return m.name == "n1" || m.name == "n3" })
		}
		if rand.IntN(2) == 0 {
			team := fmt.Sprint("t", rand.IntN(4))
			p = append(p, "Tag.1.Key", "team", "Tag.1.Value", team)
			keep(func(m made) bool { return m.team == team })
		}
		if rand.IntN(2) == 0 {
			p = append(p, "Tags", `[{"tagKey":"env","tagValue":"e1"}]`)
			keep(func(m made) bool { return m.env == "e1" })
		}
		var got, ids []string
		a := w.ok("DescribeLoadBalancers", p...)
		for _, v := range a.at(t, "LoadBalancers", "LoadBalancer").([]any) {
			got = append(got, v.(map[string]any)["LoadBalancerId"].(string))
		}
		for _, m := range want {
			ids = append(ids, m.id)
		}
		slices.Sort(ids)
		if !slices.Equal(got, ids) || a.at(t, "TotalCount") != float64(len(ids)) {
			t.Fatalf("%v: %d of %d instances, or in another order", p, len(got), len(ids))
		}
	}
}
