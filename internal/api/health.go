package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) healthActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("DescribeHealthStatus", s.describeHealthStatus)}
}

type describeHealthStatusParams struct {
	loadBalancerParams
	ListenerPort     uint16       `param:"ListenerPort" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
	ListenerProtocol slb.Protocol `param:"ListenerProtocol" err:"InvalidParameter|400|The specified protocol is not valid."`
}

type healthOut struct {
	ListenerPort       int    `out:"ListenerPort"`
	Port               int    `out:"Port"`
	Protocol           string `out:"Protocol"`
	ServerHealthStatus string `out:"ServerHealthStatus"`
	ServerID           string `out:"ServerId"`
	ServerIP           string `out:"ServerIp,omitempty"`
}

type describeHealthStatusResult struct {
	BackendServers []healthOut `out:"BackendServers>BackendServer"`
}

// describeHealthStatus lists one entry per listener and server. A listener whose
// check is off is listed with its servers unavailable, rather than refused with
// CheckedListenerNotFound: both are documented, and a list tells more.
func (s *Server) describeHealthStatus(_ context.Context, p *describeHealthStatusParams) (*describeHealthStatusResult, error) {
	state, lb, err := s.loadBalancer(&p.loadBalancerParams)
	if err != nil {
		return nil, err
	}
	family := ""
	if p.ListenerPort != 0 {
		l, err := resolveListener(state.ListenersOf(lb.ID), p.ListenerPort, p.ListenerProtocol)
		switch {
		case err == errAmbiguous:
			// Both are listed, each with its protocol.
		case err != nil:
			return nil, slb.ErrListenerNotFound
		default:
			family = l.Protocol.Family()
		}
	}
	r := &describeHealthStatusResult{}
	if s.cfg.Facts == nil {
		return r, nil
	}
	for _, h := range s.cfg.Facts.ServerHealth(lb.ID) {
		if p.ListenerPort != 0 && h.ListenerPort != p.ListenerPort ||
			family != "" && h.Protocol.Family() != family ||
			p.ListenerProtocol != "" && h.Protocol != p.ListenerProtocol {
			continue
		}
		o := healthOut{
			ListenerPort:       int(h.ListenerPort),
			Port:               int(h.Port),
			Protocol:           string(h.Protocol),
			ServerHealthStatus: string(h.Status),
			ServerID:           string(h.ServerID),
		}
		if h.ServerIP.IsValid() {
			o.ServerIP = h.ServerIP.String()
		}
		r.BackendServers = append(r.BackendServers, o)
	}
	return r, nil
}
