package slb

import "slices"

// State is everything the store held at one revision. It is immutable: a change
// makes a new State that shares what did not change.
type State struct {
	// Revision is the store's revision that this State reflects.
	Revision      int64
	LoadBalancers Table[LoadBalancer]
	Listeners     Table[Listener]
	Servers       Table[Server]
	AccessKeys    Table[AccessKey]
	Addresses     Table[AddressClaim]
	ClientTokens  Table[ClientToken]

	// attachments indexes "serverID/loadBalancerID" for every server that a group
	// of the instance names.
	attachments Table[struct{}]
}

// Kind names a kind of resource in the store's keys.
type Kind string

// The kinds.
const (
	KindLoadBalancer Kind = "loadbalancer"
	KindListener     Kind = "listener"
	KindServer       Kind = "server"
	KindAccessKey    Kind = "accesskey"
	KindAddress      Kind = "address"
	KindClientToken  Kind = "clienttoken"
)

// ListenersOf yields the listeners of an instance in order of port.
func (s *State) ListenersOf(id LoadBalancerID) []*Listener {
	var out []*Listener
	for _, l := range s.Listeners.Prefix(ListenerPrefix(id)) {
		out = append(out, l)
	}
	return out
}

// LoadBalancersUsing returns the instances whose groups name the server.
func (s *State) LoadBalancersUsing(id ServerID) []LoadBalancerID {
	var out []LoadBalancerID
	prefix := string(id) + "/"
	for k := range s.attachments.Prefix(prefix) {
		out = append(out, LoadBalancerID(k[len(prefix):]))
	}
	return out
}

// WithLoadBalancer returns a State in which the instance stored under key is
// lb, or is absent when lb is nil; the attachment index follows.
func (s State) WithLoadBalancer(key string, lb *LoadBalancer) State {
	return s.WithLoadBalancerAt(key, lb, 0)
}

// WithLoadBalancerAt is WithLoadBalancer for an instance that the store wrote
// at revision.
func (s State) WithLoadBalancerAt(key string, lb *LoadBalancer, revision int64) State {
	var before, after []BackendServer
	if old, ok := s.LoadBalancers.Get(key); ok {
		before = old.BackendServers
	}
	if lb == nil {
		s.LoadBalancers = s.LoadBalancers.Without(key)
	} else {
		s.LoadBalancers = s.LoadBalancers.WithAt(key, lb, revision)
		after = lb.BackendServers
	}
	// Most changes keep the set of servers: then the index, which has an entry
	// for each, is left alone.
	sameServer := func(a, b BackendServer) bool { return a.ServerID == b.ServerID }
	if slices.EqualFunc(before, after, sameServer) {
		return s
	}
	keep := make(map[ServerID]bool, len(after))
	for _, b := range after {
		keep[b.ServerID] = true
	}
	for _, b := range before {
		if !keep[b.ServerID] {
			s.attachments = s.attachments.Without(attachmentKey(b.ServerID, key))
		}
	}
	for _, b := range after {
		k := attachmentKey(b.ServerID, key)
		if _, ok := s.attachments.Get(k); !ok {
			s.attachments = s.attachments.With(k, &struct{}{})
		}
	}
	return s
}

func attachmentKey(server ServerID, loadBalancer string) string {
	return string(server) + "/" + loadBalancer
}
