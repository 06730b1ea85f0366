// Package collector is a receiver of OpenTelemetry's traces for tests.
package collector

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans over OTLP/HTTP.
type Collector struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	spans    []Span
	requests []*http.Request
}

// Span is what came of one.
type Span struct {
	*wire.Span
	Attributes map[string]any // string, int64 and so on
	Resource   map[string]any
}

// Trace is the id of the trace, as in a traceparent.
func (s *Span) Trace() string { return fmt.Sprintf("%x", s.TraceId) }

// ID is that of the span, as in a traceparent.
func (s *Span) ID() string { return fmt.Sprintf("%x", s.SpanId) }

// Parent is the id of the span that this one is under; empty: none.
func (s *Span) Parent() string { return fmt.Sprintf("%x", s.ParentSpanId) }

// New starts a collector, which ends with the test. first, if not nil, looks at
// each request before it is read; with true it has answered.
func New(t testing.TB, first func(http.ResponseWriter, *http.Request) bool) *Collector {
	c := &Collector{t: t}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first != nil && first(w, r) {
			return
		}
		c.take(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			c.t.Errorf("collector: %v", err)
		}
	}
	b, err := io.ReadAll(body)
	m := new(collect.ExportTraceServiceRequest)
	if err == nil {
		err = proto.Unmarshal(b, m)
	}
	if err != nil || r.Method != "POST" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("collector: %s %s of %d bytes: %v", r.Method, r.Header.Get("Content-Type"), len(b), err)
		w.WriteHeader(400)
		return
	}
	c.Add(m, r)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Add takes the spans of a request that came another way, with r nil, or by HTTP.
func (c *Collector) Add(m *collect.ExportTraceServiceRequest, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r != nil {
		c.requests = append(c.requests, r)
	}
	for _, rs := range m.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans = append(c.spans, Span{s, Attributes(s.Attributes), Attributes(rs.Resource.GetAttributes())})
			}
		}
	}
}

// Attributes gives attributes by name.
func Attributes(list []*common.KeyValue) map[string]any {
	m := map[string]any{}
	for _, kv := range list {
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			m[kv.Key] = v.IntValue
		default:
			m[kv.Key] = v
		}
	}
	return m
}

// Spans are those that have come so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Requests are those that spans have come with.
func (c *Collector) Requests() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*http.Request(nil), c.requests...)
}

// Await waits for n spans, and gives all there are then.
func (c *Collector) Await(n int) []Span {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if spans := c.Spans(); len(spans) >= n {
			return spans
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d spans, want %d", len(c.Spans()), n)
		}
	}
}

// Take is Await that forgets the spans it gives.
func (c *Collector) Take(n int) []Span {
	c.t.Helper()
	spans := c.Await(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = c.spans[len(spans):]
	return spans
}
