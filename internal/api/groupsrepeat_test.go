package api

import "testing"

// TestSetGroupRepetition: of equal elements the first counts, as in the actions
// on the default group.
func TestSetGroupRepetition(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `["i-1"]`)
	id := w.ok("CreateVServerGroup", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-1","Port":"80"}]`).text(t, "VServerGroupId")
	w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-1","Weight":"10"},{"ServerId":"i-1","Weight":"20"}]`)
	a := w.ok("SetVServerGroupAttribute", "RegionId", "cn-hangzhou", "VServerGroupId", id,
		"BackendServers", `[{"ServerId":"i-1","Port":"80","Weight":"10"},{"ServerId":"i-1","Port":"80","Weight":"20"}]`)
	if got := a.at(t, "BackendServers", "BackendServer", 0, "Weight"); got != 10.0 {
		t.Errorf("weight %v", got)
	}
	if got := w.group(lb); got != "i-1=10" {
		t.Error(got)
	}
}
