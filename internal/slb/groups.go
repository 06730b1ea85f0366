package slb

import (
	"net/netip"
	"slices"
	"time"
)

// VServerGroup is a named group of servers of one instance, for listeners and
// forwarding rules. A server may be in it several times with different ports.
type VServerGroup struct {
	ID             string // rsp-...
	LoadBalancerID LoadBalancerID
	Name           string
	Servers        []GroupServer `json:",omitempty"`
	Tags           []Tag         `json:",omitempty"`
	CreatedAt      time.Time
}

// GroupServer is one entry of a group with ports of its own. It is known by
// ServerID, Port and, for eni and eci, ServerIP.
type GroupServer struct {
	ServerID    ServerID
	ServerIP    netip.Addr `json:",omitzero"`
	Port        uint16
	Weight      int // 0 to 100; 0 takes no new traffic
	Type        ServerType
	Description string `json:",omitempty"`
	// Master is the part in a master/slave group; false in others.
	Master bool `json:",omitempty"`
}

// Is reports whether the entry is the one that a request names with id, port and
// address. Servers of type ecs are known by id and port alone, the other types
// also by their address where one is named.
func (g *GroupServer) Is(id ServerID, port uint16, ip netip.Addr) bool {
	return g.ServerID == id && g.Port == port && (g.Type == ECS || !ip.IsValid() || g.ServerIP == ip)
}

// Key is the resource's key in the store.
func (g *VServerGroup) Key() string { return g.ID }

// Clone returns a copy that shares nothing mutable with g.
func (g *VServerGroup) Clone() *VServerGroup {
	c := *g
	c.Servers = slices.Clone(g.Servers)
	c.Tags = slices.Clone(g.Tags)
	return &c
}

// IndexKeys are the entries of the group in State's index.
func (g *VServerGroup) IndexKeys() []string {
	keys := []string{indexKey(indexGroupsOf, string(g.LoadBalancerID), g.ID)}
	for i := range g.Servers {
		keys = append(keys, indexKey(indexAttached, string(g.Servers[i].ServerID), string(g.LoadBalancerID), g.ID))
	}
	return append(keys, tagKeys(TagVServerGroup, g.ID, g.Tags)...)
}

// MasterSlaveServerGroup is a pair of one master and one slave for TCP and UDP
// listeners. The slave gets traffic only while the master is abnormal.
type MasterSlaveServerGroup struct {
	ID             string // rsp-...
	LoadBalancerID LoadBalancerID
	Name           string
	Servers        []GroupServer // exactly two, one of them Master
	Tags           []Tag         `json:",omitempty"`
	CreatedAt      time.Time
}

// Key is the resource's key in the store.
func (g *MasterSlaveServerGroup) Key() string { return g.ID }

// Clone returns a copy that shares nothing mutable with g.
func (g *MasterSlaveServerGroup) Clone() *MasterSlaveServerGroup {
	c := *g
	c.Servers = slices.Clone(g.Servers)
	c.Tags = slices.Clone(g.Tags)
	return &c
}

// IndexKeys are the entries of the group in State's index.
func (g *MasterSlaveServerGroup) IndexKeys() []string {
	keys := []string{indexKey(indexPairsOf, string(g.LoadBalancerID), g.ID)}
	for i := range g.Servers {
		keys = append(keys, indexKey(indexAttached, string(g.Servers[i].ServerID), string(g.LoadBalancerID), g.ID))
	}
	return append(keys, tagKeys(TagMasterSlaveGroup, g.ID, g.Tags)...)
}

// NewServerGroupID returns a fresh identifier of the vendor's form, for both
// kinds of group.
func NewServerGroupID() string { return "rsp-" + RandomToken(21) }
