package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

const testRegion = "cn-hangzhou"

// vgroup makes a vserver group with the servers and returns its id.
func (w *world) vgroup(lb, name, servers string) string {
	w.t.Helper()
	w.clock.Advance(time.Second)
	return w.ok("CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "VServerGroupName", name, "BackendServers", servers).text(w.t, "VServerGroupId")
}

// pair makes a master/slave group of i-1 as the master and i-2, both at port 80.
func (w *world) pair(lb, name string) string {
	w.t.Helper()
	w.clock.Advance(time.Second)
	return w.ok("CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "MasterSlaveServerGroupName", name,
		"MasterSlaveBackendServers", pairOf("i-1", "i-2")).text(w.t, "MasterSlaveServerGroupId")
}

func pairOf(master, slave string) string {
	return fmt.Sprintf(`[{'ServerId':'%s','Port':'80','Weight':'100','Type':'ecs','ServerType':'Master','IsBackup':'0'},{'ServerId':'%s','Port':'80','Weight':'100','Type':'ecs','ServerType':'Slave','IsBackup':'1'}]`, master, slave)
}

// entries are the servers of a vserver group as "id:port=weight" texts.
func (w *world) entries(group string) string {
	w.t.Helper()
	g, ok := w.store.State().VServerGroups.Get(group)
	if !ok {
		w.t.Fatalf("no group %s", group)
	}
	var out []string
	for _, e := range g.Servers {
		ip := ""
		if e.ServerIP.IsValid() {
			ip = "@" + e.ServerIP.String()
		}
		out = append(out, fmt.Sprintf("%s%s:%d=%d", e.ServerID, ip, e.Port, e.Weight))
	}
	return strings.Join(out, " ")
}

// withGroups: group "a" has i-1 and i-2 and is used by tcp 9001, http 81 and the
// rule "img"; "b" is empty and of no use; the pair "ms" is used by tcp 9002.
func withGroups(w *world) string {
	lb := withListeners(w)
	a := w.vgroup(lb, "a", `[{"ServerId":"i-1","Port":"80"},{"ServerId":"i-2","Port":8080,"Weight":50,"Description":"second"}]`)
	w.vgroup(lb, "b", "")
	ms := w.pair(lb, "ms")
	w.ok("CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "9001", "VServerGroupId", a)
	w.ok("CreateLoadBalancerHTTPListener", "LoadBalancerId", lb, "ListenerPort", "81", "VServerGroupId", a, "HealthCheck", "off")
	w.ok("CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "9002", "MasterSlaveServerGroupId", ms)
	w.clock.Advance(time.Second)
	w.ok("CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList",
		`[{"RuleName":"img","Domain":"img.example.com","Url":"/small","VServerGroupId":"`+a+`"}]`)
	return lb
}

func init() {
	placeholders["$VGROUP"] = func(s *slb.State) string {
		return firstByName(s.VServerGroups, func(g *slb.VServerGroup) (string, string) { return g.Name, g.ID })
	}
	placeholders["$SPARE"] = func(s *slb.State) string {
		for _, g := range s.VServerGroups.All() {
			if g.Name == "b" {
				return g.ID
			}
		}
		return ""
	}
	placeholders["$PAIR"] = func(s *slb.State) string {
		return firstByName(s.MasterSlaveGroups, func(g *slb.MasterSlaveServerGroup) (string, string) { return g.Name, g.ID })
	}
	placeholders["$RULE"] = func(s *slb.State) string {
		return firstByName(s.Rules, func(r *slb.Rule) (string, string) { return r.Name, r.ID })
	}
	group := func(more ...string) params {
		return append(params{"RegionId", testRegion, "VServerGroupId", "$VGROUP"}, more...)
	}
	unknown := params{"RegionId", testRegion, "VServerGroupId", "rsp-none"}
	of := func(more ...string) params {
		return append(params{"RegionId", testRegion, "LoadBalancerId", "LB"}, more...)
	}
	goldens = append(goldens,
		golden{"CreateVServerGroup", withServers, []params{
			of("VServerGroupName", "k8s/30801/svc/default/c", "BackendServers", `[{"ServerId":"i-1","Port":"80","Weight":"100"},{"ServerId":"i-1","Port":81,"Description":"again"}]`, "Tag.1.Key", "team", "Tag.1.Value", "web"),
			of(),
			of("BackendServers", `[{"ServerId":"i-9","Port":80}]`),
		}},
		golden{"SetVServerGroupAttribute", withGroups, []params{group("VServerGroupName", "renamed", "BackendServers", `[{"ServerId":"i-1","Port":80,"Weight":7}]`), unknown}},
		golden{"DeleteVServerGroup", withGroups, []params{
			group(), {"RegionId", testRegion, "VServerGroupId", "$SPARE"}, unknown,
		}},
		golden{"DescribeVServerGroups", withGroups, []params{of(), of("IncludeListener", "true", "IncludeRule", "true"), of("Description", "b"), of("Tag.1.Key", "none")}},
		golden{"DescribeVServerGroupAttribute", withGroups, []params{group(), {"RegionId", testRegion, "VServerGroupId", "$SPARE"}, unknown}},
		golden{"AddVServerGroupBackendServers", withGroups, []params{group("BackendServers", `[{"ServerId":"i-3","Port":80,"Weight":"10"},{"ServerId":"i-1","Port":"90"}]`), group("BackendServers", `[{"ServerId":"i-3","Port":0}]`)}},
		golden{"RemoveVServerGroupBackendServers", withGroups, []params{group("BackendServers", `[{"ServerId":"i-1","Port":80},{"ServerId":"i-3","Port":80}]`), group("BackendServers", `[{"ServerId":"i-2","Port":8080}]`)}},
		golden{"ModifyVServerGroupBackendServers", withGroups, []params{group("OldBackendServers", `[{"ServerId":"i-1","Port":80}]`, "NewBackendServers", `[{"ServerId":"i-3","Port":80}]`)}},

		golden{"CreateMasterSlaveServerGroup", withServers, []params{of("MasterSlaveServerGroupName", "ms", "MasterSlaveBackendServers", pairOf("i-1", "i-2")), of("MasterSlaveBackendServers", pairOf("i-1", "i-1"))}},
		golden{"DeleteMasterSlaveServerGroup", withGroups, []params{{"RegionId", testRegion, "MasterSlaveServerGroupId", "$PAIR"}, {"RegionId", testRegion, "MasterSlaveServerGroupId", "rsp-none"}}},
		golden{"DescribeMasterSlaveServerGroups", withGroups, []params{of(), of("IncludeListener", "true"), of("Description", "none")}},
		golden{"DescribeMasterSlaveServerGroupAttribute", withGroups, []params{{"RegionId", testRegion, "MasterSlaveServerGroupId", "$PAIR"}, {"RegionId", testRegion, "MasterSlaveServerGroupId", "rsp-none"}}},
	)
}

// TestQuirk1To3InGroups: the forms in which server lists come.
func TestQuirk1To3InGroups(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	g := w.vgroup(lb, "k8s/30801/svc/default/c", "")
	if got := w.entries(g); got != "" {
		t.Error(got)
	}
	call := func(action, list, want string) {
		t.Helper()
		w.ok(action, "RegionId", testRegion, "VServerGroupId", g, "BackendServers", list)
		if got := w.entries(g); got != want {
			t.Errorf("%s %s: %q, want %q", action, list, got, want)
		}
	}
	// The controller.
	call("AddVServerGroupBackendServers", `[{"IsUserManaged":false,"NodeName":null,"description":"k8s/30803/svc","serverId":"i-1","serverIp":"","weight":60,"port":30803,"type":"ecs","TargetRef":null,"Invalid":false}]`, "i-1:30803=60")
	call("SetVServerGroupAttribute", `[{"serverId":"i-1","serverIp":"","weight":0,"port":30803,"type":"ecs"}]`, "i-1:30803=0")
	// Terraform.
	call("AddVServerGroupBackendServers", `[{'ServerId':'i-2','Port':'80','Weight':'100', 'Type': 'ecs'}]`, "i-1:30803=0 i-2:80=100")
	call("RemoveVServerGroupBackendServers", `[{'ServerId':'i-2','Port':'80','Weight':'1', 'Type': 'ecs','ServerIp':''}]`, "i-1:30803=0")
	call("RemoveVServerGroupBackendServers", `[{"description":"x","serverId":"i-1","weight":60,"port":30803,"type":"ecs"}]`, "")
	// A name alone; nothing at all; empty lists.
	w.ok("SetVServerGroupAttribute", "RegionId", testRegion, "VServerGroupId", g, "VServerGroupName", "other", "BackendServers", "")
	w.ok("SetVServerGroupAttribute", "RegionId", testRegion, "VServerGroupId", g)
	w.ok("AddVServerGroupBackendServers", "RegionId", testRegion, "VServerGroupId", g, "BackendServers", "[]")
	if got := w.ok("DescribeVServerGroupAttribute", "RegionId", testRegion, "VServerGroupId", g).text(t, "VServerGroupName"); got != "other" {
		t.Error(got)
	}
}

// TestQuirk8FortyPerCall: the controller's batches pass, and the limit is a
// setting.
func TestQuirk8FortyPerCall(t *testing.T) {
	w := newWorld(t)
	w.servers(41)
	lb := oneBalancer(w)
	list := func(n int) string {
		var out []map[string]any
		for i := 1; i <= n; i++ {
			out = append(out, map[string]any{"ServerId": fmt.Sprintf("i-%d", i), "Port": 80})
		}
		text, _ := json.Marshal(out)
		return string(text)
	}
	g := w.vgroup(lb, "many", list(40))
	for _, action := range []string{"SetVServerGroupAttribute", "AddVServerGroupBackendServers", "RemoveVServerGroupBackendServers"} {
		w.fails(slb.ErrTooManyGroupServers.With(40), action, "RegionId", testRegion, "VServerGroupId", g, "BackendServers", list(41))
		w.ok(action, "RegionId", testRegion, "VServerGroupId", g, "BackendServers", list(40))
	}
	w.fails(slb.ErrTooManyGroupServers.With(40), "ModifyVServerGroupBackendServers", "RegionId", testRegion, "VServerGroupId", g, "NewBackendServers", list(41))
	w.fails(slb.ErrTooManyGroupServers.With(40), "CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "BackendServers", list(41))

	strict := newWorld(t, func(c *Config) { c.Quotas.GroupServersPerCall = 20 })
	strict.servers(21)
	strict.fails(slb.ErrTooManyGroupServers.With(20), "CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", oneBalancer(strict), "BackendServers", list(21))
}

// TestQuirk33PortOfUsers: groups call the port of their listeners Port.
func TestQuirk33PortOfUsers(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	a := w.ok("DescribeVServerGroups", "RegionId", testRegion, "LoadBalancerId", lb, "IncludeListener", "true")
	users := []any{"VServerGroups", "VServerGroup", 0, "AssociatedObjects"}
	if a.at(t, append(users, "Listeners", "Listener", 0, "Port")...) != 81.0 || a.text(t, append(users, "Listeners", "Listener", 1, "Protocol")...) != "tcp" {
		t.Error(a)
	}
	if l := a.at(t, append(users, "Rules", "Rule")...).([]any); len(l) != 0 {
		t.Errorf("rules that were not asked for: %v", l)
	}
}

// TestQuirk76EntriesOfAServer: one server stands in a group once for each port
// and, unless it is of type ecs, each address.
func TestQuirk76EntriesOfAServer(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	g := w.vgroup(lb, "g", `[{"ServerId":"i-1","Port":80,"Weight":1},{"ServerId":"i-1","Port":80,"Weight":2},{"ServerId":"i-1","Port":81}]`)
	if got := w.entries(g); got != "i-1:80=1 i-1:81=100" {
		t.Error(got)
	}
	do := func(action, list string) {
		t.Helper()
		w.ok(action, "RegionId", testRegion, "VServerGroupId", g, "BackendServers", list)
	}
	do("AddVServerGroupBackendServers", `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.1","Port":80},{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.2","Port":80},{"ServerId":"i-1","Port":80,"Weight":9}]`)
	if got := w.entries(g); got != "i-1:80=1 i-1:81=100 eni-1@10.7.0.1:80=100 eni-1@10.7.0.2:80=100" {
		t.Error(got)
	}
	do("SetVServerGroupAttribute", `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.2","Port":80,"Weight":5},{"ServerId":"i-1","Port":81,"Weight":6}]`)
	do("RemoveVServerGroupBackendServers", `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.1","Port":80},{"ServerId":"i-1","Port":80}]`)
	if got := w.entries(g); got != "i-1:81=6 eni-1@10.7.0.2:80=5" {
		t.Error(got)
	}
	a := w.ok("DescribeVServerGroupAttribute", "RegionId", testRegion, "VServerGroupId", g)
	if a.text(t, "BackendServers", "BackendServer", 1, "ServerIp") != "10.7.0.2" || a.at(t, "BackendServers", "BackendServer", 0, "Port") != 81.0 {
		t.Error(a)
	}
	w.fails(slb.ErrServerNotFound, "SetVServerGroupAttribute", "RegionId", testRegion, "VServerGroupId", g, "BackendServers", `[{"ServerId":"i-1","Port":81,"Weight":7},{"ServerId":"i-1","Port":80,"Weight":7}]`)
}

// TestQuirk78Modify swaps servers in one step.
func TestQuirk78Modify(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	g := w.vgroup(lb, "g", `[{"ServerId":"i-1","Port":80},{"ServerId":"i-2","Port":80}]`)
	for _, c := range []struct{ old, new, want string }{
		{`[{"ServerId":"i-1","Port":80}]`, `[{"ServerId":"i-3","Port":80,"Weight":3}]`, "i-2:80=100 i-3:80=3"},
		{`[{"ServerId":"i-1","Port":80}]`, ``, "i-2:80=100 i-3:80=3"},
		{``, `[{"ServerId":"i-1","Port":90}]`, "i-2:80=100 i-3:80=3 i-1:90=100"},
		{`[{"ServerId":"i-2","Port":80}]`, `[{"ServerId":"i-2","Port":80,"Weight":1}]`, "i-3:80=3 i-1:90=100 i-2:80=1"},
		{`[{'ServerId':'i-3','Port':'80'},{'ServerId':'i-1','Port':'90'}]`, `[]`, "i-2:80=1"},
	} {
		w.ok("ModifyVServerGroupBackendServers", "RegionId", testRegion, "VServerGroupId", g, "OldBackendServers", c.old, "NewBackendServers", c.new)
		if got := w.entries(g); got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.old, c.new, got, c.want)
		}
	}
	// Nothing is taken out when the new one may not come in.
	w.fails(slb.ErrServerNotRunning, "ModifyVServerGroupBackendServers", "RegionId", testRegion, "VServerGroupId", g,
		"OldBackendServers", `[{"ServerId":"i-2","Port":80}]`, "NewBackendServers", `[{"ServerId":"i-9","Port":80}]`)
	if got := w.entries(g); got != "i-2:80=1" {
		t.Error(got)
	}
}

// TestQuirk79NameOfPairs: the element of the list is in the singular.
func TestQuirk79NameOfPairs(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	a := w.ok("CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "MasterSlaveBackendServers", pairOf("i-2", "i-1"))
	for i, want := range []string{"Master", "Slave"} {
		if got := a.text(t, "MasterSlaveBackendServers", "MasterSlaveBackendServer", i, "ServerType"); got != want {
			t.Errorf("server %d is %s", i, got)
		}
	}
}

// TestQuirk81InUse: a group cannot go while a listener or a rule sends to it.
func TestQuirk81InUse(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	state := w.store.State()
	g, ms, rule := placeholders["$VGROUP"](state), placeholders["$PAIR"](state), placeholders["$RULE"](state)
	remove := func() []string { return []string{"RegionId", testRegion, "VServerGroupId", g} }
	w.fails(slb.ErrGroupUsedByListener, "DeleteVServerGroup", remove()...)
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9001")
	w.ok("SetLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "81", "VServerGroup", "on", "VServerGroupId", placeholders["$SPARE"](state))
	w.fails(slb.ErrGroupUsedByRule, "DeleteVServerGroup", remove()...)
	w.ok("DeleteRules", "RegionId", testRegion, "RuleIds", `['`+rule+`']`)
	w.ok("DeleteVServerGroup", remove()...)
	w.fails(slb.ErrVServerGroup, "DeleteVServerGroup", remove()...)

	w.fails(slb.ErrGroupUsedByListener, "DeleteMasterSlaveServerGroup", "RegionId", testRegion, "MasterSlaveServerGroupId", ms)
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9002")
	w.ok("DeleteMasterSlaveServerGroup", "RegionId", testRegion, "MasterSlaveServerGroupId", ms)
}

// TestDeleteTakesAll: what belongs to an instance goes with it, what belongs to
// a listener with that.
func TestDeleteTakesAll(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	other := w.create()
	kept := w.vgroup(other, "kept", `[{"ServerId":"i-1","Port":80}]`)
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "80")
	if n := w.store.State().Rules.Len(); n != 0 {
		t.Errorf("%d rules of a listener that is gone", n)
	}
	w.ok("DeleteLoadBalancer", "LoadBalancerId", lb)
	s := w.store.State()
	if s.VServerGroups.Len() != 1 || s.MasterSlaveGroups.Len() != 0 || s.Listeners.Len() != 0 {
		t.Errorf("%d groups, %d pairs, %d listeners left", s.VServerGroups.Len(), s.MasterSlaveGroups.Len(), s.Listeners.Len())
	}
	if got := w.entries(kept); got != "i-1:80=100" {
		t.Error(got)
	}
}

// TestGroupsAreOfOneInstance: a listener or rule cannot use another instance's.
func TestGroupsAreOfOneInstance(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	s := w.store.State()
	other := w.create()
	w.http(other, 80)
	w.tcp(other, 9000)
	for _, c := range []struct {
		want *slb.Error
		id   string
		p    []string
	}{
		{slb.ErrVServerGroup, "VServerGroupId", []string{placeholders["$VGROUP"](s)}},
		{slb.ErrMasterSlaveGroup, "MasterSlaveServerGroupId", []string{placeholders["$PAIR"](s)}},
	} {
		w.fails(c.want, "CreateLoadBalancerTCPListener", "LoadBalancerId", other, "ListenerPort", "1", c.id, c.p[0])
		w.fails(c.want, "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", other, "ListenerPort", "9000", c.id, c.p[0])
	}
	w.fails(slb.ErrVServerGroup, "CreateRules", "RegionId", testRegion, "LoadBalancerId", other, "ListenerPort", "80", "RuleList",
		`[{"RuleName":"r","Url":"/x","VServerGroupId":"`+placeholders["$VGROUP"](s)+`"}]`)
	// The default group is what an instance shows; groups have their own actions.
	if got := len(w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb).at(t, "BackendServers", "BackendServer").([]any)); got != 2 {
		t.Errorf("%d servers", got)
	}
}

// TestQuirk54And56Groups follows the group of a listener through its changes.
func TestQuirk54And56Groups(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	a, b, ms := w.vgroup(lb, "a", ""), w.vgroup(lb, "b", ""), w.pair(lb, "ms")
	w.ok("CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "1", "BackendServerPort", "8080")
	w.ok("CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "2", "VServerGroupId", a)
	for i, c := range []struct {
		port string
		set  params
		want *slb.Error
		told string
	}{
		{"1", params{"Scheduler", "rr"}, nil, "8080"},
		{"1", params{"VServerGroup", "on"}, missingError("VServerGroupId"), "8080"},
		{"1", params{"VServerGroup", "on", "VServerGroupId", a}, nil, "8080 a"},
		{"1", params{"VServerGroup", "on"}, nil, "8080 a"},
		{"1", params{"VServerGroup", "on", "VServerGroupId", b}, nil, "8080 b"},
		{"1", params{"Scheduler", "wrr"}, nil, "8080 b"},
		{"1", params{"VServerGroup", "on", "VServerGroupId", "rsp-none"}, slb.ErrVServerGroup, "8080 b"},
		{"1", params{"VServerGroup", "on", "VServerGroupId", ms}, slb.ErrGroupProtocol, "8080 b"},
		{"1", params{"MasterSlaveServerGroup", "on", "MasterSlaveServerGroupId", a}, slb.ErrGroupProtocol, "8080 b"},
		{"1", params{"VServerGroup", "on", "VServerGroupId", a, "MasterSlaveServerGroup", "on", "MasterSlaveServerGroupId", ms}, slb.ErrGroupMismatch, "8080 b"},
		{"1", params{"VServerGroup", "off", "MasterSlaveServerGroup", "on", "MasterSlaveServerGroupId", ms}, nil, "8080 ms"},
		{"1", params{"VServerGroup", "on", "VServerGroupId", a, "MasterSlaveServerGroup", "off"}, nil, "8080 a"},
		{"1", params{"MasterSlaveServerGroupId", ms}, nil, "8080 ms"},
		{"1", params{"VServerGroup", "off"}, nil, "8080 ms"},
		{"1", params{"MasterSlaveServerGroup", "off"}, nil, "8080"},
		{"2", params{"VServerGroup", "on", "VServerGroupId", b}, nil, "b"},
		{"2", params{"VServerGroup", "off"}, missingError("BackendServerPort"), "b"},
	} {
		p := append(params{"LoadBalancerId", lb, "ListenerPort", c.port}, c.set...)
		if c.want != nil {
			w.fails(c.want, "SetLoadBalancerTCPListenerAttribute", p...)
		} else {
			w.ok("SetLoadBalancerTCPListenerAttribute", p...)
		}
		l := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", c.port)
		var told []string
		if port, ok := l["BackendServerPort"]; ok {
			told = append(told, fmt.Sprint(port))
		}
		for _, id := range []string{"VServerGroupId", "MasterSlaveServerGroupId"} {
			switch l[id] {
			case a:
				told = append(told, "a")
			case b:
				told = append(told, "b")
			case ms:
				told = append(told, "ms")
			}
		}
		if got := strings.Join(told, " "); got != c.told {
			t.Errorf("step %d, %v: %q, want %q", i, c.set, got, c.told)
		}
	}
	w.fails(slb.ErrGroupProtocol, "CreateLoadBalancerHTTPListener", "LoadBalancerId", lb, "ListenerPort", "80", "VServerGroupId", ms, "HealthCheck", "off")
}

// TestServersOfGroupsCount: quotas and the register look into every group.
func TestServersOfGroupsCount(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.BackendServers, c.Quotas.AttachmentsPerServer = 3, 2 })
	w.servers(6)
	one, two, three := w.create(), w.create(), w.create()
	w.add(one, `["i-1","i-2"]`)
	// A server is one, however many groups and ports it has.
	g := w.vgroup(one, "g", `[{"ServerId":"i-1","Port":80},{"ServerId":"i-1","Port":81},{"ServerId":"i-2","Port":80}]`)
	w.pair(one, "ms")
	add := func(list string) []string {
		return []string{"RegionId", testRegion, "VServerGroupId", g, "BackendServers", list}
	}
	w.ok("AddVServerGroupBackendServers", add(`[{"ServerId":"i-3","Port":80}]`)...)
	w.fails(slb.ErrServerQuota, "AddVServerGroupBackendServers", add(`[{"ServerId":"i-4","Port":80}]`)...)
	w.fails(slb.ErrServerQuota, "AddBackendServers", "LoadBalancerId", one, "BackendServers", `["i-4"]`)
	w.fails(slb.ErrServerQuota, "CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", one, "BackendServers", `[{"ServerId":"i-4","Port":80}]`)
	w.fails(slb.ErrServerQuota, "CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", one, "MasterSlaveBackendServers", pairOf("i-4", "i-1"))
	w.ok("RemoveVServerGroupBackendServers", add(`[{"ServerId":"i-3","Port":80}]`)...)
	w.ok("AddVServerGroupBackendServers", add(`[{"ServerId":"i-4","Port":80}]`)...)

	w.vgroup(two, "g", `[{"ServerId":"i-1","Port":80}]`)
	w.vgroup(two, "h", `[{"ServerId":"i-1","Port":80}]`)
	w.fails(slb.ErrQuota, "AddBackendServers", "LoadBalancerId", three, "BackendServers", `["i-1"]`)
	w.fails(slb.ErrQuota, "CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", three, "BackendServers", `[{"ServerId":"i-1","Port":80}]`)
	w.fails(slb.ErrQuota, "CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", three, "MasterSlaveBackendServers", pairOf("i-5", "i-1"))

	w.fails(slb.ErrServerAttached.With("i-4", 1), "DeregisterServer", "ServerId", "i-4")
	w.ok("DeregisterServer", "ServerId", "i-4", "Force", "true")
	w.ok("DeregisterServer", "ServerId", "i-1", "Force", "true")
	if got := w.entries(g); got != "i-2:80=100" {
		t.Error(got)
	}
	if using := w.store.State().LoadBalancersUsing("i-1"); len(using) != 0 {
		t.Errorf("still attached to %v", using)
	}
}

// TestGroupQuotas: groups of an instance, entries of a group.
func TestGroupQuotas(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.ServerGroups, c.Quotas.GroupServers = 2, 2 })
	lb := withServers(w)
	g := w.vgroup(lb, "a", `[{"ServerId":"i-1","Port":1},{"ServerId":"i-1","Port":2}]`)
	w.fails(slb.ErrServerQuota, "AddVServerGroupBackendServers", "RegionId", testRegion, "VServerGroupId", g, "BackendServers", `[{"ServerId":"i-1","Port":3}]`)
	w.vgroup(lb, "b", "")
	w.fails(slb.ErrGroupQuota, "CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", lb)
	w.pair(lb, "a")
	w.pair(lb, "b")
	w.fails(slb.ErrGroupQuota, "CreateMasterSlaveServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "MasterSlaveBackendServers", pairOf("i-1", "i-2"))
}

// TestGroupNetworks: servers of all groups of an instance are in one network.
func TestGroupNetworks(t *testing.T) {
	w := newWorld(t)
	for id, vpc := range map[string]string{"i-a": "vpc-a", "i-b": "vpc-b"} {
		w.ok("RegisterServer", "ServerId", id, "Address.1", "10.1.1.1", "VpcId", vpc)
	}
	lb, inA := w.create(), w.create("VSwitchId", "vsw-a")
	w.vgroup(lb, "g", `[{"ServerId":"i-a","Port":80}]`)
	w.fails(slb.ErrNetworkMixed, "AddBackendServers", "LoadBalancerId", lb, "BackendServers", `["i-b"]`)
	w.fails(slb.ErrNetworkMixed, "CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-b","Port":80}]`)
	w.fails(slb.ErrNetworkType, "CreateVServerGroup", "RegionId", testRegion, "LoadBalancerId", inA, "BackendServers", `[{"ServerId":"i-b","Port":80}]`)
}

// TestGroupOrder: lists follow creation.
func TestGroupOrder(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	var want, got []string
	for i := range 5 {
		want = append(want, w.vgroup(lb, fmt.Sprint("g", 9-i), ""))
	}
	a := w.ok("DescribeVServerGroups", "RegionId", testRegion, "LoadBalancerId", lb)
	for i := range want {
		got = append(got, a.text(t, "VServerGroups", "VServerGroup", i, "VServerGroupId"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
