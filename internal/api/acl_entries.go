package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// maxEntriesPerCall is the most entries that one call may add or remove.
// Source: AddAccessControlListEntry.
const maxEntriesPerCall = 50

// aclEntryParam is one element of AclEntrys, in lower case on the wire.
type aclEntryParam struct {
	Entry   string `param:"entry,required,scalar" missing:"AclEntryIllegal|400|The specified ACL entry is invalid."`
	Comment string `param:"comment" maxlen:"256"`
}

type aclEntriesParams struct {
	aclParams
	ACLEntries []aclEntryParam `param:"AclEntrys" jsonparam:"true" err:"AclEntryIllegal|400|The specified ACL entry is invalid."`
}

// entries are the elements of the call, each range once.
func (p *aclEntriesParams) entries(family slb.IPVersion) ([]slb.ACLEntry, error) {
	if len(p.ACLEntries) > maxEntriesPerCall {
		return nil, slb.ErrACLEntryQuota
	}
	var out []slb.ACLEntry
	for _, e := range p.ACLEntries {
		prefix, ok := parseRange(e.Entry)
		if !ok || prefix.Addr().Is4() != (family != slb.IPv6) {
			return nil, slb.ErrACLEntry.Because("It is %s; it must be an address or a CIDR block of %s.", rpc.Shown(e.Entry), familyName(family))
		}
		if !hasEntry(out, prefix) {
			out = append(out, slb.ACLEntry{Prefix: prefix, Comment: e.Comment})
		}
	}
	return out, nil
}

// familyName is the IP version of a list in words; IPv4 when none was given.
func familyName(v slb.IPVersion) string {
	if v == slb.IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

// parseRange reads an address or a range in CIDR form. Bits behind the mask are
// kept: clients compare the answer with what they sent.
func parseRange(text string) (netip.Prefix, bool) {
	text = strings.TrimSpace(text)
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), addr.Zone() == "" && !addr.Is4In6()
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix, err == nil && !prefix.Addr().Is4In6()
}

// sameRange reports whether two prefixes hold the same addresses.
func sameRange(a, b netip.Prefix) bool { return a.Masked() == b.Masked() }

func hasEntry(entries []slb.ACLEntry, prefix netip.Prefix) bool {
	return slices.ContainsFunc(entries, func(e slb.ACLEntry) bool { return sameRange(e.Prefix, prefix) })
}

// addACLEntries passes over entries that the list has already; their comments
// stay. Source: AddAccessControlListEntry.
func (s *Server) addACLEntries(ctx context.Context, p *aclEntriesParams) (*rpc.Empty, error) {
	return s.changeACL(ctx, &p.aclParams, func(tx *store.Tx, acl *slb.AccessControlList) (bool, error) {
		entries, err := p.entries(acl.AddressIPVersion)
		if err != nil {
			return false, err
		}
		had := newRangeSet(acl.Entries)
		before := len(acl.Entries)
		for _, e := range entries {
			if !had[e.Prefix.Masked()] {
				acl.Entries = append(acl.Entries, e)
			}
		}
		added := acl.Entries[before:]
		if len(added) == 0 {
			return false, nil
		}
		if exceeds(len(acl.Entries), s.cfg.Quotas.ACLEntries) {
			return false, slb.ErrACLEntryQuota
		}
		return true, s.checkEntriesOfListeners(tx, acl, added)
	})
}

// checkEntriesOfListeners: the lists of one listener share no entry and hold
// together no more than the quota. The listeners are read for the record, so
// that one which changes its lists meanwhile makes this run again; one that
// begins to name acl writes acl.
func (s *Server) checkEntriesOfListeners(tx *store.Tx, acl *slb.AccessControlList, added []slb.ACLEntry) error {
	checked := map[string]bool{acl.ID: true}
	for _, used := range tx.State().ListenersUsingACL(acl.ID) {
		l, ok := tx.Listeners.Get(used.Key())
		if !ok || !slices.Contains(l.ACL.IDs, acl.ID) {
			continue
		}
		total := len(acl.Entries)
		for _, id := range l.ACL.IDs {
			other, ok := tx.AccessControlLists.Get(id)
			if id == acl.ID || !ok {
				continue
			}
			total += len(other.Entries)
			if checked[id] {
				continue
			}
			checked[id] = true
			set := newRangeSet(other.Entries)
			for _, e := range added {
				if set[e.Prefix.Masked()] {
					return slb.ErrACLEntryTwice
				}
			}
		}
		if exceeds(total, s.cfg.Quotas.ACLEntriesPerListener) {
			return slb.ErrACLEntryQuota
		}
	}
	return nil
}

// removeACLEntries passes over entries that the list does not have, unless it
// has none at all. Comments need not agree.
func (s *Server) removeACLEntries(ctx context.Context, p *aclEntriesParams) (*rpc.Empty, error) {
	return s.changeACL(ctx, &p.aclParams, func(_ *store.Tx, acl *slb.AccessControlList) (bool, error) {
		entries, err := p.entries(acl.AddressIPVersion)
		if err != nil {
			return false, err
		}
		before := len(acl.Entries)
		if before == 0 {
			return false, slb.ErrACLEntryEmpty
		}
		gone := newRangeSet(entries)
		acl.Entries = slices.DeleteFunc(acl.Entries, func(e slb.ACLEntry) bool { return gone[e.Prefix.Masked()] })
		return len(acl.Entries) != before, nil
	})
}

// rangeSet holds ranges without the bits behind their masks.
type rangeSet map[netip.Prefix]bool

func newRangeSet(entries []slb.ACLEntry) rangeSet {
	set := make(rangeSet, len(entries))
	for _, e := range entries {
		set[e.Prefix.Masked()] = true
	}
	return set
}
