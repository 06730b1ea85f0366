package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// ruleState has a listener with the group rsp-a and rules to groups a and b.
func ruleState(change ...func(*slb.Listener)) *slb.State {
	rule := func(id, domain, url, group string, sync slb.Switch, scheduler slb.Scheduler, h slb.HealthCheck) *slb.Rule {
		return &slb.Rule{ID: id, LoadBalancerID: "lb", ListenerPort: 80, Domain: domain, URL: url, VServerGroupID: group,
			ListenerSync: sync, Scheduler: scheduler, HealthCheck: h}
	}
	l := listener("lb", slb.HTTP, 80, append([]func(*slb.Listener){func(l *slb.Listener) {
		l.VServerGroupID, l.Scheduler = "rsp-a", slb.WLC
		l.HealthCheck = slb.HealthCheck{Enabled: true, URI: "/listener"}
	}}, change...)...)
	return stateOf(balancer("lb", "127.1.0.1"), server("i-1", "10.0.0.1"), server("i-2", "10.0.0.2"), l, listener("lb", slb.HTTP, 81),
		&slb.VServerGroup{ID: "rsp-a", LoadBalancerID: "lb", Servers: []slb.GroupServer{{ServerID: "i-1", Port: 80, Weight: 10}}},
		&slb.VServerGroup{ID: "rsp-b", LoadBalancerID: "lb", Servers: []slb.GroupServer{{ServerID: "i-2", Port: 90, Weight: 20}}},
		rule("rule-1", "a.test", "", "rsp-a", slb.On, "", slb.HealthCheck{}),
		rule("rule-2", "a.test", "/x", "rsp-b", slb.On, "", slb.HealthCheck{}),
		rule("rule-3", "*.b.test", "", "rsp-b", "", "", slb.HealthCheck{}),
		rule("rule-4", "", "/y", "rsp-b", slb.Off, slb.RR, slb.HealthCheck{Enabled: true, Type: slb.CheckHTTP, URI: "/rule", Interval: 7 * time.Second}),
		rule("rule-5", "", "/z", "rsp-a", slb.Off, "", slb.HealthCheck{URI: "/off"}),
	)
}

func TestRules(t *testing.T) {
	inst := Instance(ruleState(), "lb")
	wantRules := map[uint16][]spec.Rule{
		80: {
			{ID: "rule-1", Domain: "a.test", Pool: "lb/rsp-a:80-http"},
			{ID: "rule-2", Domain: "a.test", Path: "/x", Pool: "lb/rsp-b:80-http"},
			{ID: "rule-3", Domain: "*.b.test", Pool: "lb/rsp-b:80-http"},
			{ID: "rule-4", Path: "/y", Pool: "lb/rsp-b:80-http:rule-4"},
			{ID: "rule-5", Path: "/z", Pool: "lb/rsp-a:80-http:rule-5"},
		},
		81: nil,
	}
	gotRules := map[uint16][]spec.Rule{}
	for _, f := range inst.Frontends {
		gotRules[f.ID.Port] = f.HTTP.Rules
	}
	if diff := cmp.Diff(wantRules, gotRules); diff != "" {
		t.Errorf("rules differ (-want +got):\n%s", diff)
	}
	type use struct {
		id        string
		origin    string
		scheduler spec.Scheduler
		uri       string // of the check; empty: none
		interval  time.Duration
		target    string
	}
	want := []use{
		{"lb/rsp-a:80-http", "lb/rsp-a:80-http", spec.WLC, "/listener", 2 * time.Second, "10.0.0.1:80"},
		{"lb/rsp-b:80-http", "lb/rsp-b:80-http", spec.WLC, "/listener", 2 * time.Second, "10.0.0.2:90"},
		{"lb/rsp-b:80-http:rule-4", "lb/rsp-b:80-http", spec.RR, "/rule", 7 * time.Second, "10.0.0.2:90"},
		{"lb/rsp-a:80-http:rule-5", "lb/rsp-a:80-http", spec.WRR, "", 0, "10.0.0.1:80"},
		{"lb/default:81-http", "lb/default:81-http", spec.WRR, "", 0, ""},
	}
	var got []use
	for _, p := range inst.Pools {
		u := use{id: p.ID, origin: p.Origin, scheduler: p.Scheduler}
		if p.Check != nil {
			u.uri, u.interval = p.Check.URI, p.Check.Interval
		}
		if len(p.Targets) == 1 {
			u.target = p.Targets[0].Addr.String()
		}
		got = append(got, u)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(use{})); diff != "" {
		t.Errorf("pools differ (-want +got):\n%s", diff)
	}
}

// A listener that redirects sends nothing anywhere.
func TestRulesOfRedirect(t *testing.T) {
	inst := Instance(ruleState(func(l *slb.Listener) { l.HTTP = &slb.HTTPOptions{ListenerForward: slb.On, ForwardPort: 443} }), "lb")
	if f := inst.Frontends[0]; f.HTTP.Rules != nil || f.Pool != "" || len(inst.Pools) != 1 {
		t.Errorf("frontend %+v, %d pools", f.HTTP, len(inst.Pools))
	}
}
