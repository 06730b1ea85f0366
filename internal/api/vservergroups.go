package api

import (
	"context"
	"net/netip"
	"slices"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) vServerGroupActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateVServerGroup", s.createVServerGroup),
		rpc.NewAction("SetVServerGroupAttribute", s.setVServerGroup),
		rpc.NewAction("DeleteVServerGroup", s.deleteVServerGroup),
		rpc.NewAction("DescribeVServerGroups", s.describeVServerGroups),
		rpc.NewAction("DescribeVServerGroupAttribute", s.describeVServerGroup),
		rpc.NewAction("AddVServerGroupBackendServers", s.addGroupServers),
		rpc.NewAction("RemoveVServerGroupBackendServers", s.removeGroupServers),
		rpc.NewAction("ModifyVServerGroupBackendServers", s.modifyGroupServers),
	}
}

// vServerGroupParams name a vserver group. Of two kinds of group each has its
// own parameter, though ids look alike.
type vServerGroupParams struct {
	RegionID       string `param:"RegionId,required"`
	VServerGroupID string `param:"VServerGroupId,required" maxlen:"64"`
}

// groupServerParam is one element of BackendServers in the actions on vserver
// groups, where an entry is known by ServerId, Port and, unless it is of type
// ecs, ServerIp.
type groupServerParam struct {
	ServerID    slb.ServerID   `param:"ServerId,required,scalar" missing:"BackendServersMalformed|400|the specified parameter BackendServers is unavailable."`
	Port        uint16         `param:"Port,required" range:"1..65535" missing:"BackendServersMalformed|400|the specified parameter BackendServers is unavailable." err:"InvalidParameter|400|The specified BackendServers is invalid, as the Port value should be in [1, 65535]."`
	Weight      *int           `param:"Weight" range:"0..100" err:"InvalidWeight.Malformed|400|A specified weight is not valid."`
	Type        slb.ServerType `param:"Type" err:"InvalidParameter|400|The type is invalid."`
	ServerIP    netip.Addr     `param:"ServerIp"`
	Description *string        `param:"Description" maxlen:"80" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
}

// entry is the new entry that the element describes.
func (p *groupServerParam) entry() slb.GroupServer {
	e := slb.GroupServer{ServerID: p.ServerID, ServerIP: p.ServerIP, Port: p.Port, Weight: slb.DefaultWeight, Type: p.Type}
	if e.Type == "" {
		e.Type = slb.ECS
	}
	set(&e.Weight, p.Weight)
	set(&e.Description, p.Description)
	return e
}

// same reports whether two entries are one.
func same(a, b *slb.GroupServer) bool {
	return a.ServerID == b.ServerID && a.Port == b.Port &&
		(a.ServerIP == b.ServerIP || !takesAddress(a.Type) || !takesAddress(b.Type))
}

// groupServerOut is an entry in the answers that tell a group after a change.
type groupServerOut struct {
	Description string         `out:"Description,omitempty"`
	Port        int            `out:"Port"`
	ServerID    slb.ServerID   `out:"ServerId"`
	Type        slb.ServerType `out:"Type"`
	Weight      int            `out:"Weight"`
}

// vServerGroupResult is the whole group after the change, in the order of
// adding.
type vServerGroupResult struct {
	BackendServers []groupServerOut `out:"BackendServers>BackendServer"`
	VServerGroupID string           `out:"VServerGroupId"`
}

func vServerGroupResultOf(g *slb.VServerGroup) *vServerGroupResult {
	r := &vServerGroupResult{VServerGroupID: g.ID}
	for _, e := range g.Servers {
		r.BackendServers = append(r.BackendServers, groupServerOut{e.Description, int(e.Port), e.ServerID, e.Type, e.Weight})
	}
	return r
}

// checkGroupCall judges the size of a request; repetitions count.
func (s *Server) checkGroupCall(lists ...[]groupServerParam) error {
	for _, l := range lists {
		if limit := s.cfg.Quotas.GroupServersPerCall; exceeds(len(l), limit) {
			return slb.ErrTooManyGroupServers.With(limit)
		}
	}
	return nil
}

// joinGroup is joinServers for the servers of a request.
func (s *Server) joinGroup(params []groupServerParam) (leave func()) {
	ids := make([]slb.ServerID, 0, len(params))
	for i := range params {
		if !slices.Contains(ids, params[i].ServerID) {
			ids = append(ids, params[i].ServerID)
		}
	}
	return s.joinServers(ids)
}

// attachToGroup adds the servers to g, a group of lb, or none of them. As in the
// default group, the first of equal entries counts, and one that is in the group
// already stays as it is.
func (s *Server) attachToGroup(tx *store.Tx, lb *slb.LoadBalancer, g *slb.VServerGroup, params []groupServerParam) (bool, error) {
	before := len(g.Servers)
	joined := make([]slb.ServerID, 0, len(g.Servers)+len(params))
	for i := range g.Servers {
		joined = append(joined, g.Servers[i].ServerID)
	}
	for i := range params {
		e := params[i].entry()
		if slices.ContainsFunc(g.Servers, func(o slb.GroupServer) bool { return same(&o, &e) }) {
			continue
		}
		if err := s.admits(tx, lb, newcomer{e.ServerID, e.ServerIP, e.Type}, joined); err != nil {
			return false, err
		}
		g.Servers = append(g.Servers, e)
		joined = append(joined, e.ServerID)
	}
	if len(g.Servers) == before {
		return false, nil
	}
	if exceeds(len(g.Servers), s.cfg.Quotas.GroupServers) {
		return false, slb.ErrServerQuota
	}
	return true, s.checkServerQuota(tx.State(), lb, g.ID, g.Servers)
}

// detachFromGroup takes out the entries that the list names and passes over
// those that are not there. Weight and type need not agree.
func detachFromGroup(g *slb.VServerGroup, params []groupServerParam) bool {
	before := len(g.Servers)
	g.Servers = slices.DeleteFunc(g.Servers, func(e slb.GroupServer) bool {
		return slices.ContainsFunc(params, func(p groupServerParam) bool { return e.Is(p.ServerID, p.Port, p.ServerIP) })
	})
	return len(g.Servers) != before
}

// changeVServerGroup runs fn on a copy of the group, under the scope of its
// instance, and writes it if it was changed. It returns the group as it is then.
func (s *Server) changeVServerGroup(ctx context.Context, p *vServerGroupParams,
	fn func(tx *store.Tx, lb *slb.LoadBalancer, g *slb.VServerGroup) (changed bool, err error)) (*slb.VServerGroup, error) {
	seen, err := s.vServerGroup(p)
	if err != nil {
		return nil, err
	}
	var after *slb.VServerGroup
	err = s.update(ctx, string(seen.LoadBalancerID), func(tx *store.Tx) error {
		g, ok := tx.VServerGroups.Edit(p.VServerGroupID)
		if !ok {
			return slb.ErrVServerGroup
		}
		lb, ok := tx.LoadBalancers.Get(string(g.LoadBalancerID))
		if !ok {
			return slb.ErrVServerGroup
		}
		changed, err := fn(tx, lb, g)
		if err != nil {
			return err
		}
		if changed {
			tx.VServerGroups.Put(g)
		}
		after = g
		return nil
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// vServerGroup finds the group in the state, for reading alone.
func (s *Server) vServerGroup(p *vServerGroupParams) (*slb.VServerGroup, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	g, ok := s.cfg.Store.State().VServerGroups.Get(p.VServerGroupID)
	if !ok {
		return nil, slb.ErrVServerGroup
	}
	return g, nil
}
