package api

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/kv"
	"github.com/openslb/openslb/internal/store/memkv"
)

// pausingKV runs a function between what a transaction has read and its commit.
type pausingKV struct {
	kv.KV
	before atomic.Pointer[func()]
}

func (p *pausingKV) Commit(ctx context.Context, t kv.Txn) (int64, error) {
	if before := p.before.Swap(nil); before != nil {
		(*before)()
	}
	return p.KV.Commit(ctx, t)
}

// twoNodes are worlds with stores of their own over one engine: they share no
// lock, so that only what transactions record keeps them apart. The first can be
// paused.
func twoNodes(t *testing.T) ([]*world, *pausingKV) {
	t.Helper()
	k := memkv.New()
	paused := &pausingKV{KV: k}
	var out []*world
	for _, k := range []kv.KV{paused, k} {
		st, err := store.New(t.Context(), k, store.Options{Logger: slog.New(slog.DiscardHandler), CompareInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		w := newWorld(t, func(c *Config) { c.Store = st })
		w.store = st
		out = append(out, w)
	}
	return out, paused
}

// settle waits until all worlds show what any of them has committed.
func settle(t *testing.T, worlds []*world) *slb.State {
	t.Helper()
	last := int64(0)
	for _, w := range worlds {
		last = max(last, w.store.State().Revision)
	}
	for _, w := range worlds {
		if err := w.store.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	}
	return worlds[0].store.State()
}

// orphans names what refers to something that is gone.
func orphans(s *slb.State) []string {
	var out []string
	for key, l := range s.Listeners.All() {
		if _, ok := s.LoadBalancers.Get(string(l.LoadBalancerID)); !ok {
			out = append(out, "listener "+key+" without its instance")
		}
		if _, ok := s.VServerGroups.Get(l.VServerGroupID); !ok && l.VServerGroupID != "" {
			out = append(out, "listener "+key+" with group "+l.VServerGroupID)
		}
		if _, ok := s.MasterSlaveGroups.Get(l.MasterSlaveServerGroup); !ok && l.MasterSlaveServerGroup != "" {
			out = append(out, "listener "+key+" with pair "+l.MasterSlaveServerGroup)
		}
	}
	for id, r := range s.Rules.All() {
		if _, ok := s.Listeners.Get(r.ListenerKey()); !ok {
			out = append(out, "rule "+id+" without its listener")
		}
		if _, ok := s.VServerGroups.Get(r.VServerGroupID); !ok {
			out = append(out, "rule "+id+" with group "+r.VServerGroupID)
		}
	}
	for id, g := range s.VServerGroups.All() {
		if _, ok := s.LoadBalancers.Get(string(g.LoadBalancerID)); !ok {
			out = append(out, "group "+id+" without its instance")
		}
	}
	for id, g := range s.MasterSlaveGroups.All() {
		if _, ok := s.LoadBalancers.Get(string(g.LoadBalancerID)); !ok {
			out = append(out, "pair "+id+" without its instance")
		}
	}
	return out
}

// TestParallelUseAndDelete: whatever runs beside the deletion of a group, a
// listener or an instance, nothing ends up naming what is gone; on one node and
// on two that share a store.
func TestParallelUseAndDelete(t *testing.T) {
	for name, make := range map[string]func() []*world{
		"one node":  func() []*world { w := newWorld(t); return []*world{w, w} },
		"two nodes": func() []*world { w, _ := twoNodes(t); return w },
	} {
		t.Run(name, func(t *testing.T) {
			worlds := make()
			setup := worlds[0]
			setup.servers(2)
			for round := range 30 {
				lb := setup.create()
				setup.http(lb, 80)
				setup.http(lb, 81)
				setup.tcp(lb, 9000)
				g, spare, ms := setup.vgroup(lb, "g", ""), setup.vgroup(lb, "spare", ""), setup.pair(lb, "ms")
				rule := setup.rule(lb, "r", "", "/r", spare)
				settle(t, worlds)
				calls := []params{
					{"SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000", "VServerGroup", "on", "VServerGroupId", g},
					{"CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "9001", "MasterSlaveServerGroupId", ms},
					{"SetRule", "RegionId", testRegion, "RuleId", rule, "VServerGroupId", g},
					{"CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "81", "RuleList", ruleList("n", "", "/n", g)},
					{"DeleteVServerGroup", "RegionId", testRegion, "VServerGroupId", g},
					{"DeleteMasterSlaveServerGroup", "RegionId", testRegion, "MasterSlaveServerGroupId", ms},
				}
				switch round % 3 {
				case 1:
					calls = append(calls, params{"DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "81"})
				case 2:
					calls = append(calls,
						params{"DeleteLoadBalancer", "LoadBalancerId", lb},
						params{"CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", lb},
						params{"CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "MasterSlaveBackendServers", pairOf("i-1", "i-2")})
				}
				together(len(calls), func(i int) {
					if status, a := worlds[i%2].try(calls[i][0], calls[i][1:]...); status >= 500 {
						t.Errorf("%v: %d %v", calls[i], status, a)
					}
				})
				if got := orphans(settle(t, worlds)); len(got) > 0 {
					t.Fatalf("round %d: %v", round, got)
				}
				worlds[0].try("DeleteLoadBalancer", "LoadBalancerId", lb)
			}
		})
	}
}

// TestUseBesideDelete puts each deletion between the reading and the commit of
// each use on another node, and the other way round.
func TestUseBesideDelete(t *testing.T) {
	uses := map[string]params{
		"set listener to group":    {"SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000", "VServerGroup", "on", "VServerGroupId", "$VGROUP"},
		"create listener with it":  {"CreateLoadBalancerTCPListener", "LoadBalancerId", "LB", "ListenerPort", "9001", "VServerGroupId", "$VGROUP"},
		"set listener to pair":     {"SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000", "MasterSlaveServerGroup", "on", "MasterSlaveServerGroupId", "$PAIR"},
		"create listener for pair": {"CreateLoadBalancerTCPListener", "LoadBalancerId", "LB", "ListenerPort", "9001", "MasterSlaveServerGroupId", "$PAIR"},
		"create rule":              {"CreateRules", "RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "81", "RuleList", ruleList("n", "", "/n", "$VGROUP")},
		"set rule":                 {"SetRule", "RegionId", testRegion, "RuleId", "$RULE", "VServerGroupId", "$VGROUP"},
		"create group":             {"CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", "LB"},
		"create pair":              {"CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", "LB", "MasterSlaveBackendServers", pairOf("i-1", "i-2")},
	}
	deletions := map[string]params{
		"group":    {"DeleteVServerGroup", "RegionId", testRegion, "VServerGroupId", "$VGROUP"},
		"pair":     {"DeleteMasterSlaveServerGroup", "RegionId", testRegion, "MasterSlaveServerGroupId", "$PAIR"},
		"listener": {"DeleteLoadBalancerListener", "LoadBalancerId", "LB", "ListenerPort", "81"},
		"instance": {"DeleteLoadBalancer", "LoadBalancerId", "LB"},
	}
	try := func(t *testing.T, use, deletion params, deletionFirst bool) {
		worlds, paused := twoNodes(t)
		w := worlds[0]
		w.servers(2)
		lb := w.create()
		w.http(lb, 80)
		w.http(lb, 81)
		w.tcp(lb, 9000)
		w.vgroup(lb, "a", "")
		w.pair(lb, "ms")
		w.rule(lb, "r", "", "/r", w.vgroup(lb, "b", ""))
		settle(t, worlds)
		fill := func(p params) params {
			var out params
			for _, v := range p {
				out = append(out, w.fill(v, lb))
			}
			return out
		}
		first, second := fill(use), fill(deletion)
		if deletionFirst {
			first, second = second, first
		}
		between := func() {
			if status, a := worlds[1].try(second[0], second[1:]...); status != 200 {
				t.Errorf("between: %d %v", status, a)
			}
		}
		paused.before.Store(&between)
		if status, a := worlds[0].try(first[0], first[1:]...); status >= 500 {
			t.Errorf("%d %v", status, a)
		}
		if paused.before.Load() != nil {
			t.Error("nothing was committed")
		}
		if got := orphans(settle(t, worlds)); len(got) > 0 {
			t.Error(got)
		}
	}
	for name, use := range uses {
		for what, deletion := range deletions {
			t.Run("delete "+what+" beside "+name, func(t *testing.T) { try(t, use, deletion, false) })
			t.Run(name+" beside delete "+what, func(t *testing.T) { try(t, use, deletion, true) })
		}
	}
}

// TestParallelRules: names and places of rules stay unique, and the quota holds,
// also between nodes.
func TestParallelRules(t *testing.T) {
	worlds, _ := twoNodes(t)
	lb := oneBalancer(worlds[0])
	worlds[0].http(lb, 80)
	g := worlds[0].vgroup(lb, "g", "")
	settle(t, worlds)
	together(60, func(i int) {
		n := i / 2 // each twice, once on either node
		worlds[i%2].try("CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList",
			ruleList(fmt.Sprint("name", n), "", fmt.Sprint("/", n), g))
		worlds[i%2].try("CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList",
			ruleList(fmt.Sprint("other", n), "", fmt.Sprint("/", n), g))
		worlds[i%2].try("CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList",
			ruleList(fmt.Sprint("name", n), "", fmt.Sprint("/other", n), g))
	})
	var names, urls []string
	for _, r := range settle(t, worlds).Rules.All() {
		names, urls = append(names, r.Name), append(urls, r.URL)
	}
	slices.Sort(names)
	slices.Sort(urls)
	if len(names) == 0 || len(names) > 40 || len(slices.Compact(names)) != len(urls) || len(slices.Compact(slices.Clone(urls))) != len(urls) {
		t.Errorf("%d rules: names %v, places %v", len(urls), names, urls)
	}
}

// TestParallelGroupServers: calls on one group lose no change of each other, and
// no server is both forgotten and in a group.
func TestParallelGroupServers(t *testing.T) {
	w := newWorld(t)
	w.servers(20)
	lb := oneBalancer(w)
	g := w.vgroup(lb, "g", "")
	on := func(list string, args ...any) []string {
		return []string{"RegionId", testRegion, "VServerGroupId", g, "BackendServers", fmt.Sprintf(list, args...)}
	}
	together(20, func(i int) {
		id := fmt.Sprintf("i-%d", i+1)
		w.ok("AddVServerGroupBackendServers", on(`[{"ServerId":%q,"Port":80},{"ServerId":%q,"Port":81}]`, id, id)...)
		w.ok("SetVServerGroupAttribute", on(`[{"ServerId":%q,"Port":80,"Weight":%d}]`, id, i)...)
		w.ok("RemoveVServerGroupBackendServers", on(`[{"ServerId":%q,"Port":81}]`, id)...)
	})
	v, _ := w.store.State().VServerGroups.Get(g)
	if len(v.Servers) != 20 {
		t.Errorf("%d servers: %s", len(v.Servers), w.entries(g))
	}
	for _, e := range v.Servers {
		if string(e.ServerID) != fmt.Sprintf("i-%d", e.Weight+1) || e.Port != 80 {
			t.Errorf("%s:%d has weight %d", e.ServerID, e.Port, e.Weight)
		}
	}
	for round := range 30 {
		w.clock.Advance(time.Second)
		w.ok("RegisterServer", "ServerId", "i-x", "Address.1", "10.9.9.9")
		together(2, func(i int) {
			switch {
			case i == 0:
				w.try("DeregisterServer", "ServerId", "i-x")
			case round%2 == 0:
				w.try("AddVServerGroupBackendServers", on(`[{"ServerId":"i-x","Port":80}]`)...)
			default:
				w.try("CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "MasterSlaveBackendServers", pairOf("i-x", "i-1"))
			}
		})
		_, registered := w.store.State().Servers.Get("i-x")
		if using := w.store.State().LoadBalancersUsing("i-x"); len(using) > 0 && !registered {
			t.Fatal("attached and forgotten")
		}
		w.try("DeregisterServer", "ServerId", "i-x", "Force", "true")
	}
}
