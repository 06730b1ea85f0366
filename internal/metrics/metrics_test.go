package metrics

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

type facts struct {
	frontends []spec.FrontendFacts
	targets   map[string][]spec.TargetFacts
}

func (f facts) FrontendFacts() []spec.FrontendFacts      { return f.frontends }
func (f facts) TargetFacts(id string) []spec.TargetFacts { return f.targets[id] }
func (f facts) Facts() spec.EngineFacts {
	return spec.EngineFacts{Loops: 2, DescriptorsInUse: 3, DescriptorLimit: 900, DescriptorShortages: 4}
}

var source = facts{
	frontends: []spec.FrontendFacts{
		{ID: spec.FrontendID{Instance: "lb-1", Protocol: spec.TCP, Port: 80}, Listening: true, ActiveConnections: 1, NewConnections: 2, DropConnections: 3, BytesIn: 4, BytesOut: 5, SourceFallbacks: 10, Requests: 99},
		{ID: spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTP, Port: 81}, Error: "in use", Requests: 6, Status: [6]uint64{1, 2, 3, 4, 5, 6}, Upstream4: 7, Upstream5: 8, SlowHeads: 9, SlowBodies: 10, SlowReads: 11,
			ResponseTimes: spec.Times{Count: 4, Total: 500 * time.Millisecond, Classes: [len(spec.TimeBounds)]uint64{1: 1, 8: 2}}, UpstreamTimes: spec.Times{Count: 3, Total: 250 * time.Millisecond}},
	},
	targets: map[string][]spec.TargetFacts{"lb-1": {
		{Pool: "p", Target: "i-1", Addr: netip.MustParseAddrPort("10.0.0.1:8080"), Health: spec.HealthUp, Active: 2, Total: 20},
		{Pool: "p", Target: "i-2", Addr: netip.MustParseAddrPort("10.0.0.2:8080"), Health: spec.HealthDown},
		{Pool: "p", Target: "i-3", Addr: netip.MustParseAddrPort("10.0.0.3:8080")},
	}},
}

// A UDP listener has figures of datagrams beside those of every listener.
func TestDatagrams(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(facts{frontends: []spec.FrontendFacts{{
		ID: spec.FrontendID{Instance: "lb-1", Protocol: spec.UDP, Port: 53}, Listening: true, ActiveConnections: 1,
		ShortConnections: 9, PacketsIn: 2, PacketsOut: 3, DropPacketsIn: 4, DropPacketsOut: 5, DropBytesIn: 6, DropBytesOut: 7, EvictedFlows: 8, SourceFallbacks: 9,
	}}}))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "openslb_frontend_") {
			continue
		}
		m := f.GetMetric()[0]
		got[strings.TrimPrefix(f.GetName(), "openslb_frontend_")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	want := map[string]float64{
		"listening": 1, "active_connections": 1, "connections_total": 0, "dropped_connections_total": 0, "short_connections_total": 9, "received_bytes_total": 0, "sent_bytes_total": 0,
		"received_packets_total": 2, "sent_packets_total": 3, "dropped_received_packets_total": 4, "dropped_sent_packets_total": 5,
		"dropped_received_bytes_total": 6, "dropped_sent_bytes_total": 7, "evicted_flows_total": 8, "source_fallbacks_total": 9,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series differ (-want +got):\n%s", diff)
	}
}

// The exposition is what dashboards are built on.
func TestExposition(t *testing.T) {
	want := `# HELP openslb_descriptor_shortages_total Connections, flows and listeners refused for want of a descriptor.
# TYPE openslb_descriptor_shortages_total counter
openslb_descriptor_shortages_total 4
# HELP openslb_descriptors_in_use Descriptors that connections, flows and listeners hold.
# TYPE openslb_descriptors_in_use gauge
openslb_descriptors_in_use 3
# HELP openslb_descriptors_limit Descriptors that connections, flows and listeners may hold.
# TYPE openslb_descriptors_limit gauge
openslb_descriptors_limit 900
# HELP openslb_event_loops Event loops of each layer.
# TYPE openslb_event_loops gauge
openslb_event_loops 2
# HELP openslb_frontend_active_connections Client connections now open (ActiveConnection).
# TYPE openslb_frontend_active_connections gauge
openslb_frontend_active_connections{load_balancer="lb-1",port="80",protocol="tcp"} 1
openslb_frontend_active_connections{load_balancer="lb-1",port="81",protocol="http"} 0
# HELP openslb_frontend_connections_total Client connections accepted (NewConnection).
# TYPE openslb_frontend_connections_total counter
openslb_frontend_connections_total{load_balancer="lb-1",port="80",protocol="tcp"} 2
openslb_frontend_connections_total{load_balancer="lb-1",port="81",protocol="http"} 0
# HELP openslb_frontend_dropped_connections_total Client connections refused for want of a server or beyond a limit (DropConnection).
# TYPE openslb_frontend_dropped_connections_total counter
openslb_frontend_dropped_connections_total{load_balancer="lb-1",port="80",protocol="tcp"} 3
openslb_frontend_dropped_connections_total{load_balancer="lb-1",port="81",protocol="http"} 0
# HELP openslb_frontend_listening Whether the listener's socket is open: 1 or 0.
# TYPE openslb_frontend_listening gauge
openslb_frontend_listening{load_balancer="lb-1",port="80",protocol="tcp"} 1
openslb_frontend_listening{load_balancer="lb-1",port="81",protocol="http"} 0
# HELP openslb_frontend_received_bytes_total Bytes received from clients (TrafficRX).
# TYPE openslb_frontend_received_bytes_total counter
openslb_frontend_received_bytes_total{load_balancer="lb-1",port="80",protocol="tcp"} 4
openslb_frontend_received_bytes_total{load_balancer="lb-1",port="81",protocol="http"} 0
# HELP openslb_frontend_requests_total Requests received (Qps).
# TYPE openslb_frontend_requests_total counter
openslb_frontend_requests_total{load_balancer="lb-1",port="81",protocol="http"} 6
# HELP openslb_frontend_responses_total Answers to clients by class of status (StatusCode2xx and so on).
# TYPE openslb_frontend_responses_total counter
openslb_frontend_responses_total{class="1xx",load_balancer="lb-1",port="81",protocol="http"} 2
openslb_frontend_responses_total{class="2xx",load_balancer="lb-1",port="81",protocol="http"} 3
openslb_frontend_responses_total{class="3xx",load_balancer="lb-1",port="81",protocol="http"} 4
openslb_frontend_responses_total{class="4xx",load_balancer="lb-1",port="81",protocol="http"} 5
openslb_frontend_responses_total{class="5xx",load_balancer="lb-1",port="81",protocol="http"} 6
openslb_frontend_responses_total{class="other",load_balancer="lb-1",port="81",protocol="http"} 1
# HELP openslb_frontend_sent_bytes_total Bytes sent to clients (TrafficTX).
# TYPE openslb_frontend_sent_bytes_total counter
openslb_frontend_sent_bytes_total{load_balancer="lb-1",port="80",protocol="tcp"} 5
openslb_frontend_sent_bytes_total{load_balancer="lb-1",port="81",protocol="http"} 0
# HELP openslb_frontend_short_connections_total Those of the dropped connections and flows for which the process had no room: no descriptors, or no place for a flow.
# TYPE openslb_frontend_short_connections_total counter
openslb_frontend_short_connections_total{load_balancer="lb-1",port="80",protocol="tcp"} 0
openslb_frontend_short_connections_total{load_balancer="lb-1",port="81",protocol="http"} 0
# HELP openslb_frontend_slow_clients_total Clients given up because they were too slow: with a request's head, with its body, or to read an answer.
# TYPE openslb_frontend_slow_clients_total counter
openslb_frontend_slow_clients_total{load_balancer="lb-1",port="81",protocol="http",reason="body"} 10
openslb_frontend_slow_clients_total{load_balancer="lb-1",port="81",protocol="http",reason="head"} 9
openslb_frontend_slow_clients_total{load_balancer="lb-1",port="81",protocol="http",reason="read"} 11
# HELP openslb_frontend_source_fallbacks_total Connections to servers, and flows, that have the node's address although transparent mode is in force, as the client's was taken.
# TYPE openslb_frontend_source_fallbacks_total counter
openslb_frontend_source_fallbacks_total{load_balancer="lb-1",port="80",protocol="tcp"} 10
# HELP openslb_frontend_upstream_errors_total Answers of servers of class 4xx and 5xx (UpstreamCode4xx, UpstreamCode5xx).
# TYPE openslb_frontend_upstream_errors_total counter
openslb_frontend_upstream_errors_total{class="4xx",load_balancer="lb-1",port="81",protocol="http"} 7
openslb_frontend_upstream_errors_total{class="5xx",load_balancer="lb-1",port="81",protocol="http"} 8
# HELP openslb_pool_servers Servers of the pool by health (HeathyServerCount, UnhealthyServerCount).
# TYPE openslb_pool_servers gauge
openslb_pool_servers{health="down",load_balancer="lb-1",pool="p"} 1
openslb_pool_servers{health="unknown",load_balancer="lb-1",pool="p"} 1
openslb_pool_servers{health="up",load_balancer="lb-1",pool="p"} 1
# HELP openslb_server_active Connections or requests now on the server.
# TYPE openslb_server_active gauge
openslb_server_active{address="10.0.0.1:8080",load_balancer="lb-1",pool="p",server="i-1"} 2
openslb_server_active{address="10.0.0.2:8080",load_balancer="lb-1",pool="p",server="i-2"} 0
openslb_server_active{address="10.0.0.3:8080",load_balancer="lb-1",pool="p",server="i-3"} 0
# HELP openslb_server_healthy Whether the health check finds the server well: 1 or 0. Absent while undecided or not checked.
# TYPE openslb_server_healthy gauge
openslb_server_healthy{address="10.0.0.1:8080",load_balancer="lb-1",pool="p",server="i-1"} 1
openslb_server_healthy{address="10.0.0.2:8080",load_balancer="lb-1",pool="p",server="i-2"} 0
# HELP openslb_server_picks_total Connections or requests given to the server since it was added.
# TYPE openslb_server_picks_total counter
openslb_server_picks_total{address="10.0.0.1:8080",load_balancer="lb-1",pool="p",server="i-1"} 20
openslb_server_picks_total{address="10.0.0.2:8080",load_balancer="lb-1",pool="p",server="i-2"} 0
openslb_server_picks_total{address="10.0.0.3:8080",load_balancer="lb-1",pool="p",server="i-3"} 0
# HELP slb_rt_seconds Time from a request to the last byte of its answer, of answers that clients got whole (Rt).
# TYPE slb_rt_seconds histogram
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.0005"} 0
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.001"} 1
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.0025"} 1
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.005"} 1
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.01"} 1
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.025"} 1
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.05"} 1
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.1"} 1
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.25"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.5"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="1"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="2.5"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="5"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="10"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="30"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="60"} 3
slb_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="+Inf"} 4
slb_rt_seconds_sum{load_balancer="lb-1",port="81",protocol="http"} 0.5
slb_rt_seconds_count{load_balancer="lb-1",port="81",protocol="http"} 4
# HELP slb_upstream_rt_seconds Time from a request to the last byte of the server's answer (UpstreamRt).
# TYPE slb_upstream_rt_seconds histogram
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.0005"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.001"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.0025"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.005"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.01"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.025"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.05"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.1"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.25"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="0.5"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="1"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="2.5"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="5"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="10"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="30"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="60"} 0
slb_upstream_rt_seconds_bucket{load_balancer="lb-1",port="81",protocol="http",le="+Inf"} 3
slb_upstream_rt_seconds_sum{load_balancer="lb-1",port="81",protocol="http"} 0.25
slb_upstream_rt_seconds_count{load_balancer="lb-1",port="81",protocol="http"} 3
`
	if diff := cmp.Diff(want, scrape(t, source)); diff != "" {
		t.Errorf("exposition differs (-want +got):\n%s", diff)
	}
}

// scrape returns the text that Prometheus would read.
func scrape(t *testing.T, s Source) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(NewCollector(s)); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	return answer.Body.String()
}

// Counters end in _total, gauges do not, and every help says something.
func TestNamesFollowTheConventions(t *testing.T) {
	for line := range strings.Lines(scrape(t, source)) {
		field := strings.Fields(line)
		if len(field) == 4 && field[1] == "TYPE" && (field[3] == "counter") != strings.HasSuffix(field[2], "_total") {
			t.Errorf("%s is a %s", field[2], field[3])
		}
		if field[1] == "HELP" && (len(field) < 4 || !strings.HasPrefix(field[2], "openslb_") && !strings.HasPrefix(field[2], "slb_")) {
			t.Errorf("bad metric: %s", line)
		}
	}
}

// Each registry is its own, and a scrape of an idle node works.
func TestRegistry(t *testing.T) {
	for range 2 {
		families, err := NewRegistry(facts{}).Gather()
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, f := range families {
			names[f.GetName()] = true
		}
		for _, want := range []string{"go_goroutines", "process_open_fds", "go_build_info"} {
			if !names[want] {
				t.Errorf("%s is missing", want)
			}
		}
		if names["openslb_frontend_listening"] {
			t.Error("frontends on an idle node")
		}
	}
}

// Only HTTPS listeners have handshakes and HTTP/2.
func TestSecure(t *testing.T) {
	all := scrape(t, facts{frontends: []spec.FrontendFacts{
		{ID: spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTPS, Port: 443}, HandshakeFailures: 7, RefusedHandshakes: 6, RefusedStreams: 5, RefusedHeads: 4, RefusedMemory: 3, Floods: 2},
		{ID: spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTP, Port: 80}, RefusedStreams: 1},
	}})
	for name, want := range map[string]string{
		"tls_handshake_failures_total":      `} 7`,
		"refused_tls_handshakes_total":      `} 6`,
		"refused_requests_total_of_streams": `reason="streams"} 5`,
		"refused_requests_total_of_heads":   `reason="heads"} 4`,
		"refused_requests_total_of_memory":  `reason="memory"} 3`,
		"http2_floods_total":                `} 2`,
	} {
		name, of, _ := strings.Cut(name, "_of_")
		n := 0
		for line := range strings.Lines(all) {
			if strings.HasPrefix(line, "openslb_frontend_"+name+"{") && strings.Contains(line, `reason="`+of) == (of != "") {
				n++
				if !strings.HasSuffix(line, want+"\n") {
					t.Errorf("%s", line)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d series of %s %s in\n%s", n, name, of, all)
		}
	}
}

func BenchmarkCollect(b *testing.B) {
	many := facts{targets: source.targets}
	for i := range 1000 {
		f := source.frontends[1]
		f.ID.Port = uint16(i + 1)
		many.frontends = append(many.frontends, f)
	}
	c := NewCollector(many)
	b.ReportAllocs()
	for b.Loop() {
		out := make(chan prometheus.Metric, 64)
		go func() { c.Collect(out); close(out) }()
		for range out {
		}
	}
}
