package slb

import "time"

// Defaults of listeners. Source: the create actions; where they are silent, the
// sample answers.
const (
	DefaultEstablishedTimeout = 900 * time.Second
	DefaultIdleTimeout        = 15 * time.Second
	DefaultRequestTimeout     = 60 * time.Second
	DefaultForwardPort        = 443
	DefaultForwardCode        = 301
	DefaultCheckTimeout       = 5 * time.Second
	DefaultCheckInterval      = 2 * time.Second
	DefaultThreshold          = 3 // for both directions
	UnlimitedBandwidth        = -1
)

// NewTCPListener returns a stopped TCP listener with the documented defaults.
func NewTCPListener(id LoadBalancerID, port uint16) *Listener {
	l := newListener(id, port, TCP)
	l.HealthCheck.Type = CheckTCP
	l.TCP = &TCPOptions{
		EstablishedTimeout: DefaultEstablishedTimeout,
		ConnectionDrain:    Off,
	}
	return l
}

// NewHTTPListener returns a stopped HTTP listener with the documented defaults.
func NewHTTPListener(id LoadBalancerID, port uint16) *Listener {
	l := newListener(id, port, HTTP)
	l.HealthCheck.Type = CheckHTTP
	l.HTTP = &HTTPOptions{
		IdleTimeout:                DefaultIdleTimeout,
		RequestTimeout:             DefaultRequestTimeout,
		Gzip:                       On,
		StickySession:              Off,
		XForwardedFor:              On,
		XForwardedForSLBIP:         Off,
		XForwardedForSLBID:         Off,
		XForwardedForProto:         Off,
		XForwardedForSLBPort:       Off,
		XForwardedForClientSrcPort: Off,
		ListenerForward:            Off,
	}
	return l
}

func newListener(id LoadBalancerID, port uint16, protocol Protocol) *Listener {
	return &Listener{
		LoadBalancerID: id,
		Port:           port,
		Protocol:       protocol,
		Status:         Stopped,
		Bandwidth:      UnlimitedBandwidth,
		Scheduler:      WRR,
		ACL:            ListenerACL{Status: Off},
		HealthCheck: HealthCheck{
			Enabled:            true,
			Timeout:            DefaultCheckTimeout,
			Interval:           DefaultCheckInterval,
			HealthyThreshold:   DefaultThreshold,
			UnhealthyThreshold: DefaultThreshold,
		},
	}
}

// SetDefaults fills in what an HTTP probe needs and was not given. The method
// is HEAD on layer 7 and GET on TCP listeners. Source: the health check pages.
func (h *HealthCheck) SetDefaults(listener Protocol) {
	if h.Type != CheckHTTP {
		return
	}
	if h.Method == "" {
		h.Method = MethodHead
		if !listener.IsL7() {
			h.Method = MethodGet
		}
	}
	if h.URI == "" {
		h.URI = "/"
	}
	if len(h.HTTPCodes) == 0 {
		h.HTTPCodes = []string{"http_2xx"}
	}
}

// IsHash reports whether connections are placed by a consistent hash.
func (s Scheduler) IsHash() bool { return s == SCH || s == TCH || s == QCH }

// Fits reports whether listeners of the protocol can use the scheduler.
func (s Scheduler) Fits(p Protocol) bool {
	switch s {
	case SCH, TCH:
		return !p.IsL7()
	case QCH:
		return p == UDP
	}
	return true
}

// CanBecome reports whether a listener may change from s to next: not between
// round robin and hash, nor from one hash to another. Source:
// SetLoadBalancerTCPListenerAttribute.
func (s Scheduler) CanBecome(next Scheduler) bool {
	return s == next || !s.IsHash() && !next.IsHash()
}
