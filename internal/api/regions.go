package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
)

func (s *Server) regionActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("DescribeRegions", s.describeRegions),
		rpc.NewAction("DescribeZones", s.describeZones),
	}
}

type describeRegionsParams struct {
	RegionID       string `param:"RegionId"`
	AcceptLanguage string `param:"AcceptLanguage" enum:"zh-CN|en-US|ja"`
}

type region struct {
	LocalName      string `out:"LocalName"`
	RegionEndpoint string `out:"RegionEndpoint"`
	RegionID       string `out:"RegionId"`
}

type describeRegionsResult struct {
	Regions []region `out:"Regions>Region"`
}

// describeRegions names the one region of this server. Its name has no
// translation, so that the language makes no difference.
func (s *Server) describeRegions(context.Context, *describeRegionsParams) (*describeRegionsResult, error) {
	return &describeRegionsResult{[]region{{s.cfg.Region, s.endpoint(), s.cfg.Region}}}, nil
}

type describeZonesParams struct {
	RegionID       string `param:"RegionId,required"`
	AcceptLanguage string `param:"AcceptLanguage" enum:"zh-CN|en-US|ja"`
}

type slaveZone struct {
	LocalName string `out:"LocalName"`
	ZoneID    string `out:"ZoneId"`
}

type zone struct {
	LocalName  string      `out:"LocalName"`
	SlaveZones []slaveZone `out:"SlaveZones>SlaveZone"`
	ZoneID     string      `out:"ZoneId"`
}

type describeZonesResult struct {
	Zones []zone `out:"Zones>Zone"`
}

// describeZones pairs every zone with every other.
func (s *Server) describeZones(_ context.Context, p *describeZonesParams) (*describeZonesResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	r := &describeZonesResult{}
	for _, id := range s.cfg.Zones {
		z := zone{LocalName: id, ZoneID: id}
		for _, other := range s.cfg.Zones {
			if other != id {
				z.SlaveZones = append(z.SlaveZones, slaveZone{other, other})
			}
		}
		r.Zones = append(r.Zones, z)
	}
	return r, nil
}
