package api

import (
	"context"
	"strconv"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) httpListenerActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateLoadBalancerHTTPListener", s.createHTTPListener),
		rpc.NewAction("SetLoadBalancerHTTPListenerAttribute", s.setHTTPListener),
		rpc.NewAction("DescribeLoadBalancerHTTPListenerAttribute", s.describeHTTPListener),
	}
}

// httpSettings are the parameters of HTTP listeners in create and set. A cookie
// name may have all characters that a cookie name can have, except a leading
// dollar sign.
type httpSettings struct {
	listenerSettings
	probeSettings
	Cookie            *string                `param:"Cookie" maxlen:"200" pattern:"[!#%&'*+.^_|~0-9A-Za-z-][!#$%&'*+.^_|~0-9A-Za-z-]*" form:"the name of a cookie, not beginning with '$'"`
	CookieTimeout     *time.Duration         `param:"CookieTimeout" range:"1..86400" unit:"s"`
	Gzip              *slb.Switch            `param:"Gzip"`
	HealthCheck       *slb.Switch            `param:"HealthCheck"`
	HealthTimeout     *time.Duration         `param:"HealthCheckTimeout" alias:"HealthCheckConnectTimeout" range:"1..300" unit:"s"`
	IdleTimeout       *time.Duration         `param:"IdleTimeout" range:"1..60" unit:"s"`
	RequestTimeout    *time.Duration         `param:"RequestTimeout" range:"1..180" unit:"s"`
	StickySession     *slb.Switch            `param:"StickySession"`
	StickySessionType *slb.StickySessionType `param:"StickySessionType"`

	XForwardedFor              *slb.Switch `param:"XForwardedFor"`
	XForwardedForClientSrcPort *slb.Switch `param:"XForwardedFor_ClientSrcPort"`
	XForwardedForSLBID         *slb.Switch `param:"XForwardedFor_SLBID"`
	XForwardedForSLBIP         *slb.Switch `param:"XForwardedFor_SLBIP"`
	XForwardedForSLBPort       *slb.Switch `param:"XForwardedFor_SLBPORT"`
	XForwardedForProto         *slb.Switch `param:"XForwardedFor_proto"`
}

func (p *httpSettings) apply(l *slb.Listener, isNew bool) error {
	if err := p.listenerSettings.apply(l, isNew); err != nil {
		return err
	}
	if err := p.probeSettings.apply(&l.HealthCheck); err != nil {
		return err
	}
	h, o := &l.HealthCheck, l.HTTP
	if p.HealthCheck != nil {
		h.Enabled = *p.HealthCheck == slb.On
	}
	set(&h.Timeout, p.HealthTimeout)
	h.SetDefaults(l.Protocol)
	set(&o.Gzip, p.Gzip)
	set(&o.IdleTimeout, p.IdleTimeout)
	set(&o.RequestTimeout, p.RequestTimeout)
	set(&o.XForwardedFor, p.XForwardedFor)
	set(&o.XForwardedForClientSrcPort, p.XForwardedForClientSrcPort)
	set(&o.XForwardedForSLBID, p.XForwardedForSLBID)
	set(&o.XForwardedForSLBIP, p.XForwardedForSLBIP)
	set(&o.XForwardedForSLBPort, p.XForwardedForSLBPort)
	set(&o.XForwardedForProto, p.XForwardedForProto)
	return p.applySticky(o)
}

// applySticky: each kind of stickiness needs a companion. Companions that are
// not needed are kept for the day the kind changes.
func (p *httpSettings) applySticky(o *slb.HTTPOptions) error {
	set(&o.StickySession, p.StickySession)
	set(&o.StickySessionType, p.StickySessionType)
	set(&o.Cookie, p.Cookie)
	set(&o.CookieTimeout, p.CookieTimeout)
	return checkSticky(o.StickySession, o.StickySessionType, o.Cookie, o.CookieTimeout)
}

// checkSticky judges the stickiness of a listener or a rule.
func checkSticky(on slb.Switch, kind slb.StickySessionType, cookie string, timeout time.Duration) error {
	switch {
	case on != slb.On:
	case kind == "":
		return missing("StickySessionType")
	case kind == slb.StickyInsert && timeout == 0:
		return missing("CookieTimeout")
	case kind == slb.StickyServer && cookie == "":
		return missing("Cookie")
	}
	return nil
}

// createHTTPListenerParams: whether a listener redirects is decided for good at
// its creation.
type createHTTPListenerParams struct {
	listenerParams
	newListenerParams
	httpSettings
	ListenerForward slb.Switch `param:"ListenerForward" default:"off"`
	ForwardPort     uint16     `param:"ForwardPort" default:"443" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
	ForwardCode     int        `param:"ForwardCode" default:"301" range:"301..303|307..308"`
}

// createHTTPListener: the new listener is stopped. HealthCheck is mandatory
// unless the listener redirects, StickySession is not any more.
func (s *Server) createHTTPListener(ctx context.Context, p *createHTTPListenerParams) (*rpc.Empty, error) {
	l := slb.NewHTTPListener(p.LoadBalancerID, p.ListenerPort)
	return &rpc.Empty{}, s.createListener(ctx, &p.listenerParams, &p.newListenerParams, l, func(l *slb.Listener) error {
		if p.ListenerForward == slb.On {
			if p.ForwardPort == p.ListenerPort {
				return invalid("ForwardPort", strconv.Itoa(int(p.ForwardPort)), "another port than ListenerPort")
			}
			l.HTTP.ListenerForward = slb.On
			l.HTTP.ForwardPort = p.ForwardPort
			l.HTTP.ForwardCode = p.ForwardCode
			l.HealthCheck.Enabled = false
		} else if p.HealthCheck == nil {
			return missing("HealthCheck")
		}
		if err := (groupChange{vServerID: p.VServerGroup}).apply(l); err != nil {
			return err
		}
		return p.httpSettings.apply(l, true)
	})
}

type setHTTPListenerParams struct {
	listenerParams
	httpSettings
	DryRun        bool        `param:"DryRun"`
	VServerSwitch *slb.Switch `param:"VServerGroup"`
}

// setHTTPListener changes what is given and nothing else.
func (s *Server) setHTTPListener(ctx context.Context, p *setHTTPListenerParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.setListener(ctx, &p.listenerParams, slb.HTTP, p.DryRun, func(l *slb.Listener) error {
		if err := (groupChange{vServer: p.VServerSwitch, vServerID: p.VServerGroup}).apply(l); err != nil {
			return err
		}
		return p.httpSettings.apply(l, false)
	})
}

// httpAttributes are told of HTTP and HTTPS listeners alike.
type httpAttributes struct {
	listenerAttributes
	Cookie             string    `out:"Cookie,omitempty"`
	CookieTimeout      int       `out:"CookieTimeout,omitempty"` // seconds, as all timeouts
	Gzip               string    `out:"Gzip"`
	HealthCheckTimeout int       `out:"HealthCheckTimeout"`
	IdleTimeout        int       `out:"IdleTimeout"`
	RequestTimeout     int       `out:"RequestTimeout"`
	Rules              []ruleOut `out:"Rules>Rule"`
	StickySession      string    `out:"StickySession"`
	StickySessionType  string    `out:"StickySessionType,omitempty"`

	XForwardedFor              string `out:"XForwardedFor"`
	XForwardedForClientSrcPort string `out:"XForwardedFor_ClientSrcPort"`
	XForwardedForSLBID         string `out:"XForwardedFor_SLBID"`
	XForwardedForSLBIP         string `out:"XForwardedFor_SLBIP"`
	XForwardedForSLBPort       string `out:"XForwardedFor_SLBPORT"`
	XForwardedForProto         string `out:"XForwardedFor_proto"`
}

func httpAttributesOf(state *slb.State, l *slb.Listener) httpAttributes {
	o := l.HTTP
	r := httpAttributes{
		listenerAttributes:         listenerAttributesOf(l),
		Gzip:                       string(o.Gzip),
		HealthCheckTimeout:         seconds(l.HealthCheck.Timeout),
		IdleTimeout:                seconds(o.IdleTimeout),
		RequestTimeout:             seconds(o.RequestTimeout),
		Rules:                      rulesOut(state, l),
		StickySession:              string(o.StickySession),
		XForwardedFor:              string(o.XForwardedFor),
		XForwardedForClientSrcPort: string(o.XForwardedForClientSrcPort),
		XForwardedForSLBID:         string(o.XForwardedForSLBID),
		XForwardedForSLBIP:         string(o.XForwardedForSLBIP),
		XForwardedForSLBPort:       string(o.XForwardedForSLBPort),
		XForwardedForProto:         string(o.XForwardedForProto),
	}
	if o.StickySession == slb.On {
		r.StickySessionType = string(o.StickySessionType)
		r.Cookie = o.Cookie
		r.CookieTimeout = seconds(o.CookieTimeout)
	}
	return r
}

type describeHTTPListenerResult struct {
	httpAttributes
	ForwardCode     int    `out:"ForwardCode,omitempty"`
	ForwardPort     int    `out:"ForwardPort,omitempty"`
	ListenerForward string `out:"ListenerForward"`
}

func (s *Server) describeHTTPListener(_ context.Context, p *listenerParams) (*describeHTTPListenerResult, error) {
	l, err := s.listenerOf(p, slb.HTTP)
	if err != nil {
		return nil, err
	}
	return &describeHTTPListenerResult{
		httpAttributes:  httpAttributesOf(s.cfg.Store.State(), l),
		ForwardCode:     l.HTTP.ForwardCode,
		ForwardPort:     int(l.HTTP.ForwardPort),
		ListenerForward: string(l.HTTP.ListenerForward),
	}, nil
}
