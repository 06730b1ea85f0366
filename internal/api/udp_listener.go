package api

import (
	"context"
	"slices"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) udpListenerActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateLoadBalancerUDPListener", s.createUDPListener),
		rpc.NewAction("SetLoadBalancerUDPListenerAttribute", s.setUDPListener),
		rpc.NewAction("DescribeLoadBalancerUDPListenerAttribute", s.describeUDPListener),
	}
}

// reservedUDPPorts are the vendor's own. Source: the pages on UDP listeners.
var reservedUDPPorts = []uint16{250, 4789, 4790}

// udpSettings are the parameters of UDP listeners in create and set, but for the
// thresholds, whose ranges differ. What the probe sends and expects begins in
// lower case on the wire. ConnectionDrain and PersistenceTimeout are documented
// for TCP alone, but clients send them here too.
type udpSettings struct {
	listenerSettings
	probeBasics
	ConnectionDrain        *slb.Switch          `param:"ConnectionDrain"`
	ConnectionDrainTimeout *time.Duration       `param:"ConnectionDrainTimeout" range:"10..900" unit:"s"`
	HealthCheckExpect      *string              `param:"healthCheckExp" alias:"HealthCheckExp" allowempty:"true" pattern:"[0-9A-Za-z]*" form:"letters and digits"`
	HealthCheckRequest     *string              `param:"healthCheckReq" alias:"HealthCheckReq" allowempty:"true" pattern:"[0-9A-Za-z]*" form:"letters and digits"`
	HealthCheckSwitch      *slb.Switch          `param:"HealthCheckSwitch"`
	HealthCheckTimeout     *time.Duration       `param:"HealthCheckConnectTimeout" range:"1..300" unit:"s"`
	HealthCheckType        *slb.HealthCheckType `param:"HealthCheckType"`
	MasterSlaveGroup       *string              `param:"MasterSlaveServerGroupId"`
	PersistenceTimeout     *time.Duration       `param:"PersistenceTimeout" range:"0..3600" unit:"s"`
	ProxyProtocolV2        *bool                `param:"ProxyProtocolV2Enabled"`
}

// maxProbeText is the longest text that a UDP probe sends or expects.
const maxProbeText = 64

func (p *udpSettings) apply(l *slb.Listener, isNew bool) error {
	if err := p.listenerSettings.apply(l, isNew); err != nil {
		return err
	}
	if err := p.probeBasics.apply(&l.HealthCheck); err != nil {
		return err
	}
	h, o := &l.HealthCheck, l.TCP
	if p.HealthCheckSwitch != nil {
		h.Enabled = *p.HealthCheckSwitch == slb.On
	}
	set(&h.Timeout, p.HealthCheckTimeout)
	set(&h.Type, p.HealthCheckType)
	set(&h.Request, p.HealthCheckRequest)
	set(&h.Expect, p.HealthCheckExpect)
	if len(h.Request) > maxProbeText {
		return slb.ErrHealthCheckReq.Because("It may have at most %d characters.", maxProbeText)
	}
	if len(h.Expect) > maxProbeText {
		return slb.ErrHealthCheckExp.Because("It may have at most %d characters.", maxProbeText)
	}
	h.SetDefaults(l.Protocol)
	set(&o.ConnectionDrain, p.ConnectionDrain)
	set(&o.ConnectionDrainTimeout, p.ConnectionDrainTimeout)
	switch {
	case o.ConnectionDrain == slb.Off:
		o.ConnectionDrainTimeout = 0
	case o.ConnectionDrainTimeout == 0:
		return missing("ConnectionDrainTimeout")
	}
	set(&o.PersistenceTimeout, p.PersistenceTimeout)
	set(&o.ProxyProtocolV2, p.ProxyProtocolV2)
	return nil
}

type createUDPListenerParams struct {
	listenerParams
	newListenerParams
	udpSettings
	thresholds
}

// createUDPListener: the new listener is stopped.
func (s *Server) createUDPListener(ctx context.Context, p *createUDPListenerParams) (*rpc.Empty, error) {
	if slices.Contains(reservedUDPPorts, p.ListenerPort) {
		return nil, slb.ErrPort.Because("ListenerPort is %d, which is reserved at UDP listeners.", p.ListenerPort)
	}
	l := slb.NewUDPListener(p.LoadBalancerID, p.ListenerPort)
	return &rpc.Empty{}, s.createListener(ctx, &p.listenerParams, &p.newListenerParams, l, func(l *slb.Listener) error {
		g := groupChange{vServerID: p.VServerGroup, masterSlaveID: p.MasterSlaveGroup}
		if err := g.apply(l); err != nil {
			return err
		}
		p.thresholds.apply(&l.HealthCheck)
		return p.udpSettings.apply(l, true)
	})
}

// setUDPListenerParams: the thresholds begin at 1 here, and at 2 in all other
// actions. Source: the newest model.
type setUDPListenerParams struct {
	listenerParams
	udpSettings
	DryRun             bool        `param:"DryRun"`
	HealthyThreshold   *int        `param:"HealthyThreshold" range:"1..10"`
	MasterSlaveSwitch  *slb.Switch `param:"MasterSlaveServerGroup"`
	PortRange          []portRange `param:"PortRange.N"`
	UnhealthyThreshold *int        `param:"UnhealthyThreshold" range:"1..10"`
	VServerSwitch      *slb.Switch `param:"VServerGroup"`
}

// setUDPListener changes what is given and nothing else.
func (s *Server) setUDPListener(ctx context.Context, p *setUDPListenerParams) (*rpc.Empty, error) {
	if len(p.PortRange) > 0 {
		return nil, slb.ErrUnsupported
	}
	return &rpc.Empty{}, s.setListener(ctx, &p.listenerParams, slb.UDP, p.DryRun, func(l *slb.Listener) error {
		g := groupChange{p.VServerSwitch, p.VServerGroup, p.MasterSlaveSwitch, p.MasterSlaveGroup}
		if err := g.apply(l); err != nil {
			return err
		}
		set(&l.HealthCheck.HealthyThreshold, p.HealthyThreshold)
		set(&l.HealthCheck.UnhealthyThreshold, p.UnhealthyThreshold)
		return p.udpSettings.apply(l, false)
	})
}

type describeUDPListenerResult struct {
	listenerAttributes
	ConnectionDrain           string `out:"ConnectionDrain"`
	ConnectionDrainTimeout    int    `out:"ConnectionDrainTimeout,omitempty"` // seconds, as all timeouts
	HealthCheckConnectTimeout int    `out:"HealthCheckConnectTimeout"`
	HealthCheckExp            string `out:"HealthCheckExp,omitempty"`
	HealthCheckReq            string `out:"HealthCheckReq,omitempty"`
	HealthCheckType           string `out:"HealthCheckType"`
	MasterSlaveServerGroupID  string `out:"MasterSlaveServerGroupId,omitempty"`
	PersistenceTimeout        int    `out:"PersistenceTimeout"`
	ProxyProtocolV2Enabled    bool   `out:"ProxyProtocolV2Enabled"`
}

func (s *Server) describeUDPListener(_ context.Context, p *listenerParams) (*describeUDPListenerResult, error) {
	l, err := s.listenerOf(p, slb.UDP)
	if err != nil {
		return nil, err
	}
	o, h := l.TCP, &l.HealthCheck
	return &describeUDPListenerResult{
		listenerAttributes:        listenerAttributesOf(l),
		ConnectionDrain:           string(o.ConnectionDrain),
		ConnectionDrainTimeout:    seconds(o.ConnectionDrainTimeout),
		HealthCheckConnectTimeout: seconds(h.Timeout),
		HealthCheckExp:            h.Expect,
		HealthCheckReq:            h.Request,
		HealthCheckType:           string(h.Type),
		MasterSlaveServerGroupID:  l.MasterSlaveServerGroup,
		PersistenceTimeout:        seconds(o.PersistenceTimeout),
		ProxyProtocolV2Enabled:    o.ProxyProtocolV2,
	}, nil
}
