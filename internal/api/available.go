package api

import (
	"context"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) availableActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("DescribeAvailableResource", s.describeAvailable)}
}

type describeAvailableParams struct {
	RegionID         string        `param:"RegionId,required"`
	AddressIPVersion slb.IPVersion `param:"AddressIPVersion"`
	// AddressType has an underscore in samples and a hyphen in the list of values.
	AddressType string `param:"AddressType" enum:"vpc|classic_internet|classic_intranet|classic-internet|classic-intranet"`
}

type supportResource struct {
	AddressIPVersion string `out:"AddressIPVersion"`
	AddressType      string `out:"AddressType"`
}

type availableResource struct {
	MasterZoneID     string            `out:"MasterZoneId"`
	SlaveZoneID      string            `out:"SlaveZoneId"`
	SupportResources []supportResource `out:"SupportResources>SupportResource"`
}

type describeAvailableResult struct {
	AvailableResources []availableResource `out:"AvailableResources>AvailableResource"`
}

// describeAvailable pairs every zone with every other, or the only zone with
// itself. Whether an address is free shows when an instance is made.
func (s *Server) describeAvailable(_ context.Context, p *describeAvailableParams) (*describeAvailableResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	wanted := strings.ReplaceAll(p.AddressType, "-", "_")
	var support []supportResource
	for _, t := range []string{"vpc", "classic_internet", "classic_intranet"} {
		for _, v := range []slb.IPVersion{slb.IPv4, slb.IPv6} {
			if fits(t, wanted) && fits(v, p.AddressIPVersion) {
				support = append(support, supportResource{string(v), t})
			}
		}
	}
	r := &describeAvailableResult{}
	for _, master := range s.cfg.Zones {
		for _, slave := range s.cfg.Zones {
			if master != slave || len(s.cfg.Zones) == 1 {
				r.AvailableResources = append(r.AvailableResources, availableResource{master, slave, support})
			}
		}
	}
	return r, nil
}
