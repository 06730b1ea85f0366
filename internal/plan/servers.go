package plan

import (
	"cmp"
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// pool is the default group as the listener uses it. A listener with a group of
// its own never falls back to the default group, so its pool has no targets
// from there. Source: the vendor's backend server overview.
func pool(s *slb.State, lb *slb.LoadBalancer, l *slb.Listener) spec.Pool {
	p := spec.Pool{
		ID:        defaultPoolID(l),
		Scheduler: spec.Scheduler(cmp.Or(l.Scheduler, slb.WRR)),
		Check:     check(l),
	}
	if l.UsesGroup() {
		return p
	}
	p.Targets = make([]spec.Target, 0, len(lb.BackendServers))
	for i := range lb.BackendServers {
		p.Targets = append(p.Targets, target(s, lb, l, &lb.BackendServers[i]))
	}
	return p
}

// target is one server of the default group at the listener's backend port.
func target(s *slb.State, lb *slb.LoadBalancer, l *slb.Listener, b *slb.BackendServer) spec.Target {
	server, known := s.Servers.Get(string(b.ServerID))
	t := spec.Target{ID: string(b.ServerID), Weight: b.Weight}
	addr := b.ServerIP
	if !addr.IsValid() && known {
		addr = serverAddress(server, lb.Address)
	}
	t.Addr = netip.AddrPortFrom(addr, l.BackendServerPort)
	// A server that is not registered has its address from the entry alone, which
	// the operator may allow; without one it cannot be reached.
	t.Disabled = !addr.IsValid() || known && server.Status == slb.ServerStopped
	return t
}

// serverAddress is the first registered address of the family that the load
// balancer serves, else the first of all: a proxy can join the two families.
func serverAddress(server *slb.Server, service netip.Addr) netip.Addr {
	for _, a := range server.Addresses {
		if a.Is4() == service.Is4() {
			return a
		}
	}
	if len(server.Addresses) > 0 {
		return server.Addresses[0]
	}
	return netip.Addr{}
}
