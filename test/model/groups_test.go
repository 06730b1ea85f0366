package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

func init() {
	judges["CreateVServerGroup"] = func(s *state, p map[string]string) judgement {
		lb, _, j := s.onBalancer(p)
		servers, ok := attach(nil, serversOf(p["BackendServers"]))
		j.add(!ok, noRunning)
		j.done = func(a answer) error {
			id := a.body.get("VServerGroupId")
			if id == "" || slices.Contains(s.order, id) {
				return fmt.Errorf("the id %q is empty or was there before", id)
			}
			s.order = append(s.order, id)
			s.balancers[lb].groups[id] = group{p["VServerGroupName"], servers}
			return same("the group", answered(a.body.list("BackendServers", "BackendServer")), entries(servers))
		}
		return j
	}
	judges["AddVServerGroupBackendServers"] = changeGroup(attach, noRunning)
	judges["SetVServerGroupAttribute"] = changeGroup(change, noMember)
	judges["RemoveVServerGroupBackendServers"] = changeGroup(func(list, gone []entry) ([]entry, bool) { return detach(list, gone), true }, problem{})
	judges["ModifyVServerGroupBackendServers"] = func(s *state, p map[string]string) judgement {
		return s.regroup(p, noRunning, func(list []entry) ([]entry, bool) {
			return attach(detach(list, serversOf(p["OldBackendServers"])), serversOf(p["NewBackendServers"]))
		})
	}
	judges["DeleteVServerGroup"] = func(s *state, p map[string]string) judgement {
		var j judgement
		id := p["VServerGroupId"]
		lb, _, ok := s.owner(id)
		j.add(!ok, noGroup)
		for _, l := range s.balancers[lb].listeners {
			j.add(l.group == id, problem{"RspoolVipExist", ""})
		}
		for _, r := range s.rules {
			j.add(r.group == id, problem{"RspoolRuleExist", ""})
		}
		j.done = func(answer) error {
			delete(s.balancers[lb].groups, id)
			return nil
		}
		return j
	}
	judges["DescribeVServerGroupAttribute"] = func(s *state, p map[string]string) judgement {
		var j judgement
		lb, g, ok := s.owner(p["VServerGroupId"])
		j.add(!ok, noGroup)
		j.done = func(a answer) error {
			return firstOf(
				same("name", a.body.get("VServerGroupName"), g.name),
				same("instance", a.body.get("LoadBalancerId"), lb),
				same("the group", answered(a.body.list("BackendServers", "BackendServer")), entries(g.servers)),
			)
		}
		return j
	}
	judges["CreateRules"] = createRules
	judges["SetRule"] = setRule
	judges["DeleteRules"] = func(s *state, p map[string]string) judgement {
		var ids []string
		var j judgement
		if err := json.Unmarshal([]byte(p["RuleIds"]), &ids); err != nil {
			panic(err)
		}
		for _, id := range ids {
			_, ok := s.rules[id]
			j.add(!ok, noRule)
		}
		j.done = func(answer) error {
			for _, id := range ids {
				delete(s.rules, id)
			}
			return nil
		}
		return j
	}
	judges["DescribeRuleAttribute"] = func(s *state, p map[string]string) judgement {
		var j judgement
		r, ok := s.rules[p["RuleId"]]
		j.add(!ok, noRule)
		j.done = func(a answer) error {
			return firstOf(
				same("name", a.body.get("RuleName"), r.name),
				same("instance", a.body.get("LoadBalancerId"), r.balancer),
				same("domain", a.body.get("Domain"), r.domain),
				same("path", a.body.get("Url"), r.url),
				same("group", a.body.get("VServerGroupId"), r.group),
			)
		}
		return j
	}
}

func changeGroup(fn func(list, more []entry) ([]entry, bool), otherwise problem) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		return s.regroup(p, otherwise, func(list []entry) ([]entry, bool) {
			if p["BackendServers"] == "" {
				return list, true
			}
			return fn(list, serversOf(p["BackendServers"]))
		})
	}
}

// regroup changes the servers of a group, and its name if one is given.
func (s *state) regroup(p map[string]string, otherwise problem, fn func(list []entry) ([]entry, bool)) judgement {
	var j judgement
	id := p["VServerGroupId"]
	lb, g, found := s.owner(id)
	j.add(!found, noGroup)
	after, ok := fn(slices.Clone(g.servers))
	j.add(!ok, otherwise)
	j.done = func(a answer) error {
		g.servers = after
		if name := p["VServerGroupName"]; name != "" {
			g.name = name
		}
		s.balancers[lb].groups[id] = g
		return same("the group", answered(a.body.list("BackendServers", "BackendServer")), entries(after))
	}
	return j
}

// ruleFits adds what is wrong with a rule beside the others of its listener.
func (s *state) ruleFits(j *judgement, id string, r rule, others []rule) {
	for _, other := range s.rulesOf(r.balancer, r.listener) {
		if other != id {
			others = append(others, s.rules[other])
		}
	}
	for _, o := range others {
		j.add(strings.EqualFold(o.domain, r.domain) && o.url == r.url, problem{"DomainExist", ""})
		j.add(o.name == r.name, nameTaken)
	}
	_, ok := s.balancers[r.balancer].groups[r.group]
	j.add(!ok, noGroup)
}

func createRules(s *state, p map[string]string) judgement {
	lb, b, j := s.onBalancer(p)
	var raw []struct{ RuleName, Domain, Url, VServerGroupId string }
	if err := json.Unmarshal([]byte(p["RuleList"]), &raw); err != nil {
		panic(err)
	}
	k := key("http", p["ListenerPort"])
	l, tcpLike := b.listeners[k]
	_, udp := b.listeners[key("udp", p["ListenerPort"])]
	j.add(!tcpLike && !udp, problem{"ListenerNotFound", ""})
	j.add(tcpLike && l.protocol == "tcp" || !tcpLike && udp, problem{"RuleNotSupport", ""})
	var rules []rule
	for _, r := range raw {
		made := rule{lb, k, r.RuleName, r.Domain, r.Url, r.VServerGroupId}
		s.ruleFits(&j, "", made, slices.Clone(rules))
		rules = append(rules, made)
	}
	j.done = func(a answer) error {
		list := a.body.list("Rules", "Rule")
		if len(list) != len(rules) {
			return fmt.Errorf("%d rules for %d", len(list), len(rules))
		}
		for i, t := range list {
			id := t.get("RuleId")
			if id == "" || slices.Contains(s.order, id) {
				return fmt.Errorf("the id %q is empty or was there before", id)
			}
			if err := same("name", t.get("RuleName"), rules[i].name); err != nil {
				return err
			}
			s.order = append(s.order, id)
			s.rules[id] = rules[i]
		}
		return nil
	}
	return j
}

func setRule(s *state, p map[string]string) judgement {
	var j judgement
	r, ok := s.rules[p["RuleId"]]
	j.add(!ok, noRule)
	if v := p["RuleName"]; v != "" {
		r.name = v
	}
	if v := p["VServerGroupId"]; v != "" {
		r.group = v
	}
	if ok {
		s.ruleFits(&j, p["RuleId"], r, nil)
	}
	j.done = func(answer) error {
		s.rules[p["RuleId"]] = r
		return nil
	}
	return j
}
