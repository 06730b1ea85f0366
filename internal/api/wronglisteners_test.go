package api

import (
	"strings"

	"github.com/openslb/openslb/internal/slb"
)

// wrongListeners are the rows about listeners; see wrong.
func wrongListeners() []wrong {
	var out []wrong
	tcp := func(more ...string) params {
		return append(params{"LoadBalancerId", "LB", "ListenerPort", "9001", "BackendServerPort", "8080", "Bandwidth", "-1"}, more...)
	}
	http := func(more ...string) params {
		return append(params{"LoadBalancerId", "LB", "ListenerPort", "81", "BackendServerPort", "8080", "HealthCheck", "on"}, more...)
	}
	both := []struct {
		name, value string
		want        *slb.Error
	}{
		{"ListenerPort", "0", slb.ErrPort},
		{"ListenerPort", "65536", slb.ErrPort},
		{"Bandwidth", "0", slb.ErrBandwidth},
		{"Bandwidth", "-2", slb.ErrBandwidth},
		{"Bandwidth", "5121", slb.ErrBandwidth},
		{"Scheduler", "best", invalidError("Scheduler")},
		{"Scheduler", "qch", invalidError("Scheduler")},
		{"Description", "two words", invalidError("Description")},
		{"Description", strings.Repeat("d", 257), invalidError("Description")},
		{"AclStatus", "maybe", invalidError("AclStatus")},
		{"AclStatus", "on", missingError("AclId")},
		{"AclType", "grey", invalidError("AclType")},
		{"AclId", "acl-1,acl-2", slb.ErrACLNotFound},
		{"VServerGroupId", "rsp-1", slb.ErrVServerGroup},
		{"HealthCheckConnectPort", "65536", invalidError("HealthCheckConnectPort")},
		{"HealthCheckConnectPort", "-1", invalidError("HealthCheckConnectPort")},
		{"HealthCheckDomain", "a_b", invalidError("HealthCheckDomain")},
		{"HealthCheckDomain", strings.Repeat("d", 81), invalidError("HealthCheckDomain")},
		{"HealthCheckHttpCode", "http_2xx,http_6xx", invalidError("HealthCheckHttpCode")},
		{"HealthCheckURI", "check", invalidError("HealthCheckURI")},
		{"HealthCheckURI", "/a b", invalidError("HealthCheckURI")},
		{"HealthCheckURI", "/a\r\nX: y", invalidError("HealthCheckURI")},
		{"HealthCheckURI", "/" + strings.Repeat("u", 80), invalidError("HealthCheckURI")},
		{"HealthCheckInterval", "0", invalidError("HealthCheckInterval")},
		{"HealthCheckInterval", "51", invalidError("HealthCheckInterval")},
		{"HealthCheckConnectTimeout", "301", invalidError("HealthCheckConnectTimeout")}, // also where it is an alias
		{"HealthyThreshold", "1", invalidError("HealthyThreshold")},
		{"HealthyThreshold", "11", invalidError("HealthyThreshold")},
		{"UnhealthyThreshold", "1", invalidError("UnhealthyThreshold")},
		{"UnhealthyThreshold", "11", invalidError("UnhealthyThreshold")},
	}
	for _, v := range both {
		name := v.name + "=" + v.value
		out = append(out,
			wrong{name, "CreateLoadBalancerTCPListener", tcp(v.name, v.value), v.want},
			wrong{name, "CreateLoadBalancerHTTPListener", http(v.name, v.value), v.want},
			wrong{name, "SetLoadBalancerTCPListenerAttribute", params{"LoadBalancerId", "LB", "ListenerPort", "9000", v.name, v.value}, v.want},
			wrong{name, "SetLoadBalancerHTTPListenerAttribute", params{"LoadBalancerId", "LB", "ListenerPort", "80", v.name, v.value}, v.want})
	}
	for _, v := range []struct {
		name, value string
		want        *slb.Error
	}{
		{"EstablishedTimeout", "9", invalidError("EstablishedTimeout")},
		{"EstablishedTimeout", "901", invalidError("EstablishedTimeout")},
		{"PersistenceTimeout", "3601", invalidError("PersistenceTimeout")},
		{"PersistenceTimeout", "-1", invalidError("PersistenceTimeout")},
		{"ConnectionDrain", "on", missingError("ConnectionDrainTimeout")},
		{"ConnectionDrainTimeout", "9", invalidError("ConnectionDrainTimeout")},
		{"ConnectionDrainTimeout", "901", invalidError("ConnectionDrainTimeout")},
		{"HealthCheckType", "udp", invalidError("HealthCheckType")},
		{"HealthCheckSwitch", "perhaps", invalidError("HealthCheckSwitch")},
		{"ProxyProtocolV2Enabled", "2", invalidError("ProxyProtocolV2Enabled")},
		{"MasterSlaveServerGroupId", "rsp-1", slb.ErrMasterSlaveGroup},
	} {
		name := v.name + "=" + v.value
		out = append(out,
			wrong{name, "CreateLoadBalancerTCPListener", tcp(v.name, v.value), v.want},
			wrong{name, "SetLoadBalancerTCPListenerAttribute", params{"LoadBalancerId", "LB", "ListenerPort", "9000", v.name, v.value}, v.want})
	}
	for _, v := range []struct {
		name, value string
		want        *slb.Error
	}{
		{"IdleTimeout", "0", invalidError("IdleTimeout")},
		{"IdleTimeout", "61", invalidError("IdleTimeout")},
		{"RequestTimeout", "0", invalidError("RequestTimeout")},
		{"RequestTimeout", "181", invalidError("RequestTimeout")},
		{"HealthCheckTimeout", "0", invalidError("HealthCheckTimeout")},
		{"HealthCheckMethod", "post", invalidError("HealthCheckMethod")},
		{"Scheduler", "sch", invalidError("Scheduler")},
		{"Scheduler", "tch", invalidError("Scheduler")},
		{"StickySession", "on", missingError("StickySessionType")},
		{"StickySessionType", "glue", invalidError("StickySessionType")},
		{"CookieTimeout", "86401", invalidError("CookieTimeout")},
		{"Cookie", "a;b", invalidError("Cookie")},
		{"Cookie", "$a", invalidError("Cookie")},
		{"Cookie", strings.Repeat("c", 201), invalidError("Cookie")},
		{"Gzip", "much", invalidError("Gzip")},
		{"XForwardedFor", "x", invalidError("XForwardedFor")},
		{"XForwardedFor_proto", "x", invalidError("XForwardedFor_proto")},
	} {
		name := v.name + "=" + v.value
		out = append(out,
			wrong{name, "CreateLoadBalancerHTTPListener", http(v.name, v.value), v.want},
			wrong{name, "SetLoadBalancerHTTPListenerAttribute", params{"LoadBalancerId", "LB", "ListenerPort", "80", v.name, v.value}, v.want})
	}
	for _, action := range []string{"CreateLoadBalancerTCPListener", "CreateLoadBalancerHTTPListener",
		"SetLoadBalancerTCPListenerAttribute", "SetLoadBalancerHTTPListenerAttribute",
		"DescribeLoadBalancerTCPListenerAttribute", "DescribeLoadBalancerHTTPListenerAttribute",
		"StartLoadBalancerListener", "StopLoadBalancerListener", "DeleteLoadBalancerListener"} {
		out = append(out,
			row("no instance", missingError("LoadBalancerId"), action, "ListenerPort", "80"),
			row("no port", missingError("ListenerPort"), action, "LoadBalancerId", "LB"),
			row("unknown instance", slb.ErrLoadBalancerNotFound, action, "LoadBalancerId", "lb-none", "ListenerPort", "80", "BackendServerPort", "1", "HealthCheck", "on"))
		if !strings.HasPrefix(action, "Create") {
			out = append(out, row("unknown listener", slb.ErrResourceNotFound, action, "LoadBalancerId", "LB", "ListenerPort", "7"))
		}
	}
	for _, action := range []string{"StartLoadBalancerListener", "StopLoadBalancerListener", "DeleteLoadBalancerListener"} {
		out = append(out,
			row("protocol", &slb.Error{Status: 400, Code: "InvalidParameter", Message: "The specified protocol is not valid."}, action, "LoadBalancerId", "LB", "ListenerPort", "80", "ListenerProtocol", "sctp"),
			row("other protocol", slb.ErrResourceNotFound, action, "LoadBalancerId", "LB", "ListenerPort", "80", "ListenerProtocol", "udp"))
	}
	return append(out,
		row("taken by http", slb.ErrListenerExists, "CreateLoadBalancerTCPListener", "LoadBalancerId", "LB", "ListenerPort", "80", "BackendServerPort", "1"),
		row("taken by tcp", slb.ErrListenerExists, "CreateLoadBalancerHTTPListener", "LoadBalancerId", "LB", "ListenerPort", "9000", "BackendServerPort", "1", "HealthCheck", "on"),
		row("no port of the servers", missingError("BackendServerPort"), "CreateLoadBalancerTCPListener", "LoadBalancerId", "LB", "ListenerPort", "9001"),
		row("no port of the servers", missingError("BackendServerPort"), "CreateLoadBalancerHTTPListener", "LoadBalancerId", "LB", "ListenerPort", "81", "HealthCheck", "on"),
		row("no health check", missingError("HealthCheck"), "CreateLoadBalancerHTTPListener", "LoadBalancerId", "LB", "ListenerPort", "81", "BackendServerPort", "1"),
		wrong{"both groups", "CreateLoadBalancerTCPListener", tcp("VServerGroupId", "rsp-1", "MasterSlaveServerGroupId", "rsp-2"), slb.ErrGroupMismatch},
		wrong{"port range", "CreateLoadBalancerTCPListener", tcp("PortRange.1.StartPort", "1", "PortRange.1.EndPort", "9"), slb.ErrUnsupported},
		wrong{"sticky without timeout", "CreateLoadBalancerHTTPListener", http("StickySession", "on", "StickySessionType", "insert"), missingError("CookieTimeout")},
		wrong{"sticky without cookie", "CreateLoadBalancerHTTPListener", http("StickySession", "on", "StickySessionType", "server"), missingError("Cookie")},
		wrong{"redirect to itself", "CreateLoadBalancerHTTPListener", http("ListenerForward", "on", "ForwardPort", "81"), invalidError("ForwardPort")},
		wrong{"forward code", "CreateLoadBalancerHTTPListener", http("ListenerForward", "on", "ForwardCode", "200"), invalidError("ForwardCode")},
		row("port range", slb.ErrUnsupported, "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000", "PortRange.1.StartPort", "1"),
		row("port range", slb.ErrUnsupported, "SetLoadBalancerUDPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "53", "PortRange.1.EndPort", "9"),
		row("group on without id", missingError("VServerGroupId"), "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000", "VServerGroup", "on"),
		row("both groups on", slb.ErrGroupMismatch, "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000", "VServerGroup", "on", "MasterSlaveServerGroup", "on"),
		row("to a hash", invalidError("Scheduler"), "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000", "Scheduler", "sch"),
		row("tcp on http", slb.ErrFixedProtocolPort, "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "80", "Scheduler", "rr"),
		row("http on tcp", slb.ErrFixedProtocolPort, "SetLoadBalancerHTTPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", "9000", "Scheduler", "rr"),
		row("no listener", slb.ErrListenerNotFound, "DescribeHealthStatus", "LoadBalancerId", "LB", "ListenerPort", "7"),
		row("unknown instance", slb.ErrLoadBalancerNotFound, "DescribeHealthStatus", "LoadBalancerId", "lb-none"),
		row("unknown instance", slb.ErrLoadBalancerNotFound, "DeleteLoadBalancer", "LoadBalancerId", "lb-none"),
	)
}
