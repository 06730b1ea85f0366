package api

import (
	"context"
	"slices"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

type createVServerGroupParams struct {
	protectionParams
	BackendServers   []groupServerParam `param:"BackendServers" jsonparam:"true" err:"BackendServersMalformed|400|the specified parameter BackendServers is unavailable."`
	Tags             []tagParam         `param:"Tag.N"`
	VServerGroupName string             `param:"VServerGroupName" maxlen:"80" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
}

// createVServerGroup writes the instance too: that is how its deletion, on
// whatever node, comes to know of the group.
func (s *Server) createVServerGroup(ctx context.Context, p *createVServerGroupParams) (*vServerGroupResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	if err := s.checkGroupCall(p.BackendServers); err != nil {
		return nil, err
	}
	tags, err := tagsOf("Tag", p.Tags)
	if err != nil {
		return nil, err
	}
	model := &slb.VServerGroup{ID: slb.NewServerGroupID(), LoadBalancerID: p.LoadBalancerID, Name: p.VServerGroupName, Tags: tags, CreatedAt: s.now()}
	defer s.joinGroup(p.BackendServers)()
	var result *vServerGroupResult
	err = s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Edit(string(p.LoadBalancerID))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		if exceeds(len(tx.State().VServerGroupsOf(lb.ID))+1, s.cfg.Quotas.ServerGroups) {
			return slb.ErrGroupQuota
		}
		g := model.Clone()
		if _, err := s.attachToGroup(tx, lb, g, p.BackendServers); err != nil {
			return err
		}
		tx.VServerGroups.Put(g)
		tx.LoadBalancers.Put(lb)
		result = vServerGroupResultOf(g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// deleteVServerGroup refuses while a listener or a rule sends to the group.
func (s *Server) deleteVServerGroup(ctx context.Context, p *vServerGroupParams) (*rpc.Empty, error) {
	_, err := s.changeVServerGroup(ctx, p, func(tx *store.Tx, lb *slb.LoadBalancer, g *slb.VServerGroup) (bool, error) {
		if err := groupInUse(tx, lb.ID, g.ID); err != nil {
			return false, err
		}
		tx.VServerGroups.Delete(g.ID)
		return false, nil
	})
	return &rpc.Empty{}, err
}

type groupServersParams struct {
	vServerGroupParams
	BackendServers []groupServerParam `param:"BackendServers,required" jsonparam:"true" err:"BackendServersMalformed|400|the specified parameter BackendServers is unavailable."`
}

func (s *Server) addGroupServers(ctx context.Context, p *groupServersParams) (*vServerGroupResult, error) {
	if err := s.checkGroupCall(p.BackendServers); err != nil {
		return nil, err
	}
	defer s.joinGroup(p.BackendServers)()
	return groupResult(s.changeVServerGroup(ctx, &p.vServerGroupParams, func(tx *store.Tx, lb *slb.LoadBalancer, g *slb.VServerGroup) (bool, error) {
		return s.attachToGroup(tx, lb, g, p.BackendServers)
	}))
}

func (s *Server) removeGroupServers(ctx context.Context, p *groupServersParams) (*vServerGroupResult, error) {
	if err := s.checkGroupCall(p.BackendServers); err != nil {
		return nil, err
	}
	return groupResult(s.changeVServerGroup(ctx, &p.vServerGroupParams, func(_ *store.Tx, _ *slb.LoadBalancer, g *slb.VServerGroup) (bool, error) {
		return detachFromGroup(g, p.BackendServers), nil
	}))
}

// groupResult is the answer that the group makes, unless there was an error.
func groupResult(g *slb.VServerGroup, err error) (*vServerGroupResult, error) {
	if err != nil {
		return nil, err
	}
	return vServerGroupResultOf(g), nil
}

type modifyGroupServersParams struct {
	vServerGroupParams
	OldBackendServers []groupServerParam `param:"OldBackendServers" jsonparam:"true" err:"BackendServersMalformed|400|the specified parameter BackendServers is unavailable."`
	NewBackendServers []groupServerParam `param:"NewBackendServers" jsonparam:"true" err:"BackendServersMalformed|400|the specified parameter BackendServers is unavailable."`
}

// modifyGroupServers takes the old servers out and the new ones in, in one step:
// traffic never sees a group that has lost the former and lacks the latter. An
// entry in both lists gets the new weight and keeps its health.
func (s *Server) modifyGroupServers(ctx context.Context, p *modifyGroupServersParams) (*vServerGroupResult, error) {
	if err := s.checkGroupCall(p.OldBackendServers, p.NewBackendServers); err != nil {
		return nil, err
	}
	defer s.joinGroup(p.NewBackendServers)()
	return groupResult(s.changeVServerGroup(ctx, &p.vServerGroupParams, func(tx *store.Tx, lb *slb.LoadBalancer, g *slb.VServerGroup) (bool, error) {
		removed := detachFromGroup(g, p.OldBackendServers)
		added, err := s.attachToGroup(tx, lb, g, p.NewBackendServers)
		return removed || added, err
	}))
}

type setVServerGroupParams struct {
	vServerGroupParams
	BackendServers   []groupServerParam `param:"BackendServers" jsonparam:"true" err:"BackendServersMalformed|400|the specified parameter BackendServers is unavailable."`
	VServerGroupName *string            `param:"VServerGroupName" maxlen:"80" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
}

type setVServerGroupResult struct {
	vServerGroupResult
	VServerGroupName string `out:"VServerGroupName"`
}

// setVServerGroup changes the name, weights and descriptions. It finds entries
// by server, port and address, and adds none. An element without an address
// means every entry of that server and port. As everywhere, the first of equal
// elements counts.
func (s *Server) setVServerGroup(ctx context.Context, p *setVServerGroupParams) (*setVServerGroupResult, error) {
	if err := s.checkGroupCall(p.BackendServers); err != nil {
		return nil, err
	}
	g, err := s.changeVServerGroup(ctx, &p.vServerGroupParams, func(_ *store.Tx, _ *slb.LoadBalancer, g *slb.VServerGroup) (bool, error) {
		before := g.Name
		set(&g.Name, p.VServerGroupName)
		changed := g.Name != before
		for i := range p.BackendServers {
			e := &p.BackendServers[i]
			if slices.ContainsFunc(p.BackendServers[:i], func(o groupServerParam) bool {
				return o.ServerID == e.ServerID && o.Port == e.Port && o.ServerIP == e.ServerIP
			}) {
				continue
			}
			found, different := setEntries(g, e)
			if !found {
				return false, slb.ErrServerNotFound
			}
			changed = changed || different
		}
		return changed, nil
	})
	if err != nil {
		return nil, err
	}
	return &setVServerGroupResult{*vServerGroupResultOf(g), g.Name}, nil
}

// setEntries gives the entries that the element means what it says of them.
func setEntries(g *slb.VServerGroup, p *groupServerParam) (found, changed bool) {
	for i := range g.Servers {
		e := &g.Servers[i]
		if !e.Is(p.ServerID, p.Port, p.ServerIP) {
			continue
		}
		found = true
		before := *e
		set(&e.Weight, p.Weight)
		set(&e.Description, p.Description)
		changed = changed || *e != before
	}
	return found, changed
}
