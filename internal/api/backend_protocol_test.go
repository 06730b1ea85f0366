package api

import (
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// TestBackendProtocol: the extension holds for its listener, whatever else is set,
// and is for HTTPS listeners alone.
func TestBackendProtocol(t *testing.T) {
	w := newWorld(t)
	lb := withHTTPS(w)
	w.http(lb, 80)
	told := func() any {
		return w.ok("DescribeListenerBackendProtocol", "LoadBalancerId", lb, "ListenerPort", "443")["BackendProtocol"]
	}
	if got := told(); got != "http" {
		t.Errorf("at first %v", got)
	}
	w.ok("SetListenerBackendProtocol", "LoadBalancerId", lb, "ListenerPort", "443", "BackendProtocol", "H2C")
	w.ok("SetLoadBalancerHTTPSListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "443", "Gzip", "off")
	if got := told(); got != "h2c" {
		t.Errorf("after the change %v", got)
	}
	w.ok("SetListenerBackendProtocol", "LoadBalancerId", lb, "ListenerPort", "443", "BackendProtocol", "http")
	if got := told(); got != "http" {
		t.Errorf("after changing back %v", got)
	}
	w.fails(slb.ErrFixedProtocolPort, "SetListenerBackendProtocol", "LoadBalancerId", lb, "ListenerPort", "80", "BackendProtocol", "h2c")
	w.fails(slb.ErrResourceNotFound, "DescribeListenerBackendProtocol", "LoadBalancerId", lb, "ListenerPort", "80")
	w.fails(invalidError("BackendProtocol"), "SetListenerBackendProtocol", "LoadBalancerId", lb, "ListenerPort", "443", "BackendProtocol", "grpc")
	w.fails(missingError("BackendProtocol"), "SetListenerBackendProtocol", "LoadBalancerId", lb, "ListenerPort", "443")
}
