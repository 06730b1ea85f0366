package l7

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
	otel "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/metadata"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil/collector"
	"github.com/openslb/openslb/internal/testutil/grpctest"
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

// TestSpanOfAttempts: each server that was asked is a span, and the one that
// answers is told which is its own.
func TestSpanOfAttempts(t *testing.T) {
	h := newHearer(t, repeat)
	dead := deadTarget(t, "dead")
	p, c := newTracedProxy(t, spec.HTTPOptions{}, dead, h.target)
	cl := p.dial()
	for range 2 { // one of two begins with the dead one
		cl.send(simple)
		cl.want(200, "")
		spans := c.Take(2)
		s, attempts := wantFamily(t, spans, len(spans)-1)
		text, _ := lineage(t, h.last())
		if last := attempts[len(attempts)-1]; text != "00-"+s.Trace()+"-"+last.ID()+"-01" {
			t.Errorf("the server got %q, its span is %v", text, last.Span)
		}
		if len(attempts) == 1 {
			continue
		}
		wantAttributes(t, s, map[string]any{"openslb.attempts": int64(2), "openslb.backend.address": h.target.Addr.String(), "error.type": nil})
		wantAttributes(t, &attempts[0], map[string]any{"server.port": int64(dead.Addr.Port()), "error.type": "no_answer", "http.response.status_code": nil})
		wantAttributes(t, &attempts[1], map[string]any{"server.port": int64(h.target.Addr.Port()), "http.request.resend_count": int64(1), "http.response.status_code": int64(200)})
		if attempts[0].ID() == attempts[1].ID() || attempts[0].Status.GetCode() != otel.Status_STATUS_CODE_ERROR || s.Status.GetCode() != otel.Status_STATUS_CODE_UNSET {
			t.Errorf("spans %v", spans)
		}
		return
	}
	t.Error("no request began with the dead server")
}

// TestSpanOfReplay: a request that a kept connection swallowed is sent again
// under another id.
func TestSpanOfReplay(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		for n := 0; ; n++ {
			m, err := readMessage(br, false)
			if err != nil || n == 1 { // the second on a connection is left without a word
				return
			}
			b.record(m.head)
			io.WriteString(c, ok("x"))
		}
	})
	p, c := newTracedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send(simple)
	cl.want(200, "x")
	wantFamily(t, c.Take(2), 1)
	eventually(t, "a kept connection", func() bool { return p.keptCount() == 1 })
	cl.send(simple)
	cl.want(200, "x")
	s, attempts := wantFamily(t, c.Take(3), 2)
	m := message{head: b.seen()[1]}
	if got := m.header("traceparent"); len(got) != 1 || got[0] != "00-"+s.Trace()+"-"+attempts[1].ID()+"-01" {
		t.Errorf("the server got %q, its span is %v", got, attempts[1].Span)
	}
	wantAttributes(t, &attempts[0], map[string]any{"error.type": "no_answer"})
}

// TestSpanOfFailures: what no server answered, or not to the end.
func TestSpanOfFailures(t *testing.T) {
	silent := newBackend(t, func(_ *backend, _ net.Conn, br *bufio.Reader) { io.Copy(io.Discard, br) })
	short := answering(t, func(*message) string { return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort" })
	sick := answering(t, func(*message) string { return "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n" })
	for _, row := range []struct {
		name, request string
		options       spec.HTTPOptions
		targets       []spec.Target
		attempts      int
		status        any // int64, or nil for none
		failure       any // error.type, or nil
		ofAttempt     any
		method        string
	}{
		{"malformed", "GET /x HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", spec.HTTPOptions{}, nil, 0, int64(400), nil, nil, "GET"},
		{"garbage", "\x01\x02\r\n\r\n", spec.HTTPOptions{}, nil, 0, int64(400), nil, nil, "_OTHER"},
		{"malformed with a parent", "GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: " + sampledParent + "\r\nBad Name: x\r\n\r\n", spec.HTTPOptions{}, nil, 0, int64(400), nil, nil, "GET"},
		{"own method", "BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", spec.HTTPOptions{}, []spec.Target{target(sick)}, 1, int64(500), "500", "500", "_OTHER"},
		{"redirect", simple, spec.HTTPOptions{Redirect: &spec.Redirect{}}, nil, 0, int64(301), nil, nil, "GET"},
		{"no servers", simple, spec.HTTPOptions{}, nil, 0, int64(503), "503", nil, "GET"},
		{"dead server", simple, spec.HTTPOptions{}, []spec.Target{deadTarget(t, "d")}, 1, int64(502), "502", "no_answer", "GET"},
		{"silent server", simple, spec.HTTPOptions{RequestTimeout: 100 * time.Millisecond}, []spec.Target{target(silent)}, 1, int64(504), "504", "timeout", "GET"},
		{"sick server", simple, spec.HTTPOptions{}, []spec.Target{target(sick)}, 1, int64(500), "500", "500", "GET"},
		{"short answer", simple, spec.HTTPOptions{RequestTimeout: 100 * time.Millisecond}, []spec.Target{target(short)}, 1, int64(200), "incomplete", nil, "GET"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, c := newTracedProxy(t, row.options, row.targets...)
			cl := p.dial()
			cl.send(row.request)
			cl.read()
			s, attempts := wantFamily(t, c.Await(1+row.attempts), row.attempts)
			wantAttributes(t, s, map[string]any{"http.request.method": row.method, "http.response.status_code": row.status, "error.type": row.failure, "openslb.attempts": int64(row.attempts)})
			if failed := s.Status.GetCode() == otel.Status_STATUS_CODE_ERROR; failed != (row.failure != nil) {
				t.Errorf("status %v", s.Status)
			}
			if row.attempts > 0 {
				wantAttributes(t, &attempts[0], map[string]any{"error.type": row.ofAttempt})
			}
			if joined := s.Parent() != ""; joined != strings.Contains(row.request, sampledParent) {
				t.Errorf("parent %q", s.Parent())
			}
		})
	}
}

// TestSpanOfClientGone: the client leaves before there is an answer.
func TestSpanOfClientGone(t *testing.T) {
	asked, release := make(chan bool, 1), make(chan bool)
	h := newHearer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-release
		w.Write(make([]byte, 10<<20)) // more than anybody takes unread
	})
	p, c := newTracedProxy(t, spec.HTTPOptions{}, h.target)
	cl := p.dial()
	cl.send(simple)
	<-asked
	cl.tcp.SetLinger(0)
	cl.tcp.Close()
	close(release)
	s, _ := wantFamily(t, c.Await(2), 1)
	wantAttributes(t, s, map[string]any{"error.type": "incomplete"})
}

// TestSpanOfRules: requests are recorded with the rule they are for.
func TestSpanOfRules(t *testing.T) {
	h := newHearer(t, repeat)
	p, c := newTracedProxy(t, spec.HTTPOptions{}, h.target)
	f := p.f
	f.HTTP = &spec.HTTPOptions{Rules: []spec.Rule{{ID: "rule-7", Domain: "seven.example", Path: "/a", Pool: "p"}}}
	ruled := pool.NewStatic(h.target)
	t.Cleanup(ruled.Close)
	p.Update(f, p.pool, ruled)
	cl := p.dial()
	for _, row := range []struct {
		request string
		status  int
		rule    any
	}{
		{"GET /ab HTTP/1.1\r\nHost: seven.example\r\n\r\n", 200, "rule-7"},
		{"GET /b HTTP/1.1\r\nHost: seven.example\r\n\r\n", 404, nil},
		{simple, 200, nil},
	} {
		cl.send(row.request)
		cl.want(row.status, "*")
		n := 2
		if row.status == 404 {
			n = 1
		}
		s, _ := wantFamily(t, c.Take(n), n-1)
		wantAttributes(t, s, map[string]any{"openslb.rule.id": row.rule, "http.response.status_code": int64(row.status), "error.type": nil})
	}
}

// TestSpanOfTunnel: an upgraded connection is one request until it ends.
func TestSpanOfTunnel(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		head, err := readHead(br)
		if err != nil {
			return
		}
		b.record(head)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, br)
	})
	p, c := newTracedProxy(t, spec.HTTPOptions{}, target(b))
	cl := p.dial()
	cl.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\ntraceparent: " + sampledParent + "\r\n\r\nhello")
	if m, err := readMessage(cl.br, true); err != nil || !strings.Contains(m.line, " 101 ") {
		t.Fatalf("answer %q, %v", m.line, err)
	}
	io.ReadFull(cl.br, make([]byte, 5))
	if n := len(c.Spans()); n != 0 {
		t.Errorf("%d spans while it goes on", n)
	}
	cl.Close()
	s, attempts := wantFamily(t, c.Await(2), 1)
	wantAttributes(t, s, map[string]any{"http.response.status_code": int64(101), "error.type": nil, "url.path": "/chat"})
	m := message{head: b.seen()[0]}
	if got := m.header("traceparent"); len(got) != 1 || got[0] != "00-"+s.Trace()+"-"+attempts[0].ID()+"-01" {
		t.Errorf("the server got %q", got)
	}
}

// TestSpanOfCompressed: an answer that is compressed, which a loop hands to a
// goroutine with its request.
func TestSpanOfCompressed(t *testing.T) {
	body := strings.Repeat("text ", 4000)
	h := newHearer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, body)
	})
	p, c := newTracedProxy(t, spec.HTTPOptions{Gzip: true}, h.target)
	cl := p.dial()
	for range 2 { // and the connection goes on
		cl.send("GET /c HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
		if m := cl.want(200, "*"); m.header("Content-Encoding") == nil {
			t.Fatal("not compressed")
		}
		s, attempts := wantFamily(t, c.Take(2), 1)
		wantAttributes(t, s, map[string]any{"http.response.status_code": int64(200), "error.type": nil, "url.path": "/c"})
		if text, _ := lineage(t, h.last()); text != "00-"+s.Trace()+"-"+attempts[0].ID()+"-01" {
			t.Errorf("the server got %q", text)
		}
	}
}

// TestSpanOfGRPC: a call is a request like any other.
func TestSpanOfGRPC(t *testing.T) {
	if !overTLS {
		return
	}
	tracer, c := newTracer(t, 0)
	w := way{servers: spec.HTTPOptions{ServersHTTP2: true}}
	p := w.proxy(t, traced(tracer), grpcServer(t, make(chan string, 1)))
	cc, err := grpctest.NewClient(p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), "traceparent", sampledParent), patience)
	defer cancel()
	in, out := []byte("call"), []byte(nil)
	if err := cc.Invoke(ctx, "/t/Unary", &in, &out); err != nil || string(out) != "call" {
		t.Fatalf("%q, %v", out, err)
	}
	s, attempts := wantFamily(t, c.Await(2), 1)
	wantAttributes(t, s, map[string]any{"http.request.method": "POST", "url.path": "/t/Unary", "network.protocol.version": "2", "http.response.status_code": int64(200), "error.type": nil})
	wantAttributes(t, &attempts[0], map[string]any{"network.protocol.version": "2"})
	if s.Parent() != sampledParent[36:52] {
		t.Errorf("parent %s", s.Parent())
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
