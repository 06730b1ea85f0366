package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// maxACLsPerListener is the most lists that one listener may name. Source: the
// page on access control.
const maxACLsPerListener = 3

// aclSettings are the parameters about access control of listeners of all
// protocols.
type aclSettings struct {
	ACLID     *string      `param:"AclId"` // comma list
	ACLStatus *slb.Switch  `param:"AclStatus"`
	ACLType   *slb.ACLType `param:"AclType"`
}

// apply changes acl as far as that needs no other resource; checkACLs does the
// rest. Off keeps the lists and the type, for the day it is on again.
func (p *aclSettings) apply(acl *slb.ListenerACL) error {
	if p.ACLID != nil {
		acl.IDs = nil
		for id := range strings.SplitSeq(*p.ACLID, ",") {
			if id = strings.TrimSpace(id); id != "" && !slices.Contains(acl.IDs, id) {
				acl.IDs = append(acl.IDs, id)
			}
		}
		if len(acl.IDs) > maxACLsPerListener {
			return invalidBecause("AclId", fmt.Sprintf("A listener may have at most %d lists.", maxACLsPerListener))
		}
	}
	set(&acl.Status, p.ACLStatus)
	set(&acl.Type, p.ACLType)
	switch {
	case acl.Status != slb.On:
	case len(acl.IDs) == 0:
		return missing("AclId")
	case acl.Type == "":
		return missing("AclType")
	}
	return nil
}

// checkACLs judges the access control of a listener of lb; before is what it was,
// nil for a new one. A list that the listener begins to name, or to use,
// is written as it is: so the transaction meets every other one about that list,
// be it a deletion or another listener that takes the last free place.
func (s *Server) checkACLs(tx *store.Tx, lb *slb.LoadBalancer, l, before *slb.Listener) error {
	var had slb.ListenerACL
	if before != nil {
		had = before.ACL
	}
	if l.ACL.Status == slb.On && l.WhiteList.Open {
		return slb.ErrAccessControlStatus
	}
	if slices.Equal(l.ACL.IDs, had.IDs) && l.ACL.Status == had.Status {
		return nil
	}
	entries := 0
	seen := rangeSet{}
	for _, id := range l.ACL.IDs {
		acl, ok := tx.AccessControlLists.Get(id)
		if !ok {
			return slb.ErrACLNotFound
		}
		if acl.AddressIPVersion != lb.AddressIPVersion {
			return slb.ErrACLFamily
		}
		if entries += len(acl.Entries); exceeds(entries, s.cfg.Quotas.ACLEntriesPerListener) {
			return slb.ErrACLEntryQuota
		}
		for _, e := range acl.Entries {
			if len(l.ACL.IDs) > 1 && seen[e.Prefix.Masked()] {
				return slb.ErrACLEntryTwice
			}
			seen[e.Prefix.Masked()] = true
		}
		named := slices.Contains(had.IDs, id)
		if named && (had.Status == slb.On || l.ACL.Status != slb.On) {
			continue
		}
		if !named && exceeds(len(tx.State().ListenersUsingACL(id))+1, s.cfg.Quotas.ListenersPerACL) {
			return slb.ErrQuota
		}
		tx.AccessControlLists.Put(acl.Clone())
	}
	return nil
}
