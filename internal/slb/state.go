package slb

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
	if old, ok := s.LoadBalancers.Get(key); ok {
		for _, b := range old.BackendServers {
			s.attachments = s.attachments.Without(string(b.ServerID) + "/" + key)
		}
	}
	if lb == nil {
		s.LoadBalancers = s.LoadBalancers.Without(key)
		return s
	}
	s.LoadBalancers = s.LoadBalancers.With(key, lb)
	for _, b := range lb.BackendServers {
		s.attachments = s.attachments.With(string(b.ServerID)+"/"+key, &struct{}{})
	}
	return s
}
