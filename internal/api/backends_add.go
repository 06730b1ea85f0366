package api

import (
	"context"
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
	ids := make([]slb.ServerID, 0, slb.MaxServersPerCall)
	for _, e := range p.BackendServers[:min(len(p.BackendServers), slb.MaxServersPerCall)] {
		ids = append(ids, e.ServerID)
	}
	leave := s.joinServers(ids)
	defer leave()
	return s.changeBackends(ctx, &p.loadBalancerParams, p.BackendServers, s.attach)
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
	return true, s.checkServerQuota(tx.State(), lb, "", nil)
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
	joined := make([]slb.ServerID, 0, len(lb.BackendServers))
	for i := range lb.BackendServers {
		joined = append(joined, lb.BackendServers[i].ServerID)
	}
	return b, s.admits(tx, lb, newcomer{b.ServerID, b.ServerIP, b.Type}, joined)
}
