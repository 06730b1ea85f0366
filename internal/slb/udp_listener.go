package slb

import "time"

// Defaults of the probes of UDP listeners. Source: the page on health checks.
const (
	DefaultUDPCheckTimeout  = 10 * time.Second
	DefaultUDPCheckInterval = 5 * time.Second
)

// UDPFlowTimeout ends an idle flow; it is no setting. Source: the vendor's FAQ.
const UDPFlowTimeout = 90 * time.Second

// NewUDPListener returns a stopped UDP listener with the documented defaults.
func NewUDPListener(id LoadBalancerID, port uint16) *Listener {
	l := newListener(id, port, UDP)
	l.HealthCheck.Type = CheckUDP
	l.HealthCheck.Timeout = DefaultUDPCheckTimeout
	l.HealthCheck.Interval = DefaultUDPCheckInterval
	l.TCP = &TCPOptions{ConnectionDrain: Off}
	return l
}
