package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

// backendProtocolActions are an extension: the vendor's listeners ask their
// servers by HTTP/1.1 alone.
func (s *Server) backendProtocolActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("SetListenerBackendProtocol", s.setListenerBackendProtocol),
		rpc.NewAction("DescribeListenerBackendProtocol", s.describeListenerBackendProtocol),
	}
}

type setListenerBackendProtocolParams struct {
	listenerParams
	BackendProtocol slb.BackendProtocol `param:"BackendProtocol,required"`
}

// setListenerBackendProtocol says how an HTTPS listener asks its servers, from
// the next request on.
func (s *Server) setListenerBackendProtocol(ctx context.Context, p *setListenerBackendProtocolParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.setListener(ctx, &p.listenerParams, slb.HTTPS, false, func(l *slb.Listener) error {
		l.HTTPS.BackendProtocol = p.BackendProtocol
		return nil
	})
}

type describeListenerBackendProtocolParams struct{ listenerParams }

type describeListenerBackendProtocolResult struct {
	BackendProtocol string `out:"BackendProtocol"`
}

func (s *Server) describeListenerBackendProtocol(_ context.Context, p *describeListenerBackendProtocolParams) (*describeListenerBackendProtocolResult, error) {
	l, err := s.listenerOf(&p.listenerParams, slb.HTTPS)
	if err != nil {
		return nil, err
	}
	protocol := l.HTTPS.BackendProtocol
	if protocol == "" {
		protocol = slb.BackendHTTP
	}
	return &describeListenerBackendProtocolResult{string(protocol)}, nil
}
