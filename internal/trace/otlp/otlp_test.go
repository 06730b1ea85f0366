package otlp

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/openslb/openslb/internal/testutil/collector"
	"github.com/openslb/openslb/internal/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func exporter(t *testing.T, endpoint string) *Exporter {
	t.Helper()
	e, err := New(Options{Endpoint: endpoint, Service: "balancer", Node: "host:8680", Version: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e
}

// sample is a request that a second server answered.
func sample() *trace.Span {
	s := &trace.Span{Parent: 0xb7ad6b7169203331, State: []byte("a=1,b=2"), Start: 1_000_000_000, End: 1_500_000_000,
		Method: []byte("POST"), Target: []byte("/a/b?c=d&sig=secret&e"), Protocol: []byte("HTTP/1.1"), Host: []byte("a.example:8080"), UserAgent: []byte("test/1\xff"),
		Scheme: "https", Client: netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711"), Listen: netip.MustParseAddrPort("127.1.0.1:443"), Instance: "lb-1", Rule: "rule-1", Port: 443,
		Status: 502, Whole: true, Attempts: []trace.Attempt{
			{Server: netip.MustParseAddrPort("10.0.0.1:80"), Start: 1_100_000_000, End: 1_200_000_000},
			{Server: netip.MustParseAddrPort("[2001:db8::1]:81"), Start: 1_200_000_000, End: 1_400_000_000, Status: 502},
		}}
	s.Trace = [16]byte{0x0a, 15: 0x9c}
	s.Context.Span, s.Flags = 0x1000, trace.Sampled
	return s
}

// overGRPC serves a receiver until the test ends, and gives its endpoint.
func overGRPC(t *testing.T, r receiver) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	collect.RegisterTraceServiceServer(srv, r)
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	return "grpc://" + l.Addr().String()
}

func TestExport(t *testing.T) {
	grpcCollector := collector.New(t, nil) // its Add alone is used
	httpCollector := collector.New(t, nil)
	for _, row := range []struct {
		endpoint string
		c        *collector.Collector
	}{{httpCollector.URL, httpCollector}, {overGRPC(t, receiver{c: grpcCollector}), grpcCollector}} {
		t.Run(row.endpoint[:4], func(t *testing.T) {
			if err := exporter(t, row.endpoint).Export(t.Context(), []*trace.Span{sample()}); err != nil {
				t.Fatal(err)
			}
			spans := row.c.Await(3)
			if diff := cmp.Diff(map[string]any{"service.name": "balancer", "service.instance.id": "host:8680", "service.version": "1.2"}, spans[0].Resource); diff != "" {
				t.Error(diff)
			}
			for i, want := range []map[string]any{
				{"http.request.method": "POST", "url.scheme": "https", "url.path": "/a/b", "url.query": "c=d&sig=REDACTED&e", "server.address": "a.example", "server.port": int64(8080),
					"client.address": "192.0.2.7", "client.port": int64(4711), "network.protocol.version": "1.1", "user_agent.original": "test/1\uFFFD", "http.response.status_code": int64(502),
					"error.type": "502", "openslb.instance.id": "lb-1", "openslb.listener.port": int64(443), "openslb.rule.id": "rule-1", "openslb.attempts": int64(2), "openslb.backend.address": "[2001:db8::1]:81"},
				{"http.request.method": "POST", "url.full": "http://10.0.0.1:80/a/b?c=d&sig=REDACTED&e", "server.address": "10.0.0.1", "server.port": int64(80), "network.protocol.version": "1.1",
					"error.type": "no_answer"},
				{"http.request.method": "POST", "url.full": "http://[2001:db8::1]:81/a/b?c=d&sig=REDACTED&e", "server.address": "2001:db8::1", "server.port": int64(81), "network.protocol.version": "1.1",
					"http.request.resend_count": int64(1), "http.response.status_code": int64(502), "error.type": "502"},
			} {
				if diff := cmp.Diff(want, spans[i].Attributes); diff != "" {
					t.Errorf("span %d: %s", i, diff)
				}
			}
			for i, want := range []struct {
				id, parent string
				kind       wire.Span_SpanKind
				begin, end uint64
				flags      uint32
			}{
				{"0000000000001000", "b7ad6b7169203331", wire.Span_SPAN_KIND_SERVER, 1e9, 1.5e9, 0x301},
				{"0000000000001001", "0000000000001000", wire.Span_SPAN_KIND_CLIENT, 1.1e9, 1.2e9, 0x101},
				{"0000000000001002", "0000000000001000", wire.Span_SPAN_KIND_CLIENT, 1.2e9, 1.4e9, 0x101},
			} {
				s := &spans[i]
				if s.ID() != want.id || s.Parent() != want.parent || s.Kind != want.kind || s.StartTimeUnixNano != want.begin || s.EndTimeUnixNano != want.end || s.Flags != want.flags ||
					s.Trace() != "0a00000000000000000000000000009c" || s.TraceState != "a=1,b=2" || s.Name != "POST" || s.Status.GetCode() != wire.Status_STATUS_CODE_ERROR {
					t.Errorf("span %d is %v", i, s.Span)
				}
			}
		})
	}
}

// receiver takes spans over gRPC.
type receiver struct {
	collect.UnimplementedTraceServiceServer
	c       *collector.Collector
	partial *collect.ExportTracePartialSuccess // what it says of each request
}

func (r receiver) Export(_ context.Context, m *collect.ExportTraceServiceRequest) (*collect.ExportTraceServiceResponse, error) {
	r.c.Add(m, nil)
	return &collect.ExportTraceServiceResponse{PartialSuccess: r.partial}, nil
}

// TestRejected: a receiver that takes some spans alone says how many it did not.
func TestRejected(t *testing.T) {
	for name, row := range map[string]struct {
		partial *collect.ExportTracePartialSuccess
		lost    int
	}{
		"some":    {&collect.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "too old"}, 2},
		"warning": {&collect.ExportTracePartialSuccess{ErrorMessage: "too old: (7 spans rejected)"}, 0},
	} {
		c := collector.New(t, func(w http.ResponseWriter, _ *http.Request) bool {
			b, err := proto.Marshal(&collect.ExportTraceServiceResponse{PartialSuccess: row.partial})
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.Write(b)
			return true
		})
		for _, endpoint := range []string{c.URL, overGRPC(t, receiver{c: c, partial: row.partial})} {
			err := exporter(t, endpoint).Export(t.Context(), []*trace.Span{sample(), sample()})
			got, ok := errors.AsType[*trace.Rejected](err)
			if !ok || got.Requests != row.lost || !strings.Contains(err.Error(), "too old") {
				t.Errorf("%s by %s: %v", name, endpoint, err)
			}
		}
	}
}

// convert gives what a receiver reads of a request.
func convert(t *testing.T, s *trace.Span) []*wire.Span {
	t.Helper()
	var e encoder
	e.add(s)
	m := new(wire.ScopeSpans)
	if err := proto.Unmarshal(e.out, m); err != nil {
		t.Fatal(err)
	}
	if n := len(m.ProtoReflect().GetUnknown()); n > 0 {
		t.Errorf("%d bytes are not understood", n)
	}
	return m.Spans
}

// TestConvert: one thing at a time changes in a plain request.
func TestConvert(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*trace.Span)
		want   map[string]any // of the request's attributes; nil: absent
		failed bool
	}{
		{"plain", func(*trace.Span) {}, map[string]any{"http.request.method": "GET", "http.response.status_code": int64(200), "error.type": nil, "openslb.rule.id": nil, "url.query": nil, "server.port": int64(80), "openslb.attempts": int64(1)}, false},
		{"unknown method", func(s *trace.Span) { s.Method = []byte("BREW") }, map[string]any{"http.request.method": "_OTHER", "http.request.method_original": "BREW"}, false},
		{"no request", func(s *trace.Span) { s.Method, s.Target, s.Protocol, s.Host, s.Status = nil, nil, nil, nil, 400 }, map[string]any{"http.request.method": "_OTHER", "http.request.method_original": nil, "url.path": nil,
			"network.protocol.version": nil, "server.address": "127.1.0.1", "server.port": int64(80)}, false},
		{"absolute target", func(s *trace.Span) { s.Target = []byte("http://a.example/x?http://b/") }, map[string]any{"url.path": "/x", "url.query": "http://b/"}, false},
		{"absolute target without a path", func(s *trace.Span) { s.Target = []byte("http://a.example") }, map[string]any{"url.path": "/"}, false},
		{"absolute target, query alone", func(s *trace.Span) { s.Target = []byte("http://a.example?q") }, map[string]any{"url.path": "/", "url.query": "q"}, false},
		{"target with a URL", func(s *trace.Span) { s.Target = []byte("/go/http://b/c") }, map[string]any{"url.path": "/go/http://b/c"}, false},
		{"server-wide", func(s *trace.Span) { s.Target = []byte("*") }, map[string]any{"url.path": "*"}, false},
		{"secrets", func(s *trace.Span) {
			s.Target = []byte("/?AWSAccessKeyId=1&Signature=2&sig=3&X-Goog-Signature=4&x=sig&sig")
		}, map[string]any{
			"url.query": "AWSAccessKeyId=REDACTED&Signature=REDACTED&sig=REDACTED&X-Goog-Signature=REDACTED&x=sig&sig"}, false},
		{"IPv6 host", func(s *trace.Span) { s.Host = []byte("[2001:db8::1]:99") }, map[string]any{"server.address": "2001:db8::1", "server.port": int64(99)}, false},
		{"IPv6 host without a port", func(s *trace.Span) { s.Host = []byte("[2001:db8::1]") }, map[string]any{"server.address": "2001:db8::1", "server.port": int64(80)}, false},
		{"host with an empty port", func(s *trace.Span) { s.Host = []byte("a.example:") }, map[string]any{"server.address": "a.example", "server.port": int64(80)}, false},
		{"HTTP/2", func(s *trace.Span) { s.Protocol = []byte("HTTP/2.0") }, map[string]any{"network.protocol.version": "2"}, false},
		{"HTTP/1.0", func(s *trace.Span) { s.Protocol = []byte("HTTP/1.0") }, map[string]any{"network.protocol.version": "1.0"}, false},
		{"client's fault", func(s *trace.Span) { s.Status = 404 }, map[string]any{"http.response.status_code": int64(404), "error.type": nil}, false},
		{"our fault", func(s *trace.Span) { s.Status, s.Attempts = 503, nil }, map[string]any{"error.type": "503", "openslb.backend.address": nil, "openslb.attempts": int64(0)}, true},
		{"broken off", func(s *trace.Span) { s.Whole = false }, map[string]any{"http.response.status_code": int64(200), "error.type": "incomplete"}, true},
		{"no answer", func(s *trace.Span) { s.Whole, s.Status = false, 0 }, map[string]any{"http.response.status_code": nil, "error.type": "incomplete"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := sample()
			s.Method, s.Target, s.Host, s.Rule, s.Port, s.Status, s.Attempts = []byte("GET"), []byte("/"), []byte("a"), "", 80, 200, s.Attempts[:1]
			row.change(s)
			span := convert(t, s)[0]
			got := collector.Attributes(span.Attributes)
			for name, want := range row.want {
				if got[name] != want {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
			if failed := span.Status.GetCode() == wire.Status_STATUS_CODE_ERROR; failed != row.failed {
				t.Errorf("status %v", span.Status)
			}
		})
	}
}

// TestAttempts: what is said of one server that was asked.
func TestAttempts(t *testing.T) {
	s := sample()
	s.Status, s.HTTP2, s.Attempts = 504, true, append(s.Attempts[:1], trace.Attempt{Server: netip.MustParseAddrPort("10.0.0.2:80")})
	spans := convert(t, s)
	if got := collector.Attributes(spans[2].Attributes); got["error.type"] != "timeout" || got["network.protocol.version"] != "2" {
		t.Errorf("the last one: %v", got)
	}
	if got := collector.Attributes(spans[1].Attributes); got["error.type"] != "no_answer" {
		t.Errorf("the first one: %v", got)
	}
	s.Attempts[1].Status, s.State = 404, []byte("a=\xff") // which the wire does not carry
	if spans := convert(t, s); spans[0].TraceState != "" || len(spans) != 3 {
		t.Errorf("state %q in %d spans", spans[0].TraceState, len(spans))
	}
	if got := collector.Attributes(convert(t, s)[2].Attributes); got["error.type"] != "404" {
		t.Errorf("not found: %v", got)
	}
}

func TestEndpoints(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"http://h:4318": true, "http://h": true, "https://h/other/path": true, "grpc://h:4317": true, "grpcs://[::1]:4317": true,
		"": false, "h:4318": false, "ftp://h:1": false, "http://": false, "http://:4318": false, "grpc://h": false, "grpc://h:1/x": false, "http://u:p@h": false, "http://h/?q=1": false, "http://h:x": false,
	} {
		err := Check(endpoint)
		if (err == nil) != ok {
			t.Errorf("%q: %v", endpoint, err)
		}
		if err != nil && strings.Contains(err.Error(), ":p@") {
			t.Errorf("%q: %v tells a password", endpoint, err)
		}
	}
}

// TestPaths: where over HTTP the spans go, with headers of the environment.
func TestPaths(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	c := collector.New(t, nil)
	for path, want := range map[string]string{"": "/v1/traces", "/": "/v1/traces", "/other": "/other"} {
		before := len(c.Requests())
		if err := exporter(t, c.URL+path).Export(t.Context(), []*trace.Span{sample()}); err != nil {
			t.Fatal(err)
		}
		r := c.Requests()[before]
		if r.URL.Path != want || r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%q: %s with %v", path, r.URL.Path, r.Header)
		}
	}
}

// TestTLS: the receiver's certificate is checked, by what the environment names.
func TestTLS(t *testing.T) {
	c := collector.New(t, nil)
	secure := httptest.NewUnstartedServer(c.Config.Handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	if err := exporter(t, secure.URL).Export(t.Context(), []*trace.Span{sample()}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)
	if err := exporter(t, secure.URL).Export(t.Context(), []*trace.Span{sample()}); err != nil || len(c.Spans()) != 3 {
		t.Errorf("%d spans, %v", len(c.Spans()), err)
	}
}

// TestTriedAgain: a receiver that is busy at first gets the spans; one that
// refuses them does not.
func TestTriedAgain(t *testing.T) {
	var status, asked atomic.Int32
	c := collector.New(t, func(w http.ResponseWriter, _ *http.Request) bool {
		asked.Add(1)
		if s := status.Swap(0); s != 0 {
			w.WriteHeader(int(s))
			return true
		}
		return false
	})
	e := exporter(t, c.URL)
	status.Store(503)
	if err := e.Export(t.Context(), []*trace.Span{sample()}); err != nil || asked.Load() != 2 || len(c.Spans()) != 3 {
		t.Errorf("busy: %v after %d requests", err, asked.Load())
	}
	status.Store(400)
	if err := e.Export(t.Context(), []*trace.Span{sample()}); err == nil || asked.Load() != 3 {
		t.Errorf("refused: %v after %d requests", err, asked.Load())
	}
	c.Close()
	if err := e.Export(t.Context(), []*trace.Span{sample()}); err == nil {
		t.Error("dead: no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	dead := exporter(t, "grpc://"+c.Listener.Addr().String())
	if err := dead.Export(ctx, []*trace.Span{sample()}); err == nil || time.Since(begun) > 10*time.Second {
		t.Errorf("dead, by gRPC: %v after %v", err, time.Since(begun))
	}
}

// BenchmarkExport is the cost of one request with one attempt, in batches, with
// a receiver in the same process.
func BenchmarkExport(b *testing.B) {
	c := collector.New(b, func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		return true
	})
	e, err := New(Options{Endpoint: c.URL, Service: "balancer", Node: "host:8680", Version: "1.2"})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close(context.Background())
	batch := make([]*trace.Span, 512)
	for i := range batch {
		batch[i] = sample()
		batch[i].Attempts = batch[i].Attempts[1:]
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(batch) {
		if err := e.Export(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
