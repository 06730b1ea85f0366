package api

import (
	"fmt"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// lock does what the operator does to an instance; no action does.
func lock(w *world, lb string) {
	_, err := w.store.Update(w.t.Context(), lb, func(tx *store.Tx) error {
		v, _ := tx.LoadBalancers.Edit(lb)
		v.Status = slb.Locked
		tx.LoadBalancers.Put(v)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestListenerRoundTrip: each setting is told as it was sent, and a set action
// changes that one and no other.
func TestListenerRoundTrip(t *testing.T) {
	const skip = "" // not told under the name it is sent with
	for _, c := range []struct {
		kind, port, name, value string
		told                    string
		want                    any
	}{
		{"TCP", "9000", "Bandwidth", "50", "Bandwidth", 50.0},
		{"TCP", "9000", "Scheduler", "RR", "Scheduler", "rr"},
		{"TCP", "9000", "Description", "k8s/1/2", "Description", "k8s/1/2"},
		{"TCP", "9000", "MaxConnection", "7", "MaxConnection", 7.0},
		{"TCP", "9000", "EstablishedTimeout", "10", "EstablishedTimeout", 10.0},
		{"TCP", "9000", "PersistenceTimeout", "3600", "PersistenceTimeout", 3600.0},
		{"TCP", "9000", "ProxyProtocolV2Enabled", "true", "ProxyProtocolV2Enabled", true},
		{"TCP", "9000", "SynProxy", "enable", "SynProxy", "enable"},
		{"TCP", "9000", "HealthCheckSwitch", "off", "HealthCheck", "off"},
		{"TCP", "9000", "HealthCheckConnectPort", "81", "HealthCheckConnectPort", 81.0},
		{"TCP", "9000", "HealthCheckConnectTimeout", "300", "HealthCheckConnectTimeout", 300.0},
		{"TCP", "9000", "HealthCheckInterval", "50", "HealthCheckInterval", 50.0},
		{"TCP", "9000", "HealthCheckDomain", "$_ip", "HealthCheckDomain", "$_ip"},
		{"TCP", "9000", "HealthCheckURI", "/a-b.c?d=1&e#f", "HealthCheckURI", "/a-b.c?d=1&e#f"},
		{"TCP", "9000", "HealthCheckHttpCode", "http_3xx,http_2xx", "HealthCheckHttpCode", "http_3xx,http_2xx"},
		{"TCP", "9000", "HealthyThreshold", "10", "HealthyThreshold", 10.0},
		{"TCP", "9000", "UnhealthyThreshold", "2", "UnhealthyThreshold", 2.0},
		{"TCP", "9000", "VServerGroup", "off", skip, nil},
		{"TCP", "9000", "Gzip", "off", skip, nil},
		{"HTTP", "80", "Bandwidth", "50", "Bandwidth", 50.0},
		{"HTTP", "80", "Scheduler", "wlc", "Scheduler", "wlc"},
		{"HTTP", "80", "Gzip", "off", "Gzip", "off"},
		{"HTTP", "80", "IdleTimeout", "60", "IdleTimeout", 60.0},
		{"HTTP", "80", "RequestTimeout", "180", "RequestTimeout", 180.0},
		{"HTTP", "80", "HealthCheck", "on", "HealthCheck", "on"},
		{"HTTP", "80", "HealthCheckMethod", "GET", "HealthCheckMethod", "get"},
		{"HTTP", "80", "HealthCheckTimeout", "9", "HealthCheckTimeout", 9.0},
		{"HTTP", "80", "HealthCheckDomain", "a.example.com", "HealthCheckDomain", "a.example.com"},
		{"HTTP", "80", "XForwardedFor", "off", "XForwardedFor", "off"},
		{"HTTP", "80", "XForwardedFor_SLBIP", "on", "XForwardedFor_SLBIP", "on"},
		{"HTTP", "80", "XForwardedFor_SLBID", "on", "XForwardedFor_SLBID", "on"},
		{"HTTP", "80", "XForwardedFor_proto", "on", "XForwardedFor_proto", "on"},
		{"HTTP", "80", "XForwardedFor_SLBPORT", "on", "XForwardedFor_SLBPORT", "on"},
		{"HTTP", "80", "XForwardedFor_ClientSrcPort", "on", "XForwardedFor_ClientSrcPort", "on"},
	} {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			w := newWorld(t)
			lb := withListeners(w)
			describe := func() answer {
				a := w.ok("DescribeLoadBalancer"+c.kind+"ListenerAttribute", "LoadBalancerId", lb, "ListenerPort", c.port)
				delete(a, "RequestId")
				return a
			}
			before := describe()
			w.ok("SetLoadBalancer"+c.kind+"ListenerAttribute", "LoadBalancerId", lb, "ListenerPort", c.port, c.name, c.value)
			after := describe()
			if c.told != skip {
				if after[c.told] != c.want || before[c.told] == c.want {
					t.Errorf("%v, was %v, want %v", after[c.told], before[c.told], c.want)
				}
				delete(before, c.told)
				delete(after, c.told)
			}
			if fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("something else changed:\n%v\n%v", before, after)
			}
		})
	}
}

func TestDrainAndStickiness(t *testing.T) {
	w := newWorld(t)
	lb := withListeners(w)
	set := func(port, kind string, p ...string) answer {
		w.ok("SetLoadBalancer"+kind+"ListenerAttribute", append([]string{"LoadBalancerId", lb, "ListenerPort", port}, p...)...)
		return w.ok("DescribeLoadBalancer"+kind+"ListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port)
	}
	a := set("9000", "TCP", "ConnectionDrain", "on", "ConnectionDrainTimeout", "300")
	if a.text(t, "ConnectionDrain") != "on" || a.at(t, "ConnectionDrainTimeout") != 300.0 {
		t.Error(a)
	}
	a = set("9000", "TCP", "ConnectionDrain", "off")
	if _, there := a["ConnectionDrainTimeout"]; there {
		t.Error(a)
	}
	a = set("80", "HTTP", "StickySession", "on", "StickySessionType", "insert", "CookieTimeout", "86400")
	if a.text(t, "StickySessionType") != "insert" || a.at(t, "CookieTimeout") != 86400.0 {
		t.Error(a)
	}
	a = set("80", "HTTP", "StickySessionType", "server", "Cookie", "JSESSIONID")
	if a.text(t, "StickySessionType") != "server" || a.text(t, "Cookie") != "JSESSIONID" {
		t.Error(a)
	}
	a = set("80", "HTTP", "StickySession", "off")
	if _, there := a["Cookie"]; there || a.text(t, "StickySession") != "off" {
		t.Error(a)
	}
	// A TCP listener that turns to HTTP probes gets the defaults of those.
	a = set("9000", "TCP", "HealthCheckType", "http")
	if a.text(t, "HealthCheckMethod") != "get" || a.text(t, "HealthCheckURI") != "/" || a.text(t, "HealthCheckHttpCode") != "http_2xx" {
		t.Error(a)
	}
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	lb := withListeners(w)
	before := w.store.State().Revision
	w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000", "Scheduler", "rr", "DryRun", "true")
	if w.store.State().Revision != before {
		t.Error("a dry run wrote something")
	}
	w.fails(invalidError("Scheduler"), "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000", "Scheduler", "tch", "DryRun", "true")
}

func TestListenerQuota(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.Listeners = 2 })
	lb := oneBalancer(w)
	w.tcp(lb, 1)
	w.http(lb, 2)
	w.fails(slb.ErrListenerQuota, "CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "3", "BackendServerPort", "1")
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "1")
	w.tcp(lb, 3)
}

// TestBandwidthOfInstance: listeners of an instance paid by bandwidth share it.
func TestBandwidthOfInstance(t *testing.T) {
	w := newWorld(t)
	lb := w.create("InternetChargeType", "paybybandwidth", "Bandwidth", "10")
	w.tcp(lb, 1, "Bandwidth", "6")
	w.tcp(lb, 2, "Bandwidth", "-1")
	w.fails(slb.ErrBandwidthExceeded, "CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "3", "BackendServerPort", "1", "Bandwidth", "5")
	w.fails(slb.ErrBandwidthExceeded, "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "2", "Bandwidth", "5")
	w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "1", "Bandwidth", "10")
	free := w.create("Bandwidth", "10")
	w.tcp(free, 1, "Bandwidth", "5120")
}
