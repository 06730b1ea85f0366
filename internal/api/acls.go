package api

import (
	"context"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) aclActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateAccessControlList", s.createACL),
		rpc.NewAction("SetAccessControlListAttribute", s.setACL),
		rpc.NewAction("DeleteAccessControlList", s.deleteACL),
		rpc.NewAction("DescribeAccessControlLists", s.describeACLs),
		rpc.NewAction("DescribeAccessControlListAttribute", s.describeACL),
		rpc.NewAction("AddAccessControlListEntry", s.addACLEntries),
		rpc.NewAction("RemoveAccessControlListEntry", s.removeACLEntries),
	}
}

// aclScope serialises the changes of lists in this process. That no rule can be
// raced past does not rest on it, but on what the transactions read.
const aclScope = "access-control-lists"

// aclParams name a list.
type aclParams struct {
	ACLID    string `param:"AclId,required" maxlen:"64"`
	RegionID string `param:"RegionId,required"`
}

// changeACL commits what fn does to its copy of a list, if fn says that it
// changed something.
func (s *Server) changeACL(ctx context.Context, p *aclParams, fn func(tx *store.Tx, acl *slb.AccessControlList) (changed bool, err error)) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, aclScope, func(tx *store.Tx) error {
		acl, ok := tx.AccessControlLists.Edit(p.ACLID)
		if !ok {
			return slb.ErrACLNotFound
		}
		changed, err := fn(tx, acl)
		if err == nil && changed {
			tx.AccessControlLists.Put(acl)
		}
		return err
	})
}

type createACLParams struct {
	ACLName          string        `param:"AclName,required" maxlen:"80" pattern:"[\\p{L}\\p{N}._/-]+" form:"letters, digits, '.', '_', '/' and '-'"`
	RegionID         string        `param:"RegionId,required"`
	AddressIPVersion slb.IPVersion `param:"AddressIPVersion" default:"ipv4"`
	ResourceGroupID  string        `param:"ResourceGroupId" maxlen:"64"`
	Tags             []tagParam    `param:"Tag.N"`
}

type createACLResult struct {
	ACLID string `out:"AclId"`
}

func (s *Server) createACL(ctx context.Context, p *createACLParams) (*createACLResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	tags, err := tagsOf("Tag", p.Tags)
	if err != nil {
		return nil, err
	}
	acl := &slb.AccessControlList{
		ID:               slb.NewACLID(),
		Name:             p.ACLName,
		AddressIPVersion: p.AddressIPVersion,
		ResourceGroupID:  p.ResourceGroupID,
		RegionID:         s.cfg.Region,
		Tags:             tags,
		CreatedAt:        s.now(),
	}
	err = s.update(ctx, aclScope, func(tx *store.Tx) error {
		if exceeds(tx.AccessControlLists.CountPrefix("")+1, s.cfg.Quotas.ACLs) {
			return slb.ErrACLQuota
		}
		if err := checkACLName(tx, acl); err != nil {
			return err
		}
		tx.AccessControlLists.Put(acl.Clone())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &createACLResult{acl.ID}, nil
}

// checkACLName: no two lists of the region have one name.
func checkACLName(tx *store.Tx, acl *slb.AccessControlList) error {
	for id, other := range tx.AccessControlLists.Prefix("") {
		if id != acl.ID && other.Name == acl.Name {
			return slb.ErrACLNameTaken
		}
	}
	return nil
}

type setACLParams struct {
	aclParams
	ACLName string `param:"AclName,required" maxlen:"80" pattern:"[\\p{L}\\p{N}._/-]+" form:"letters, digits, '.', '_', '/' and '-'"`
}

func (s *Server) setACL(ctx context.Context, p *setACLParams) (*rpc.Empty, error) {
	return s.changeACL(ctx, &p.aclParams, func(tx *store.Tx, acl *slb.AccessControlList) (bool, error) {
		acl.Name = p.ACLName
		return true, checkACLName(tx, acl)
	})
}

// deleteACL refuses a list that a listener has switched on. Listeners that name
// it with their access control off forget it: they could not be told to by any
// parameter.
//
// A listener that begins to name the list, or switches it on, writes the list
// too (see checkACLs), so that of two such calls one runs again and sees what
// the other did.
func (s *Server) deleteACL(ctx context.Context, p *aclParams) (*rpc.Empty, error) {
	return s.changeACL(ctx, p, func(tx *store.Tx, acl *slb.AccessControlList) (bool, error) {
		for _, used := range tx.State().ListenersUsingACL(acl.ID) {
			l, ok := tx.Listeners.Edit(used.Key())
			if !ok || !slices.Contains(l.ACL.IDs, acl.ID) {
				continue
			}
			if l.ACL.Status == slb.On {
				return false, slb.ErrACLInUse
			}
			l.ACL.IDs = slices.DeleteFunc(l.ACL.IDs, func(id string) bool { return id == acl.ID })
			tx.Listeners.Put(l)
		}
		tx.AccessControlLists.Delete(acl.ID)
		return false, nil
	})
}

type describeACLsParams struct {
	RegionID         string        `param:"RegionId,required"`
	ACLName          string        `param:"AclName"`
	AddressIPVersion slb.IPVersion `param:"AddressIPVersion"`
	PageNumber       int           `param:"PageNumber" range:"1..1000000"`
	PageSize         int           `param:"PageSize" range:"1..50"`
	ResourceGroupID  string        `param:"ResourceGroupId"`
	Tags             []tagParam    `param:"Tag.N" listmax:"20"`
}

// aclOut is what both describing actions tell of a list.
type aclOut struct {
	ACLID            string   `out:"AclId"`
	ACLName          string   `out:"AclName"`
	AddressIPVersion string   `out:"AddressIPVersion"`
	CreateTime       string   `out:"CreateTime"`
	ResourceGroupID  string   `out:"ResourceGroupId"`
	Tags             []tagOut `out:"Tags>Tag"`
}

func aclOutOf(acl *slb.AccessControlList) aclOut {
	return aclOut{acl.ID, acl.Name, string(acl.AddressIPVersion), timeText(acl.CreatedAt), acl.ResourceGroupID, tagsOut(acl.Tags)}
}

type describeACLsResult struct {
	ACLs       []aclOut `out:"Acls>Acl"`
	Count      int      `out:"Count"` // of this page
	PageNumber int      `out:"PageNumber"`
	PageSize   int      `out:"PageSize"`
	TotalCount int      `out:"TotalCount"`
}

// maxACLPage is the largest page of both describing actions.
const maxACLPage = 50

// describeACLs lists in the order of ids. Clients that know nothing of pages
// get the largest one, the others the documented ten.
func (s *Server) describeACLs(_ context.Context, p *describeACLsParams) (*describeACLsResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	number, size := aclPage(p.PageNumber, p.PageSize, maxACLPage)
	filters := tagConditions(p.Tags)
	r := &describeACLsResult{PageNumber: number, PageSize: size}
	first := (number - 1) * size
	for _, acl := range s.cfg.Store.State().AccessControlLists.All() {
		if !strings.Contains(acl.Name, p.ACLName) || !fits(acl.AddressIPVersion, p.AddressIPVersion) ||
			!fits(acl.ResourceGroupID, p.ResourceGroupID) || !tagsMatch(acl.Tags, filters) {
			continue
		}
		if n := r.TotalCount - first; n >= 0 && n < size {
			r.ACLs = append(r.ACLs, aclOutOf(acl))
		}
		r.TotalCount++
	}
	r.Count = len(r.ACLs)
	return r, nil
}

// aclPage is the page that a call asks for; whole is the size when it says
// nothing of pages.
func aclPage(number, size, whole int) (int, int) {
	switch {
	case number == 0 && size == 0:
		return 1, whole
	case number == 0:
		return 1, size
	case size == 0:
		return number, 10
	}
	return number, size
}

type describeACLParams struct {
	aclParams
	ACLEntryComment string `param:"AclEntryComment"`
	Page            int    `param:"Page" range:"1..1000000"`
	PageSize        int    `param:"PageSize" range:"1..50"`
}

type aclEntryOut struct {
	ACLEntryComment string `out:"AclEntryComment"`
	ACLEntryIP      string `out:"AclEntryIP"`
}

type relatedListener struct {
	ACLType        string `out:"AclType"`
	ListenerPort   int    `out:"ListenerPort"`
	LoadBalancerID string `out:"LoadBalancerId"`
	Protocol       string `out:"Protocol"`
}

type describeACLResult struct {
	ACLEntries []aclEntryOut `out:"AclEntrys>AclEntry"`
	aclOut
	RelatedListeners []relatedListener `out:"RelatedListeners>RelatedListener"`
	TotalACLEntry    int               `out:"TotalAclEntry"`
}

// describeACL shows all entries unless a page is asked for: Terraform asks for
// none and takes what it gets for the whole.
func (s *Server) describeACL(_ context.Context, p *describeACLParams) (*describeACLResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	state := s.cfg.Store.State()
	acl, ok := state.AccessControlLists.Get(p.ACLID)
	if !ok {
		return nil, slb.ErrACLNotFound
	}
	r := &describeACLResult{aclOut: aclOutOf(acl)}
	number, size := aclPage(p.Page, p.PageSize, max(len(acl.Entries), 1))
	first := (number - 1) * size
	for _, e := range acl.Entries {
		if !fits(e.Comment, p.ACLEntryComment) {
			continue
		}
		if n := r.TotalACLEntry - first; n >= 0 && n < size {
			r.ACLEntries = append(r.ACLEntries, aclEntryOut{e.Comment, e.Prefix.String()})
		}
		r.TotalACLEntry++
	}
	for _, l := range state.ListenersUsingACL(acl.ID) {
		if l.ACL.Status == slb.On {
			r.RelatedListeners = append(r.RelatedListeners, relatedListener{string(l.ACL.Type), int(l.Port), string(l.LoadBalancerID), string(l.Protocol)})
		}
	}
	return r, nil
}
