package model

import (
	"maps"
	"slices"
	"strings"
)

func init() {
	for _, protocol := range []string{"tcp", "udp", "http", "https"} {
		name := strings.ToUpper(protocol)
		judges["CreateLoadBalancer"+name+"Listener"] = createListener(protocol)
		judges["SetLoadBalancer"+name+"ListenerAttribute"] = setListener(protocol)
		judges["DescribeLoadBalancer"+name+"ListenerAttribute"] = describeListener(protocol)
	}
	judges["StartLoadBalancerListener"] = onListener(func(s *state, lb, key string) {
		l := s.balancers[lb].listeners[key]
		l.running = true
		s.balancers[lb].listeners[key] = l
	})
	judges["StopLoadBalancerListener"] = onListener(func(s *state, lb, key string) {
		l := s.balancers[lb].listeners[key]
		l.running = false
		s.balancers[lb].listeners[key] = l
	})
	judges["DeleteLoadBalancerListener"] = onListener(func(s *state, lb, key string) {
		s.dropListener(lb, key)
		if b := s.balancers[lb]; len(b.listeners) == 0 {
			b.inactive = true // the last one takes the instance out of service
			s.balancers[lb] = b
		}
	})
}

// settings are the problems and effects of what create and set have in common.
func (s *state) settings(lb string, l *listener, p map[string]string, j *judgement) {
	if v := p["Description"]; v != "" {
		l.description = v
	}
	if v := p["Scheduler"]; v != "" {
		l.scheduler = v
	}
	if v := p["ServerCertificateId"]; v != "" {
		_, ok := s.certs[v]
		j.add(!ok, problem{"ServerCertificateId.NotFound", ""})
		l.certificate = v
	}
	if v := p["VServerGroupId"]; v != "" {
		_, ok := s.balancers[lb].groups[v]
		j.add(!ok, noGroup)
		l.group = v
	}
	if p["VServerGroup"] == "off" {
		l.group = ""
		j.add(l.backendPort == "", problem{"MissingParameter", "BackendServerPort"})
	}
	switch p["AclStatus"] {
	case "on":
		_, ok := s.acls[p["AclId"]]
		j.add(!ok, noACL)
		l.acl = p["AclId"]
	case "off":
		l.acl = ""
	}
}

func createListener(protocol string) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		lb, b, j := s.onBalancer(p)
		l := listener{protocol: protocol, port: p["ListenerPort"], backendPort: p["BackendServerPort"], scheduler: "wrr"}
		k := key(protocol, l.port)
		_, taken := b.listeners[k]
		j.add(taken, problem{"ListenerAlreadyExists", ""})
		j.add(l.backendPort == "" && p["VServerGroupId"] == "", problem{"MissingParameter", "BackendServerPort"})
		s.settings(lb, &l, p, &j)
		j.done = func(answer) error {
			b.listeners[k] = l
			return nil
		}
		return j
	}
}

func setListener(protocol string) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		lb, b, j := s.onBalancer(p)
		k := key(protocol, p["ListenerPort"])
		l, ok := b.listeners[k]
		j.add(!ok, noListener)
		j.add(ok && l.protocol != protocol, problem{"UnsupportedOperationonfixedprotocalport", ""})
		s.settings(lb, &l, p, &j)
		j.done = func(answer) error {
			b.listeners[k] = l
			return nil
		}
		return j
	}
}

// onListener is about actions that find the listener by port and, if given,
// protocol.
func onListener(do func(s *state, lb, key string)) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		lb, b, j := s.onBalancer(p)
		var found []string
		for _, k := range slices.Sorted(maps.Keys(b.listeners)) {
			l := b.listeners[k]
			if l.port == p["ListenerPort"] && (p["ListenerProtocol"] == "" || p["ListenerProtocol"] == l.protocol) {
				found = append(found, k)
			}
		}
		j.add(len(found) == 0, noListener)
		j.add(len(found) > 1, protocolLack)
		j.done = func(answer) error {
			do(s, lb, found[0])
			return nil
		}
		return j
	}
}

func describeListener(protocol string) judgeFunc {
	return func(s *state, p map[string]string) judgement {
		_, b, j := s.onBalancer(p)
		l, ok := b.listeners[key(protocol, p["ListenerPort"])]
		j.add(!ok || l.protocol != protocol, noListener)
		j.done = func(a answer) error {
			status, aclStatus := "stopped", "off"
			if l.running {
				status = "running"
			}
			if l.acl != "" {
				aclStatus = "on"
			}
			err := firstOf(
				same("status", a.body.get("Status"), status),
				same("port", a.body.get("ListenerPort"), l.port),
				same("scheduler", a.body.get("Scheduler"), l.scheduler),
				same("description", a.body.get("Description"), l.description),
				same("group", a.body.get("VServerGroupId"), l.group),
				same("certificate", a.body.get("ServerCertificateId"), l.certificate),
				same("access control", a.body.get("AclStatus"), aclStatus),
			)
			if err == nil && l.acl != "" {
				err = same("list", a.body.get("AclId"), l.acl)
			}
			if err == nil && l.group == "" {
				err = same("server port", a.body.get("BackendServerPort"), l.backendPort)
			}
			return err
		}
		return j
	}
}
