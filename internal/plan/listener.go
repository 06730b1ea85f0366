package plan

import (
	"cmp"
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// frontend compiles a listener. Settings that are 0 have the documented defaults.
func frontend(lb *slb.LoadBalancer, l *slb.Listener) spec.Frontend {
	f := spec.Frontend{
		ID:     spec.FrontendID{Instance: string(lb.ID), Protocol: spec.Protocol(l.Protocol), Port: l.Port},
		Listen: netip.AddrPortFrom(lb.Address, l.Port),
		Pool:   poolID(l),

		MaxConnections: l.MaxConnection,
		Bandwidth:      bandwidth(l),
	}
	if l.Protocol.IsL7() {
		f.HTTP = httpOptions(l.HTTP)
		f.HTTP.Internet = lb.AddressType == slb.Internet
		f.HTTP.ServersHTTP2 = l.HTTPS != nil && l.HTTPS.BackendProtocol == slb.BackendH2C
		if f.HTTP.Redirect != nil {
			f.Pool = ""
		}
		return f
	}
	o := l.TCP
	if o == nil {
		o = &slb.TCPOptions{}
	}
	if l.Protocol == slb.UDP {
		f.UDP = udpOptions(o)
	} else {
		f.TCP = tcpOptions(o)
	}
	return f
}

func tcpOptions(o *slb.TCPOptions) *spec.TCPOptions {
	return &spec.TCPOptions{
		IdleTimeout:   cmp.Or(o.EstablishedTimeout, slb.DefaultEstablishedTimeout),
		Persistence:   o.PersistenceTimeout,
		Drain:         drain(o),
		ProxyProtocol: o.ProxyProtocolV2,
	}
}

func udpOptions(o *slb.TCPOptions) *spec.UDPOptions {
	return &spec.UDPOptions{
		IdleTimeout:   slb.UDPFlowTimeout,
		Persistence:   o.PersistenceTimeout,
		Drain:         drain(o),
		ProxyProtocol: o.ProxyProtocolV2,
	}
}

func httpOptions(o *slb.HTTPOptions) *spec.HTTPOptions {
	if o == nil {
		o = &slb.HTTPOptions{XForwardedFor: slb.On}
	}
	h := &spec.HTTPOptions{
		IdleTimeout:    cmp.Or(o.IdleTimeout, slb.DefaultIdleTimeout),
		RequestTimeout: cmp.Or(o.RequestTimeout, slb.DefaultRequestTimeout),
		XForwardedFor:  o.XForwardedFor == slb.On,
		SLBIP:          o.XForwardedForSLBIP == slb.On,
		SLBID:          o.XForwardedForSLBID == slb.On,
		Proto:          o.XForwardedForProto == slb.On,
		Port:           o.XForwardedForSLBPort == slb.On,
		ClientSrcPort:  o.XForwardedForClientSrcPort == slb.On,
		Gzip:           o.Gzip == slb.On,
		Sticky:         sticky(o.StickySession, o.StickySessionType, o.CookieTimeout, o.Cookie),
	}
	if o.ListenerForward == slb.On {
		h.Redirect = &spec.Redirect{Port: o.ForwardPort, Code: cmp.Or(o.ForwardCode, slb.DefaultForwardCode)}
	}
	return h
}
