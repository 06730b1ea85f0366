package plan

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// groupState has two listeners on the vserver group, one of them stopped, and
// one on the pair; the default group is used by a fourth.
func groupState() *slb.State {
	use := func(vserver, pair string) func(*slb.Listener) {
		return func(l *slb.Listener) {
			l.VServerGroupID, l.MasterSlaveServerGroup, l.BackendServerPort = vserver, pair, 0
			l.HealthCheck.Enabled = true
		}
	}
	return stateOf(
		balancer("lb", "127.1.0.1", slb.BackendServer{ServerID: "i-1", Weight: 100}), server("i-1", "10.0.0.1"), server("i-2", "10.0.0.2"),
		&slb.VServerGroup{ID: "rsp-v", LoadBalancerID: "lb", Servers: []slb.GroupServer{
			{ServerID: "i-1", Port: 80, Weight: 10}, {ServerID: "i-1", Port: 81, Weight: 0},
			{ServerID: "eni-1", ServerIP: addr("10.7.0.1"), Port: 80, Weight: 100, Type: slb.ENI},
		}},
		&slb.MasterSlaveServerGroup{ID: "rsp-m", LoadBalancerID: "lb", Servers: []slb.GroupServer{
			{ServerID: "i-2", Port: 90, Weight: 0}, {ServerID: "i-1", Port: 90, Weight: 7, Master: true},
		}},
		&slb.Rule{ID: "rule-1", LoadBalancerID: "lb", ListenerPort: 81, VServerGroupID: "rsp-v"},
		listener("lb", slb.TCP, 80, use("rsp-v", "")), listener("lb", slb.HTTP, 81, use("rsp-v", "")),
		listener("lb", slb.TCP, 82, use("", "rsp-m")), listener("lb", slb.TCP, 83),
	)
}

func TestGroups(t *testing.T) {
	want := `frontend tcp:80 on 127.1.0.1:80 pool=lb/rsp-v:80-tcp idle=15m0s persistence=0s
frontend http:81 on 127.1.0.1:81 pool=lb/rsp-v:81-http idle=15s request=1m0s xff=true
frontend tcp:82 on 127.1.0.1:82 pool=lb/rsp-m:82-tcp idle=15m0s persistence=0s
frontend tcp:83 on 127.1.0.1:83 pool=lb/default:83-tcp idle=15m0s persistence=0s
pool lb/rsp-v:80-tcp wrr check=true
  i-1 10.0.0.1:80 weight=10 disabled=false
  i-1 10.0.0.1:81 weight=0 disabled=false
  eni-1 10.7.0.1:80 weight=100 disabled=false
pool lb/rsp-v:81-http wrr check=true
  i-1 10.0.0.1:80 weight=10 disabled=false
  i-1 10.0.0.1:81 weight=0 disabled=false
  eni-1 10.7.0.1:80 weight=100 disabled=false
pool lb/rsp-m:82-tcp wrr check=true
  i-2 10.0.0.2:90 weight=100 disabled=false backup=true unchecked=true
  i-1 10.0.0.1:90 weight=7 disabled=false
pool lb/default:83-tcp wrr check=false
  i-1 10.0.0.1:8080 weight=100 disabled=false
`
	if diff := cmp.Diff(want, text(Instance(groupState(), "lb"))); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}
}

func TestHealthOfGroups(t *testing.T) {
	s := groupState()
	var facts []spec.TargetFacts
	for _, f := range []struct{ pool, id, addr string }{
		{"lb/rsp-v:80-tcp", "i-1", "10.0.0.1:80"}, {"lb/rsp-v:80-tcp", "i-1", "10.0.0.1:81"},
		{"lb/rsp-v:81-http", "i-1", "10.0.0.1:81"}, {"lb/rsp-v:81-http", "eni-1", "10.7.0.1:80"},
		{"lb/rsp-m:82-tcp", "i-1", "10.0.0.1:90"},
	} {
		facts = append(facts, spec.TargetFacts{Pool: f.pool, Target: f.id, Addr: netip.MustParseAddrPort(f.addr), Health: spec.HealthUp})
	}
	var b strings.Builder
	for _, r := range ServerHealth(s, "lb", facts) {
		fmt.Fprintf(&b, "%s:%d %s %v:%d %s\n", r.Protocol, r.ListenerPort, r.ServerID, r.ServerIP, r.Port, r.Status)
	}
	want := `tcp:80 i-1 10.0.0.1:80 normal
tcp:80 i-1 10.0.0.1:81 abnormal
tcp:80 eni-1 10.7.0.1:80 unavailable
http:81 i-1 10.0.0.1:80 unavailable
http:81 i-1 10.0.0.1:81 normal
http:81 eni-1 10.7.0.1:80 normal
tcp:82 i-2 10.0.0.2:90 unavailable
tcp:82 i-1 10.0.0.1:90 normal
tcp:83 i-1 10.0.0.1:8080 unavailable
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

// TestHealthOfRules: rules that share a pool add nothing, others add what
// differs.
func TestHealthOfRules(t *testing.T) {
	on := func(l *slb.Listener) { l.HealthCheck.Enabled = true }
	rule := func(id, group string, sync slb.Switch, check bool) *slb.Rule {
		return &slb.Rule{ID: id, LoadBalancerID: "lb", ListenerPort: 80, URL: "/" + id, VServerGroupID: group, ListenerSync: sync, HealthCheck: slb.HealthCheck{Enabled: check}}
	}
	group := func(id string, servers ...slb.ServerID) *slb.VServerGroup {
		g := &slb.VServerGroup{ID: id, LoadBalancerID: "lb"}
		for _, s := range servers {
			g.Servers = append(g.Servers, slb.GroupServer{ServerID: s, Port: 80, Weight: 1})
		}
		return g
	}
	s := stateOf(balancer("lb", "127.1.0.1"), server("i-1", "10.0.0.1"), server("i-2", "10.0.0.2"), server("i-3", "10.0.0.3"),
		listener("lb", slb.HTTP, 80, on, func(l *slb.Listener) { l.VServerGroupID = "rsp-1" }), listener("lb", slb.HTTP, 81),
		group("rsp-1", "i-1"), group("rsp-2", "i-2", "i-3"),
		rule("rule-1", "rsp-1", slb.On, false), rule("rule-2", "rsp-2", slb.On, false), rule("rule-3", "rsp-2", slb.On, false),
		rule("rule-4", "rsp-2", slb.Off, true), rule("rule-5", "rsp-1", slb.Off, false))
	fact := func(pool, id, addr string, h spec.Health) spec.TargetFacts {
		return spec.TargetFacts{Pool: pool, Target: id, Addr: netip.MustParseAddrPort(addr), Health: h}
	}
	facts := []spec.TargetFacts{
		fact("lb/rsp-1:80-http", "i-1", "10.0.0.1:80", spec.HealthUp),
		fact("lb/rsp-2:80-http", "i-2", "10.0.0.2:80", spec.HealthUp), fact("lb/rsp-2:80-http", "i-3", "10.0.0.3:80", spec.HealthUp),
		fact("lb/rsp-2:80-http:rule-4", "i-2", "10.0.0.2:80", spec.HealthUp), fact("lb/rsp-2:80-http:rule-4", "i-3", "10.0.0.3:80", spec.HealthDown),
	}
	var got []string
	for _, r := range ServerHealth(s, "lb", facts) {
		got = append(got, fmt.Sprintf("%d %s %s", r.ListenerPort, r.ServerID, r.Status))
	}
	want := []string{"80 i-1 normal", "80 i-2 normal", "80 i-3 normal", "80 i-3 abnormal", "80 i-1 unavailable"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestGroupsAffect(t *testing.T) {
	s := groupState()
	for _, c := range []struct {
		kind slb.Kind
		key  string
		want []slb.LoadBalancerID
	}{
		{slb.KindVServerGroup, "rsp-v", []slb.LoadBalancerID{"lb"}},
		{slb.KindVServerGroup, "rsp-gone", nil},
		{slb.KindMasterSlaveGroup, "rsp-m", []slb.LoadBalancerID{"lb"}},
		{slb.KindMasterSlaveGroup, "rsp-gone", nil},
		{slb.KindRule, "rule-1", []slb.LoadBalancerID{"lb"}},
		{slb.KindRule, "rule-gone", nil},
		{slb.KindServer, "i-2", []slb.LoadBalancerID{"lb"}},
		{slb.KindServer, "eni-1", []slb.LoadBalancerID{"lb"}},
	} {
		if got := Affected(s, c.kind, c.key); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Affected(%s %s) = %v, want %v", c.kind, c.key, got, c.want)
		}
	}
}
