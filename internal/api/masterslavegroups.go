package api

import (
	"context"
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) masterSlaveGroupActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateMasterSlaveServerGroup", s.createMasterSlaveGroup),
		rpc.NewAction("DeleteMasterSlaveServerGroup", s.deleteMasterSlaveGroup),
		rpc.NewAction("DescribeMasterSlaveServerGroups", s.describeMasterSlaveGroups),
		rpc.NewAction("DescribeMasterSlaveServerGroupAttribute", s.describeMasterSlaveGroup),
	}
}

// The parts of a server in a pair, as requests and answers spell them.
const (
	partMaster = "Master"
	partSlave  = "Slave"
)

// pairServerParam is one element of MasterSlaveBackendServers. IsBackup, which a
// client sends along, says the same as ServerType and is not looked at.
type pairServerParam struct {
	ServerID    slb.ServerID   `param:"ServerId,required" missing:"BACKEND_SERVER_ID_CAN_NOT_EMPTY|400|Backend server id can not empty."`
	Port        uint16         `param:"Port,required" range:"1..65535" missing:"BACKEND_SERVER_PORT_CAN_NOT_EMPTY|400|Backend server port can not empty." err:"RealServerPortNotSupport|400|Real server port not support."`
	Weight      *int           `param:"Weight" range:"0..100" err:"InvalidWeight.Malformed|400|A specified weight is not valid."`
	Type        slb.ServerType `param:"Type" err:"InvalidParameter|400|The type is invalid."`
	ServerIP    netip.Addr     `param:"ServerIp"`
	ServerType  string         `param:"ServerType,required" enum:"Master|Slave" missing:"INVALID_SERVER_TYPE|400|Invalid server type." err:"INVALID_SERVER_TYPE|400|Invalid server type."`
	Description *string        `param:"Description" maxlen:"80" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
}

type createMasterSlaveGroupParams struct {
	protectionParams
	Servers []pairServerParam `param:"MasterSlaveBackendServers" jsonparam:"true"`
	Name    string            `param:"MasterSlaveServerGroupName" maxlen:"80" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
	Tags    []tagParam        `param:"Tag.N"`
}

// pair checks that there is one master and one slave, and makes entries of them.
func (p *createMasterSlaveGroupParams) pair() ([]slb.GroupServer, error) {
	if len(p.Servers) != 2 {
		return nil, slb.ErrPairNotTwo
	}
	a, b := &p.Servers[0], &p.Servers[1]
	switch {
	case a.ServerID == b.ServerID && a.Port == b.Port:
		return nil, slb.ErrPairSame
	case a.ServerType == b.ServerType:
		return nil, slb.ErrPairRoles
	}
	var out []slb.GroupServer
	for _, e := range p.Servers {
		plain := groupServerParam{e.ServerID, e.Port, e.Weight, e.Type, e.ServerIP, e.Description}
		entry := plain.entry()
		entry.Master = e.ServerType == partMaster
		out = append(out, entry)
	}
	return out, nil
}

// pairServerOut is one of the two servers. The element of the list is named in
// the singular, though samples show the plural.
type pairServerOut struct {
	Description string         `out:"Description,omitempty"`
	Port        int            `out:"Port"`
	ServerID    slb.ServerID   `out:"ServerId"`
	ServerType  string         `out:"ServerType"`
	Type        slb.ServerType `out:"Type"`
	Weight      int            `out:"Weight"`
}

func pairServersOut(servers []slb.GroupServer) []pairServerOut {
	var out []pairServerOut
	for _, e := range servers {
		part := partSlave
		if e.Master {
			part = partMaster
		}
		out = append(out, pairServerOut{e.Description, int(e.Port), e.ServerID, part, e.Type, e.Weight})
	}
	return out
}

type createMasterSlaveGroupResult struct {
	Servers []pairServerOut `out:"MasterSlaveBackendServers>MasterSlaveBackendServer"`
	GroupID string          `out:"MasterSlaveServerGroupId"`
}

// createMasterSlaveGroup writes the instance too, as createVServerGroup does.
func (s *Server) createMasterSlaveGroup(ctx context.Context, p *createMasterSlaveGroupParams) (*createMasterSlaveGroupResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	servers, err := p.pair()
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf("Tag", p.Tags)
	if err != nil {
		return nil, err
	}
	g := &slb.MasterSlaveServerGroup{
		ID: slb.NewServerGroupID(), LoadBalancerID: p.LoadBalancerID, Name: p.Name,
		Servers: servers, Tags: tags, CreatedAt: s.now(),
	}
	defer s.joinServers([]slb.ServerID{servers[0].ServerID, servers[1].ServerID})()
	err = s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Edit(string(p.LoadBalancerID))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		if exceeds(len(tx.State().MasterSlaveGroupsOf(lb.ID))+1, s.cfg.Quotas.ServerGroups) {
			return slb.ErrGroupQuota
		}
		var joined []slb.ServerID
		for i := range servers {
			e := &servers[i]
			if err := s.admits(tx, lb, newcomer{e.ServerID, e.ServerIP, e.Type}, joined); err != nil {
				return err
			}
			joined = append(joined, e.ServerID)
		}
		if err := s.checkServerQuota(tx.State(), lb, g.ID, servers); err != nil {
			return err
		}
		tx.MasterSlaveGroups.Put(g.Clone())
		tx.LoadBalancers.Put(lb)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &createMasterSlaveGroupResult{pairServersOut(servers), g.ID}, nil
}

type masterSlaveGroupParams struct {
	RegionID string `param:"RegionId,required"`
	GroupID  string `param:"MasterSlaveServerGroupId,required" maxlen:"64"`
}

// masterSlaveGroup finds the group in the state, for reading alone.
func (s *Server) masterSlaveGroup(p *masterSlaveGroupParams) (*slb.MasterSlaveServerGroup, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	g, ok := s.cfg.Store.State().MasterSlaveGroups.Get(p.GroupID)
	if !ok {
		return nil, slb.ErrMasterSlaveGroup
	}
	return g, nil
}

// deleteMasterSlaveGroup refuses while a listener sends to the group.
func (s *Server) deleteMasterSlaveGroup(ctx context.Context, p *masterSlaveGroupParams) (*rpc.Empty, error) {
	seen, err := s.masterSlaveGroup(p)
	if err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, string(seen.LoadBalancerID), func(tx *store.Tx) error {
		g, ok := tx.MasterSlaveGroups.Get(p.GroupID)
		if !ok {
			return slb.ErrMasterSlaveGroup
		}
		if err := groupInUse(tx, g.LoadBalancerID, g.ID); err != nil {
			return err
		}
		tx.MasterSlaveGroups.Delete(g.ID)
		return nil
	})
}

type pairUsers struct {
	Listeners []groupListener `out:"Listeners>Listener"`
}

type listedMasterSlaveGroup struct {
	AssociatedObjects pairUsers `out:"AssociatedObjects"`
	CreateTime        string    `out:"CreateTime"`
	GroupID           string    `out:"MasterSlaveServerGroupId"`
	Name              string    `out:"MasterSlaveServerGroupName"`
	Tags              []tagOut  `out:"Tags>Tag"`
}

type describeMasterSlaveGroupsResult struct {
	Groups []listedMasterSlaveGroup `out:"MasterSlaveServerGroups>MasterSlaveServerGroup"`
}

// describeMasterSlaveGroups lists the pairs of an instance in the order of their
// creation.
func (s *Server) describeMasterSlaveGroups(_ context.Context, p *groupListParams) (*describeMasterSlaveGroupsResult, error) {
	state, lb, err := s.instanceToList(&p.protectionParams)
	if err != nil {
		return nil, err
	}
	r := &describeMasterSlaveGroupsResult{}
	groups := byAge(state.MasterSlaveGroupsOf(lb.ID), func(g *slb.MasterSlaveServerGroup) (time.Time, string, string) { return g.CreatedAt, g.Name, g.ID })
	for _, g := range groups {
		if !p.matches(g.Name, g.Tags) {
			continue
		}
		o := listedMasterSlaveGroup{CreateTime: timeText(g.CreatedAt), GroupID: g.ID, Name: g.Name, Tags: tagsOut(g.Tags)}
		if p.IncludeListener {
			o.AssociatedObjects.Listeners = groupListeners(state, g.ID)
		}
		r.Groups = append(r.Groups, o)
	}
	return r, nil
}

type describeMasterSlaveGroupResult struct {
	CreateTime     string             `out:"CreateTime"`
	LoadBalancerID slb.LoadBalancerID `out:"LoadBalancerId"`
	Servers        []pairServerOut    `out:"MasterSlaveBackendServers>MasterSlaveBackendServer"`
	GroupID        string             `out:"MasterSlaveServerGroupId"`
	Name           string             `out:"MasterSlaveServerGroupName"`
	Tags           []tagOut           `out:"Tags>Tag"`
}

func (s *Server) describeMasterSlaveGroup(_ context.Context, p *masterSlaveGroupParams) (*describeMasterSlaveGroupResult, error) {
	g, err := s.masterSlaveGroup(p)
	if err != nil {
		return nil, err
	}
	return &describeMasterSlaveGroupResult{
		CreateTime:     timeText(g.CreatedAt),
		LoadBalancerID: g.LoadBalancerID,
		Servers:        pairServersOut(g.Servers),
		GroupID:        g.ID,
		Name:           g.Name,
		Tags:           tagsOut(g.Tags),
	}, nil
}
