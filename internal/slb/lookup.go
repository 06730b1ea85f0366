package slb

import (
	"iter"
	"slices"
	"strings"
)

// ListenersOf returns the listeners of an instance in order of port.
func (s *State) ListenersOf(id LoadBalancerID) []*Listener {
	var out []*Listener
	for _, l := range s.Listeners.Prefix(ListenerPrefix(id)) {
		out = append(out, l)
	}
	return out
}

// LoadBalancersUsing returns the instances whose groups, of any kind, name the
// server.
func (s *State) LoadBalancersUsing(id ServerID) []LoadBalancerID {
	var out []LoadBalancerID
	for rest := range s.under(indexAttached, string(id)) {
		lb, _, _ := strings.Cut(rest, indexSeparator)
		// One instance's entries follow each other.
		if n := len(out); n == 0 || out[n-1] != LoadBalancerID(lb) {
			out = append(out, LoadBalancerID(lb))
		}
	}
	return out
}

// VServerGroupsOf returns the vserver groups of an instance.
func (s *State) VServerGroupsOf(id LoadBalancerID) []*VServerGroup {
	return resolve(s.VServerGroups, s.found(indexGroupsOf, string(id)))
}

// MasterSlaveGroupsOf returns the master/slave groups of an instance.
func (s *State) MasterSlaveGroupsOf(id LoadBalancerID) []*MasterSlaveServerGroup {
	return resolve(s.MasterSlaveGroups, s.found(indexPairsOf, string(id)))
}

// RulesOf returns the forwarding rules of a listener, named by its key.
func (s *State) RulesOf(listenerKey string) []*Rule {
	return resolve(s.Rules, s.found(indexRulesOf, listenerKey))
}

// RulesUsingGroup returns the forwarding rules that send to a vserver group.
func (s *State) RulesUsingGroup(group string) []*Rule {
	return resolve(s.Rules, s.found(indexGroupRules, group))
}

// ListenersUsingGroup returns the listeners that send to a group of either kind.
func (s *State) ListenersUsingGroup(group string) []*Listener {
	return resolve(s.Listeners, s.found(indexGroupListeners, group))
}

// ListenersUsingACL returns the listeners that name an access control list,
// whether it is switched on or not.
func (s *State) ListenersUsingACL(acl string) []*Listener {
	return resolve(s.Listeners, s.found(indexACLListeners, acl))
}

// ListenersUsingCertificate returns the listeners that name a server or CA
// certificate.
func (s *State) ListenersUsingCertificate(id string) []*Listener {
	return resolve(s.Listeners, s.found(indexCertificateListeners, id))
}

// ListenersUsingPolicy returns the listeners that name a TLS policy.
func (s *State) ListenersUsingPolicy(policy string) []*Listener {
	return resolve(s.Listeners, s.found(indexPolicyListeners, policy))
}

// DomainExtensionsOf returns the additional domains of a listener, named by its
// key.
func (s *State) DomainExtensionsOf(listenerKey string) []*DomainExtension {
	return resolve(s.DomainExtensions, s.found(indexDomainsOf, listenerKey))
}

// DomainExtensionsUsing returns the additional domains that present a server
// certificate.
func (s *State) DomainExtensionsUsing(certificate string) []*DomainExtension {
	return resolve(s.DomainExtensions, s.found(indexCertificateDomains, certificate))
}

// Tagged returns the keys of the resources of a type that carry a tag.
func (s *State) Tagged(t TaggedType, key, value string) []string {
	return slices.Collect(s.WithTag(t, key, &value))
}

// TaggedKey returns the keys of the resources of a type that carry a tag of
// that key, whatever its value.
func (s *State) TaggedKey(t TaggedType, key string) []string {
	return slices.Collect(s.WithTag(t, key, nil))
}

// WithTag yields the keys of the resources of a type that carry a tag; a nil
// value stands for any.
func (s *State) WithTag(t TaggedType, key string, value *string) iter.Seq[string] {
	if value == nil {
		return s.found(indexTag, string(t), key)
	}
	return s.found(indexTag, string(t), key, *value)
}

// Named returns the instances of that name.
func (s *State) Named(name string) []LoadBalancerID {
	var out []LoadBalancerID
	for id := range s.found(indexName, name) {
		out = append(out, LoadBalancerID(id))
	}
	return out
}
