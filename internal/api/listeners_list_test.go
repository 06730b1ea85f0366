package api

import (
	"fmt"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

func withAllListeners(w *world) string {
	lb := withListeners(w)
	w.udp(lb, "53", "healthCheckReq", "ping", "Tag.1.Key", "team", "Tag.1.Value", "web")
	w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000", "AclStatus", "on", "AclType", "white", "AclId", w.acl("office"))
	return lb
}

func init() {
	goldens = append(goldens, golden{"DescribeLoadBalancerListeners", withAllListeners, []params{
		{"RegionId", "cn-hangzhou", "LoadBalancerId.1", "LB", "MaxResults", "50"},
		{"RegionId", "cn-hangzhou", "LoadBalancerId.1", "lb-none"},
	}})
	wrongs = append(wrongs,
		row("page", invalidError("MaxResults"), "DescribeLoadBalancerListeners", "MaxResults", "101"),
		row("token", invalidError("NextToken"), "DescribeLoadBalancerListeners", "NextToken", "*"),
		row("port", slb.ErrPort, "DescribeLoadBalancerListeners", "ListenerPort", "70000"),
		row("protocol", &slb.Error{Status: 400, Code: "InvalidParameter", Message: "The specified protocol is not valid."}, "DescribeLoadBalancerListeners", "ListenerProtocol", "sctp"))
}

// TestQuirk65Listeners: plain arrays, an object per protocol, a flag as text,
// and the protocol in lower case.
func TestQuirk65Listeners(t *testing.T) {
	w := newWorld(t)
	lb := withAllListeners(w)
	a := w.ok("DescribeLoadBalancerListeners", "RegionId", "cn-hangzhou", "LoadBalancerId.1", lb, "MaxResults", "50")
	seen := map[string]bool{}
	for _, v := range a.at(t, "Listeners").([]any) {
		l := answer(v.(map[string]any))
		protocol := l.text(t, "ListenerProtocol")
		seen[protocol] = true
		for name, config := range map[string]string{"tcp": "TCPListenerConfig", "udp": "UDPListenerConfig", "http": "HTTPListenerConfig", "https": "HTTPSListenerConfig"} {
			if _, there := l[config]; there != (name == protocol) {
				t.Errorf("%s of a listener of %s: %v", config, protocol, there)
			}
		}
		for _, list := range []string{"AclIds", "Tags"} {
			if _, ok := l.at(t, list).([]any); !ok {
				t.Errorf("%s is %T", list, l[list])
			}
		}
		switch protocol {
		case "tcp":
			if l.at(t, "TCPListenerConfig", "ProxyProtocolV2Enabled") != "false" || l.at(t, "TCPListenerConfig", "HealthCheckSwitch") != "on" || l.at(t, "TCPListenerConfig", "EstablishedTimeout") != 900.0 {
				t.Error(l)
			}
			if l.at(t, "AclIds", 0) != l["AclId"] {
				t.Error(l)
			}
		case "udp":
			if l.at(t, "UDPListenerConfig", "HealthCheckReq") != "ping" || l.at(t, "Tags", 0, "TagKey") != "team" {
				t.Error(l)
			}
		}
	}
	if len(seen) != 3 || a.at(t, "TotalCount") != 4.0 || a.at(t, "MaxResults") != 50.0 || a["NextToken"] != "" {
		t.Error(seen, a["TotalCount"], a["NextToken"])
	}
}

func TestListenersFilters(t *testing.T) {
	w := newWorld(t)
	lb := withAllListeners(w)
	other := w.create()
	w.http(other, 80, "Description", "k8s/80/svc")
	for _, c := range []struct {
		p    params
		want string
	}{
		{params{"LoadBalancerId.1", other}, "http:80"},
		{params{"LoadBalancerId.1", lb, "LoadBalancerId.2", other, "ListenerPort", "80"}, "http:80 http:80"},
		{params{"ListenerProtocol", "HTTP", "LoadBalancerId.1", lb}, "http:80 http:8000"},
		{params{"Description", "k8s/80/svc"}, "http:80"},
		{params{"Tag.1.Key", "team"}, "udp:53"},
		{params{"Tag.1.Key", "team", "Tag.1.Value", "shop"}, ""},
		{params{"ListenerPort", "53", "ListenerProtocol", "tcp"}, ""},
		{params{"LoadBalancerId.1", "lb-none"}, ""},
	} {
		got := ""
		a := w.ok("DescribeLoadBalancerListeners", c.p...)
		for _, v := range a.at(t, "Listeners").([]any) {
			l := v.(map[string]any)
			if got != "" {
				got += " "
			}
			got += fmt.Sprint(l["ListenerProtocol"], ":", l["ListenerPort"])
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.p, got, c.want)
		}
	}
}

// TestQuirk34ListenersToken: parts neither overlap nor leave anything out, also
// when listeners come and go meanwhile.
func TestQuirk34ListenersToken(t *testing.T) {
	w := newWorld(t)
	lb := w.create()
	for port := range 13 {
		w.tcp(lb, 100+port)
	}
	var got []float64
	token := ""
	for {
		a := w.ok("DescribeLoadBalancerListeners", "LoadBalancerId.1", lb, "MaxResults", "5", "NextToken", token)
		list := a.at(t, "Listeners").([]any)
		for _, v := range list {
			got = append(got, v.(map[string]any)["ListenerPort"].(float64))
		}
		if token = a.text(t, "NextToken"); token == "" {
			break
		}
		if len(list) != 5 {
			t.Errorf("a part of %d is not the last", len(list))
		}
		// The one the token names goes, and one before it comes.
		w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", fmt.Sprint(got[len(got)-1]))
		w.tcp(lb, 1+len(got))
	}
	if len(got) != 13 || got[0] != 100 || got[12] != 112 {
		t.Error(got)
	}
}
