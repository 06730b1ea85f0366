package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func init() {
	judges["CreateLoadBalancer"] = createBalancer
	judges["DeleteLoadBalancer"] = func(s *state, p map[string]string) judgement {
		lb, b, j := s.onBalancer(p)
		j.add(b.protected, problem{"OperationDenied.DeleteProtectionIsOn", ""})
		j.done = func(answer) error {
			for k := range b.listeners {
				s.dropListener(lb, k)
			}
			delete(s.addresses, b.address)
			delete(s.balancers, lb)
			return nil
		}
		return j
	}
	judges["SetLoadBalancerName"] = setBalancer(func(b *balancer, p map[string]string) { b.name = p["LoadBalancerName"] })
	judges["SetLoadBalancerStatus"] = setBalancer(func(b *balancer, p map[string]string) { b.inactive = p["LoadBalancerStatus"] == "inactive" })
	judges["SetLoadBalancerDeleteProtection"] = setBalancer(func(b *balancer, p map[string]string) { b.protected = p["DeleteProtection"] == "on" })
	judges["AddBackendServers"] = changeServers(attach, noRunning)
	judges["SetBackendServers"] = changeServers(change, noMember)
	judges["RemoveBackendServers"] = changeServers(func(list, gone []entry) ([]entry, bool) { return detach(list, gone), true }, problem{})
	judges["DescribeLoadBalancerAttribute"] = describeBalancer
	judges["DescribeLoadBalancers"] = func(s *state, _ map[string]string) judgement {
		return judgement{done: func(a answer) error {
			var got []string
			for _, t := range a.body.list("LoadBalancers", "LoadBalancer") {
				got = append(got, t.get("LoadBalancerId"))
			}
			slices.Sort(got)
			return same("the list", strings.Join(got, " "), strings.Join(slices.Sorted(maps.Keys(s.balancers)), " "))
		}}
	}
}

func createBalancer(s *state, p map[string]string) judgement {
	return judgement{done: func(a answer) error {
		id, address := a.body.get("LoadBalancerId"), a.body.get("Address")
		if id == "" || slices.Contains(s.order, id) {
			return fmt.Errorf("the id %q is empty or was there before", id)
		}
		if address == "" || s.addresses[address] {
			return fmt.Errorf("the address %q is empty or in use", address)
		}
		b := balancer{name: p["LoadBalancerName"], address: address, tags: map[string]string{}, listeners: map[string]listener{}, groups: map[string]group{}}
		for i := 1; p[fmt.Sprintf("Tag.%d.Key", i)] != ""; i++ {
			b.tags[p[fmt.Sprintf("Tag.%d.Key", i)]] = p[fmt.Sprintf("Tag.%d.Value", i)]
		}
		s.balancers[id], s.addresses[address] = b, true
		s.order = append(s.order, id)
		return same("name", a.body.get("LoadBalancerName"), b.name)
	}}
}

func setBalancer(set func(b *balancer, p map[string]string)) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		lb, b, j := s.onBalancer(p)
		j.done = func(answer) error {
			set(&b, p)
			s.balancers[lb] = b
			return nil
		}
		return j
	}
}

func changeServers(fn func(list, more []entry) ([]entry, bool), otherwise problem) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		lb, b, j := s.onBalancer(p)
		after, ok := fn(slices.Clone(b.servers), serversOf(p["BackendServers"]))
		j.add(!ok, otherwise)
		j.done = func(a answer) error {
			b.servers = after
			s.balancers[lb] = b
			return same("the group", answered(a.body.list("BackendServers", "BackendServer")), entries(after))
		}
		return j
	}
}

func describeBalancer(s *state, p map[string]string) judgement {
	_, b, j := s.onBalancer(p)
	j.done = func(a answer) error {
		status, protection := "active", "off"
		if b.inactive {
			status = "inactive"
		}
		if b.protected {
			protection = "on"
		}
		var ports, tags, wantPorts, wantTags []string
		for _, t := range a.body.list("ListenerPortsAndProtocol", "ListenerPortAndProtocol") {
			ports = append(ports, t.get("ListenerProtocol")+":"+t.get("ListenerPort")+":"+t.get("Description"))
		}
		for _, l := range b.listeners {
			wantPorts = append(wantPorts, l.protocol+":"+l.port+":"+l.description)
		}
		for _, t := range a.body.list("Tags", "Tag") {
			tags = append(tags, t.get("TagKey")+"="+t.get("TagValue"))
		}
		for k, v := range b.tags {
			wantTags = append(wantTags, k+"="+v)
		}
		for _, l := range [][]string{ports, tags, wantPorts, wantTags} {
			slices.Sort(l)
		}
		return firstOf(
			same("name", a.body.get("LoadBalancerName"), b.name),
			same("address", a.body.get("Address"), b.address),
			same("status", a.body.get("LoadBalancerStatus"), status),
			same("delete protection", a.body.get("DeleteProtection"), protection),
			same("the group", answered(a.body.list("BackendServers", "BackendServer")), entries(b.servers)),
			same("listeners", strings.Join(ports, " "), strings.Join(wantPorts, " ")),
			same("tags", strings.Join(tags, " "), strings.Join(wantTags, " ")),
		)
	}
	return j
}

// firstOf is the first error that is not nil.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
