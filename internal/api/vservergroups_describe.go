package api

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

// groupListParams are the filters that both kinds of group have.
type groupListParams struct {
	protectionParams
	Description     string     `param:"Description"`
	IncludeListener bool       `param:"IncludeListener"`
	Tags            []tagParam `param:"Tag.N" listmax:"20"`
}

// matches reports whether a group of that name and those tags is asked for.
// Groups have no description but their name.
func (p *groupListParams) matches(name string, tags []slb.Tag) bool {
	filters := make([]tagFilter, 0, len(p.Tags))
	for _, t := range p.Tags {
		filters = append(filters, tagFilter{t.Key, t.Value})
	}
	return fits(name, p.Description) && tagsMatch(tags, filters)
}

// instanceToList finds the instance whose groups are listed.
func (s *Server) instanceToList(p *protectionParams) (*slb.State, *slb.LoadBalancer, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, nil, err
	}
	return s.loadBalancer(&loadBalancerParams{LoadBalancerID: p.LoadBalancerID})
}

// byAge orders what was created one after the other, and by name what was
// created at once.
func byAge[T any](list []T, key func(T) (created time.Time, name, id string)) []T {
	slices.SortFunc(list, func(a, b T) int {
		ta, na, ia := key(a)
		tb, nb, ib := key(b)
		return cmp.Or(ta.Compare(tb), strings.Compare(na, nb), strings.Compare(ia, ib))
	})
	return list
}

type describeVServerGroupsParams struct {
	groupListParams
	IncludeRule bool `param:"IncludeRule"`
}

// groupListener is a listener that uses a group. Its port is named Port here,
// unlike anywhere else.
type groupListener struct {
	Port     int    `out:"Port"`
	Protocol string `out:"Protocol"`
}

// groupUsers are the listeners and rules that use a group; empty lists unless
// they are asked for.
type groupUsers struct {
	Listeners []groupListener `out:"Listeners>Listener"`
	Rules     []groupRule     `out:"Rules>Rule"`
}

type groupRule struct {
	Domain   string `out:"Domain,omitempty"`
	RuleID   string `out:"RuleId"`
	RuleName string `out:"RuleName"`
	URL      string `out:"Url,omitempty"`
}

type listedVServerGroup struct {
	AssociatedObjects groupUsers `out:"AssociatedObjects"`
	CreateTime        string     `out:"CreateTime"`
	ServerCount       int        `out:"ServerCount"`
	Tags              []tagOut   `out:"Tags>Tag"`
	VServerGroupID    string     `out:"VServerGroupId"`
	VServerGroupName  string     `out:"VServerGroupName"`
}

type describeVServerGroupsResult struct {
	VServerGroups []listedVServerGroup `out:"VServerGroups>VServerGroup"`
}

// describeVServerGroups lists the groups of an instance in the order of their
// creation.
func (s *Server) describeVServerGroups(_ context.Context, p *describeVServerGroupsParams) (*describeVServerGroupsResult, error) {
	state, lb, err := s.instanceToList(&p.protectionParams)
	if err != nil {
		return nil, err
	}
	r := &describeVServerGroupsResult{}
	groups := byAge(state.VServerGroupsOf(lb.ID), func(g *slb.VServerGroup) (time.Time, string, string) { return g.CreatedAt, g.Name, g.ID })
	for _, g := range groups {
		if !p.matches(g.Name, g.Tags) {
			continue
		}
		o := listedVServerGroup{
			CreateTime:       timeText(g.CreatedAt),
			ServerCount:      len(g.Servers),
			Tags:             tagsOut(g.Tags),
			VServerGroupID:   g.ID,
			VServerGroupName: g.Name,
		}
		if p.IncludeListener {
			o.AssociatedObjects.Listeners = groupListeners(state, g.ID)
		}
		if p.IncludeRule {
			for _, rule := range rulesByAge(state.RulesUsingGroup(g.ID)) {
				o.AssociatedObjects.Rules = append(o.AssociatedObjects.Rules, groupRule{rule.Domain, rule.ID, rule.Name, rule.URL})
			}
		}
		r.VServerGroups = append(r.VServerGroups, o)
	}
	return r, nil
}

// groupListeners are the listeners that use a group of either kind, by port.
func groupListeners(state *slb.State, group string) []groupListener {
	var out []groupListener
	for _, l := range state.ListenersUsingGroup(group) {
		out = append(out, groupListener{int(l.Port), string(l.Protocol)})
	}
	return out
}

// attributeGroupServer is an entry with its address, if the request that added
// it named one.
type attributeGroupServer struct {
	Description string         `out:"Description,omitempty"`
	Port        int            `out:"Port"`
	ServerID    slb.ServerID   `out:"ServerId"`
	ServerIP    string         `out:"ServerIp,omitempty"`
	Type        slb.ServerType `out:"Type"`
	Weight      int            `out:"Weight"`
}

type describeVServerGroupResult struct {
	BackendServers   []attributeGroupServer `out:"BackendServers>BackendServer"`
	CreateTime       string                 `out:"CreateTime"`
	LoadBalancerID   slb.LoadBalancerID     `out:"LoadBalancerId"`
	Tags             []tagOut               `out:"Tags>Tag"`
	VServerGroupID   string                 `out:"VServerGroupId"`
	VServerGroupName string                 `out:"VServerGroupName"`
}

func (s *Server) describeVServerGroup(_ context.Context, p *vServerGroupParams) (*describeVServerGroupResult, error) {
	g, err := s.vServerGroup(p)
	if err != nil {
		return nil, err
	}
	r := &describeVServerGroupResult{
		CreateTime:       timeText(g.CreatedAt),
		LoadBalancerID:   g.LoadBalancerID,
		Tags:             tagsOut(g.Tags),
		VServerGroupID:   g.ID,
		VServerGroupName: g.Name,
	}
	for i := range g.Servers {
		e := &g.Servers[i]
		o := attributeGroupServer{e.Description, int(e.Port), e.ServerID, "", e.Type, e.Weight}
		if e.ServerIP.IsValid() {
			o.ServerIP = e.ServerIP.String()
		}
		r.BackendServers = append(r.BackendServers, o)
	}
	return r, nil
}
