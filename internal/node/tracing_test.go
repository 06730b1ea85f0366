package node

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
	"github.com/openslb/openslb/internal/testutil/collector"
)

// TestTracing: a request through a listener is a span at the receiver when the
// node has ended, at the latest.
func TestTracing(t *testing.T) {
	c := collector.New(t, nil)
	n := start(t, Config{Data: t.TempDir(), Version: "1.2", Trace: Tracing{Endpoint: c.URL, Ratio: 1, Parents: "intranet", Service: "edge"}, InternetPool: []netip.Prefix{testutil.AddressPool(t)}})
	if m := (facts{n}).Node().Tracing; m.Mode != "on" || !strings.Contains(m.Reason, c.URL) {
		t.Errorf("told of tracing: %+v", m)
	}
	do := func(version, action string, p map[string]string) map[string]any {
		t.Helper()
		cl := clientOf(n)
		if version != "" {
			cl.Version = version
		}
		p["RegionId"] = DefaultRegion
		var out map[string]any
		if err := cl.Do(t.Context(), action, p, &out); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		return out
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("traceparent")) }))
	defer backend.Close()
	host, port, _ := net.SplitHostPort(backend.Listener.Addr().String())
	do("2026-11-01", "RegisterServer", map[string]string{"ServerId": "i-1", "Address.1": host})
	made := do("", "CreateLoadBalancer", map[string]string{"LoadBalancerName": "one"})
	lb, address := made["LoadBalancerId"].(string), made["Address"].(string)
	do("", "CreateLoadBalancerHTTPListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": "8080", "BackendServerPort": port, "HealthCheck": "off", "Bandwidth": "-1"})
	do("", "AddBackendServers", map[string]string{"LoadBalancerId": lb, "BackendServers": `[{"ServerId":"i-1","Weight":"100"}]`})
	do("", "StartLoadBalancerListener", map[string]string{"LoadBalancerId": lb, "ListenerPort": "8080"})
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequest("GET", "http://"+address+":8080/traced", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") // of the internet, and not believed
	resp, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	stop(t, n)
	spans := c.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	s := &spans[0]
	if want := "00-" + s.Trace() + "-" + spans[1].ID() + "-01"; string(parent) != want || s.Parent() != "" {
		t.Errorf("the server got %q, want %q, under nobody but %q", parent, want, s.Parent())
	}
	hostPort := fmt.Sprint(s.Resource["service.instance.id"])
	_, apiPort, _ := net.SplitHostPort(strings.TrimPrefix(n.Endpoint(), "http://"))
	if s.Resource["service.name"] != "edge" || s.Resource["service.version"] != "1.2" || !strings.HasSuffix(hostPort, ":"+apiPort) ||
		s.Attributes["openslb.instance.id"] != lb || s.Attributes["openslb.listener.port"] != int64(8080) || s.Attributes["url.path"] != "/traced" || s.Attributes["server.address"] != address {
		t.Errorf("resource %v, attributes %v", s.Resource, s.Attributes)
	}
}

// TestTracingMetrics: what becomes of spans is exported, and a receiver that is
// not there neither keeps the node from starting nor from ending.
func TestTracingMetrics(t *testing.T) {
	dead := collector.New(t, nil)
	dead.Close()
	n := start(t, Config{Data: t.TempDir(), Trace: Tracing{Endpoint: dead.URL, Ratio: 1}})
	n.tracer.NewSpan().Finish()
	for end := time.Now().Add(30 * time.Second); n.tracer.Stats().Failed == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing failed")
		}
	}
	page := get(t, http.DefaultClient, n.Endpoint()+"/metrics")
	for _, want := range []string{`openslb_trace_requests_total{result="failed"} 1`, `openslb_trace_requests_total{result="exported"} 0`, `openslb_trace_requests_total{result="dropped"} 0`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestTracingOff(t *testing.T) {
	n := start(t, Config{Data: t.TempDir(), Trace: Tracing{Ratio: 1}})
	if m := (facts{n}).Node().Tracing; m.Mode != "off" || n.tracer != nil {
		t.Errorf("told of tracing: %+v", m)
	}
	if page := get(t, http.DefaultClient, n.Endpoint()+"/metrics"); strings.Contains(page, "openslb_trace") {
		t.Error("metrics of tracing that is off")
	}
}

func TestTracingSettings(t *testing.T) {
	for _, bad := range []Tracing{{Ratio: -0.1}, {Ratio: 1.1}, {Ratio: math.NaN()}, {Endpoint: "localhost:4318"}, {Endpoint: "udp://h:1"}, {Parents: "some"}} {
		if (Config{Data: "x", Trace: bad}).Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
		if n, err := tryStart(t, Config{Data: t.TempDir(), Trace: bad}); err == nil {
			stop(t, n)
			t.Errorf("%+v: the node starts", bad)
		}
	}
}
