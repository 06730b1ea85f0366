package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/api"
	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/testutil"
)

// TestFigures follows requests from a client to the answers of the actions that
// tell figures. Time is the test's own: nobody waits for a minute.
func TestFigures(t *testing.T) {
	n := start(t, Config{Data: t.TempDir(), Dev: true, InternetPool: []netip.Prefix{testutil.AddressPool(t)}})
	web := testutil.HTTPServers(t, "i-web")[0]
	do := func(version, action string, out any, params map[string]string) {
		t.Helper()
		c := client.Client{Endpoint: n.Endpoint(), KeyID: n.Credentials().KeyID, Secret: n.Credentials().Secret, Version: version, Region: DefaultRegion}
		if err := c.Do(t.Context(), action, params, out); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
	}
	do("2026-11-01", "RegisterServer", nil, map[string]string{"ServerId": "i-web", "Address.1": web.Addr().Addr().String()})
	var lb struct{ LoadBalancerID, Address string }
	do("", "CreateLoadBalancer", &lb, map[string]string{"LoadBalancerSpec": "slb.s1.small"})
	do("", "AddBackendServers", nil, map[string]string{"LoadBalancerId": lb.LoadBalancerID, "BackendServers": `["i-web"]`})
	do("", "CreateLoadBalancerHTTPListener", nil, map[string]string{"LoadBalancerId": lb.LoadBalancerID, "ListenerPort": "18080",
		"BackendServerPort": strconv.Itoa(int(web.Addr().Port())), "HealthCheck": "on", "HealthCheckInterval": "1"})
	do("", "StartLoadBalancerListener", nil, map[string]string{"LoadBalancerId": lb.LoadBalancerID, "ListenerPort": "18080"})
	testutil.Eventually(t, time.Minute, "the server is healthy", func() bool {
		rows := facts{n}.ServerHealth(slb.LoadBalancerID(lb.LoadBalancerID))
		return len(rows) == 1 && rows[0].Status == slb.HealthNormal
	})

	minute := time.Now().Truncate(time.Minute).Add(time.Hour)
	n.history.Sample(minute)
	at := netip.AddrPortFrom(netip.MustParseAddr(lb.Address), 18080)
	for range 30 {
		c, err := testutil.DialHTTP(at)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Get("/"); err != nil || r.Status != 200 {
			t.Fatalf("%+v, %v", r, err)
		}
		c.Close()
	}
	testutil.Eventually(t, time.Minute, "all answers are counted", func() bool {
		f := n.engine.FrontendFacts()
		return len(f) == 1 && f[0].ResponseTimes.Count == 30
	})
	n.history.Sample(minute.Add(time.Minute))

	// In this minute there were 30 requests, of 1,000 a second that may be.
	for name, want := range map[string]float64{
		"Qps": 0.5, "StatusCode2xx": 0.5, "StatusCode5xx": 0, "NewConnection": 0.5, "HeathyServerCount": 1, "UnhealthyServerCount": 0,
		"InstanceQps": 0.5, "InstanceQpsUtilization": 0.05,
	} {
		var a struct{ Code, Datapoints string }
		do("2019-01-01", "DescribeMetricList", &a, map[string]string{"Namespace": "acs_slb_dashboard", "MetricName": name, "EndTime": strconv.FormatInt(minute.UnixMilli(), 10),
			"Dimensions": `[{"instanceId":"` + lb.LoadBalancerID + `"}]`})
		var points []struct {
			Timestamp             int64
			InstanceID, Port, VIP string
			Average               float64
		}
		if err := json.Unmarshal([]byte(a.Datapoints), &points); err != nil {
			t.Fatal(err)
		}
		last := len(points) - 1
		if last < 0 || points[last].Timestamp != minute.UnixMilli() || points[last].VIP != lb.Address || points[last].Average != want {
			t.Errorf("%s: %s, want %v", name, a.Datapoints, want)
		}
	}
	// Prometheus reads the same, and the times of answers in classes.
	page := get(t, http.DefaultClient, n.Endpoint()+"/metrics")
	listener := fmt.Sprintf(`load_balancer=%q,port="18080",protocol="http"}`, lb.LoadBalancerID)
	for _, want := range []string{
		"slb_qps{" + listener + " 0.5\n", "slb_heathy_server_count{" + listener + " 1\n", "slb_rt_seconds_count{" + listener + " 30\n",
		fmt.Sprintf("slb_instance_qps_utilization{load_balancer=%q} 0.05\n", lb.LoadBalancerID),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	var node struct {
		Version          string
		ConnectionBudget uint64
		DescriptorsInUse int
		EventLoops       int
	}
	do("2026-11-01", "DescribeNode", &node, nil)
	if node.Version != n.cfg.Version || node.ConnectionBudget != n.ConnectionBudget() || node.DescriptorsInUse == 0 || node.EventLoops == 0 {
		t.Errorf("facts %+v", node)
	}
}

// The API meets both through its own interfaces.
var (
	_ api.Facts   = facts{}
	_ api.Metrics = facts{}
)
