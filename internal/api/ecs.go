package api

import (
	"context"
	"net/netip"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) ecsActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("DescribeInstances", s.describeInstances)}
}

// describeInstancesParams are the filters that mean something for the register.
type describeInstancesParams struct {
	RegionID     string           `param:"RegionId"`
	InstanceIDs  []slb.ServerID   `param:"InstanceIds" jsonparam:"true" listmax:"100"`
	InstanceName string           `param:"InstanceName"`
	PrivateIPs   []netip.Addr     `param:"PrivateIpAddresses" jsonparam:"true" listmax:"100"`
	Status       slb.ServerStatus `param:"Status"`
	VpcID        string           `param:"VpcId"`
	ZoneID       string           `param:"ZoneId"`
	Tags         []tagParam       `param:"Tag.N" listmax:"20"`
	PageNumber   int              `param:"PageNumber" default:"1" range:"1..1000000"`
	PageSize     int              `param:"PageSize" default:"10" range:"1..100"`
	MaxResults   int              `param:"MaxResults" range:"1..100"`
	NextToken    string           `param:"NextToken" maxlen:"256"`
}

type instanceVpc struct {
	PrivateIPAddress []string `out:"PrivateIpAddress>IpAddress"`
	VSwitchID        string   `out:"VSwitchId"`
	VpcID            string   `out:"VpcId"`
}

type instanceOut struct {
	CreationTime        string      `out:"CreationTime"`
	HostName            string      `out:"HostName"`
	InnerIPAddress      []string    `out:"InnerIpAddress>IpAddress"`
	InstanceID          string      `out:"InstanceId"`
	InstanceName        string      `out:"InstanceName"`
	InstanceNetworkType string      `out:"InstanceNetworkType"`
	PublicIPAddress     []string    `out:"PublicIpAddress>IpAddress"`
	RegionID            string      `out:"RegionId"`
	Status              string      `out:"Status"`
	Tags                []tagOut    `out:"Tags>Tag"`
	VpcAttributes       instanceVpc `out:"VpcAttributes"`
	ZoneID              string      `out:"ZoneId"`
}

type describeInstancesResult struct {
	Instances  []instanceOut `out:"Instances>Instance"`
	NextToken  string        `out:"NextToken"`
	PageNumber int           `out:"PageNumber"`
	PageSize   int           `out:"PageSize"`
	TotalCount int           `out:"TotalCount"`
}

// describeInstances shows the register as virtual machines. It pages by number,
// or by token when MaxResults is given.
func (s *Server) describeInstances(_ context.Context, p *describeInstancesParams) (*describeInstancesResult, error) {
	after, err := readToken("instances", p.NextToken)
	if err != nil {
		return nil, err
	}
	state := s.cfg.Store.State()
	f := serverFilter{ids: p.InstanceIDs, name: p.InstanceName, status: p.Status, zone: p.ZoneID, vpc: p.VpcID}
	for _, t := range p.Tags {
		f.tags = append(f.tags, tagFilter{t.Key, t.Value})
	}
	if p.PrivateIPs != nil {
		addrs := make(map[netip.Addr]bool)
		for _, a := range p.PrivateIPs {
			addrs[a] = true
		}
		f.members = serversAt(state, addrs)
	}
	r := &describeInstancesResult{PageNumber: p.PageNumber, PageSize: p.PageSize}
	first, byToken := (p.PageNumber-1)*p.PageSize, p.MaxResults > 0
	if byToken {
		r.PageSize, first = p.MaxResults, 0
	}
	f.each(state, func(srv *slb.Server) {
		if r.TotalCount++; r.TotalCount <= first || byToken && string(srv.ID) <= after {
			return
		}
		if len(r.Instances) < r.PageSize {
			r.Instances = append(r.Instances, s.instanceOf(srv))
		} else if byToken {
			r.NextToken = writeToken("instances", r.Instances[len(r.Instances)-1].InstanceID)
		}
	})
	return r, nil
}

func (s *Server) instanceOf(srv *slb.Server) instanceOut {
	o := instanceOut{
		CreationTime:        timeText(srv.CreatedAt),
		HostName:            srv.Name,
		InstanceID:          string(srv.ID),
		InstanceName:        srv.Name,
		InstanceNetworkType: "vpc",
		RegionID:            s.cfg.Region,
		Status:              string(srv.Status),
		Tags:                tagsOut(srv.Tags),
		ZoneID:              srv.ZoneID,
	}
	var addrs []string
	for _, a := range srv.Addresses {
		addrs = append(addrs, a.String())
	}
	// A server of no known network is a classic one, whose address has another
	// place in the answer.
	if srv.VpcID == "" {
		o.InstanceNetworkType = "classic"
		o.InnerIPAddress = addrs
	} else {
		o.VpcAttributes.VpcID = srv.VpcID
		o.VpcAttributes.PrivateIPAddress = addrs
	}
	return o
}
