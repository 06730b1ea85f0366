package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// state is the whole of what the model believes. Its maps hold values only, so
// that a clone is cheap and fmt prints equal states equally.
type state struct {
	balancers map[string]balancer
	rules     map[string]rule
	acls      map[string]acl
	certs     map[string]string // id -> name
	addresses map[string]bool   // in use
	order     []string          // ids of everything ever made, oldest first
}

type balancer struct {
	name      string
	address   string
	inactive  bool
	protected bool
	servers   []entry
	tags      map[string]string
	listeners map[string]listener // by key
	groups    map[string]group
}

// entry is a server in a group; of default groups the port is "".
type entry struct{ server, port, weight, description string }

type listener struct {
	protocol, port string
	running        bool
	backendPort    string // "" behind a group
	scheduler      string
	description    string
	group          string
	acl            string // "" when access control is off
	certificate    string
}

type group struct {
	name    string
	servers []entry
}

type rule struct{ balancer, listener, name, domain, url, group string }

type acl struct {
	name    string
	entries []string
}

func newState() *state {
	return &state{balancers: map[string]balancer{}, rules: map[string]rule{}, acls: map[string]acl{}, certs: map[string]string{}, addresses: map[string]bool{}}
}

func (s *state) clone() *state {
	c := &state{balancers: map[string]balancer{}, rules: maps.Clone(s.rules), acls: map[string]acl{}, certs: maps.Clone(s.certs),
		addresses: maps.Clone(s.addresses), order: slices.Clone(s.order)}
	for id, b := range s.balancers {
		b.servers, b.tags, b.listeners = slices.Clone(b.servers), maps.Clone(b.tags), maps.Clone(b.listeners)
		groups := map[string]group{}
		for id, g := range b.groups {
			g.servers = slices.Clone(g.servers)
			groups[id] = g
		}
		b.groups = groups
		c.balancers[id] = b
	}
	for id, a := range s.acls {
		a.entries = slices.Clone(a.entries)
		c.acls[id] = a
	}
	return c
}

// String leaves out the order in which things were made.
func (s *state) String() string {
	return fmt.Sprintf("%+v %+v %+v %+v", s.balancers, s.rules, s.acls, s.certs)
}

// key is where a listener stands: TCP, HTTP and HTTPS share their ports.
func key(protocol, port string) string {
	if protocol == "udp" {
		return "udp:" + port
	}
	return "tcp:" + port
}

// owner finds the balancer of a group.
func (s *state) owner(id string) (string, group, bool) {
	for lb, b := range s.balancers {
		if g, ok := b.groups[id]; ok {
			return lb, g, true
		}
	}
	return "", group{}, false
}

// rulesOf are the ids of a listener's rules.
func (s *state) rulesOf(lb, key string) []string {
	var out []string
	for id, r := range s.rules {
		if r.balancer == lb && r.listener == key {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// dropListener forgets a listener and its rules.
func (s *state) dropListener(lb, key string) {
	for _, id := range s.rulesOf(lb, key) {
		delete(s.rules, id)
	}
	delete(s.balancers[lb].listeners, key)
}

// entries describes servers of a group in the words of an answer.
func entries(list []entry) string {
	var out []string
	for _, e := range list {
		out = append(out, strings.Join([]string{e.server, e.port, e.weight, e.description}, "/"))
	}
	return strings.Join(out, " ")
}

// answered is the same of an answer.
func answered(list []*tree) string {
	var out []entry
	for _, t := range list {
		out = append(out, entry{t.get("ServerId"), t.get("Port"), t.get("Weight"), t.get("Description")})
	}
	return entries(out)
}
