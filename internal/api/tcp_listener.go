package api

import (
	"context"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) tcpListenerActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateLoadBalancerTCPListener", s.createTCPListener),
		rpc.NewAction("SetLoadBalancerTCPListenerAttribute", s.setTCPListener),
		rpc.NewAction("DescribeLoadBalancerTCPListenerAttribute", s.describeTCPListener),
	}
}

// tcpSettings are the parameters of TCP listeners in create and set.
type tcpSettings struct {
	listenerSettings
	probeSettings
	ConnectionDrain        *slb.Switch          `param:"ConnectionDrain"`
	ConnectionDrainTimeout *time.Duration       `param:"ConnectionDrainTimeout" range:"10..900" unit:"s"`
	EstablishedTimeout     *time.Duration       `param:"EstablishedTimeout" range:"10..900" unit:"s"`
	HealthCheckSwitch      *slb.Switch          `param:"HealthCheckSwitch"`
	HealthCheckTimeout     *time.Duration       `param:"HealthCheckConnectTimeout" range:"1..300" unit:"s"`
	HealthCheckType        *slb.HealthCheckType `param:"HealthCheckType"`
	MasterSlaveGroup       *string              `param:"MasterSlaveServerGroupId"`
	PersistenceTimeout     *time.Duration       `param:"PersistenceTimeout" range:"0..3600" unit:"s"`
	ProxyProtocolV2        *bool                `param:"ProxyProtocolV2Enabled"`
}

func (p *tcpSettings) apply(l *slb.Listener, isNew bool) error {
	if err := p.listenerSettings.apply(l, isNew); err != nil {
		return err
	}
	if err := p.probeSettings.apply(&l.HealthCheck); err != nil {
		return err
	}
	h, o := &l.HealthCheck, l.TCP
	if p.HealthCheckSwitch != nil {
		h.Enabled = *p.HealthCheckSwitch == slb.On
	}
	set(&h.Timeout, p.HealthCheckTimeout)
	if p.HealthCheckType != nil && *p.HealthCheckType == slb.CheckUDP {
		return invalid("HealthCheckType", string(slb.CheckUDP), "tcp or http at a TCP listener")
	}
	set(&h.Type, p.HealthCheckType)
	h.SetDefaults(l.Protocol)
	set(&o.ConnectionDrain, p.ConnectionDrain)
	set(&o.ConnectionDrainTimeout, p.ConnectionDrainTimeout)
	switch {
	case o.ConnectionDrain == slb.Off:
		o.ConnectionDrainTimeout = 0
	case o.ConnectionDrainTimeout == 0:
		return missing("ConnectionDrainTimeout")
	}
	set(&o.EstablishedTimeout, p.EstablishedTimeout)
	set(&o.PersistenceTimeout, p.PersistenceTimeout)
	set(&o.ProxyProtocolV2, p.ProxyProtocolV2)
	return nil
}

type createTCPListenerParams struct {
	listenerParams
	newListenerParams
	tcpSettings
}

// createTCPListener: the new listener is stopped.
func (s *Server) createTCPListener(ctx context.Context, p *createTCPListenerParams) (*rpc.Empty, error) {
	l := slb.NewTCPListener(p.LoadBalancerID, p.ListenerPort)
	return &rpc.Empty{}, s.createListener(ctx, &p.listenerParams, &p.newListenerParams, l, func(l *slb.Listener) error {
		g := groupChange{vServerID: p.VServerGroup, masterSlaveID: p.MasterSlaveGroup}
		if err := g.apply(l); err != nil {
			return err
		}
		return p.tcpSettings.apply(l, true)
	})
}

type setTCPListenerParams struct {
	listenerParams
	tcpSettings
	DryRun            bool        `param:"DryRun"`
	MasterSlaveSwitch *slb.Switch `param:"MasterSlaveServerGroup"`
	PortRange         []portRange `param:"PortRange.N"`
	SynProxy          *string     `param:"SynProxy" enum:"enable|disable"`
	VServerSwitch     *slb.Switch `param:"VServerGroup"`
}

// setTCPListener changes what is given and nothing else. Settings of HTTP
// listeners that a client sends along are passed over.
func (s *Server) setTCPListener(ctx context.Context, p *setTCPListenerParams) (*rpc.Empty, error) {
	if len(p.PortRange) > 0 {
		return nil, slb.ErrUnsupported
	}
	return &rpc.Empty{}, s.setListener(ctx, &p.listenerParams, slb.TCP, p.DryRun, func(l *slb.Listener) error {
		g := groupChange{p.VServerSwitch, p.VServerGroup, p.MasterSlaveSwitch, p.MasterSlaveGroup}
		if err := g.apply(l); err != nil {
			return err
		}
		set(&l.TCP.SynProxy, p.SynProxy)
		return p.tcpSettings.apply(l, false)
	})
}

type describeTCPListenerResult struct {
	listenerAttributes
	ConnectionDrain           string `out:"ConnectionDrain"`
	ConnectionDrainTimeout    int    `out:"ConnectionDrainTimeout,omitempty"` // seconds, as all timeouts
	EstablishedTimeout        int    `out:"EstablishedTimeout"`
	HealthCheckConnectTimeout int    `out:"HealthCheckConnectTimeout"`
	HealthCheckType           string `out:"HealthCheckType"`
	MasterSlaveServerGroupID  string `out:"MasterSlaveServerGroupId,omitempty"`
	PersistenceTimeout        int    `out:"PersistenceTimeout"`
	ProxyProtocolV2Enabled    bool   `out:"ProxyProtocolV2Enabled"`
	SynProxy                  string `out:"SynProxy,omitempty"`
}

func (s *Server) describeTCPListener(_ context.Context, p *listenerParams) (*describeTCPListenerResult, error) {
	l, err := s.listenerOf(p, slb.TCP)
	if err != nil {
		return nil, err
	}
	o := l.TCP
	return &describeTCPListenerResult{
		listenerAttributes:        listenerAttributesOf(l),
		ConnectionDrain:           string(o.ConnectionDrain),
		ConnectionDrainTimeout:    seconds(o.ConnectionDrainTimeout),
		EstablishedTimeout:        seconds(o.EstablishedTimeout),
		HealthCheckConnectTimeout: seconds(l.HealthCheck.Timeout),
		HealthCheckType:           string(l.HealthCheck.Type),
		MasterSlaveServerGroupID:  l.MasterSlaveServerGroup,
		PersistenceTimeout:        seconds(o.PersistenceTimeout),
		ProxyProtocolV2Enabled:    o.ProxyProtocolV2,
		SynProxy:                  o.SynProxy,
	}, nil
}
