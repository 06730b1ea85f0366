package conformance

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"

	"github.com/openslb/openslb/internal/testutil"
)

// TestLifeCycle is the whole life of an instance in the vendor's SDK with typed
// requests, over plain HTTP and over TLS on the same port.
func TestLifeCycle(t *testing.T) {
	testutil.NoLeaks(t)
	n := startNode(t)
	for _, scheme := range []string{"HTTP", "HTTPS"} {
		t.Run(scheme, func(t *testing.T) {
			c := newSDK(t, n, scheme, keyID, keySecret)
			lifeCycle(t, c, "life-"+scheme)
			c.Shutdown()
			if tr := c.GetConfig().HttpTransport; tr != nil {
				tr.CloseIdleConnections()
			}
		})
	}
}

func lifeCycle(t *testing.T, c *slb.Client, name string) {
	web := testutil.HTTPServers(t, "i-web1-"+name, "i-web2-"+name)
	register(t, c, map[string]string{web[0].ID: web[0].Addr().Addr().String(), web[1].ID: web[1].Addr().Addr().String()})

	// An instance.
	lb := createLoadBalancer(t, c, name)
	if lb.LoadBalancerId == "" || lb.LoadBalancerName != name || lb.NetworkType != "classic" || lb.AddressIPVersion != "ipv4" || lb.RequestId == "" {
		t.Errorf("CreateLoadBalancer: %+v", lb)
	}
	vip, err := netip.ParseAddr(lb.Address)
	if err != nil {
		t.Fatalf("address: %v", err)
	}

	// Listeners: stopped after creation, running after the start.
	httpPort, tcpPort := 18080, 18081
	h := slb.CreateCreateLoadBalancerHTTPListenerRequest()
	h.LoadBalancerId, h.ListenerPort, h.BackendServerPort = lb.LoadBalancerId, requests.NewInteger(httpPort), requests.NewInteger(int(web[0].Addr().Port()))
	h.Bandwidth, h.StickySession, h.HealthCheck = requests.NewInteger(-1), "off", "on"
	h.HealthCheckInterval, h.HealthCheckTimeout = requests.NewInteger(1), requests.NewInteger(1)
	h.HealthyThreshold, h.UnhealthyThreshold = requests.NewInteger(2), requests.NewInteger(2)
	h.Description = "k8s/80/svc/default/c"
	if _, err := c.CreateLoadBalancerHTTPListener(h); err != nil {
		t.Fatalf("CreateLoadBalancerHTTPListener: %v", err)
	}
	tcp := slb.CreateCreateLoadBalancerTCPListenerRequest()
	tcp.LoadBalancerId, tcp.ListenerPort, tcp.BackendServerPort = lb.LoadBalancerId, requests.NewInteger(tcpPort), requests.NewInteger(int(web[0].Addr().Port()))
	tcp.Bandwidth, tcp.HealthCheckInterval, tcp.HealthCheckConnectTimeout = requests.NewInteger(-1), requests.NewInteger(1), requests.NewInteger(2)
	tcp.HealthyThreshold, tcp.UnhealthyThreshold = requests.NewInteger(2), requests.NewInteger(2)
	if _, err := c.CreateLoadBalancerTCPListener(tcp); err != nil {
		t.Fatalf("CreateLoadBalancerTCPListener: %v", err)
	}
	checkListeners(t, c, lb.LoadBalancerId, httpPort, tcpPort, "stopped")
	for _, port := range []int{httpPort, tcpPort} {
		s := slb.CreateStartLoadBalancerListenerRequest()
		s.LoadBalancerId, s.ListenerPort = lb.LoadBalancerId, requests.NewInteger(port)
		if _, err := c.StartLoadBalancerListener(s); err != nil {
			t.Fatalf("StartLoadBalancerListener %d: %v", port, err)
		}
	}
	checkListeners(t, c, lb.LoadBalancerId, httpPort, tcpPort, "running")

	// Servers, as on the reference page.
	add := slb.CreateAddBackendServersRequest()
	add.LoadBalancerId = lb.LoadBalancerId
	add.BackendServers = `[{"ServerId":"` + web[0].ID + `","Weight":"100"},{"ServerId":"` + web[1].ID + `","Weight":"100"}]`
	added, err := c.AddBackendServers(add)
	if err != nil {
		t.Fatalf("AddBackendServers: %v", err)
	}
	same(t, "AddBackendServers", decoded(t, added.GetHttpContentString()), group(lb.LoadBalancerId, server(web[0].ID, 100), server(web[1].ID, 100)))

	// Health, then traffic.
	waitHealthy(t, c, lb.LoadBalancerId, 4)
	get(t, netip.AddrPortFrom(vip, uint16(httpPort)), web[0].ID, web[1].ID)
	get(t, netip.AddrPortFrom(vip, uint16(tcpPort)), web[0].ID, web[1].ID)

	attribute := slb.CreateDescribeLoadBalancerAttributeRequest()
	attribute.LoadBalancerId = lb.LoadBalancerId
	a, err := c.DescribeLoadBalancerAttribute(attribute)
	if err != nil {
		t.Fatalf("DescribeLoadBalancerAttribute: %v", err)
	}
	if a.LoadBalancerStatus != "active" || a.Address != lb.Address || a.LoadBalancerSpec != "slb.s1.small" || a.RegionId != region ||
		len(a.BackendServers.BackendServer) != 2 || a.BackendServers.BackendServer[0].Weight != 100 ||
		len(a.ListenerPorts.ListenerPort) != 2 || len(a.ListenerPortsAndProtocol.ListenerPortAndProtocol) != 2 || len(a.ListenerPortsAndProtocal.ListenerPortAndProtocal) != 2 {
		t.Errorf("DescribeLoadBalancerAttribute: %s", a.GetHttpContentString())
	}

	// Weights.
	set := slb.CreateSetBackendServersRequest()
	set.LoadBalancerId, set.BackendServers = lb.LoadBalancerId, `[{"ServerId":"`+web[0].ID+`","Weight":"0"}]`
	changed, err := c.SetBackendServers(set)
	if err != nil {
		t.Fatalf("SetBackendServers: %v", err)
	}
	same(t, "SetBackendServers", decoded(t, changed.GetHttpContentString()), group(lb.LoadBalancerId, server(web[0].ID, 0), server(web[1].ID, 100)))
	get(t, netip.AddrPortFrom(vip, uint16(httpPort)), web[1].ID)

	// Removal, by object and by plain id.
	remove := slb.CreateRemoveBackendServersRequest()
	remove.LoadBalancerId, remove.BackendServers = lb.LoadBalancerId, `[{"ServerId":"`+web[0].ID+`","Weight":"55"}]`
	removed, err := c.RemoveBackendServers(remove)
	if err != nil {
		t.Fatalf("RemoveBackendServers: %v", err)
	}
	same(t, "RemoveBackendServers", decoded(t, removed.GetHttpContentString()), group(lb.LoadBalancerId, server(web[1].ID, 100)))
	remove.BackendServers = `["` + web[1].ID + `"]`
	removed, err = c.RemoveBackendServers(remove)
	if err != nil {
		t.Fatalf("RemoveBackendServers by id: %v", err)
	}
	same(t, "RemoveBackendServers by id", decoded(t, removed.GetHttpContentString()), group(lb.LoadBalancerId))

	// The end of a listener and of the instance, and what clients look for then.
	stop := slb.CreateStopLoadBalancerListenerRequest()
	stop.LoadBalancerId, stop.ListenerPort = lb.LoadBalancerId, requests.NewInteger(tcpPort)
	if _, err := c.StopLoadBalancerListener(stop); err != nil {
		t.Fatalf("StopLoadBalancerListener: %v", err)
	}
	del := slb.CreateDeleteLoadBalancerListenerRequest()
	del.LoadBalancerId, del.ListenerPort = lb.LoadBalancerId, requests.NewInteger(tcpPort)
	if _, err := c.DeleteLoadBalancerListener(del); err != nil {
		t.Fatalf("DeleteLoadBalancerListener: %v", err)
	}
	gone := slb.CreateDescribeLoadBalancerTCPListenerAttributeRequest()
	gone.LoadBalancerId, gone.ListenerPort = lb.LoadBalancerId, requests.NewInteger(tcpPort)
	_, err = c.DescribeLoadBalancerTCPListenerAttribute(gone)
	wantError(t, err, 0, "InvalidParameter", "The specified resource does not exist")

	end := slb.CreateDeleteLoadBalancerRequest()
	end.LoadBalancerId = lb.LoadBalancerId
	if _, err := c.DeleteLoadBalancer(end); err != nil {
		t.Fatalf("DeleteLoadBalancer: %v", err)
	}
	_, err = c.DescribeLoadBalancerAttribute(attribute)
	wantError(t, err, 404, "InvalidLoadBalancerId.NotFound", "LoadBalancerId does not exist")
	if conn, err := testutil.DialHTTP(netip.AddrPortFrom(vip, uint16(httpPort))); err == nil {
		conn.Close()
		t.Error("the listener of a deleted instance still accepts connections")
	}
}

// checkListeners reads both listeners back, typed, and compares settings and
// defaults.
func checkListeners(t *testing.T, c *slb.Client, lb string, httpPort, tcpPort int, status string) {
	t.Helper()
	rh := slb.CreateDescribeLoadBalancerHTTPListenerAttributeRequest()
	rh.LoadBalancerId, rh.ListenerPort = lb, requests.NewInteger(httpPort)
	h, err := c.DescribeLoadBalancerHTTPListenerAttribute(rh)
	if err != nil {
		t.Fatalf("DescribeLoadBalancerHTTPListenerAttribute: %v", err)
	}
	if h.Status != status || h.ListenerPort != httpPort || h.Bandwidth != -1 || h.Scheduler != "wrr" || h.HealthCheck != "on" ||
		h.HealthCheckInterval != 1 || h.HealthCheckTimeout != 1 || h.HealthyThreshold != 2 || h.UnhealthyThreshold != 2 ||
		h.IdleTimeout != 15 || h.RequestTimeout != 60 || h.XForwardedFor != "on" || h.StickySession != "off" || h.AclStatus != "off" ||
		h.Description != "k8s/80/svc/default/c" {
		t.Errorf("DescribeLoadBalancerHTTPListenerAttribute: %s", h.GetHttpContentString())
	}
	raw := decoded(t, h.GetHttpContentString())
	for _, k := range []string{"ListenerPort", "BackendServerPort", "Bandwidth", "HealthyThreshold", "UnhealthyThreshold", "HealthCheckTimeout", "HealthCheckInterval", "IdleTimeout", "RequestTimeout"} {
		if _, ok := raw[k].(float64); !ok {
			t.Errorf("%s is %T, want a number: the Terraform provider crashes otherwise", k, raw[k])
		}
	}
	rt := slb.CreateDescribeLoadBalancerTCPListenerAttributeRequest()
	rt.LoadBalancerId, rt.ListenerPort = lb, requests.NewInteger(tcpPort)
	l, err := c.DescribeLoadBalancerTCPListenerAttribute(rt)
	if err != nil {
		t.Fatalf("DescribeLoadBalancerTCPListenerAttribute: %v", err)
	}
	if l.Status != status || l.ListenerPort != tcpPort || l.Bandwidth != -1 || l.Scheduler != "wrr" || l.HealthCheck != "on" || l.HealthCheckType != "tcp" ||
		l.HealthCheckInterval != 1 || l.HealthCheckConnectTimeout != 2 || l.EstablishedTimeout != 900 || l.PersistenceTimeout != 0 {
		t.Errorf("DescribeLoadBalancerTCPListenerAttribute: %s", l.GetHttpContentString())
	}
	raw = decoded(t, l.GetHttpContentString())
	for _, k := range []string{"ListenerPort", "BackendServerPort", "Bandwidth", "PersistenceTimeout", "EstablishedTimeout", "HealthyThreshold", "UnhealthyThreshold", "HealthCheckConnectTimeout", "HealthCheckInterval"} {
		if _, ok := raw[k].(float64); !ok {
			t.Errorf("%s is %T, want a number", k, raw[k])
		}
	}
}

// waitHealthy polls DescribeHealthStatus until want rows are normal, and checks
// the rows' fields.
func waitHealthy(t *testing.T, c *slb.Client, lb string, want int) {
	t.Helper()
	r := slb.CreateDescribeHealthStatusRequest()
	r.LoadBalancerId = lb
	testutil.Eventually(t, 30*time.Second, strconv.Itoa(want)+" healthy rows", func() bool {
		status, err := c.DescribeHealthStatus(r)
		if err != nil {
			t.Fatalf("DescribeHealthStatus: %v", err)
		}
		normal := 0
		for _, s := range status.BackendServers.BackendServer {
			if s.ServerId == "" || s.ServerIp == "" || s.ListenerPort == 0 || s.Port == 0 || s.Protocol != "http" && s.Protocol != "tcp" {
				t.Fatalf("incomplete row: %+v", s)
			}
			if s.ServerHealthStatus == "normal" {
				normal++
			}
		}
		return normal == want
	})
}

// get sends a few requests and demands that exactly the given servers answer.
func get(t *testing.T, addr netip.AddrPort, want ...string) {
	t.Helper()
	seen := map[string]int{}
	for range 8 {
		conn, err := testutil.DialHTTP(addr)
		if err != nil {
			t.Fatalf("connect to the listener: %v", err)
		}
		r, err := conn.Get("/")
		conn.Close()
		if err != nil || r.Status != 200 {
			t.Fatalf("through the balancer: %+v, %v", r, err)
		}
		seen[r.Body]++
	}
	for _, id := range want {
		if seen[id] == 0 {
			t.Errorf("%s got nothing: %v", id, seen)
		}
		delete(seen, id)
	}
	if len(seen) > 0 {
		t.Errorf("others answered: %v", seen)
	}
}
