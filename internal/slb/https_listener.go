package slb

// NewHTTPSListener returns a stopped HTTPS listener with the documented
// defaults. It has no certificate yet, which it needs.
func NewHTTPSListener(id LoadBalancerID, port uint16) *Listener {
	l := NewHTTPListener(id, port)
	l.Protocol = HTTPS
	l.HTTPS = &HTTPSOptions{TLSCipherPolicy: DefaultTLSCipherPolicy, EnableHTTP2: On}
	return l
}
