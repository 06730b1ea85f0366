package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) vpcActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("DescribeVSwitchAttributes", s.describeVSwitch)}
}

type describeVSwitchParams struct {
	VSwitchID string `param:"VSwitchId,required" maxlen:"64"`
	RegionID  string `param:"RegionId"`
}

type describeVSwitchResult struct {
	AvailableIPAddressCount int64  `out:"AvailableIpAddressCount"`
	CIDRBlock               string `out:"CidrBlock"`
	Status                  string `out:"Status"`
	VSwitchID               string `out:"VSwitchId"`
	VSwitchName             string `out:"VSwitchName"`
	VpcID                   string `out:"VpcId"`
	ZoneID                  string `out:"ZoneId"`
}

// describeVSwitch tells the network of any vSwitch: a client asks for it before
// it creates an internal instance. The block of addresses is that of the pool
// which such an instance would take its address from.
func (s *Server) describeVSwitch(_ context.Context, p *describeVSwitchParams) (*describeVSwitchResult, error) {
	r := &describeVSwitchResult{
		Status:      "Available",
		VSwitchID:   p.VSwitchID,
		VSwitchName: p.VSwitchID,
		VpcID:       slb.VpcIDOf(p.VSwitchID),
		ZoneID:      s.cfg.Zones[0],
	}
	lb := &slb.LoadBalancer{AddressType: slb.Intranet, VSwitchID: p.VSwitchID}
	for _, pool := range s.pools {
		if !pool.serves(lb) {
			continue
		}
		for _, prefix := range pool.Prefixes {
			if !prefix.Addr().Is4() {
				continue
			}
			if r.CIDRBlock == "" {
				r.CIDRBlock = prefix.Masked().String()
			}
			r.AvailableIPAddressCount += int64(1) << (32 - prefix.Bits())
		}
	}
	if taken := int64(s.cfg.Store.State().Addresses.Len()); taken < r.AvailableIPAddressCount {
		r.AvailableIPAddressCount -= taken
	}
	return r, nil
}
