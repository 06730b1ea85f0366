package api

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

// TestSearchesDoNotGrow: finding one instance by id, name or tag among 10,000
// takes about as long as among 100. A search without index would take a hundred
// times as long; twenty times leaves room for a busy machine and cold caches.
func TestSearchesDoNotGrow(t *testing.T) {
	const few, many, factor = 100, 10_000, 20
	cost := map[string][2]time.Duration{}
	for at, n := range []int{few, many} {
		w, ids := crowd(t, n)
		for name, fill := range map[string]func(p *describeLoadBalancersParams, i int){
			"id":   func(p *describeLoadBalancersParams, i int) { p.LoadBalancerIDs = string(ids[i]) },
			"name": func(p *describeLoadBalancersParams, i int) { p.LoadBalancerNames = fmt.Sprint("web-", i) },
			"tag": func(p *describeLoadBalancersParams, i int) {
				value := fmt.Sprint(i)
				p.TagsJSON = []tagJSON{{"service", &value}}
			},
			"server": func(p *describeLoadBalancersParams, i int) { p.ServerID = slb.ServerID(fmt.Sprint("i-", i)) },
		} {
			var took []time.Duration
			for i := range 51 {
				p := &describeLoadBalancersParams{RegionID: "cn-hangzhou", PageNumber: 1, PageSize: 50}
				fill(p, 1+i) // server 0 is in every group
				began := time.Now()
				r, err := w.server.describeLoadBalancers(context.Background(), p)
				took = append(took, time.Since(began))
				if err != nil || r.TotalCount != 1 {
					t.Fatalf("%s: %+v, %v", name, r, err)
				}
			}
			slices.Sort(took)
			pair := cost[name]
			pair[at] = took[len(took)/2]
			cost[name] = pair
		}
	}
	for name, c := range cost {
		t.Logf("by %s: %v among %d, %v among %d", name, c[0], few, c[1], many)
		if c[1] > factor*c[0]+time.Millisecond/2 {
			t.Errorf("by %s: %v among %d, %v among %d", name, c[0], few, c[1], many)
		}
	}
}
