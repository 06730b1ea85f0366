package l7

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
	otel "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil/collector"
	"github.com/openslb/openslb/internal/trace"
	"github.com/openslb/openslb/internal/trace/otlp"
)

// newTracer exports to a collector of its own, or to none.
func newTracer(t testing.TB, ratio float64) (*trace.Tracer, *collector.Collector) {
	t.Helper()
	c := collector.New(t, nil)
	return tracerTo(t, ratio, c.URL), c
}

func tracerTo(t testing.TB, ratio float64, url string) *trace.Tracer {
	t.Helper()
	e, err := otlp.New(otlp.Options{Endpoint: url, Service: "test", Node: "n", Version: "v"})
	if err != nil {
		t.Fatal(err)
	}
	tracer := trace.New(trace.Options{Ratio: ratio, Export: e.Export, Delay: time.Millisecond})
	t.Cleanup(func() { // after the proxy's
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		tracer.Close(ctx)
		e.Close(context.Background())
	})
	return tracer
}

func traced(tracer *trace.Tracer) func(*Options, *spec.Frontend) {
	return func(o *Options, _ *spec.Frontend) { o.Tracer = tracer }
}

// newTracedProxy is newProxy with all requests recorded.
func newTracedProxy(t testing.TB, o spec.HTTPOptions, targets ...spec.Target) (*proxy, *collector.Collector) {
	t.Helper()
	tracer, c := newTracer(t, 1)
	return newProxyWith(t, traced(tracer), nil, o, targets...), c
}

const unsampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

// lineage is the traceparent that a server got.
func lineage(t *testing.T, got http.Header) (text string, c trace.Context) {
	t.Helper()
	lines := got.Values("traceparent")
	if len(lines) != 1 {
		t.Fatalf("traceparent is %q", lines)
	}
	c, ok := trace.Parse([]byte(lines[0]))
	if !ok {
		t.Fatalf("traceparent is %q", lines)
	}
	return lines[0], c
}

// wantAttributes compares some; nil: absent.
func wantAttributes(t *testing.T, s *collector.Span, want map[string]any) {
	t.Helper()
	for name, w := range want {
		if got := s.Attributes[name]; got != w {
			t.Errorf("%s is %v (%T), want %v", name, got, got, w)
		}
	}
}

// wantFamily checks that spans are one request and its attempts, and that times
// are what they can be. It gives the former and the latter.
func wantFamily(t *testing.T, spans []collector.Span, attempts int) (*collector.Span, []collector.Span) {
	t.Helper()
	if len(spans) != 1+attempts {
		t.Fatalf("%d spans, want %d", len(spans), 1+attempts)
	}
	s, children := &spans[0], spans[1:]
	if s.Kind != otel.Span_SPAN_KIND_SERVER {
		t.Errorf("kind %v", s.Kind)
	}
	before := s.StartTimeUnixNano
	for i := range children {
		c := &children[i]
		if c.Kind != otel.Span_SPAN_KIND_CLIENT || c.Trace() != s.Trace() || c.Parent() != s.ID() || c.ID() == s.ID() {
			t.Errorf("attempt %d: %v", i, c.Span)
		}
		if c.StartTimeUnixNano < before || c.EndTimeUnixNano < c.StartTimeUnixNano || c.EndTimeUnixNano > s.EndTimeUnixNano {
			t.Errorf("attempt %d from %d to %d, request from %d to %d", i, c.StartTimeUnixNano, c.EndTimeUnixNano, s.StartTimeUnixNano, s.EndTimeUnixNano)
		}
		before = c.StartTimeUnixNano
	}
	if now := uint64(time.Now().UnixNano()); s.EndTimeUnixNano > now || s.StartTimeUnixNano < now-uint64(time.Minute) {
		t.Errorf("from %d to %d, and now is %d", s.StartTimeUnixNano, s.EndTimeUnixNano, now)
	}
	return s, children
}

// TestSpans: a request of a recorded trace, whatever its way.
func TestSpans(t *testing.T) {
	eachWay(t, func(t *testing.T, w *way) {
		h := newHearer(t, repeat)
		tracer, c := newTracer(t, 0) // its sender decides
		p := w.proxy(t, traced(tracer), h.target)
		w.ask(t, p, header{"tracestate", "rojo=1"}, header{"traceparent", sampledParent}, header{"tracestate", "congo=2,x=3"}, header{"baggage", "k=v"}, header{"user-agent", "agent/7"})
		s, attempts := wantFamily(t, c.Await(2), 1)
		method := "GET"
		if w.name == "chunked" {
			method = "POST"
		}
		if s.Trace() != sampledParent[3:35] || s.Parent() != sampledParent[36:52] || s.TraceState != "rojo=1,congo=2,x=3" || s.Name != method {
			t.Errorf("span %v", s.Span)
		}
		wantAttributes(t, s, map[string]any{"http.request.method": method, "url.path": "/way", "url.query": "q=1", "url.scheme": string(p.f.ID.Protocol), "server.address": "a.example", "server.port": int64(8080),
			"client.address": "127.0.0.1", "network.protocol.version": w.version, "user_agent.original": "agent/7", "http.response.status_code": int64(200), "error.type": nil,
			"openslb.instance.id": "lb-1", "openslb.listener.port": int64(p.f.ID.Port), "openslb.backend.address": h.target.Addr.String(), "openslb.attempts": int64(1), "openslb.rule.id": nil})
		towards := "1.1"
		if w.servers.ServersHTTP2 {
			towards = "2"
		}
		wantAttributes(t, &attempts[0], map[string]any{"server.address": "127.0.0.1", "server.port": int64(h.target.Addr.Port()), "url.full": "http://" + h.target.Addr.String() + "/way?q=1",
			"http.response.status_code": int64(200), "network.protocol.version": towards, "error.type": nil, "http.request.resend_count": nil})
		got := h.last()
		if text, _ := lineage(t, got); text != "00-"+s.Trace()+"-"+attempts[0].ID()+"-01" {
			t.Errorf("the server got %q, the spans are %v", text, attempts[0].Span)
		}
		// To OpenTelemetry's own reader it is the same.
		if other := oteltrace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), propagation.HeaderCarrier(got))); other.TraceID().String() != s.Trace() ||
			other.SpanID().String() != attempts[0].ID() || !other.IsSampled() {
			t.Errorf("the server reads %+v", other)
		}
		if state := got.Values("tracestate"); len(state) != 2 || state[0] != "rojo=1" || state[1] != "congo=2,x=3" || got.Get("baggage") != "k=v" {
			t.Errorf("the server got %v", got)
		}
	})
}

// TestTraceOfOthers: a request of a trace that is not recorded passes as it is.
func TestTraceOfOthers(t *testing.T) {
	eachWay(t, func(t *testing.T, w *way) {
		h := newHearer(t, repeat)
		tracer, c := newTracer(t, 1)
		p := w.proxy(t, traced(tracer), h.target)
		w.ask(t, p, header{"traceparent", unsampledParent}, header{"tracestate", "a=1"})
		if got := h.last(); got.Get("traceparent") != unsampledParent || got.Get("tracestate") != "a=1" {
			t.Errorf("the server got %v", got)
		}
		w.ask(t, p, header{"traceparent", sampledParent})
		wantFamily(t, c.Await(2), 1) // and no others
	})
}

// TestTraceBegins: without a parent, or with one that cannot be understood, a
// trace begins, and the share of them that was asked for is recorded.
func TestTraceBegins(t *testing.T) {
	for name, parents := range map[string][]header{
		"none":      nil,
		"malformed": {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"}},
		"several":   {{"traceparent", sampledParent}, {"traceparent", sampledParent}},
	} {
		for ratio := range 2 {
			t.Run(fmt.Sprint(name, ratio), func(t *testing.T) {
				eachWay(t, func(t *testing.T, w *way) {
					h := newHearer(t, repeat)
					tracer, c := newTracer(t, float64(ratio))
					p := w.proxy(t, traced(tracer), h.target)
					w.ask(t, p, append([]header{{"tracestate", "a=1"}}, parents...)...)
					got := h.last()
					text, context := lineage(t, got)
					if context.Flags != byte(ratio) || strings.Contains(text, sampledParent[3:35]) || got.Values("tracestate") != nil {
						t.Errorf("the server got %v", got)
					}
					if ratio == 0 {
						w.ask(t, p, header{"traceparent", sampledParent})
						wantFamily(t, c.Await(2), 1) // and not those of the first
						return
					}
					s, attempts := wantFamily(t, c.Await(2), 1)
					if text != "00-"+s.Trace()+"-"+attempts[0].ID()+"-01" || s.Parent() != "" || s.TraceState != "" {
						t.Errorf("the server got %q, the span is %v", text, s.Span)
					}
				})
			})
		}
	}
}

// TestTraceParents: who is not believed gets a trace that begins here, recorded or
// not, whatever it says.
func TestTraceParents(t *testing.T) {
	for parents, believed := range map[trace.Parents]map[bool]bool{ // by whether they come by the internet
		"":                    {false: true, true: true},
		trace.AllParents:      {false: true, true: true},
		trace.IntranetParents: {false: true, true: false},
		trace.NoParents:       {false: false, true: false},
	} {
		for internet, want := range believed {
			t.Run(fmt.Sprint(parents, internet), func(t *testing.T) {
				h := newHearer(t, repeat)
				tracer := trace.New(trace.Options{Parents: parents, Export: func(context.Context, []*trace.Span) error { return nil }})
				t.Cleanup(func() { tracer.Close(context.Background()) })
				p := newProxyWith(t, traced(tracer), nil, spec.HTTPOptions{Internet: internet}, h.target)
				for _, parent := range []string{sampledParent, unsampledParent} {
					askPlainly("HTTP/1.1", false)(t, p, header{"traceparent", parent}, header{"tracestate", "a=1"})
					got := h.last()
					text, c := lineage(t, got)
					same := text[3:35] == parent[3:35]
					if same != want || (got.Get("tracestate") == "a=1") != want || !want && c.Flags != 0 {
						t.Errorf("%s becomes %v", parent, got)
					}
				}
			})
		}
	}
}

// TestTraceParentStays: nobody can have the headers taken away on the road by
// naming them in Connection.
func TestTraceParentStays(t *testing.T) {
	h := newHearer(t, repeat)
	p := newProxy(t, spec.HTTPOptions{}, h.target)
	askPlainly("HTTP/1.1", false)(t, p, header{"Connection", "traceparent, tracestate"}, header{"traceparent", sampledParent}, header{"tracestate", "a=1"})
	if got := h.last(); got.Get("traceparent") != sampledParent || got.Get("tracestate") != "a=1" {
		t.Errorf("the server got %v", got)
	}
}

// TestSpansOfManyAtOnce: requests side by side and one behind the other do not get
// each other's traces.
func TestSpansOfManyAtOnce(t *testing.T) {
	h := newHearer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("traceparent")) })
	tracer, c := newTracer(t, 0)
	w := way{}
	p := w.proxy(t, traced(tracer), h.target)
	const clients, rounds = 6, 10
	parent := func(client, n, flags int) string {
		return fmt.Sprintf("00-%030x%02x-%016x-%02x", client+1, n+1, 1+n, flags)
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			cl := p.dial()
			for n := range rounds {
				// A recorded one, one of others, one that begins a trace; all in one piece.
				cl.send("GET /1 HTTP/1.1\r\nHost: a\r\ntraceparent: " + parent(i, n, 1) + "\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\ntraceparent: " + parent(i, n, 0) + "\r\n\r\n" + simple)
				for k := range 3 {
					m, err := readMessage(cl.br, false)
					if err != nil {
						t.Errorf("client %d, round %d: %v", i, n, err)
						return
					}
					got := string(m.body)
					joined := strings.HasPrefix(got, parent(i, n, 1)[:36])
					if len(got) != trace.Size || k == 0 && (!joined || got == parent(i, n, 1)) || k == 1 && got != parent(i, n, 0) || k == 2 && (joined || got[53:] != "00") {
						t.Errorf("client %d, round %d, request %d: the server got %q", i, n, k, got)
					}
				}
			}
		})
	}
	if overTLS {
		hc := p.http2Client()
		for i := range clients { // streams of one connection
			all.Go(func() {
				for n := range rounds {
					r := p.request("GET", "/h2", nil)
					r.Header.Set("traceparent", parent(clients+i, n, 1))
					resp, err := hc.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					b, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if got := string(b); !strings.HasPrefix(got, parent(clients+i, n, 1)[:36]) {
						t.Errorf("stream %d, round %d: the server got %q", i, n, got)
					}
				}
			})
		}
	}
	all.Wait()
	want := clients * rounds
	if overTLS {
		want *= 2
	}
	spans := c.Await(2 * want)
	seen := map[string]int{}
	for i := range spans {
		if s := &spans[i]; s.Kind == otel.Span_SPAN_KIND_SERVER {
			seen[s.Trace()]++
			if path := s.Attributes["url.path"]; path != "/1" && path != "/h2" {
				t.Errorf("span of %v", s.Attributes["url.path"])
			}
		}
	}
	if len(spans) != 2*want || len(seen) != want {
		t.Errorf("%d spans of %d traces, want %d of %d", len(spans), len(seen), 2*want, want)
	}
}

// TestTracingHoldsNothingUp: neither a collector that never answers nor one that
// is not there keeps requests waiting, and what cannot be exported is counted.
func TestTracingHoldsNothingUp(t *testing.T) {
	release := make(chan struct{})
	slow := collector.New(t, func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return true
	})
	t.Cleanup(func() { close(release) })
	dead := collector.New(t, nil)
	dead.Close()
	for name, url := range map[string]string{"slow": slow.URL, "dead": dead.URL} {
		t.Run(name, func(t *testing.T) {
			tracer := tracerTo(t, 1, url)
			p := newProxyWith(t, traced(tracer), nil, spec.HTTPOptions{}, echoServer(t, ok("end")))
			buf := make([]byte, 4<<10)
			for range 6 { // more than the exporter takes at once
				cl := p.dial() // which bounds the time that all takes
				exchanges(t, cl, []byte(simple), buf, maxRequests)
				cl.Close()
			}
			if name == "dead" {
				eventually(t, "spans are lost", func() bool { return tracer.Stats().Failed > 0 })
			}
			if s := tracer.Stats(); s.Exported != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestTracingNoAllocations: requests that are not recorded cost no allocation,
// with a parent or without.
func TestTracingNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget on purpose")
	}
	limit := 0.1
	if overTLS {
		limit = 6 // of crypto/tls, the client's included
	}
	tracer, _ := newTracer(t, 0)
	for name, request := range map[string]string{
		"none":      simple,
		"others'":   "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: " + unsampledParent + "\r\ntracestate: a=1\r\n\r\n",
		"malformed": "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: x\r\ntracestate: a=1\r\n\r\n",
	} {
		p := newProxyWith(t, traced(tracer), nil, spec.HTTPOptions{XForwardedFor: true, SLBID: true}, echoServer(t, ok("end")))
		if n := allocsPerRequest(p, request); n > limit {
			t.Errorf("%s: %.2f allocations per request", name, n)
		}
	}
}

// BenchmarkProxyTraced is BenchmarkProxyKeepAlive with tracing on.
func BenchmarkProxyTraced(b *testing.B) {
	for ratio, name := range []string{"unrecorded", "recorded"} {
		b.Run(name, func(b *testing.B) {
			tracer := trace.New(trace.Options{Ratio: float64(ratio), Export: func(context.Context, []*trace.Span) error { return nil }})
			defer tracer.Close(context.Background())
			benchmarkKeepAlive(b, newProxyWith(b, traced(tracer), nil, spec.HTTPOptions{XForwardedFor: true, Gzip: true}, echoServer(b, ok("end"))))
		})
	}
}
