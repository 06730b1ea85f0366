package system

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

// groupEntries is the JSON of servers, each at its own port, all of one weight.
func groupEntries(weight int, servers ...*testutil.Server) string {
	text := ""
	for _, s := range servers {
		text += fmt.Sprintf(`,{"ServerId":%q,"Port":%d,"Weight":%d}`, s.ID, s.Addr().Port(), weight)
	}
	return "[" + text[min(1, len(text)):] + "]"
}

// group makes a vserver group and returns its id.
func (b *balancer) group(servers string) string {
	b.t.Helper()
	var out struct {
		VServerGroupID string `json:"VServerGroupId"`
	}
	if err := b.do("CreateVServerGroup", &out, "RegionId", node.DefaultRegion, "LoadBalancerId", b.id, "BackendServers", servers); err != nil {
		b.t.Fatal(err)
	}
	return out.VServerGroupID
}

// changeGroup calls an action on a vserver group.
func (b *balancer) changeGroup(action, group string, pairs ...any) {
	b.t.Helper()
	b.call(action, append([]any{"RegionId", node.DefaultRegion, "VServerGroupId", group}, pairs...)...)
}

// listenFor creates and starts a listener that sends to a group of its own.
func (b *balancer) listenFor(kind string, port uint16, param, group string, more ...any) netip.AddrPort {
	b.t.Helper()
	b.call("CreateLoadBalancer"+kind+"Listener", append([]any{"LoadBalancerId", b.id, "ListenerPort", port, param, group}, more...)...)
	b.call("StartLoadBalancerListener", "LoadBalancerId", b.id, "ListenerPort", port)
	return netip.AddrPortFrom(b.ip, port)
}

// TestVServerGroup: listeners send to the servers of their group at the ports
// given there, and follow each change of it with the answer of the call.
func TestVServerGroup(t *testing.T) {
	testutil.NoLeaks(t)
	a, b, c := testutil.HTTPServers(t, "a")[0], testutil.HTTPServers(t, "b")[0], testutil.HTTPServers(t, "c")[0]
	echoA, echoB := testutil.EchoServers(t, "ea")[0], testutil.EchoServers(t, "eb")[0]
	n := startNode(t)
	n.register(a, b, c, echoA, echoB)
	lb := n.balancer("groups")
	lb.add(entry{c.ID, 100}) // the default group, which is of no concern to listeners with another
	web := lb.group(groupEntries(50, a, b))
	spare := lb.group(groupEntries(100, c))
	http := lb.listenFor("HTTP", httpPort, "VServerGroupId", web, off...)
	tcp := lb.listenFor("TCP", tcpPort, "VServerGroupId", lb.group(groupEntries(100, echoA, echoB)), off...)

	check := func(what string, want map[string]int) {
		t.Helper()
		got := spread(t, http, 60)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
		for id, n := range want {
			if got[id] != n {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
	check("at first", map[string]int{"a": 30, "b": 30})
	if got := spreadTCP(t, tcp, 20); got["ea"] != 10 || got["eb"] != 10 {
		t.Errorf("TCP: %v", got)
	}
	lb.changeGroup("SetVServerGroupAttribute", web, "BackendServers", groupEntries(100, a))
	check("weights 100 and 50", map[string]int{"a": 40, "b": 20})
	lb.changeGroup("SetVServerGroupAttribute", web, "BackendServers", groupEntries(0, a))
	check("weight 0", map[string]int{"b": 60})
	lb.changeGroup("ModifyVServerGroupBackendServers", web, "OldBackendServers", groupEntries(50, b), "NewBackendServers", groupEntries(100, c))
	check("swapped", map[string]int{"c": 60})
	lb.changeGroup("AddVServerGroupBackendServers", web, "BackendServers", groupEntries(100, b))
	check("added", map[string]int{"b": 30, "c": 30})
	lb.changeGroup("RemoveVServerGroupBackendServers", web, "BackendServers", groupEntries(1, c))
	check("removed", map[string]int{"b": 60})

	set := func(pairs ...any) {
		t.Helper()
		lb.call("SetLoadBalancerHTTPListenerAttribute", append([]any{"LoadBalancerId", lb.id, "ListenerPort", httpPort}, pairs...)...)
	}
	set("VServerGroup", "on", "VServerGroupId", spare)
	check("another group", map[string]int{"c": 60})
	set("VServerGroup", "on", "VServerGroupId", web)
	check("and back", map[string]int{"b": 60})
	if code := apiCode(lb.try("DeleteVServerGroup", "RegionId", node.DefaultRegion, "VServerGroupId", web)); code != "RspoolVipExist" {
		t.Errorf("a group in use could be deleted: %q", code)
	}
	lb.call("SetServerStatus", "ServerId", b.ID, "Status", "Stopped")
	conn, err := testutil.DialHTTP(http)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if r, err := conn.Get("/"); err != nil || r.Status != 502 {
		t.Errorf("without a server: %+v, %v, want 502", r, err)
	}
}

// TestRules: requests go where rules say, from the answer of the call on until
// the rule is gone; what no rule is about goes to the listener's own group.
func TestRules(t *testing.T) {
	testutil.NoLeaks(t)
	a, b, c := testutil.HTTPServers(t, "a")[0], testutil.HTTPServers(t, "b")[0], testutil.HTTPServers(t, "c")[0]
	n := startNode(t)
	n.register(a, b, c)
	lb := n.balancer("rules")
	groupA, groupB := lb.group(groupEntries(100, a)), lb.group(groupEntries(100, b))
	http := lb.listenFor("HTTP", httpPort, "VServerGroupId", lb.group(groupEntries(100, c)), off...)
	conn, err := testutil.DialHTTP(http)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	from := func(host, path, want string) {
		t.Helper()
		r, err := conn.Do("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		if err != nil {
			t.Fatalf("%s%s: %v", host, path, err)
		}
		if got := r.Body; r.Status == 200 && got != want || r.Status != 200 && fmt.Sprint(r.Status) != want {
			t.Errorf("%s%s: %d from %q, want %s", host, path, r.Status, got, want)
		}
	}
	from("a.example.com", "/", "c")
	var made struct {
		Rules struct {
			Rule []struct {
				RuleID string `json:"RuleId"`
			}
		}
	}
	if err := lb.do("CreateRules", &made, "RegionId", node.DefaultRegion, "LoadBalancerId", lb.id, "ListenerPort", httpPort, "RuleList",
		fmt.Sprintf(`[{'RuleName':'domain','Domain':'a.example.com','VServerGroupId':'%s'},{'RuleName':'path','Url':'/b','VServerGroupId':'%s'}]`, groupA, groupB)); err != nil {
		t.Fatal(err)
	}
	from("a.example.com", "/b", "a")
	from("A.example.com:8080", "/", "a")
	from("other.example.com", "/b/c", "b")
	from("other.example.com", "/", "c")
	lb.call("SetRule", "RegionId", node.DefaultRegion, "RuleId", made.Rules.Rule[0].RuleID, "VServerGroupId", groupB)
	from("a.example.com", "/", "b")
	for i, want := range []string{"c", "c"} {
		lb.call("DeleteRules", "RegionId", node.DefaultRegion, "RuleIds", `["`+made.Rules.Rule[i].RuleID+`"]`)
		from([]string{"a.example.com", "other.example.com"}[i], []string{"/", "/b"}[i], want)
	}
}

// TestMasterSlave: the master has all traffic while it is well, the slave while
// it is not, and nobody is moved who is connected.
func TestMasterSlave(t *testing.T) {
	testutil.NoLeaks(t)
	master, slave := testutil.EchoServers(t, "master")[0], testutil.EchoServers(t, "slave")[0]
	n := startNode(t)
	n.register(master, slave)
	lb := n.balancer("pair")
	var made struct {
		GroupID string `json:"MasterSlaveServerGroupId"`
	}
	servers := fmt.Sprintf(`[{'ServerId':'%s','Port':'%d','Weight':'100','ServerType':'Master'},{'ServerId':'%s','Port':'%d','Weight':'100','ServerType':'Slave'}]`,
		master.ID, master.Addr().Port(), slave.ID, slave.Addr().Port())
	if err := lb.do("CreateMasterSlaveServerGroup", &made, "RegionId", node.DefaultRegion, "LoadBalancerId", lb.id, "MasterSlaveBackendServers", servers); err != nil {
		t.Fatal(err)
	}
	tcp := lb.listenFor("TCP", tcpPort, "MasterSlaveServerGroupId", made.GroupID, on...)
	all := func(what, id string) {
		t.Helper()
		if got := spreadTCP(t, tcp, 20); got[id] != 20 {
			t.Errorf("%s: %v, want all on the %s", what, got, id)
		}
	}
	lb.await(tcpPort, master.ID, "normal")
	all("at first", "master")

	master.Kill()
	if took := lb.await(tcpPort, master.ID, "abnormal"); took > failureWindow+slack {
		t.Errorf("left after %v, documented are %v", took, failureWindow)
	}
	all("the master is dead", "slave")
	stays, err := testutil.DialEcho(tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()
	master.Revive(t)
	if took := lb.await(tcpPort, master.ID, "normal"); took > successWindow+slack {
		t.Errorf("returned after %v, documented are %v", took, successWindow)
	}
	all("the master is back", "master")
	if err := stays.Echo("still here"); err != nil || stays.ServerID != "slave" {
		t.Errorf("a connection to the %s did not outlive the switch: %v", stays.ServerID, err)
	}
	if h := lb.health(tcpPort, slave.ID); h != "unavailable" {
		t.Errorf("the slave is %q", h)
	}
	lb.call("SetServerStatus", "ServerId", master.ID, "Status", "Stopped")
	all("the master is stopped", "slave")
	lb.call("SetServerStatus", "ServerId", master.ID, "Status", "Running")
	all("the master runs", "master")
}
