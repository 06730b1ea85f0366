package api

import (
	"context"
	"slices"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

type deregisterServerParams struct {
	serverNameParam
	Force bool `param:"Force"`
}

// deregisterServer forgets a server that no instance uses. With Force it is
// removed from the groups first, one instance at a time, each of which stays
// whole; the register comes last, so that an interrupted call can be repeated.
func (s *Server) deregisterServer(ctx context.Context, p *deregisterServerParams) (*rpc.Empty, error) {
	// Nobody can attach the server while this goes on.
	defer s.attaching.alone([]slb.ServerID{p.ServerID})()
	state := s.cfg.Store.State()
	if _, ok := state.Servers.Get(string(p.ServerID)); !ok {
		return nil, slb.ErrServerNotFound
	}
	if using := state.LoadBalancersUsing(p.ServerID); p.Force {
		for _, id := range using {
			if err := s.detach(ctx, id, p.ServerID); err != nil {
				return nil, err
			}
		}
	}
	return &rpc.Empty{}, s.update(ctx, serverScope(p.ServerID), func(tx *store.Tx) error {
		if _, ok := tx.Servers.Get(string(p.ServerID)); !ok {
			return slb.ErrServerNotFound
		}
		if n := len(tx.State().LoadBalancersUsing(p.ServerID)); n > 0 {
			return slb.ErrServerAttached.With(p.ServerID, n)
		}
		tx.Servers.Delete(string(p.ServerID))
		return nil
	})
}

// detach removes every entry of the server from all groups of the instance. A
// master/slave group is left with one server. An instance that is gone meanwhile
// has nothing to remove.
func (s *Server) detach(ctx context.Context, id slb.LoadBalancerID, server slb.ServerID) error {
	isServer := func(e slb.GroupServer) bool { return e.ServerID == server }
	return s.update(ctx, string(id), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Edit(string(id))
		if !ok {
			return nil
		}
		lb.BackendServers = slices.DeleteFunc(lb.BackendServers, func(b slb.BackendServer) bool { return b.ServerID == server })
		tx.LoadBalancers.Put(lb)
		for _, seen := range tx.State().VServerGroupsOf(id) {
			if g, ok := tx.VServerGroups.Edit(seen.ID); ok && slices.ContainsFunc(g.Servers, isServer) {
				g.Servers = slices.DeleteFunc(g.Servers, isServer)
				tx.VServerGroups.Put(g)
			}
		}
		for _, seen := range tx.State().MasterSlaveGroupsOf(id) {
			if g, ok := tx.MasterSlaveGroups.Edit(seen.ID); ok && slices.ContainsFunc(g.Servers, isServer) {
				g.Servers = slices.DeleteFunc(g.Servers, isServer)
				tx.MasterSlaveGroups.Put(g)
			}
		}
		return nil
	})
}
