package plan

import (
	"cmp"
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// pool is a group as the listener uses it: the listener decides scheduler and
// check, so that each has a pool of its own.
func pool(s *slb.State, lb *slb.LoadBalancer, l *slb.Listener, g group) spec.Pool {
	p := spec.Pool{
		ID:        poolID(l),
		Origin:    poolID(l),
		Scheduler: spec.Scheduler(cmp.Or(l.Scheduler, slb.WRR)),
		Check:     check(l),
		Targets:   make([]spec.Target, 0, len(g.servers)),
	}
	for i := range g.servers {
		p.Targets = append(p.Targets, g.target(s, lb, l, &g.servers[i]))
	}
	return p
}

// target is one server of the group at its port there, as the listener uses it.
func (g *group) target(s *slb.State, lb *slb.LoadBalancer, l *slb.Listener, e *slb.GroupServer) spec.Target {
	server, known := s.Servers.Get(string(e.ServerID))
	t := spec.Target{ID: string(e.ServerID), Weight: e.Weight}
	addr := e.ServerIP
	if !addr.IsValid() && known {
		addr = serverAddress(server, lb.Address)
	}
	t.Addr = netip.AddrPortFrom(addr, e.Port)
	// A server that is not registered has its address from the entry alone, which
	// the operator may allow; without one it cannot be reached.
	t.Disabled = !addr.IsValid() || known && server.Status == slb.ServerStopped || serves(lb, l, t.Addr)
	// The slave is never checked, and stands by whatever its weight.
	if g.pair && !e.Master {
		t.Backup, t.Unchecked, t.Weight = true, true, slb.DefaultWeight
	}
	return t
}

// serves reports whether a listener of layer 4 would be its own server. Each of its
// connections would begin another, until no descriptor is left on the node. Layer
// 7 finds out by the requests, over any number of hops.
func serves(lb *slb.LoadBalancer, l *slb.Listener, server netip.AddrPort) bool {
	return !l.Protocol.IsL7() && server == netip.AddrPortFrom(lb.Address, l.Port)
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
