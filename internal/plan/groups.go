package plan

import (
	"cmp"
	"fmt"

	"github.com/openslb/openslb/internal/slb"
)

// group is servers with ports, wherever they stand in the state.
type group struct {
	servers []slb.GroupServer
	// pair: one of the servers is the master, which alone is checked and gets all
	// traffic while it is well.
	pair bool
}

// defaultGroup stands in pool IDs for the id of a group.
const defaultGroup = "default"

// poolID names the listener's group as the listener uses it.
func poolID(l *slb.Listener) string {
	return fmt.Sprintf("%s/%s:%d-%s", l.LoadBalancerID, cmp.Or(l.VServerGroupID, l.MasterSlaveServerGroup, defaultGroup), l.Port, l.Protocol)
}

// groupOf is the group that the listener sends to. A listener with a group of
// its own never falls back to the default group. Source: the vendor's backend
// server overview.
func groupOf(s *slb.State, lb *slb.LoadBalancer, l *slb.Listener) group {
	switch {
	case l.VServerGroupID != "":
		return vServerGroup(s, l.VServerGroupID)
	case l.MasterSlaveServerGroup != "":
		if g, ok := s.MasterSlaveGroups.Get(l.MasterSlaveServerGroup); ok {
			return group{servers: g.Servers, pair: true}
		}
		return group{}
	}
	out := group{servers: make([]slb.GroupServer, 0, len(lb.BackendServers))}
	for i := range lb.BackendServers {
		b := &lb.BackendServers[i]
		out.servers = append(out.servers, slb.GroupServer{
			ServerID: b.ServerID, ServerIP: b.ServerIP, Port: l.BackendServerPort, Weight: b.Weight, Type: b.Type,
		})
	}
	return out
}

// vServerGroup is a vserver group of a listener or a rule; one that is gone has
// no servers.
func vServerGroup(s *slb.State, id string) group {
	if g, ok := s.VServerGroups.Get(id); ok {
		return group{servers: g.Servers}
	}
	return group{}
}
