package l7

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	otel "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/metadata"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil/grpctest"
)

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
	cutting := func(head string) *backend {
		return newBackend(t, func(_ *backend, c net.Conn, br *bufio.Reader) {
			if _, err := readMessage(br, false); err == nil {
				io.WriteString(c, head)
			}
		})
	}
	cut := cutting("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
	chunks := cutting("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
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
		{"short answer", simple, spec.HTTPOptions{RequestTimeout: 100 * time.Millisecond}, []spec.Target{target(short)}, 1, int64(200), "incomplete", "incomplete", "GET"},
		{"answer cut off", simple, spec.HTTPOptions{}, []spec.Target{target(cut)}, 1, int64(200), "incomplete", "incomplete", "GET"},
		{"answer of chunks cut off", simple, spec.HTTPOptions{Gzip: true}, []spec.Target{target(chunks)}, 1, int64(200), "incomplete", "incomplete", "GET"},
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
	s, attempts := wantFamily(t, c.Await(2), 1)
	wantAttributes(t, s, map[string]any{"error.type": "incomplete"})
	wantAttributes(t, &attempts[0], map[string]any{"error.type": nil}) // the server did its part
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
