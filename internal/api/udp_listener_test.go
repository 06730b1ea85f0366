package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// udp makes a UDP listener.
func (w *world) udp(lb, port string, p ...string) {
	w.t.Helper()
	w.ok("CreateLoadBalancerUDPListener", append([]string{"LoadBalancerId", lb, "ListenerPort", port, "BackendServerPort", "53", "Bandwidth", "-1"}, p...)...)
}

func withUDP(w *world) string {
	lb := withListeners(w)
	w.udp(lb, "53", "Description", "names")
	return lb
}

func init() {
	goldens = append(goldens,
		golden{"CreateLoadBalancerUDPListener", oneBalancer, []params{
			{"LoadBalancerId", "LB", "ListenerPort", "53", "BackendServerPort", "53", "Bandwidth", "-1"},
			{"LoadBalancerId", "LB", "ListenerPort", "53", "BackendServerPort", "53", "Bandwidth", "-1"},
			{"LoadBalancerId", "LB", "ListenerPort", "4789", "BackendServerPort", "53"},
		}},
		golden{"SetLoadBalancerUDPListenerAttribute", withUDP, []params{
			{"LoadBalancerId", "LB", "ListenerPort", "53", "Scheduler", "wlc"}, {"LoadBalancerId", "LB", "ListenerPort", "9000", "Scheduler", "wlc"},
		}},
		golden{"DescribeLoadBalancerUDPListenerAttribute", withUDP, []params{{"LoadBalancerId", "LB", "ListenerPort", "53"}, {"LoadBalancerId", "LB", "ListenerPort", "9000"}}},
	)
	for _, v := range []struct {
		name, value string
		want        *slb.Error
	}{
		{"ListenerPort", "0", slb.ErrPort},
		{"Bandwidth", "0", slb.ErrBandwidth},
		{"Scheduler", "best", invalidError("Scheduler")},
		{"healthCheckReq", strings.Repeat("r", 65), slb.ErrHealthCheckReq},
		{"healthCheckExp", strings.Repeat("e", 65), slb.ErrHealthCheckExp},
		{"healthCheckReq", "two words", invalidError("healthCheckReq")},
		{"HealthCheckType", "icmp", invalidError("HealthCheckType")},
		{"HealthCheckSwitch", "perhaps", invalidError("HealthCheckSwitch")},
		{"HealthCheckInterval", "51", invalidError("HealthCheckInterval")},
		{"HealthCheckConnectTimeout", "0", invalidError("HealthCheckConnectTimeout")},
		{"UnhealthyThreshold", "0", invalidError("UnhealthyThreshold")},
		{"HealthyThreshold", "11", invalidError("HealthyThreshold")},
		{"ConnectionDrain", "on", missingError("ConnectionDrainTimeout")},
		{"PersistenceTimeout", "3601", invalidError("PersistenceTimeout")},
		{"ProxyProtocolV2Enabled", "2", invalidError("ProxyProtocolV2Enabled")},
		{"VServerGroupId", "rsp-1", slb.ErrVServerGroup},
		{"AclStatus", "on", missingError("AclId")},
	} {
		wrongs = append(wrongs,
			row(v.name+"="+v.value, v.want, "CreateLoadBalancerUDPListener", "LoadBalancerId", "LB", "BackendServerPort", "1", "ListenerPort", "54", v.name, v.value),
			row(v.name+"="+v.value, v.want, "SetLoadBalancerUDPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "53", v.name, v.value))
	}
	for _, action := range []string{"CreateLoadBalancerUDPListener", "SetLoadBalancerUDPListenerAttribute", "DescribeLoadBalancerUDPListenerAttribute"} {
		wrongs = append(wrongs,
			row("no port", missingError("ListenerPort"), action, "LoadBalancerId", "LB"),
			row("unknown instance", slb.ErrLoadBalancerNotFound, action, "LoadBalancerId", "lb-none", "ListenerPort", "53", "BackendServerPort", "1"))
	}
	wrongs = append(wrongs,
		row("threshold", invalidError("HealthyThreshold"), "CreateLoadBalancerUDPListener", "LoadBalancerId", "LB", "ListenerPort", "54", "BackendServerPort", "1", "HealthyThreshold", "1"),
		row("tcp has the port", slb.ErrResourceNotFound, "DescribeLoadBalancerUDPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000"))
}

// TestQuirk29LowerCase: the probe's text and interval in both spellings, and
// answers in upper case.
func TestQuirk29LowerCase(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.udp(lb, "53", "healthCheckReq", "ping", "healthCheckExp", "pong", "healthCheckInterval", "7")
	w.udp(lb, "54", "HealthCheckReq", "ping", "HealthCheckExp", "pong", "HealthCheckInterval", "7")
	for _, port := range []string{"53", "54"} {
		a := w.ok("DescribeLoadBalancerUDPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port)
		if a["HealthCheckReq"] != "ping" || a["HealthCheckExp"] != "pong" || a["HealthCheckInterval"] != 7.0 {
			t.Error(a)
		}
	}
	w.ok("SetLoadBalancerUDPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "53", "healthCheckReq", "", "healthCheckExp", "")
	a := w.ok("DescribeLoadBalancerUDPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "53")
	if _, there := a["HealthCheckReq"]; there {
		t.Error(a)
	}
}

// TestQuirk60And66UDP: thresholds from 1 on set, and draining though it is
// documented for TCP.
func TestQuirk60And66UDP(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.udp(lb, "53", "ConnectionDrain", "on", "ConnectionDrainTimeout", "30", "Gzip", "on", "StickySession", "off")
	w.ok("SetLoadBalancerUDPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "53", "HealthyThreshold", "1", "UnhealthyThreshold", "1", "IdleTimeout", "9")
	a := w.ok("DescribeLoadBalancerUDPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "53")
	if a["HealthyThreshold"] != 1.0 || a["UnhealthyThreshold"] != 1.0 || a["ConnectionDrain"] != "on" || a["ConnectionDrainTimeout"] != 30.0 {
		t.Error(a)
	}
	if a["HealthCheckConnectTimeout"] != 10.0 || a["HealthCheckType"] != "udp" || a["HealthCheckInterval"] != 5.0 {
		t.Error("defaults:", a)
	}
}

// TestUDPBesideTCP: both families have their own ports; the protocol tells which
// is meant.
func TestUDPBesideTCP(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 53)
	w.udp(lb, "53")
	w.fails(missingError("ListenerProtocol"), "StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "53")
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "53", "ListenerProtocol", "udp")
	if a := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "53"); a["Status"] != "stopped" {
		t.Error(a)
	}
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "53", "ListenerProtocol", "udp")
	w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "53")
}

// TestUDPNotServed: what the data plane cannot run does not say that it runs.
func TestUDPNotServed(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.udp(lb, "53")
	w.binder.refused = map[uint16]error{53: errors.New("this version does not serve the protocol udp")}
	w.fails(slb.ErrListenerBind.With("this version does not serve the protocol udp"), "StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "53")
	if a := w.ok("DescribeLoadBalancerUDPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "53"); a["Status"] != "stopped" {
		t.Error(a)
	}
}
