package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/slb"
)

// serverOut is one server of the register.
type serverOut struct {
	ServerID        string   `out:"ServerId"`
	ServerName      string   `out:"ServerName"`
	Addresses       []string `out:"Addresses>Address"`
	Status          string   `out:"Status"`
	ZoneID          string   `out:"ZoneId"`
	VpcID           string   `out:"VpcId"`
	CreateTime      string   `out:"CreateTime"`
	LoadBalancerIDs []string `out:"LoadBalancerIds>LoadBalancerId"`
	Tags            []tagOut `out:"Tags>Tag"`
}

func serverOutOf(state *slb.State, srv *slb.Server) serverOut {
	o := serverOut{
		ServerID:   string(srv.ID),
		ServerName: srv.Name,
		Status:     string(srv.Status),
		ZoneID:     srv.ZoneID,
		VpcID:      srv.VpcID,
		CreateTime: timeText(srv.CreatedAt),
		Tags:       tagsOut(srv.Tags),
	}
	for _, a := range srv.Addresses {
		o.Addresses = append(o.Addresses, a.String())
	}
	for _, id := range state.LoadBalancersUsing(srv.ID) {
		o.LoadBalancerIDs = append(o.LoadBalancerIDs, string(id))
	}
	return o
}

// describeServersParams: a server must satisfy every filter that is given.
type describeServersParams struct {
	ServerID       string             `param:"ServerId"` // comma list
	Name           string             `param:"ServerName"`
	Address        netip.Addr         `param:"Address"`
	Status         slb.ServerStatus   `param:"Status"`
	ZoneID         string             `param:"ZoneId"`
	VpcID          string             `param:"VpcId"`
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId"`
	Tags           []tagParam         `param:"Tag.N" listmax:"20"`
	PageNumber     int                `param:"PageNumber" default:"1" range:"1..1000000"`
	PageSize       int                `param:"PageSize" default:"50" range:"1..100"`
}

type describeServersResult struct {
	Servers    []serverOut `out:"Servers>Server"`
	PageNumber int         `out:"PageNumber"`
	PageSize   int         `out:"PageSize"`
	TotalCount int         `out:"TotalCount"`
}

// describeServers lists in the order of ids.
func (s *Server) describeServers(_ context.Context, p *describeServersParams) (*describeServersResult, error) {
	state := s.cfg.Store.State()
	f := serverFilter{
		name: p.Name, address: p.Address, status: p.Status, zone: p.ZoneID, vpc: p.VpcID,
	}
	for id := range strings.SplitSeq(p.ServerID, ",") {
		if id = strings.TrimSpace(id); id != "" {
			f.ids = append(f.ids, slb.ServerID(id))
		}
	}
	for _, t := range p.Tags {
		f.tags = append(f.tags, tagFilter{t.Key, t.Value})
	}
	if p.LoadBalancerID != "" {
		lb, ok := state.LoadBalancers.Get(string(p.LoadBalancerID))
		if !ok {
			return nil, slb.ErrLoadBalancerNotFound
		}
		f.members = make(map[slb.ServerID]bool)
		for _, b := range lb.BackendServers {
			f.members[b.ServerID] = true
		}
	}
	r := &describeServersResult{PageNumber: p.PageNumber, PageSize: p.PageSize}
	first := (p.PageNumber - 1) * p.PageSize
	f.each(state, func(srv *slb.Server) {
		if n := r.TotalCount - first; n >= 0 && n < p.PageSize {
			r.Servers = append(r.Servers, serverOutOf(state, srv))
		}
		r.TotalCount++
	})
	return r, nil
}

// serverFilter selects servers of the register; zero fields pass everything.
type serverFilter struct {
	ids     []slb.ServerID
	name    string
	address netip.Addr
	status  slb.ServerStatus
	zone    string
	vpc     string
	members map[slb.ServerID]bool
	tags    []tagFilter
}

// each yields the matches in the order of ids.
func (f *serverFilter) each(state *slb.State, yield func(*slb.Server)) {
	if f.ids != nil {
		ids := slices.Clone(f.ids)
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			if srv, ok := state.Servers.Get(string(id)); ok && f.match(srv) {
				yield(srv)
			}
		}
		return
	}
	for _, srv := range state.Servers.All() {
		if f.match(srv) {
			yield(srv)
		}
	}
}

func (f *serverFilter) match(srv *slb.Server) bool {
	return fits(srv.Name, f.name) && fits(srv.Status, f.status) && fits(srv.ZoneID, f.zone) && fits(srv.VpcID, f.vpc) &&
		(!f.address.IsValid() || slices.Contains(srv.Addresses, f.address)) &&
		(f.members == nil || f.members[srv.ID]) &&
		tagsMatch(srv.Tags, f.tags)
}
