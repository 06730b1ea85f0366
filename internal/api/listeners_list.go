package api

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

func (s *Server) listenersListActions() []rpc.Action {
	return []rpc.Action{rpc.NewAction("DescribeLoadBalancerListeners", s.describeListeners)}
}

type describeListenersParams struct {
	Description      string               `param:"Description"`
	ListenerPort     uint16               `param:"ListenerPort" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
	ListenerProtocol slb.Protocol         `param:"ListenerProtocol" err:"InvalidParameter|400|The specified protocol is not valid."`
	LoadBalancerIDs  []slb.LoadBalancerID `param:"LoadBalancerId.N" listmax:"10"`
	MaxResults       int                  `param:"MaxResults" default:"20" range:"1..100"`
	NextToken        string               `param:"NextToken" maxlen:"256"`
	RegionID         string               `param:"RegionId"`
	Tags             []tagParam           `param:"Tag.N" listmax:"20"`
}

// listedListener has its lists as plain arrays, and the settings of its protocol
// in an object of their own, unlike the answers about one listener.
type listedListener struct {
	ACLID             string       `out:"AclId,omitempty"`
	ACLIDs            []string     `out:"AclIds"`
	ACLStatus         string       `out:"AclStatus"`
	ACLType           string       `out:"AclType,omitempty"`
	BackendServerPort int          `out:"BackendServerPort,omitempty"`
	Bandwidth         int          `out:"Bandwidth"`
	Description       string       `out:"Description"`
	HTTP              *httpConfig  `out:"HTTPListenerConfig"`
	HTTPS             *httpsConfig `out:"HTTPSListenerConfig"`
	ListenerPort      int          `out:"ListenerPort"`
	ListenerProtocol  string       `out:"ListenerProtocol"`
	LoadBalancerID    string       `out:"LoadBalancerId"`
	Scheduler         string       `out:"Scheduler"`
	Status            string       `out:"Status"`
	TCP               *tcpConfig   `out:"TCPListenerConfig"`
	Tags              []tagOut     `out:"Tags"`
	UDP               *udpConfig   `out:"UDPListenerConfig"`
	VServerGroupID    string       `out:"VServerGroupId,omitempty"`
}

// probeConfig is told in every protocol's object. Times are in seconds.
type probeConfig struct {
	HealthCheck            string `out:"HealthCheck"`
	HealthCheckConnectPort int    `out:"HealthCheckConnectPort"`
	HealthCheckDomain      string `out:"HealthCheckDomain,omitempty"`
	HealthCheckHTTPCode    string `out:"HealthCheckHttpCode,omitempty"`
	HealthCheckInterval    int    `out:"HealthCheckInterval"`
	HealthCheckMethod      string `out:"HealthCheckMethod,omitempty"`
	HealthCheckType        string `out:"HealthCheckType"`
	HealthCheckURI         string `out:"HealthCheckURI,omitempty"`
	HealthyThreshold       int    `out:"HealthyThreshold"`
	UnhealthyThreshold     int    `out:"UnhealthyThreshold"`
}

// layer4Config is what TCP and UDP have in common. HealthCheckSwitch repeats
// HealthCheck, and ProxyProtocolV2Enabled is text here and nowhere else: a
// client reads them so.
type layer4Config struct {
	probeConfig
	ConnectionDrain           string `out:"ConnectionDrain"`
	ConnectionDrainTimeout    int    `out:"ConnectionDrainTimeout,omitempty"`
	HealthCheckConnectTimeout int    `out:"HealthCheckConnectTimeout"`
	HealthCheckSwitch         string `out:"HealthCheckSwitch"`
	MasterSlaveServerGroupID  string `out:"MasterSlaveServerGroupId,omitempty"`
	MaxConnection             int    `out:"MaxConnection,omitempty"`
	PersistenceTimeout        int    `out:"PersistenceTimeout"`
	ProxyProtocolV2Enabled    string `out:"ProxyProtocolV2Enabled"`
}

type tcpConfig struct {
	layer4Config
	EstablishedTimeout int `out:"EstablishedTimeout"`
}

type udpConfig struct {
	layer4Config
	HealthCheckExp string `out:"HealthCheckExp,omitempty"`
	HealthCheckReq string `out:"HealthCheckReq,omitempty"`
}

// layer7Config is what HTTP and HTTPS have in common.
type layer7Config struct {
	probeConfig
	Cookie                 string `out:"Cookie,omitempty"`
	CookieTimeout          int    `out:"CookieTimeout,omitempty"`
	Gzip                   string `out:"Gzip"`
	HealthCheckHTTPVersion string `out:"HealthCheckHttpVersion,omitempty"`
	HealthCheckTimeout     int    `out:"HealthCheckTimeout"`
	IdleTimeout            int    `out:"IdleTimeout"`
	MaxConnection          int    `out:"MaxConnection,omitempty"`
	RequestTimeout         int    `out:"RequestTimeout"`
	StickySession          string `out:"StickySession"`
	StickySessionType      string `out:"StickySessionType,omitempty"`

	XForwardedFor              string `out:"XForwardedFor"`
	XForwardedForClientSrcPort string `out:"XForwardedFor_ClientSrcPort"`
	XForwardedForSLBID         string `out:"XForwardedFor_SLBID"`
	XForwardedForSLBIP         string `out:"XForwardedFor_SLBIP"`
	XForwardedForSLBPort       string `out:"XForwardedFor_SLBPORT"`
	XForwardedForProto         string `out:"XForwardedFor_proto"`
}

type httpConfig struct {
	layer7Config
	ForwardCode     int    `out:"ForwardCode,omitempty"`
	ForwardPort     int    `out:"ForwardPort,omitempty"`
	ListenerForward string `out:"ListenerForward"`
}

type httpsConfig struct {
	layer7Config
	CACertificateID     string `out:"CACertificateId,omitempty"`
	EnableHTTP2         string `out:"EnableHttp2"`
	ServerCertificateID string `out:"ServerCertificateId"`
	TLSCipherPolicy     string `out:"TLSCipherPolicy"`
	clientCertOut
}

type describeListenersResult struct {
	Listeners  []listedListener `out:"Listeners"`
	MaxResults int              `out:"MaxResults"`
	NextToken  string           `out:"NextToken"` // empty when this was the last part
	TotalCount int              `out:"TotalCount"`
}

// describeListeners lists in the order of instances and ports. An instance that
// is not there has no listeners.
func (s *Server) describeListeners(_ context.Context, p *describeListenersParams) (*describeListenersResult, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, err
	}
	after, err := readToken("listeners", p.NextToken)
	if err != nil {
		return nil, err
	}
	filters := tagConditions(p.Tags)
	r := &describeListenersResult{MaxResults: p.MaxResults}
	last := ""
	for key, l := range listenersOf(s.cfg.Store.State(), p.LoadBalancerIDs) {
		if p.ListenerPort != 0 && l.Port != p.ListenerPort || !fits(l.Protocol, p.ListenerProtocol) ||
			!fits(l.Description, p.Description) || !tagsMatch(l.Tags, filters) {
			continue
		}
		r.TotalCount++
		switch {
		case key <= after:
		case len(r.Listeners) < p.MaxResults:
			r.Listeners = append(r.Listeners, listedListenerOf(l))
			last = key
		default:
			r.NextToken = writeToken("listeners", last)
		}
	}
	return r, nil
}

// listenersOf yields the listeners of the instances, or without instances all,
// in the order of their keys.
func listenersOf(state *slb.State, ids []slb.LoadBalancerID) iter.Seq2[string, *slb.Listener] {
	if len(ids) == 0 {
		return state.Listeners.All()
	}
	prefixes := make([]string, 0, len(ids))
	for _, id := range ids {
		prefixes = append(prefixes, slb.ListenerPrefix(id))
	}
	slices.Sort(prefixes)
	prefixes = slices.Compact(prefixes)
	return func(yield func(string, *slb.Listener) bool) {
		for _, prefix := range prefixes {
			for key, l := range state.Listeners.Prefix(prefix) {
				if !yield(key, l) {
					return
				}
			}
		}
	}
}

func listedListenerOf(l *slb.Listener) listedListener {
	out := listedListener{
		ACLID:             strings.Join(l.ACL.IDs, ","),
		ACLIDs:            l.ACL.IDs,
		ACLStatus:         string(l.ACL.Status),
		ACLType:           string(l.ACL.Type),
		BackendServerPort: int(l.BackendServerPort),
		Bandwidth:         l.Bandwidth,
		Description:       l.Description,
		ListenerPort:      int(l.Port),
		ListenerProtocol:  string(l.Protocol),
		LoadBalancerID:    string(l.LoadBalancerID),
		Scheduler:         string(l.Scheduler),
		Status:            string(l.Status),
		Tags:              tagsOut(l.Tags),
		VServerGroupID:    l.VServerGroupID,
	}
	switch l.Protocol {
	case slb.TCP:
		out.TCP = &tcpConfig{layer4ConfigOf(l), seconds(l.TCP.EstablishedTimeout)}
	case slb.UDP:
		out.UDP = &udpConfig{layer4ConfigOf(l), l.HealthCheck.Expect, l.HealthCheck.Request}
	case slb.HTTP:
		out.HTTP = &httpConfig{layer7ConfigOf(l), l.HTTP.ForwardCode, int(l.HTTP.ForwardPort), string(l.HTTP.ListenerForward)}
	case slb.HTTPS:
		o := l.HTTPS
		out.HTTPS = &httpsConfig{layer7ConfigOf(l), o.CACertificateID, string(o.EnableHTTP2), o.ServerCertificateID, o.TLSCipherPolicy, clientCertOf(&o.ClientCert)}
	}
	return out
}

func probeConfigOf(l *slb.Listener) probeConfig {
	a := listenerAttributesOf(l)
	return probeConfig{
		HealthCheck:            a.HealthCheck,
		HealthCheckConnectPort: a.HealthCheckConnectPort,
		HealthCheckDomain:      a.HealthCheckDomain,
		HealthCheckHTTPCode:    a.HealthCheckHTTPCode,
		HealthCheckInterval:    a.HealthCheckInterval,
		HealthCheckMethod:      a.HealthCheckMethod,
		HealthCheckType:        string(l.HealthCheck.Type),
		HealthCheckURI:         a.HealthCheckURI,
		HealthyThreshold:       a.HealthyThreshold,
		UnhealthyThreshold:     a.UnhealthyThreshold,
	}
}

func layer4ConfigOf(l *slb.Listener) layer4Config {
	o := l.TCP
	return layer4Config{
		probeConfig:               probeConfigOf(l),
		ConnectionDrain:           string(o.ConnectionDrain),
		ConnectionDrainTimeout:    seconds(o.ConnectionDrainTimeout),
		HealthCheckConnectTimeout: seconds(l.HealthCheck.Timeout),
		HealthCheckSwitch:         string(slb.SwitchOf(l.HealthCheck.Enabled)),
		MasterSlaveServerGroupID:  l.MasterSlaveServerGroup,
		MaxConnection:             l.MaxConnection,
		PersistenceTimeout:        seconds(o.PersistenceTimeout),
		ProxyProtocolV2Enabled:    strconv.FormatBool(o.ProxyProtocolV2),
	}
}

func layer7ConfigOf(l *slb.Listener) layer7Config {
	o := l.HTTP
	out := layer7Config{
		probeConfig:                probeConfigOf(l),
		Gzip:                       string(o.Gzip),
		HealthCheckHTTPVersion:     l.HealthCheck.HTTPVersion,
		HealthCheckTimeout:         seconds(l.HealthCheck.Timeout),
		IdleTimeout:                seconds(o.IdleTimeout),
		MaxConnection:              l.MaxConnection,
		RequestTimeout:             seconds(o.RequestTimeout),
		StickySession:              string(o.StickySession),
		XForwardedFor:              string(o.XForwardedFor),
		XForwardedForClientSrcPort: string(o.XForwardedForClientSrcPort),
		XForwardedForSLBID:         string(o.XForwardedForSLBID),
		XForwardedForSLBIP:         string(o.XForwardedForSLBIP),
		XForwardedForSLBPort:       string(o.XForwardedForSLBPort),
		XForwardedForProto:         string(o.XForwardedForProto),
	}
	if o.StickySession == slb.On {
		out.StickySessionType = string(o.StickySessionType)
		out.Cookie = o.Cookie
		out.CookieTimeout = seconds(o.CookieTimeout)
	}
	return out
}
