package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

var update = flag.Bool("update", false, "write the golden files")

// golden is one action's file: calls that prepare, then calls that are shown.
// LB stands for the id of the instance that setup made; for $ACL and the like see
// placeholders.
type golden struct {
	action string
	setup  func(w *world) (lb string)
	calls  []params
}

func oneBalancer(w *world) string { return w.create("LoadBalancerName", "web") }

func withServers(w *world) string {
	w.servers(3)
	return oneBalancer(w)
}

func withGroup(w *world) string {
	lb := withServers(w)
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-1"},{"ServerId":"i-2","Weight":"50","Description":"second"}]`)
	return lb
}

func withListeners(w *world) string {
	lb := withGroup(w)
	w.tcp(lb, 9000, "Description", "k8s/9000/echo")
	w.http(lb, 80)
	w.http(lb, 8000, "ListenerForward", "on", "ForwardPort", "443")
	return lb
}

func withHealth(w *world) string {
	lb := withListeners(w)
	w.facts.rows = []slb.ServerHealth{
		{ListenerPort: 80, Protocol: slb.HTTP, ServerID: "i-1", Port: 8080, ServerIP: netip.MustParseAddr("10.0.0.2"), Type: slb.ECS, Status: slb.HealthUnavailable},
		{ListenerPort: 9000, Protocol: slb.TCP, ServerID: "i-1", Port: 8080, ServerIP: netip.MustParseAddr("10.0.0.2"), Type: slb.ECS, Status: slb.HealthNormal},
		{ListenerPort: 9000, Protocol: slb.TCP, ServerID: "i-2", Port: 8080, ServerIP: netip.MustParseAddr("10.0.0.3"), Type: slb.ECS, Status: slb.HealthAbnormal},
	}
	return lb
}

func withKeys(w *world) string {
	w.ok("CreateAccessKey")
	w.ok("CreateAccessKey", "Description", "for the pipeline")
	return ""
}

var goldens = []golden{
	{"DescribeRegions", nil, []params{{}}},
	{"DescribeZones", nil, []params{{"RegionId", "cn-hangzhou"}, {}, {"RegionId", "mars"}}},
	{"CreateLoadBalancer", nil, []params{
		{"RegionId", "cn-hangzhou"},
		{"RegionId", "cn-hangzhou", "LoadBalancerName", "inner", "VSwitchId", "vsw-1", "DeleteProtection", "on", "LoadBalancerSpec", "slb.s1.small", "ResourceGroupId", "rg-1", "Tag.1.Key", "team", "Tag.1.Value", "web", "Address", "127.1.200.7"},
		{"RegionId", "cn-hangzhou", "Bandwidth", "9999"},
	}},
	{"DeleteLoadBalancer", withListeners, []params{{"LoadBalancerId", "LB"}, {"LoadBalancerId", "LB"}}},
	{"DescribeLoadBalancers", withListeners, []params{{"RegionId", "cn-hangzhou"}, {"RegionId", "cn-hangzhou", "LoadBalancerName", "nobody"}}},
	{"DescribeLoadBalancerAttribute", withListeners, []params{{"LoadBalancerId", "LB"}, {"LoadBalancerId", "lb-none"}}},
	{"SetLoadBalancerName", oneBalancer, []params{{"LoadBalancerId", "LB", "LoadBalancerName", "shop"}, {"LoadBalancerId", "LB"}}},
	{"SetLoadBalancerStatus", oneBalancer, []params{{"LoadBalancerId", "LB", "LoadBalancerStatus", "inactive"}}},
	{"SetLoadBalancerDeleteProtection", oneBalancer, []params{{"RegionId", "cn-hangzhou", "LoadBalancerId", "LB", "DeleteProtection", "on"}}},
	{"SetLoadBalancerModificationProtection", oneBalancer, []params{{"RegionId", "cn-hangzhou", "LoadBalancerId", "LB", "ModificationProtectionStatus", "ConsoleProtection", "ModificationProtectionReason", "managed.by.ack"}}},
	{"AddBackendServers", withServers, []params{
		{"LoadBalancerId", "LB", "RegionId", "cn-hangzhou", "BackendServers", `[{"ServerId":"i-1","Weight":"100"},{"ServerId":"i-2","Weight":"100"}]`},
		{"LoadBalancerId", "LB", "BackendServers", `[{"ServerId":"i-3","Weight":"10","Description":"Backend-server"},{"ServerId":"i-3","Weight":"20"}]`},
		{"LoadBalancerId", "LB", "BackendServers", `[{"ServerId":"i-9"}]`},
	}},
	{"SetBackendServers", withGroup, []params{{"LoadBalancerId", "LB", "BackendServers", `[{"ServerId":"i-1","Weight":90},{"ServerId":"i-2","Weight":10}]`}}},
	{"RemoveBackendServers", withGroup, []params{{"LoadBalancerId", "LB", "BackendServers", `["i-1"]`}, {"LoadBalancerId", "LB", "BackendServers", `["i-2"]`}}},
	{"DescribeHealthStatus", withHealth, []params{{"LoadBalancerId", "LB"}, {"LoadBalancerId", "LB", "ListenerPort", "80"}, {"LoadBalancerId", "LB", "ListenerPort", "81"}}},
	{"CreateLoadBalancerTCPListener", oneBalancer, []params{{"LoadBalancerId", "LB", "ListenerPort", "9000", "BackendServerPort", "8080", "Bandwidth", "-1"}, {"LoadBalancerId", "LB", "ListenerPort", "9000", "BackendServerPort", "8080", "Bandwidth", "-1"}}},
	{"CreateLoadBalancerHTTPListener", oneBalancer, []params{{"LoadBalancerId", "LB", "ListenerPort", "80", "BackendServerPort", "8080", "Bandwidth", "-1", "StickySession", "off", "HealthCheck", "off"}, {"LoadBalancerId", "LB", "ListenerPort", "81", "BackendServerPort", "8080"}}},
	{"SetLoadBalancerTCPListenerAttribute", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "9000", "Scheduler", "wlc"}, {"LoadBalancerId", "LB", "ListenerPort", "9001", "Scheduler", "wlc"}}},
	{"SetLoadBalancerHTTPListenerAttribute", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "80", "Gzip", "off"}}},
	{"DescribeLoadBalancerTCPListenerAttribute", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "9000"}, {"LoadBalancerId", "LB", "ListenerPort", "80"}}},
	{"DescribeLoadBalancerHTTPListenerAttribute", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "80"}, {"LoadBalancerId", "LB", "ListenerPort", "8000"}}},
	{"StartLoadBalancerListener", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "9000"}, {"LoadBalancerId", "LB", "ListenerPort", "1"}}},
	{"StopLoadBalancerListener", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "9000"}}},
	{"DeleteLoadBalancerListener", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "9000"}, {"LoadBalancerId", "LB", "ListenerPort", "9000"}}},

	{"RegisterServer", nil, []params{{"ServerId", "i-1", "Address.1", "10.0.0.2", "Address.2", "fd00::2", "ServerName", "web-1", "ZoneId", "cn-hangzhou-a", "VpcId", "vpc-1", "Tag.1.Key", "team", "Tag.1.Value", "web"}, {"ServerId", "i-1", "Address.1", "10.0.0.9"}}},
	{"ModifyServer", withServers, []params{{"ServerId", "i-1", "Address.1", "10.0.0.99", "ServerName", "moved"}, {"ServerId", "i-9"}}},
	{"SetServerStatus", withGroup, []params{{"ServerId", "i-1", "Status", "Stopped"}}},
	{"DeregisterServer", withGroup, []params{{"ServerId", "i-3"}, {"ServerId", "i-1"}, {"ServerId", "i-1", "Force", "true"}}},
	{"DescribeServers", withGroup, []params{{}, {"ServerId", "i-1,i-9"}}},
	{"CreateAccessKey", nil, []params{{"Description", "for the pipeline"}}},
	{"ListAccessKeys", withKeys, []params{{}}},
	{"UpdateAccessKey", withKeys, []params{{"UserAccessKeyId", "key1", "Status", "Inactive"}, {"UserAccessKeyId", "key2", "Status", "Inactive"}}},
	{"DeleteAccessKey", withKeys, []params{{"UserAccessKeyId", "key1"}, {"UserAccessKeyId", "key2"}}},

	{"DescribeNode", nil, []params{{}}},
	{"DescribeMetrics", withListeners, []params{{"LoadBalancerId", "LB"}, {"LoadBalancerId", "LB", "ListenerPort", "80"}, {"LoadBalancerId", "lb-none"}}},
	{"DescribeMetricList", withListeners, []params{
		{"Namespace", "acs_slb_dashboard", "MetricName", "Qps", "Dimensions", `[{"instanceId":"$LB","port":"80"}]`},
		{"Namespace", "acs_slb_dashboard", "MetricName", "InstanceQps", "Dimensions", `{"instanceId":"$LB"}`},
		{"Namespace", "acs_ecs_dashboard", "MetricName", "Qps"},
	}},
	{"DescribeMetricLast", withListeners, []params{{"Namespace", "acs_slb_dashboard", "MetricName", "Qps", "Dimensions", `[{"instanceId":"$LB"}]`}}},
	{"DescribeMetricMetaList", nil, []params{{"Namespace", "acs_slb_dashboard"}, {"MetricName", "Rt"}}},

	{"GetCallerIdentity", nil, []params{{}}},
	{"DescribeEndpoints", nil, []params{{"Id", "cn-hangzhou", "ServiceCode", "slb", "Type", "openAPI"}}},
	{"DescribeVSwitchAttributes", nil, []params{{"VSwitchId", "vsw-2zexyz", "RegionId", "cn-hangzhou"}}},
	{"DescribeInstances", withServers, []params{{"InstanceIds", `["i-1","i-9"]`}}},
}

func TestGolden(t *testing.T) {
	covered := map[string]bool{}
	for _, g := range goldens {
		covered[g.action] = true
		t.Run(g.action, func(t *testing.T) {
			file := filepath.Join("testdata", g.action+".txt")
			got := g.run(t)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; run with -update if that is right.\n--- got\n%s\n--- want\n%s", file, got, want)
			}
		})
	}
	for action := range newWorld(t).versions {
		if !covered[action] {
			t.Errorf("action %s has no golden file", action)
		}
	}
}

// run makes the calls twice, on worlds of their own: once for each format.
func (g *golden) run(t *testing.T) string {
	type reply struct {
		status int
		body   string
	}
	replies := map[string][]reply{}
	for _, format := range []string{"XML", "JSON"} {
		w := newWorld(t)
		clean := cleaner{}
		lb := ""
		if g.setup != nil {
			lb = g.setup(w)
		}
		clean.text(lb)
		for _, call := range g.calls {
			p := make(params, len(call))
			for i, v := range call {
				p[i] = w.fill(v, lb)
			}
			status, body := w.send(format, g.action, p)
			if format == "XML" {
				if err := wellFormed(body); err != nil {
					t.Errorf("%v in %s", err, body)
				}
			} else if !json.Valid([]byte(body)) {
				t.Errorf("not JSON: %s", body)
			}
			replies[format] = append(replies[format], reply{status, clean.text(body)})
		}
	}
	var b strings.Builder
	for i, call := range g.calls {
		fmt.Fprintf(&b, "== %s\n", g.action)
		for j := 0; j < len(call); j += 2 {
			value := call[j+1]
			if value == "LB" {
				value = "lb-#1"
			}
			fmt.Fprintf(&b, "%s=%s\n", call[j], value)
		}
		for _, format := range []string{"XML", "JSON"} {
			r := replies[format][i]
			fmt.Fprintf(&b, "-- %s %d\n%s\n", format, r.status, strings.TrimSpace(r.body))
		}
		b.WriteString("\n")
	}
	return b.String()
}

var (
	anyID        = regexp.MustCompile(`\b(lb|acl|rsp|rule|de|tls)-[0-9a-z]{11,21}`)
	anyRequestID = regexp.MustCompile(`[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}`)
	// Certificates have ids of another form; their fingerprints differ too, since
	// the tests make them.
	anyCertificateID = regexp.MustCompile(`1000000000000000_[0-9a-f]+_[0-9a-z]{10}_[0-9a-z]{9}`)
	anyFingerprint   = regexp.MustCompile(`([0-9a-f]{2}:){19}[0-9a-f]{2}`)
)

// cleaner replaces what differs from run to run; ids of a kind by the order in
// which they come up.
type cleaner map[string]string

func (c cleaner) text(text string) string {
	text = anyRequestID.ReplaceAllString(text, "REQUEST-ID")
	text = anyCertificateID.ReplaceAllString(text, "CERTIFICATE-ID")
	text = anyFingerprint.ReplaceAllString(text, "FINGERPRINT")
	return anyID.ReplaceAllStringFunc(text, func(id string) string {
		if c[id] == "" {
			kind, _, _ := strings.Cut(id, "-")
			n := 1
			for other := range c {
				if strings.HasPrefix(other, kind+"-") {
					n++
				}
			}
			c[id] = fmt.Sprintf("%s-#%d", kind, n)
		}
		return c[id]
	})
}
