package metrics

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// latest is the exposition of a history, without the lines of help.
func latest(t *testing.T, h *History) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewLatestCollector(h, func(string) spec.Limits {
		return spec.Limits{Connections: 1000, ConnectionRate: 10, RequestRate: 50}
	}))
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	var out strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		switch {
		case strings.HasPrefix(line, "# TYPE") && !strings.HasSuffix(line, " gauge\n"):
			t.Error("not a gauge:", line)
		case line[0] != '#':
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestLatest moves all counters differently in two quarters of a minute: the
// second one is told, under the vendor's names.
func TestLatest(t *testing.T) {
	tcp, udp, http := frontend(spec.TCP, 1), frontend(spec.UDP, 2), frontend(spec.HTTP, 3)
	src := &past{facts: []spec.FrontendFacts{tcp, udp, http}, servers: map[spec.FrontendID]Servers{tcp.ID: {Up: 2, Down: 1}, http.ID: {Up: 4}}}
	h := NewHistory(src)
	h.Sample(noon)
	if got := latest(t, h); got != "" {
		t.Errorf("rates of a single sample:\n%s", got)
	}
	for step := range uint64(2) {
		n := 15 * (step + 1)
		for j := range src.facts {
			f := &src.facts[j]
			f.ActiveConnections, f.NewConnections, f.DropConnections = 25*(step+1), f.NewConnections+n, f.DropConnections+n
			f.BytesIn, f.BytesOut = f.BytesIn+100*n, f.BytesOut+200*n
			if f.ID.Protocol == spec.UDP {
				f.PacketsIn, f.PacketsOut = f.PacketsIn+n, f.PacketsOut+2*n
				f.DropPacketsIn, f.DropPacketsOut = f.DropPacketsIn+3*n, f.DropPacketsOut+4*n
				f.DropBytesIn, f.DropBytesOut = f.DropBytesIn+10*n, f.DropBytesOut+20*n
			}
			if f.ID.Protocol == spec.HTTP {
				f.Requests += 10 * n
				for c := range f.Status {
					f.Status[c] += n * uint64(c+1)
				}
				f.Upstream4, f.Upstream5 = f.Upstream4+n, f.Upstream5+2*n
				f.ResponseTimes.Count, f.ResponseTimes.Total = f.ResponseTimes.Count+10, f.ResponseTimes.Total+200*time.Millisecond
				f.UpstreamTimes.Count, f.UpstreamTimes.Total = f.UpstreamTimes.Count+10, f.UpstreamTimes.Total+100*time.Millisecond
			}
		}
		h.Sample(noon.Add(time.Duration(step+1) * SampleInterval))
	}
	const (
		t1 = `{load_balancer="lb-1",port="1",protocol="tcp"} `
		u2 = `{load_balancer="lb-1",port="2",protocol="udp"} `
		h3 = `{load_balancer="lb-1",port="3",protocol="http"} `
		lb = `{load_balancer="lb-1"} `
	)
	all := func(name string, a, b, c int) string {
		return fmt.Sprintf("slb_%s%s%d\nslb_%s%s%d\nslb_%s%s%d\n", name, t1, a, name, u2, b, name, h3, c)
	}
	want := all("active_connection", 50, 0, 50) + all("drop_connection", 2, 2, 2) +
		"slb_drop_packet_rx" + u2 + "6\nslb_drop_packet_tx" + u2 + "8\nslb_drop_traffic_rx" + u2 + "160\nslb_drop_traffic_tx" + u2 + "320\n" +
		all("heathy_server_count", 2, 0, 4) + all("inactive_connection", 0, 50, 0) +
		"slb_instance_active_connection" + lb + "100\nslb_instance_drop_connection" + lb + "6\n" +
		"slb_instance_drop_packet_rx" + lb + "6\nslb_instance_drop_packet_tx" + lb + "8\nslb_instance_drop_traffic_rx" + lb + "160\nslb_instance_drop_traffic_tx" + lb + "320\n" +
		"slb_instance_inactive_connection" + lb + "50\nslb_instance_max_connection" + lb + "150\nslb_instance_max_connection_utilization" + lb + "15\n" +
		"slb_instance_new_connection" + lb + "6\nslb_instance_new_connection_utilization" + lb + "60\n" +
		"slb_instance_packet_rx" + lb + "2\nslb_instance_packet_tx" + lb + "4\nslb_instance_qps" + lb + "20\nslb_instance_qps_utilization" + lb + "40\nslb_instance_rt" + lb + "20\n" +
		"slb_instance_status_code_2xx" + lb + "6\nslb_instance_status_code_3xx" + lb + "8\nslb_instance_status_code_4xx" + lb + "10\nslb_instance_status_code_5xx" + lb + "12\nslb_instance_status_code_other" + lb + "6\n" +
		"slb_instance_traffic_rx" + lb + "4800\nslb_instance_traffic_tx" + lb + "9600\n" +
		"slb_instance_upstream_code_4xx" + lb + "2\nslb_instance_upstream_code_5xx" + lb + "4\nslb_instance_upstream_rt" + lb + "10\n" +
		all("max_connection", 50, 50, 50) + all("new_connection", 2, 2, 2) +
		"slb_packet_rx" + u2 + "2\nslb_packet_tx" + u2 + "4\nslb_qps" + h3 + "20\nslb_rt" + h3 + "20\n" +
		"slb_status_code_2xx" + h3 + "6\nslb_status_code_3xx" + h3 + "8\nslb_status_code_4xx" + h3 + "10\nslb_status_code_5xx" + h3 + "12\nslb_status_code_other" + h3 + "6\n" +
		all("traffic_rx_new", 1600, 1600, 1600) + all("traffic_tx_new", 3200, 3200, 3200) + all("unhealthy_server_count", 1, 0, 0) +
		"slb_upstream_code_4xx" + h3 + "2\nslb_upstream_code_5xx" + h3 + "4\nslb_upstream_rt" + h3 + "10\n"
	if diff := cmp.Diff(want, latest(t, h)); diff != "" {
		t.Errorf("exposition differs (-want +got):\n%s", diff)
	}

	// A listener that is gone has no figures, one that has come not yet.
	src.facts = append(src.facts[:1], frontend(spec.HTTPS, 4))
	h.Sample(noon.Add(3 * SampleInterval))
	if got := latest(t, h); strings.Contains(got, `port="3"`) || strings.Contains(got, `port="4"`) || !strings.Contains(got, "slb_new_connection"+t1+"0\n") {
		t.Errorf("after a change of listeners:\n%s", got)
	}
}
