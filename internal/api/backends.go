package api

import (
	"context"
	"net/netip"
	"slices"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) backendActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("AddBackendServers", s.addBackendServers),
		rpc.NewAction("SetBackendServers", s.setBackendServers),
		rpc.NewAction("RemoveBackendServers", s.removeBackendServers),
	}
}

// backendParam is one element of BackendServers. The name Port occurs in samples
// and means nothing here: the listener decides.
type backendParam struct {
	ServerID    slb.ServerID   `param:"ServerId,required,scalar" missing:"InvalidParameter|400|The VmName is emtpy."`
	Weight      *int           `param:"Weight" range:"0..100" err:"InvalidWeight.Malformed|400|A specified weight is not valid."`
	Type        slb.ServerType `param:"Type" err:"InvalidParameter|400|The type is invalid."`
	ServerIP    netip.Addr     `param:"ServerIp"`
	Description *string        `param:"Description" maxlen:"80" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
}

// backendResult is the whole group after the change, in the order of adding.
type backendResult struct {
	BackendServers []backendOut       `out:"BackendServers>BackendServer"`
	LoadBalancerID slb.LoadBalancerID `out:"LoadBalancerId"`
}

type backendOut struct {
	ServerID    slb.ServerID   `out:"ServerId"`
	Weight      int            `out:"Weight"`
	Description string         `out:"Description,omitempty"`
	Type        slb.ServerType `out:"Type"`
}

func backendResultOf(lb *slb.LoadBalancer) *backendResult {
	r := &backendResult{LoadBalancerID: lb.ID}
	for _, b := range lb.BackendServers {
		r.BackendServers = append(r.BackendServers, backendOut{b.ServerID, b.Weight, b.Description, b.Type})
	}
	return r
}

// distinct drops repetitions of an entry; the first one counts. Servers of type
// ecs are known by their id, the others by id and address.
func distinct(params []backendParam) []backendParam {
	out := make([]backendParam, 0, len(params))
	for _, p := range params {
		same := func(q backendParam) bool {
			return p.ServerID == q.ServerID && (p.ServerIP == q.ServerIP || !takesAddress(p.Type) || !takesAddress(q.Type))
		}
		if !slices.ContainsFunc(out, same) {
			out = append(out, p)
		}
	}
	return out
}

// takesAddress reports whether entries of the type may name an address.
func takesAddress(t slb.ServerType) bool { return t == slb.ENI || t == slb.ECI }

// changeBackends runs fn on a copy of the instance and answers with its group. A
// call that names no server has nothing to do and writes nothing.
func (s *Server) changeBackends(ctx context.Context, p *loadBalancerParams, params []backendParam,
	fn func(tx *store.Tx, lb *slb.LoadBalancer, params []backendParam) (changed bool, err error)) (*backendResult, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, err
	}
	// Repetitions count: the limit is about the size of the request.
	if len(params) > slb.MaxServersPerCall {
		return nil, slb.ErrTooManyServers
	}
	params = distinct(params)
	var result *backendResult
	err := s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Edit(string(p.LoadBalancerID))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		changed, err := fn(tx, lb, params)
		if err != nil {
			return err
		}
		if changed {
			tx.LoadBalancers.Put(lb)
		}
		result = backendResultOf(lb)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

type setBackendServersParams struct {
	loadBalancerParams
	BackendServers []backendParam `param:"BackendServers" jsonparam:"true" err:"InvalidParameter|400|The specified BackendServers is invalid."`
}

// setBackendServers changes weight and description of entries of the group; what
// an element leaves out stays. An element without an address means every entry
// of that server.
func (s *Server) setBackendServers(ctx context.Context, p *setBackendServersParams) (*backendResult, error) {
	return s.changeBackends(ctx, &p.loadBalancerParams, p.BackendServers,
		func(_ *store.Tx, lb *slb.LoadBalancer, params []backendParam) (bool, error) {
			changed := false
			for _, e := range params {
				found := false
				for i := range lb.BackendServers {
					b := &lb.BackendServers[i]
					if !b.SameServer(e.ServerID, e.ServerIP) {
						continue
					}
					found = true
					before := *b
					if e.Weight != nil {
						b.Weight = *e.Weight
					}
					if e.Description != nil {
						b.Description = *e.Description
					}
					changed = changed || *b != before
				}
				if !found {
					return false, slb.ErrServerNotFound
				}
			}
			return changed, nil
		})
}

type removeBackendServersParams struct {
	loadBalancerParams
	BackendServers []backendParam `param:"BackendServers,required" jsonparam:"true" err:"InvalidParameter|400|The specified BackendServers is invalid."`
}

// removeBackendServers passes over servers that are not in the group. Weight and
// type need not agree.
func (s *Server) removeBackendServers(ctx context.Context, p *removeBackendServersParams) (*backendResult, error) {
	return s.changeBackends(ctx, &p.loadBalancerParams, p.BackendServers,
		func(_ *store.Tx, lb *slb.LoadBalancer, params []backendParam) (bool, error) {
			before := len(lb.BackendServers)
			lb.BackendServers = slices.DeleteFunc(lb.BackendServers, func(b slb.BackendServer) bool {
				return slices.ContainsFunc(params, func(e backendParam) bool { return b.SameServer(e.ServerID, e.ServerIP) })
			})
			return len(lb.BackendServers) != before, nil
		})
}
