package api

import (
	"context"
	"net/netip"
	"slices"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

type addBackendServersParams struct {
	loadBalancerParams
	BackendServers []backendParam `param:"BackendServers,required" jsonparam:"true" err:"InvalidParameter|400|The specified BackendServers is invalid."`
}

// addBackendServers appends servers to the default group. Of one server named
// twice in a request the first entry counts. A server that is in the group
// already stays as it is, weight included: the reference page is silent about
// it, and clients repeat the call.
//
// The page's own error row, "does not support the network type of the ECS
// instance", is given when the instance and the server are in networks that are
// known and differ, and when the server has no address of a family that the
// instance can reach (see LoadBalancer.AcceptsNetwork).
func (s *Server) addBackendServers(ctx context.Context, p *addBackendServersParams) (*backendResult, error) {
	leave := s.joinServers(p)
	defer leave()
	return s.changeBackends(ctx, &p.loadBalancerParams, p.BackendServers, s.attach)
}

// joinServers keeps the number of instances per server within its quota.
func (s *Server) joinServers(p *addBackendServersParams) (leave func()) {
	quota := s.cfg.Quotas.AttachmentsPerServer
	ids := make([]slb.ServerID, 0, slb.MaxServersPerCall)
	for _, e := range p.BackendServers[:min(len(p.BackendServers), slb.MaxServersPerCall)] {
		ids = append(ids, e.ServerID)
	}
	return s.attaching.join(ids, func(id slb.ServerID, underWay int) bool {
		return quota < 0 || len(s.cfg.Store.State().LoadBalancersUsing(id))+underWay <= quota
	})
}

// attach adds the servers to lb, or none of them.
func (s *Server) attach(tx *store.Tx, lb *slb.LoadBalancer, params []backendParam) (bool, error) {
	before := len(lb.BackendServers)
	for _, e := range params {
		if slices.ContainsFunc(lb.BackendServers, func(b slb.BackendServer) bool { return b.ServerID == e.ServerID && isEntry(&b, &e) }) {
			continue
		}
		b, err := s.admit(tx, lb, &e)
		if err != nil {
			return false, err
		}
		lb.BackendServers = append(lb.BackendServers, b)
	}
	if len(lb.BackendServers) == before {
		return false, nil
	}
	if exceeds(len(lb.BackendServers), s.cfg.Quotas.BackendServers) {
		return false, slb.ErrServerQuota
	}
	return true, nil
}

// isEntry reports whether e would add the entry b once more, both being of one
// server.
func isEntry(b *slb.BackendServer, e *backendParam) bool {
	return !takesAddress(e.Type) || !takesAddress(b.Type) || b.ServerIP == e.ServerIP
}

// admit is the new entry for e, if the server may join.
func (s *Server) admit(tx *store.Tx, lb *slb.LoadBalancer, e *backendParam) (slb.BackendServer, error) {
	b := slb.BackendServer{ServerID: e.ServerID, ServerIP: e.ServerIP, Weight: slb.DefaultWeight, Type: e.Type}
	if b.Type == "" {
		b.Type = slb.ECS
	}
	if e.Weight != nil {
		b.Weight = *e.Weight
	}
	if e.Description != nil {
		b.Description = *e.Description
	}
	// Read for the record: the transaction runs again if the register changes.
	srv, registered := tx.Servers.Get(string(e.ServerID))
	foreign := s.cfg.AllowForeignENI && takesAddress(b.Type) && b.ServerIP.IsValid() && e.ServerID.Valid()
	vpc, addrs := "", []netip.Addr{b.ServerIP}
	switch {
	case registered && srv.Status != slb.ServerRunning:
		return b, slb.ErrServerNotRunning
	case registered:
		vpc = srv.VpcID
		if !b.ServerIP.IsValid() {
			addrs = srv.Addresses
		} else if !slices.Contains(srv.Addresses, b.ServerIP) && !foreign {
			return b, slb.ErrServerNotRunning
		}
	case !foreign:
		return b, slb.ErrServerNotRunning
	}
	if !lb.AcceptsNetwork(vpc, addrs...) {
		return b, slb.ErrNetworkType
	}
	if vpc != "" && !sameNetwork(tx, lb, vpc) {
		return b, slb.ErrNetworkMixed
	}
	quota := s.cfg.Quotas.AttachmentsPerServer
	if quota >= 0 && !slices.ContainsFunc(lb.BackendServers, func(o slb.BackendServer) bool { return o.ServerID == e.ServerID }) &&
		exceeds(len(tx.State().LoadBalancersUsing(e.ServerID))+1, quota) {
		return b, slb.ErrQuota
	}
	return b, nil
}

// sameNetwork reports whether every server of the group whose network is known
// is in vpc.
func sameNetwork(tx *store.Tx, lb *slb.LoadBalancer, vpc string) bool {
	for _, b := range lb.BackendServers {
		if srv, ok := tx.State().Servers.Get(string(b.ServerID)); ok && srv.VpcID != "" && srv.VpcID != vpc {
			return false
		}
	}
	return true
}
