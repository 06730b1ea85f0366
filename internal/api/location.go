package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
)

func (s *Server) locationActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("DescribeEndpoints", s.describeEndpoints)}
}

type describeEndpointsParams struct {
	ID          string `param:"Id"` // region
	ServiceCode string `param:"ServiceCode"`
	Namespace   string `param:"Namespace"`
	Type        string `param:"Type" default:"openAPI"`
}

// endpointOut has the service code in the misspelling of the older SDK as well.
type endpointOut struct {
	Endpoint    string   `out:"Endpoint"`
	ID          string   `out:"Id"`
	Namespace   string   `out:"Namespace"`
	Protocols   []string `out:"Protocols>Protocols"`
	ServiceCode string   `out:"ServiceCode"`
	SerivceCode string   `out:"SerivceCode"`
	Type        string   `out:"Type"`
}

type describeEndpointsResult struct {
	Endpoints []endpointOut `out:"Endpoints>Endpoint"`
	Success   bool          `out:"Success"`
}

// describeEndpoints sends every product to this server. Clients that are given
// its address for this one call find all others by it.
func (s *Server) describeEndpoints(_ context.Context, p *describeEndpointsParams) (*describeEndpointsResult, error) {
	if p.ID == "" {
		p.ID = s.cfg.Region
	}
	return &describeEndpointsResult{Success: true, Endpoints: []endpointOut{{
		Endpoint:    s.endpoint(),
		ID:          p.ID,
		Namespace:   p.Namespace,
		Protocols:   []string{"HTTP", "HTTPS"},
		ServiceCode: p.ServiceCode,
		SerivceCode: p.ServiceCode,
		Type:        p.Type,
	}}}, nil
}
