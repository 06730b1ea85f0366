package api

import (
	"net/netip"
	"slices"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// joinServers keeps the number of instances per server within its quota, and the
// servers in the register, until leave is called.
func (s *Server) joinServers(ids []slb.ServerID) (leave func()) {
	quota := s.cfg.Quotas.AttachmentsPerServer
	return s.attaching.join(ids, func(id slb.ServerID, underWay int) bool {
		return quota < 0 || len(s.cfg.Store.State().LoadBalancersUsing(id))+underWay <= quota
	})
}

// newcomer is a server that is to join a group of an instance.
type newcomer struct {
	id   slb.ServerID
	ip   netip.Addr // invalid: the register decides
	kind slb.ServerType
}

// admits judges whether the server may join a group of lb, of whatever kind.
// joined are the servers of that group so far, with those of the same call.
func (s *Server) admits(tx *store.Tx, lb *slb.LoadBalancer, n newcomer, joined []slb.ServerID) error {
	// Read for the record: the transaction runs again if the register changes.
	srv, registered := tx.Servers.Get(string(n.id))
	foreign := s.cfg.AllowForeignENI && takesAddress(n.kind) && slb.IsHostAddress(n.ip) && n.id.Valid()
	vpc, addrs := "", []netip.Addr{n.ip}
	switch {
	case registered && srv.Status != slb.ServerRunning:
		return slb.ErrServerNotRunning.Because("Server %s is %s.", rpc.Shown(string(n.id)), srv.Status)
	case registered:
		vpc = srv.VpcID
		if !n.ip.IsValid() {
			addrs = srv.Addresses
		} else if !slices.Contains(srv.Addresses, n.ip) && !foreign {
			return slb.ErrServerNotRunning.Because("Server %s is not registered with the address %s.", rpc.Shown(string(n.id)), n.ip)
		}
	case !foreign:
		return slb.ErrServerNotRunning.Because("Server %s is not registered.", rpc.Shown(string(n.id)))
	}
	if !lb.AcceptsNetwork(vpc, addrs...) {
		return slb.ErrNetworkType
	}
	if vpc != "" && !sameNetwork(tx.State(), lb, vpc, joined) {
		return slb.ErrNetworkMixed
	}
	// A server may be in several groups of one instance; that counts once.
	using := tx.State().LoadBalancersUsing(n.id)
	if !slices.Contains(joined, n.id) && !slices.Contains(using, lb.ID) && exceeds(len(using)+1, s.cfg.Quotas.AttachmentsPerServer) {
		return slb.ErrQuota
	}
	return nil
}

// sameNetwork reports whether every server of the instance whose network is
// known is in vpc: those of its groups and those that have just joined.
func sameNetwork(state *slb.State, lb *slb.LoadBalancer, vpc string, joined []slb.ServerID) bool {
	fits := func(id slb.ServerID) bool {
		srv, ok := state.Servers.Get(string(id))
		return !ok || srv.VpcID == "" || srv.VpcID == vpc
	}
	for _, id := range joined {
		if !fits(id) {
			return false
		}
	}
	for i := range lb.BackendServers {
		if !fits(lb.BackendServers[i].ServerID) {
			return false
		}
	}
	for _, group := range groupsOf(state, lb.ID) {
		for i := range group.servers {
			if !fits(group.servers[i].ServerID) {
				return false
			}
		}
	}
	return true
}

// serverGroup is a group of either kind.
type serverGroup struct {
	id      string
	servers []slb.GroupServer
}

// groupsOf are the groups of an instance beside the default one.
func groupsOf(state *slb.State, lb slb.LoadBalancerID) []serverGroup {
	var out []serverGroup
	for _, g := range state.VServerGroupsOf(lb) {
		out = append(out, serverGroup{g.ID, g.Servers})
	}
	for _, g := range state.MasterSlaveGroupsOf(lb) {
		out = append(out, serverGroup{g.ID, g.Servers})
	}
	return out
}

// checkServerQuota keeps the servers of an instance within their quota. A server
// in several groups, or with several ports, is one; of types that take an
// address, one for each address. lb is given with its new default group, and
// changed, if any, is a group with its new servers.
func (s *Server) checkServerQuota(state *slb.State, lb *slb.LoadBalancer, changed string, servers []slb.GroupServer) error {
	limit := s.cfg.Quotas.BackendServers
	if limit < 0 {
		return nil
	}
	groups := append(groupsOf(state, lb.ID), serverGroup{servers: servers})
	entries := len(lb.BackendServers)
	for _, g := range groups {
		entries += len(g.servers)
	}
	if entries <= limit {
		return nil
	}
	type identity struct {
		id slb.ServerID
		ip netip.Addr
	}
	seen := make(map[identity]bool, entries)
	add := func(id slb.ServerID, ip netip.Addr, kind slb.ServerType) {
		if !takesAddress(kind) {
			ip = netip.Addr{}
		}
		seen[identity{id, ip}] = true
	}
	for i := range lb.BackendServers {
		b := &lb.BackendServers[i]
		add(b.ServerID, b.ServerIP, b.Type)
	}
	for _, g := range groups {
		if g.id != "" && g.id == changed {
			continue // as it was before
		}
		for i := range g.servers {
			e := &g.servers[i]
			add(e.ServerID, e.ServerIP, e.Type)
		}
	}
	if len(seen) > limit {
		return slb.ErrServerQuota
	}
	return nil
}
