package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

// rule makes one rule on port 80 and returns its id.
func (w *world) rule(lb, name, domain, url, group string) string {
	w.t.Helper()
	w.clock.Advance(time.Second)
	a := w.ok("CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList", ruleList(name, domain, url, group))
	if n := len(a.at(w.t, "Rules", "Rule").([]any)); n != 1 {
		w.t.Fatalf("%d rules in the answer for one", n)
	}
	return a.text(w.t, "Rules", "Rule", 0, "RuleId")
}

func ruleList(name, domain, url, group string) string {
	return fmt.Sprintf(`[{'RuleName':'%s','Domain':'%s','Url':'%s','VServerGroupId':'%s'}]`, name, domain, url, group)
}

func init() {
	on := func(more ...string) params {
		return append(params{"RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "80"}, more...)
	}
	one := func(more ...string) params { return append(params{"RegionId", testRegion, "RuleId", "$RULE"}, more...) }
	unknown := params{"RegionId", testRegion, "RuleId", "rule-none"}
	goldens = append(goldens,
		golden{"CreateRules", withGroups, []params{
			on("RuleList", `[{"RuleName":"all","Domain":"*.example.com","VServerGroupId":"$VGROUP"},{"RuleName":"path","Url":"/x","VServerGroupId":"$VGROUP"}]`),
			on("RuleList", `[{'RuleName':'one','Domain':'a.example.com','VServerGroupId':'$VGROUP'}]`, "ListenerProtocol", "http"),
			on("RuleList", `[{"RuleName":"other","Domain":"img.example.com","Url":"/small","VServerGroupId":"$VGROUP"}]`),
			on("RuleList", `[{"RuleName":"dry","Url":"/dry","VServerGroupId":"$VGROUP"}]`, "DryRun", "true"),
		}},
		golden{"DeleteRules", withGroups, []params{{"RegionId", testRegion, "RuleIds", `["$RULE"]`}, {"RegionId", testRegion, "RuleIds", `["rule-none"]`}}},
		golden{"SetRule", withGroups, []params{one("RuleName", "renamed"), one("ListenerSync", "off"), unknown}},
		golden{"DescribeRules", withGroups, []params{on(), {"RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "81"}, {"RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "9000"}}},
		golden{"DescribeRuleAttribute", withOwnRule, []params{one(), unknown}},
	)
}

// withOwnRule: the rule "img" has settings of its own.
func withOwnRule(w *world) string {
	lb := withGroups(w)
	w.ok("SetRule", "RegionId", testRegion, "RuleId", placeholders["$RULE"](w.store.State()), "ListenerSync", "off", "Scheduler", "rr",
		"StickySession", "on", "StickySessionType", "insert", "CookieTimeout", "500", "HealthCheck", "on", "HealthCheckURI", "/ok")
	return lb
}

// TestQuirk82And83Rules: which rules stand beside each other.
func TestQuirk82And83Rules(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	g := placeholders["$VGROUP"](w.store.State())
	w.rule(lb, "domain", "a.example.com", "", g)
	w.rule(lb, "path", "", "/a", g)
	w.rule(lb, "both", "a.example.com", "/a", g)
	w.rule(lb, "wild", "*.example.com", "/a", g)
	w.rule(lb, "case", "", "/A", g)
	w.rule(lb, "encoded-twice", "", "/%2561", g)
	create := func(list string) []string {
		return []string{"RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList", list}
	}
	for _, c := range []struct{ domain, url string }{{"a.example.com", ""}, {"", "/a"}, {"a.example.com", "/a"}, {"A.Example.COM", "/a"}, {"", "/%61"}, {"a.example.com", "/%61"}} {
		w.fails(slb.ErrRuleExists, "CreateRules", create(ruleList("new", c.domain, c.url, g))...)
	}
	w.fails(invalidError("RuleName"), "CreateRules", create(ruleList("path", "", "/new", g))...)
	// Within one list too.
	w.fails(slb.ErrRuleExists, "CreateRules", create(`[{"RuleName":"x","Url":"/x","VServerGroupId":"`+g+`"},{"RuleName":"y","Url":"/x","VServerGroupId":"`+g+`"}]`)...)
	w.fails(invalidError("RuleName"), "CreateRules", create(`[{"RuleName":"x","Url":"/x","VServerGroupId":"`+g+`"},{"RuleName":"x","Url":"/y","VServerGroupId":"`+g+`"}]`)...)
	// Another listener has rules of its own.
	w.ok("CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "81", "RuleList", ruleList("path", "", "/a", g))

	a := w.ok("DescribeRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80")
	var names []string
	for i := range a.at(t, "Rules", "Rule").([]any) {
		names = append(names, a.text(t, "Rules", "Rule", i, "RuleName"))
	}
	if got := strings.Join(names, " "); got != "img domain path both wild case encoded-twice" {
		t.Error(got)
	}
	// The listener tells them as well.
	a = w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80")
	if a.text(t, "Rules", "Rule", 2, "Url") != "/a" || a.text(t, "Rules", "Rule", 1, "Domain") != "a.example.com" || a.text(t, "Rules", "Rule", 1, "VServerGroupId") != g {
		t.Error(a)
	}
}

// TestQuirk84ListenerSync: what a rule needs to stop following its listener.
func TestQuirk84ListenerSync(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	id := placeholders["$RULE"](w.store.State())
	call := func(more ...string) []string { return append([]string{"RegionId", testRegion, "RuleId", id}, more...) }
	full := params{"ListenerSync", "off", "Scheduler", "wlc", "StickySession", "off", "HealthCheck", "off"}
	without := func(name string) params {
		var out params
		for i := 0; i < len(full); i += 2 {
			if full[i] != name {
				out = append(out, full[i], full[i+1])
			}
		}
		return out
	}
	for _, name := range []string{"Scheduler", "StickySession", "HealthCheck"} {
		w.fails(missingError(name), "SetRule", call(without(name)...)...)
	}
	w.fails(missingError("StickySessionType"), "SetRule", call(append(without("StickySession"), "StickySession", "on")...)...)
	w.fails(missingError("CookieTimeout"), "SetRule", call(append(without("StickySession"), "StickySession", "on", "StickySessionType", "insert")...)...)
	w.fails(missingError("Cookie"), "SetRule", call(append(without("StickySession"), "StickySession", "on", "StickySessionType", "server")...)...)
	w.fails(missingError("HealthCheckURI"), "SetRule", call(append(without("HealthCheck"), "HealthCheck", "on")...)...)
	told := func() answer { return w.ok("DescribeRuleAttribute", call()...) }
	if _, there := told()["Scheduler"]; there {
		t.Error("a rule that follows its listener tells a scheduler")
	}

	w.ok("SetRule", call(full...)...)
	a := told()
	if a.text(t, "ListenerSync") != "off" || a.text(t, "Scheduler") != "wlc" || a.text(t, "HealthCheck") != "off" || a.text(t, "StickySession") != "off" {
		t.Error(a)
	}
	// From now on each setting can be changed alone.
	w.ok("SetRule", call("HealthCheck", "on", "HealthCheckURI", "/ok")...)
	w.ok("SetRule", call("HealthCheckInterval", "7", "HealthCheckTimeout", "9", "HealthCheckHttpCode", "http_2xx,http_3xx", "UnhealthyThreshold", "4")...)
	w.ok("SetRule", call("StickySession", "on", "StickySessionType", "server", "Cookie", "JSESSIONID")...)
	a = told()
	for name, want := range map[string]any{
		"HealthCheckURI": "/ok", "HealthCheckInterval": 7.0, "HealthCheckTimeout": 9.0, "HealthCheckHttpCode": "http_2xx,http_3xx",
		"HealthyThreshold": 3.0, "UnhealthyThreshold": 4.0, "HealthCheckConnectPort": -520.0, "Cookie": "JSESSIONID", "Scheduler": "wlc",
	} {
		if a[name] != want {
			t.Errorf("%s is %v, want %v", name, a[name], want)
		}
	}
	// Following again forgets them, and what is sent along means nothing.
	w.ok("SetRule", call("ListenerSync", "on", "Scheduler", "rr")...)
	a = told()
	for _, name := range []string{"Scheduler", "HealthCheck", "HealthCheckURI", "StickySession", "Cookie"} {
		if v, there := a[name]; there {
			t.Errorf("%s is still %v", name, v)
		}
	}
	w.fails(missingError("Scheduler"), "SetRule", call("ListenerSync", "off")...)
	if lb == "" {
		t.Fatal("no instance")
	}
}

// TestQuirk85PortOfRule: text here, a number in lists of listeners.
func TestQuirk85PortOfRule(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	a := w.ok("DescribeRuleAttribute", "RegionId", testRegion, "RuleId", placeholders["$RULE"](w.store.State()))
	if a.text(t, "ListenerPort") != "80" || a.text(t, "LoadBalancerId") != lb {
		t.Error(a)
	}
}

func TestQuirk67DryRunOfRules(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	s := w.store.State()
	before := s.Revision
	w.ok("CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "DryRun", "true", "RuleList", ruleList("r", "", "/r", placeholders["$VGROUP"](s)))
	w.ok("SetRule", "RegionId", testRegion, "RuleId", placeholders["$RULE"](s), "DryRun", "true", "RuleName", "other")
	if after := w.store.State().Revision; after != before {
		t.Error("a dry run wrote something")
	}
	w.fails(slb.ErrVServerGroup, "CreateRules", "RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "DryRun", "true", "RuleList", ruleList("r", "", "/r", "rsp-none"))
}

// TestSetRuleTarget: name and group change, domain and path stay.
func TestSetRuleTarget(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	s := w.store.State()
	id, spare := placeholders["$RULE"](s), placeholders["$SPARE"](s)
	other := w.rule(lb, "other", "", "/other", spare)
	w.ok("SetRule", "RegionId", testRegion, "RuleId", id, "RuleName", "img", "VServerGroupId", spare, "Domain", "x.example.com")
	w.fails(invalidError("RuleName"), "SetRule", "RegionId", testRegion, "RuleId", id, "RuleName", "other")
	w.fails(slb.ErrVServerGroup, "SetRule", "RegionId", testRegion, "RuleId", id, "VServerGroupId", "rsp-none")
	a := w.ok("DescribeRuleAttribute", "RegionId", testRegion, "RuleId", id)
	if a.text(t, "VServerGroupId") != spare || a.text(t, "Domain") != "img.example.com" || a.text(t, "RuleName") != "img" {
		t.Error(a)
	}
	// Several rules go at once, or none.
	w.fails(slb.ErrRuleNotFound, "DeleteRules", "RegionId", testRegion, "RuleIds", fmt.Sprintf(`["%s","rule-none"]`, id))
	w.ok("DeleteRules", "RegionId", testRegion, "RuleIds", fmt.Sprintf(`['%s','%s','%s']`, id, other, id))
	w.fails(slb.ErrRuleNotFound, "DescribeRuleAttribute", "RegionId", testRegion, "RuleId", id)
}

func TestRuleQuotas(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	g := placeholders["$VGROUP"](w.store.State())
	list := func(from, n int) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`{"RuleName":"r%d","Url":"/r%d","VServerGroupId":"%s"}`, from+i, from+i, g))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	create := func(list string) []string {
		return []string{"RegionId", testRegion, "LoadBalancerId", lb, "ListenerPort", "80", "RuleList", list}
	}
	w.fails(slb.ErrRuleList, "CreateRules", create(list(0, 11))...)
	for i := range 3 { // one exists
		w.ok("CreateRules", create(list(10*i, 10))...)
	}
	w.fails(slb.ErrRuleQuota, "CreateRules", create(list(30, 10))...)
	w.ok("CreateRules", create(list(30, 9))...)
	w.fails(slb.ErrRuleQuota, "CreateRules", create(list(39, 1))...)
}

// wrongRules are the rows about rules; the world is that of withGroups.
func wrongRules() []wrong {
	on := func(more ...string) params {
		return append(params{"RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "80"}, more...)
	}
	one := func(more ...string) params { return append(params{"RegionId", testRegion, "RuleId", "$RULE"}, more...) }
	var out []wrong
	for _, v := range []struct {
		text string
		want *slb.Error
	}{
		{`nonsense`, slb.ErrRuleList},
		{`[]`, slb.ErrRuleList},
		{`{}`, slb.ErrRuleList},
		{`[{"Domain":"a.com","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleList},
		{`[{"RuleName":"r","Domain":"a.com"}]`, slb.ErrRuleList},
		{`[{"RuleName":"r","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleList},
		{`[{"RuleName":"two words","Url":"/r","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleList},
		{`[{"RuleName":"` + strings.Repeat("n", 41) + `","Url":"/r","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleList},
		{`[{"RuleName":"r","Url":"/","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleURLNotAllowed},
		{`[{"RuleName":"r","Url":"r","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleURL},
		{`[{"RuleName":"r","Url":"/a b","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleURL},
		{`[{"RuleName":"r","Url":"/ü","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleURL},
		{`[{"RuleName":"r","Url":"/` + strings.Repeat("u", 80) + `","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleURL},
		{`[{"RuleName":"r","Domain":"a_b.com","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleDomain},
		{`[{"RuleName":"r","Domain":"a..com","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleDomain},
		{`[{"RuleName":"r","Domain":"*","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleDomain},
		{`[{"RuleName":"r","Domain":"a.*.com","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleDomain},
		{`[{"RuleName":"r","Domain":"-a.com","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleDomain},
		{`[{"RuleName":"r","Domain":"a.com:80","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleDomain},
		{`[{"RuleName":"r","Domain":"a.com/x","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleDomain},
		{`[{"RuleName":"r","Url":"/r","VServerGroupId":"rsp-none"}]`, slb.ErrVServerGroup},
		{`[{"RuleName":"r","Url":"/r","VServerGroupId":"$PAIR"}]`, slb.ErrVServerGroup},
		{`[{"RuleName":"r","Domain":"img.example.com","Url":"/small","VServerGroupId":"$VGROUP"}]`, slb.ErrRuleExists},
		{`[{"RuleName":"img","Url":"/r","VServerGroupId":"$VGROUP"}]`, invalidError("RuleName")},
	} {
		out = append(out, wrong{v.text, "CreateRules", on("RuleList", v.text), v.want})
	}
	good := `[{"RuleName":"r","Url":"/r","VServerGroupId":"$VGROUP"}]`
	for _, action := range []string{"CreateRules", "DescribeRules"} {
		protocol := slb.ErrRuleProtocol
		if action == "DescribeRules" {
			protocol = slb.ErrFixedProtocolPort
		}
		out = append(out,
			row("no region", missingError("RegionId"), action, "LoadBalancerId", "LB", "ListenerPort", "80", "RuleList", good),
			row("other region", slb.ErrRegionNotFound, action, "RegionId", "mars", "LoadBalancerId", "LB", "ListenerPort", "80", "RuleList", good),
			row("no port", missingError("ListenerPort"), action, "RegionId", testRegion, "LoadBalancerId", "LB", "RuleList", good),
			row("unknown instance", slb.ErrLoadBalancerNotFound, action, "RegionId", testRegion, "LoadBalancerId", "lb-none", "ListenerPort", "80", "RuleList", good),
			row("no listener", slb.ErrListenerNotFound, action, "RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "7", "RuleList", good),
			row("tcp", protocol, action, "RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "9000", "RuleList", good),
			row("said tcp", protocol, action, "RegionId", testRegion, "LoadBalancerId", "LB", "ListenerPort", "9000", "ListenerProtocol", "tcp", "RuleList", good),
			wrong{"said https", action, on("ListenerProtocol", "https", "RuleList", good), slb.ErrListenerNotFound},
			wrong{"said udp", action, on("ListenerProtocol", "udp", "RuleList", good), slb.ErrListenerNotFound})
	}
	for _, action := range []string{"SetRule", "DescribeRuleAttribute"} {
		out = append(out,
			row("no region", missingError("RegionId"), action, "RuleId", "$RULE"),
			row("no rule", missingError("RuleId"), action, "RegionId", testRegion),
			row("unknown rule", slb.ErrRuleNotFound, action, "RegionId", testRegion, "RuleId", "rule-none"))
	}
	for _, v := range []struct {
		name, value string
		want        *slb.Error
	}{
		{"RuleName", "two words", invalidError("RuleName")},
		{"RuleName", strings.Repeat("n", 41), invalidError("RuleName")},
		{"ListenerSync", "maybe", invalidError("ListenerSync")},
		{"VServerGroupId", "rsp-none", slb.ErrVServerGroup},
		{"CookieTimeout", "86401", invalidError("CookieTimeout")},
		{"Cookie", "$a", invalidError("Cookie")},
		{"HealthCheckInterval", "51", invalidError("HealthCheckInterval")},
		{"HealthCheckTimeout", "301", invalidError("HealthCheckTimeout")},
		{"HealthCheckURI", "check", invalidError("HealthCheckURI")},
		{"HealthyThreshold", "1", invalidError("HealthyThreshold")},
		{"UnhealthyThreshold", "11", invalidError("UnhealthyThreshold")},
		{"StickySession", "glue", invalidError("StickySession")},
		{"Scheduler", "best", invalidError("Scheduler")},
	} {
		out = append(out, wrong{v.name + "=" + v.value, "SetRule", one(v.name, v.value), v.want})
	}
	own := func(more ...string) params {
		return append(one("ListenerSync", "off", "StickySession", "off", "HealthCheck", "off"), more...)
	}
	return append(out,
		wrong{"hash", "SetRule", own("Scheduler", "sch"), invalidError("Scheduler")},
		wrong{"no scheduler", "SetRule", own(), missingError("Scheduler")},
		row("no ids", missingError("RuleIds"), "DeleteRules", "RegionId", testRegion),
		row("empty", invalidError("RuleIds"), "DeleteRules", "RegionId", testRegion, "RuleIds", "[]"),
		row("no JSON", invalidError("RuleIds"), "DeleteRules", "RegionId", testRegion, "RuleIds", "rule-1"),
		row("eleven", invalidError("RuleIds"), "DeleteRules", "RegionId", testRegion, "RuleIds", `["1","2","3","4","5","6","7","8","9","10","11"]`),
		row("unknown rule", slb.ErrRuleNotFound, "DeleteRules", "RegionId", testRegion, "RuleIds", `["$RULE","rule-none"]`))
}
