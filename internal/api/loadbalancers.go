package api

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) listActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("DescribeLoadBalancers", s.describeLoadBalancers)}
}

// tagJSON is one element of the older filter Tags.
type tagJSON struct {
	Key   string  `param:"TagKey,required"`
	Value *string `param:"TagValue" allowempty:"true"`
}

type describeLoadBalancersParams struct {
	RegionID              string                 `param:"RegionId,required"`
	Address               netip.Addr             `param:"Address"`
	AddressIPVersion      slb.IPVersion          `param:"AddressIPVersion"`
	AddressType           slb.AddressType        `param:"AddressType"`
	InternetChargeType    slb.InternetChargeType `param:"InternetChargeType"`
	LoadBalancerIDs       string                 `param:"LoadBalancerId"`   // comma list
	LoadBalancerNames     string                 `param:"LoadBalancerName"` // comma list
	LoadBalancerStatus    string                 `param:"LoadBalancerStatus" enum:"active|inactive|locked"`
	MasterZoneID          string                 `param:"MasterZoneId"`
	NetworkType           string                 `param:"NetworkType" enum:"vpc|classic"`
	PageNumber            int                    `param:"PageNumber" default:"1" range:"1..1000000"`
	PageSize              int                    `param:"PageSize" default:"50" range:"1..100"`
	PayType               slb.PayType            `param:"PayType"`
	ResourceGroupID       string                 `param:"ResourceGroupId"`
	ServerID              slb.ServerID           `param:"ServerId"`
	ServerIntranetAddress string                 `param:"ServerIntranetAddress"` // comma list
	SlaveZoneID           string                 `param:"SlaveZoneId"`
	Tags                  []tagParam             `param:"Tag.N" listmax:"20"`
	TagsJSON              []tagJSON              `param:"Tags" jsonparam:"true" listmax:"10"`
	VSwitchID             string                 `param:"VSwitchId"`
	VpcID                 string                 `param:"VpcId"`
}

// listedLoadBalancer has the charge type as a digit, with the word in the alias,
// unlike DescribeLoadBalancerAttribute.
type listedLoadBalancer struct {
	basicAttributes
	InternetChargeType      string `out:"InternetChargeType"`
	InternetChargeTypeAlias string `out:"InternetChargeTypeAlias"`
}

type describeLoadBalancersResult struct {
	LoadBalancers []listedLoadBalancer `out:"LoadBalancers>LoadBalancer"`
	PageNumber    int                  `out:"PageNumber"`
	PageSize      int                  `out:"PageSize"`
	TotalCount    int                  `out:"TotalCount"`
}

// maxListed is the most values of a comma list. Source: DescribeLoadBalancers.
const maxListed = 10

// describeLoadBalancers lists in the order of ids, so that pages neither overlap
// nor run short while nothing changes.
func (s *Server) describeLoadBalancers(_ context.Context, p *describeLoadBalancersParams) (*describeLoadBalancersResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	f, err := newListFilter(s.cfg.Store.State(), p)
	if err != nil {
		return nil, err
	}
	r := &describeLoadBalancersResult{PageNumber: p.PageNumber, PageSize: p.PageSize}
	first := (p.PageNumber - 1) * p.PageSize
	f.each(func(lb *slb.LoadBalancer) {
		if n := r.TotalCount - first; n >= 0 && n < p.PageSize {
			r.LoadBalancers = append(r.LoadBalancers, listed(lb))
		}
		r.TotalCount++
	})
	return r, nil
}

func listed(lb *slb.LoadBalancer) listedLoadBalancer {
	digit := "4"
	if lb.InternetChargeType == slb.PayByBandwidth {
		digit = "3"
	}
	return listedLoadBalancer{basicAttributesOf(lb), digit, string(lb.InternetChargeType)}
}

// listFilter is the filter parameters, made ready.
type listFilter struct {
	state   *slb.State
	p       *describeLoadBalancersParams
	ids     []string
	names   []string
	addrs   map[netip.Addr]bool   // of servers; nil: any
	servers map[slb.ServerID]bool // registered at one of addrs
	tags    []tagFilter
}

func newListFilter(state *slb.State, p *describeLoadBalancersParams) (*listFilter, error) {
	f := &listFilter{state: state, p: p}
	var err error
	if f.ids, err = commaList(p.LoadBalancerIDs, "LoadBalancerId"); err != nil {
		return nil, err
	}
	if f.names, err = commaList(p.LoadBalancerNames, "LoadBalancerName"); err != nil {
		return nil, err
	}
	addrs, err := commaList(p.ServerIntranetAddress, "ServerIntranetAddress")
	if err != nil {
		return nil, err
	}
	if len(addrs) > 0 {
		f.addrs = make(map[netip.Addr]bool)
		for _, text := range addrs {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, invalid("ServerIntranetAddress", text, "an IPv4 or IPv6 address, or several with commas between")
			}
			f.addrs[a] = true
		}
		f.servers = serversAt(state, f.addrs)
	}
	for _, t := range p.Tags {
		f.tags = append(f.tags, tagFilter{t.Key, t.Value})
	}
	for _, t := range p.TagsJSON {
		f.tags = append(f.tags, tagFilter{t.Key, t.Value})
	}
	return f, nil
}

// commaList splits and sorts; doublets are one.
func commaList(text, name string) ([]string, error) {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > maxListed {
		return nil, invalidBecause(name, fmt.Sprintf("%s may have at most %d values.", name, maxListed))
	}
	return out, nil
}

// serversAt are the registered servers with one of the addresses.
func serversAt(state *slb.State, addrs map[netip.Addr]bool) map[slb.ServerID]bool {
	out := make(map[slb.ServerID]bool)
	for _, srv := range state.Servers.All() {
		if slices.ContainsFunc(srv.Addresses, func(a netip.Addr) bool { return addrs[a] }) {
			out[srv.ID] = true
		}
	}
	return out
}

// each yields the matches in the order of ids. An id, a server, an address, a
// name or a tag leads straight to the candidates.
func (f *listFilter) each(yield func(*slb.LoadBalancer)) {
	switch {
	case f.ids != nil:
		f.among(f.ids, yield)
	case f.p.ServerID != "":
		var ids []string
		for _, id := range f.state.LoadBalancersUsing(f.p.ServerID) {
			ids = append(ids, string(id))
		}
		f.among(ids, yield)
	case f.p.Address.IsValid():
		var ids []string
		for _, c := range f.state.Addresses.Prefix(f.p.Address.String()) {
			if c.Address == f.p.Address.String() {
				ids = append(ids, string(c.LoadBalancerID))
			}
		}
		slices.Sort(ids)
		f.among(ids, yield)
	case f.names != nil:
		var ids []string
		for _, name := range f.names {
			for _, id := range f.state.Named(name) {
				ids = append(ids, string(id))
			}
		}
		slices.Sort(ids)
		f.among(ids, yield)
	case len(f.tags) > 0:
		ids := f.rarestTag()
		slices.Sort(ids)
		f.among(ids, yield)
	default:
		for _, lb := range f.state.LoadBalancers.All() {
			if f.match(lb) {
				yield(lb)
			}
		}
	}
}

// rarestTag are the instances that fulfil the condition on tags which the fewest
// do; a tag that all instances have says little.
func (f *listFilter) rarestTag() []string {
	// A little of each, then more of each, until one has come to its end.
	for limit := 16; ; limit *= 4 {
		for _, condition := range f.tags {
			var ids []string
			for id := range f.state.WithTag(slb.TagInstance, condition.key, condition.value) {
				if ids = append(ids, id); len(ids) == limit {
					break
				}
			}
			if len(ids) < limit {
				return ids
			}
		}
	}
}

func (f *listFilter) among(ids []string, yield func(*slb.LoadBalancer)) {
	for _, id := range ids {
		if lb, ok := f.state.LoadBalancers.Get(id); ok && f.match(lb) {
			yield(lb)
		}
	}
}

// match reports whether lb satisfies every filter.
func (f *listFilter) match(lb *slb.LoadBalancer) bool {
	p := f.p
	return (f.ids == nil || slices.Contains(f.ids, string(lb.ID))) &&
		(f.names == nil || slices.Contains(f.names, lb.Name)) &&
		(!p.Address.IsValid() || lb.Address == p.Address) &&
		fits(lb.AddressIPVersion, p.AddressIPVersion) &&
		fits(lb.AddressType, p.AddressType) &&
		fits(lb.InternetChargeType, p.InternetChargeType) &&
		fits(string(lb.Status), p.LoadBalancerStatus) &&
		fits(lb.MasterZoneID, p.MasterZoneID) &&
		fits(lb.NetworkType(), p.NetworkType) &&
		fits(lb.PayType, p.PayType) &&
		fits(lb.ResourceGroupID, p.ResourceGroupID) &&
		fits(lb.SlaveZoneID, p.SlaveZoneID) &&
		fits(lb.VSwitchID, p.VSwitchID) &&
		fits(lb.VpcID, p.VpcID) &&
		(p.ServerID == "" || slices.ContainsFunc(lb.BackendServers, func(b slb.BackendServer) bool { return b.ServerID == p.ServerID })) &&
		(f.addrs == nil || slices.ContainsFunc(lb.BackendServers, f.atAddress)) &&
		tagsMatch(lb.Tags, f.tags)
}

// atAddress reports whether the entry is one of the wanted servers; an entry
// with an address of its own counts by that one.
func (f *listFilter) atAddress(b slb.BackendServer) bool {
	if b.ServerIP.IsValid() {
		return f.addrs[b.ServerIP]
	}
	return f.servers[b.ServerID]
}

// fits: an empty filter passes everything.
func fits[T ~string](value, filter T) bool { return filter == "" || value == filter }
