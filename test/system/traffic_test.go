package system

import (
	"math"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

const (
	httpPort = 8080
	tcpPort  = 8081
)

// TestDistribution: shares follow weights within 2 %, on both engines, and rr
// does not look at them.
func TestDistribution(t *testing.T) {
	testutil.NoLeaks(t)
	web, echo := testutil.Hosts(t, ids("i", 4)...)
	c := startNode(t)
	c.register(web...)
	b := c.balancer("distribution")
	b.add(entry{web[0].ID, 70}, entry{web[1].ID, 20}, entry{web[2].ID, 10}, entry{web[3].ID, 0})
	http := b.listen("HTTP", httpPort, web[0].Addr().Port(), off...)
	tcp := b.listen("TCP", tcpPort, echo[0].Addr().Port(), off...)

	check := func(what string, got map[string]int, n int, want map[string]float64) {
		t.Helper()
		for id, share := range want {
			if s := float64(got[id]) / float64(n); math.Abs(s-share) > 0.02 {
				t.Errorf("%s: %s got %.3f of the traffic, want %.2f within 0.02 (%v)", what, id, s, share, got)
			}
		}
		if got[web[3].ID] != 0 {
			t.Errorf("%s: %d for a server of weight 0", what, got[web[3].ID])
		}
	}
	weighted := map[string]float64{web[0].ID: 0.7, web[1].ID: 0.2, web[2].ID: 0.1}
	check("HTTP wrr", spread(t, http, 1000), 1000, weighted)
	check("TCP wrr", spreadTCP(t, tcp, 500), 500, weighted)

	b.set(entry{web[0].ID, 10}, entry{web[1].ID, 10}, entry{web[2].ID, 20}, entry{web[3].ID, 0})
	weighted = map[string]float64{web[0].ID: 0.25, web[1].ID: 0.25, web[2].ID: 0.5}
	check("HTTP wrr after a change", spread(t, http, 1000), 1000, weighted)
	check("TCP wrr after a change", spreadTCP(t, tcp, 500), 500, weighted)

	b.call("SetLoadBalancerHTTPListenerAttribute", "LoadBalancerId", b.id, "ListenerPort", httpPort, "Scheduler", "rr")
	b.call("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", b.id, "ListenerPort", tcpPort, "Scheduler", "rr")
	even := map[string]float64{web[0].ID: 1. / 3, web[1].ID: 1. / 3, web[2].ID: 1. / 3}
	check("HTTP rr", spread(t, http, 600), 600, even)
	check("TCP rr", spreadTCP(t, tcp, 300), 300, even)
}

// The windows for the settings of on: interval 1 s, timeout 1 s, thresholds 2.
// Failure is timeout × unhealthy + interval × (unhealthy − 1); success counts
// answers at once.
const (
	failureWindow = 2*time.Second + time.Second
	successWindow = time.Second
	// slack is for the interval in which the event falls, for polling and for a
	// busy machine. It only has to stay well below what a forgotten check would
	// need.
	slack = 8 * time.Second
)

// TestHealthWindows: a server whose probes fail leaves within the documented
// window while it would still serve, and returns within the other one.
func TestHealthWindows(t *testing.T) {
	testutil.NoLeaks(t)
	web, echo := testutil.Hosts(t, ids("i", 2)...)
	c := startNode(t)
	c.register(web...)
	b := c.balancer("health")
	http := b.listen("HTTP", httpPort, web[0].Addr().Port(), on...)
	tcp := b.listen("TCP", tcpPort, echo[0].Addr().Port(), on...)
	b.add(entry{web[0].ID, 100}, entry{web[1].ID, 100})
	for _, s := range web {
		b.await(httpPort, s.ID, "normal")
		b.await(tcpPort, s.ID, "normal")
	}
	if got := spread(t, http, 100); got[web[0].ID] != 50 || got[web[1].ID] != 50 {
		t.Errorf("healthy: %v", got)
	}

	// Failing probes alone: the server would still answer, so that every request
	// it gets afterwards is seen.
	web[1].Fail(true)
	if took := b.await(httpPort, web[1].ID, "abnormal"); took > failureWindow+slack {
		t.Errorf("left after %v, documented are %v", took, failureWindow)
	}
	if got := spread(t, http, 200); got[web[1].ID] != 0 {
		t.Errorf("abnormal, and yet %v", got)
	}
	if h := b.health(tcpPort, web[1].ID); h != "normal" {
		t.Errorf("the TCP listener's own check says %s", h)
	}
	web[1].Fail(false)
	if took := b.await(httpPort, web[1].ID, "normal"); took > successWindow+slack {
		t.Errorf("returned after %v, documented are %v", took, successWindow)
	}
	if got := spread(t, http, 100); got[web[1].ID] != 50 {
		t.Errorf("normal again, and yet %v", got)
	}

	// A crash, on both engines.
	web[0].Kill()
	echo[0].Kill()
	if took := max(b.await(httpPort, web[0].ID, "abnormal"), b.await(tcpPort, web[0].ID, "abnormal")); took > failureWindow+slack {
		t.Errorf("a killed server left after %v, documented are %v", took, failureWindow)
	}
	if got := spread(t, http, 100); got[web[1].ID] != 100 {
		t.Errorf("HTTP after the crash: %v", got)
	}
	if got := spreadTCP(t, tcp, 100); got[web[1].ID] != 100 {
		t.Errorf("TCP after the crash: %v", got)
	}
	web[0].Revive(t)
	echo[0].Revive(t)
	if took := max(b.await(httpPort, web[0].ID, "normal"), b.await(tcpPort, web[0].ID, "normal")); took > successWindow+slack {
		t.Errorf("a revived server returned after %v, documented are %v", took, successWindow)
	}
	if got := spread(t, http, 100); got[web[0].ID] != 50 {
		t.Errorf("HTTP after the revival: %v", got)
	}
	if got := spreadTCP(t, tcp, 100); got[web[0].ID] != 50 {
		t.Errorf("TCP after the revival: %v", got)
	}
}

// TestOutOfTraffic: weight 0, Stopped in the register and removal all take
// effect with the answer of the call, and can be undone.
func TestOutOfTraffic(t *testing.T) {
	testutil.NoLeaks(t)
	web, echo := testutil.Hosts(t, ids("i", 2)...)
	c := startNode(t)
	c.register(web...)
	b := c.balancer("out")
	b.add(entry{web[0].ID, 100}, entry{web[1].ID, 100})
	http := b.listen("HTTP", httpPort, web[0].Addr().Port(), off...)
	tcp := b.listen("TCP", tcpPort, echo[0].Addr().Port(), off...)
	gone := func(what string) {
		t.Helper()
		if got := spread(t, http, 60); got[web[1].ID] != 0 {
			t.Errorf("%s: HTTP %v", what, got)
		}
		if got := spreadTCP(t, tcp, 30); got[web[1].ID] != 0 {
			t.Errorf("%s: TCP %v", what, got)
		}
	}
	back := func(what string) {
		t.Helper()
		if got := spread(t, http, 60); got[web[1].ID] != 30 {
			t.Errorf("%s: HTTP %v", what, got)
		}
		if got := spreadTCP(t, tcp, 30); got[web[1].ID] != 15 {
			t.Errorf("%s: TCP %v", what, got)
		}
	}
	back("at first")
	for range 3 {
		b.set(entry{web[1].ID, 0})
		gone("weight 0")
		b.set(entry{web[1].ID, 100})
		back("weight 100")

		b.call("SetServerStatus", "ServerId", web[1].ID, "Status", "Stopped")
		gone("Stopped")
		if h := b.health(httpPort, web[1].ID); h != "abnormal" {
			t.Errorf("a stopped server is %q", h)
		}
		b.call("SetServerStatus", "ServerId", web[1].ID, "Status", "Running")
		back("Running")

		b.call("RemoveBackendServers", "LoadBalancerId", b.id, "BackendServers", `["`+web[1].ID+`"]`)
		gone("removed")
		b.add(entry{web[1].ID, 100})
		back("added")
	}

	// Nobody left: HTTP says so, TCP is reset.
	b.set(entry{web[0].ID, 0}, entry{web[1].ID, 0})
	conn, err := testutil.DialHTTP(http)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if r, err := conn.Get("/"); err != nil || r.Status != 503 {
		t.Errorf("without a server: %+v, %v, want 503", r, err)
	}
	if e, err := testutil.DialEcho(tcp); err == nil {
		e.Close()
		t.Errorf("without a server, %s answers", e.ServerID)
	}

	// A stopped instance and a stopped listener take no traffic.
	b.set(entry{web[0].ID, 100})
	spread(t, http, 1)
	b.call("StopLoadBalancerListener", "LoadBalancerId", b.id, "ListenerPort", httpPort)
	if c, err := testutil.DialHTTP(http); err == nil {
		c.Close()
		t.Error("a stopped listener accepts connections")
	}
	b.call("SetLoadBalancerStatus", "LoadBalancerId", b.id, "LoadBalancerStatus", "inactive")
	if c, err := testutil.DialEcho(tcp); err == nil {
		c.Close()
		t.Error("an inactive instance accepts connections")
	}
	b.call("SetLoadBalancerStatus", "LoadBalancerId", b.id, "LoadBalancerStatus", "active")
	spreadTCP(t, tcp, 1)
	if c, err := testutil.DialHTTP(http); err == nil {
		c.Close()
		t.Error("a stopped listener runs after its instance was activated")
	}
}
