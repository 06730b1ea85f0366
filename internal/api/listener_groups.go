package api

import (
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// groupChange is what a call says about the server group of a listener.
type groupChange struct {
	vServer       *slb.Switch // nil: not said
	vServerID     *string
	masterSlave   *slb.Switch
	masterSlaveID *string
}

// apply changes l. An id without its switch means on. A listener has one group
// at most, so that switching one kind on leaves the other. Whether the groups
// exist is checkGroups' business, within the transaction.
func (g groupChange) apply(l *slb.Listener) error {
	v, m := g.vServer, g.masterSlave
	on := slb.On
	if v == nil && g.vServerID != nil {
		v = &on
	}
	if m == nil && g.masterSlaveID != nil {
		m = &on
	}
	wantV, wantM := v != nil && *v == slb.On, m != nil && *m == slb.On
	switch {
	case wantV && wantM:
		return slb.ErrGroupMismatch
	case wantV:
		set(&l.VServerGroupID, g.vServerID)
		l.MasterSlaveServerGroup = ""
		if l.VServerGroupID == "" {
			return missing("VServerGroupId")
		}
	case wantM:
		set(&l.MasterSlaveServerGroup, g.masterSlaveID)
		l.VServerGroupID = ""
		if l.MasterSlaveServerGroup == "" {
			return missing("MasterSlaveServerGroupId")
		}
	}
	if v != nil && *v == slb.Off {
		l.VServerGroupID = ""
	}
	if m != nil && *m == slb.Off {
		l.MasterSlaveServerGroup = ""
	}
	return nil
}

// checkGroups judges the group that l is to have: it must be one of the same
// instance and fit the protocol. before is the listener as it was, nil for a new
// one; what it names already is there, since no group that is used can go.
//
// The group is read for the record, so that the call fails or runs again when
// the group is deleted beside it, on this node or another. The deletion for its
// part reads the range of the instance's listeners, in which l is written.
func checkGroups(tx *store.Tx, l, before *slb.Listener) error {
	if before == nil {
		before = &slb.Listener{}
	}
	if id := l.VServerGroupID; id != "" && id != before.VServerGroupID {
		if !hasVServerGroup(tx, l.LoadBalancerID, id) {
			if hasMasterSlaveGroup(tx, l.LoadBalancerID, id) {
				return slb.ErrGroupProtocol
			}
			return slb.ErrVServerGroup
		}
	}
	if id := l.MasterSlaveServerGroup; id != "" && id != before.MasterSlaveServerGroup {
		if !hasMasterSlaveGroup(tx, l.LoadBalancerID, id) {
			if hasVServerGroup(tx, l.LoadBalancerID, id) {
				return slb.ErrGroupProtocol
			}
			return slb.ErrMasterSlaveGroup
		}
		if l.Protocol.IsL7() {
			return slb.ErrGroupProtocol
		}
	}
	// Back at the default servers, which have no port of their own.
	if !l.UsesGroup() && !l.Redirects() && l.BackendServerPort == 0 {
		return missing("BackendServerPort")
	}
	return nil
}

// hasVServerGroup tells whether the instance has the group. The answer is read for
// the record: should it change, the transaction runs again.
func hasVServerGroup(tx *store.Tx, lb slb.LoadBalancerID, id string) bool {
	g, ok := tx.VServerGroups.Get(id)
	return ok && g.LoadBalancerID == lb
}

// hasMasterSlaveGroup tells the same of a master/slave group.
func hasMasterSlaveGroup(tx *store.Tx, lb slb.LoadBalancerID, id string) bool {
	g, ok := tx.MasterSlaveGroups.Get(id)
	return ok && g.LoadBalancerID == lb
}

// dropListener deletes a listener with its forwarding rules and additional
// domains. One that comes into being beside it writes the listener, which this
// deletes, so that one of the two transactions runs again.
func dropListener(tx *store.Tx, l *slb.Listener) {
	for _, r := range tx.State().RulesOf(l.Key()) {
		tx.Rules.Delete(r.Key())
	}
	dropDomainExtensions(tx, l)
	tx.Listeners.Delete(l.Key())
}

// dropGroups deletes the server groups of an instance. A group that comes into
// being beside it writes the instance, which the caller deletes.
func dropGroups(tx *store.Tx, lb slb.LoadBalancerID) {
	for _, g := range tx.State().VServerGroupsOf(lb) {
		tx.VServerGroups.Delete(g.Key())
	}
	for _, g := range tx.State().MasterSlaveGroupsOf(lb) {
		tx.MasterSlaveGroups.Delete(g.Key())
	}
}

// groupInUse says what still sends to the group: a listener of the instance or,
// for vserver groups, a rule. All rules write their listener, so that the range
// of listeners that is read here holds every use that could come up beside it.
func groupInUse(tx *store.Tx, lb slb.LoadBalancerID, id string) error {
	for _, l := range tx.Listeners.Prefix(slb.ListenerPrefix(lb)) {
		if l.VServerGroupID == id || l.MasterSlaveServerGroup == id {
			return slb.ErrGroupUsedByListener
		}
	}
	if len(tx.State().RulesUsingGroup(id)) > 0 {
		return slb.ErrGroupUsedByRule
	}
	return nil
}
