package api

import (
	"encoding/json"
	"fmt"
	"testing"
)

// BackendServers of groups and RuleList are what strangers send.
func FuzzGroupServers(f *testing.F) {
	for _, seed := range []string{
		`[{"ServerId":"i-1","Port":"80","Weight":"100"}]`, `[{'ServerId':'i-1','Port':80},{'ServerId':'i-1','Port':80}]`, `["i-1"]`, `[]`, `[null]`, `{"a":[`,
		`[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.0.0.1","Port":1,"Weight":0},{"ServerId":"eni-1","Type":"ecs","ServerIp":"10.0.0.1","Port":1}]`,
		pairOf("i-1", "i-2"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := newWorld(t)
		lb := withServers(w)
		g := w.vgroup(lb, "g", `[{"ServerId":"i-1","Port":1}]`)
		for _, call := range []params{
			{"AddVServerGroupBackendServers", "RegionId", testRegion, "VServerGroupId", g, "BackendServers", text},
			{"ModifyVServerGroupBackendServers", "RegionId", testRegion, "VServerGroupId", g, "OldBackendServers", text, "NewBackendServers", text},
			{"CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "MasterSlaveBackendServers", text},
		} {
			status, body := w.send("JSON", call[0], call[1:])
			if !json.Valid([]byte(body)) || status >= 500 {
				t.Fatalf("%v: %d %s", call, status, body)
			}
		}
		v, _ := w.store.State().VServerGroups.Get(g)
		seen := map[string]bool{}
		for _, e := range v.Servers {
			key := fmt.Sprint(e.ServerID, e.Port, e.ServerIP)
			if e.Weight < 0 || e.Weight > 100 || e.Port == 0 || seen[key] {
				t.Errorf("%q made %v", text, v.Servers)
			}
			seen[key] = true
		}
		for _, p := range w.store.State().MasterSlaveGroups.All() {
			if len(p.Servers) != 2 || p.Servers[0].Master == p.Servers[1].Master {
				t.Errorf("%q made the pair %v", text, p.Servers)
			}
		}
	})
}

func FuzzRuleList(f *testing.F) {
	for _, seed := range []string{
		`[{"RuleName":"r","Url":"/r","VServerGroupId":"$VGROUP"}]`, `[{'RuleName':'r','Domain':'*.A.com','VServerGroupId':'$VGROUP'}]`, `[]`, `[null]`, `["r"]`, `{"a":[`,
		`[{"RuleName":"r","Domain":"img.example.com","Url":"/small","VServerGroupId":"$VGROUP"}]`, `[{"RuleName":"r","Url":"/%00#?&","VServerGroupId":"$VGROUP"}]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := newWorld(t)
		lb := withGroups(w)
		status, body := w.send("JSON", "CreateRules", params{"RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList", w.fill(text, lb)})
		if !json.Valid([]byte(body)) || status >= 500 {
			t.Fatalf("%d %s", status, body)
		}
		if got := orphans(w.store.State()); len(got) > 0 {
			t.Errorf("%q: %v", text, got)
		}
		for _, r := range w.store.State().Rules.All() {
			if r.Name == "" || r.Domain == "" && r.URL == "" || r.URL == "/" {
				t.Errorf("%q made %+v", text, r)
			}
		}
	})
}
