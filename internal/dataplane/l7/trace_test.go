package l7

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// hearer is a server that keeps the headers of what it is asked, by whatever
// version of HTTP.
type hearer struct {
	target spec.Target
	mu     sync.Mutex
	heard  []http.Header
}

// newHearer answers by fn.
func newHearer(t testing.TB, fn http.HandlerFunc) *hearer { return newHearerWith(t, nil, fn) }

// newHearerWith has a server with its own settings of HTTP/2.
func newHearerWith(t testing.TB, config *http.HTTP2Config, fn http.HandlerFunc) *hearer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hearer{target: spec.Target{ID: "h", Addr: netip.MustParseAddrPort(l.Addr().String()), Weight: 1}}
	srv := &http.Server{HTTP2: config, Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.heard = append(h.heard, r.Header.Clone())
		h.mu.Unlock()
		fn(w, r)
	})}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return h
}

// last gives the headers of the last request.
func (h *hearer) last() http.Header {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard[len(h.heard)-1]
}

// repeat answers with the body of the request.
func repeat(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }

// header is one line of a head.
type header struct{ name, value string }

// way is a way that requests take through a proxy.
type way struct {
	name    string
	secure  bool // over HTTPS alone
	servers spec.HTTPOptions
	version string // that the client speaks
	// ask sends a request for /way?q=1 with further headers, and wants 200.
	ask func(t *testing.T, p *proxy, more ...header)
}

var ways = []way{
	{name: "HTTP/1.1", version: "1.1", ask: askPlainly("HTTP/1.1", false)},
	{name: "HTTP/1.0", version: "1.0", ask: askPlainly("HTTP/1.0", false)},
	{name: "chunked", version: "1.1", ask: askPlainly("HTTP/1.1", true)},
	{name: "HTTP/2", version: "2", secure: true, ask: askHTTP2},
	{name: "HTTP/1.1 to HTTP/2", version: "1.1", secure: true, servers: spec.HTTPOptions{ServersHTTP2: true}, ask: askPlainly("HTTP/1.1", false)},
	{name: "HTTP/2 to HTTP/2", version: "2", secure: true, servers: spec.HTTPOptions{ServersHTTP2: true}, ask: askHTTP2},
}

// eachWay runs fn for the ways that proxies of the present pass have.
func eachWay(t *testing.T, fn func(t *testing.T, w *way)) {
	for i := range ways {
		if w := &ways[i]; !w.secure || overTLS {
			t.Run(w.name, func(t *testing.T) { fn(t, w) })
		}
	}
}

// proxy makes one for the way.
func (w *way) proxy(t *testing.T, change func(*Options, *spec.Frontend), targets ...spec.Target) *proxy {
	p := newProxyWith(t, change, nil, w.servers, targets...)
	if overTLS {
		p.enableHTTP2()
	}
	return p
}

// askPlainly asks by HTTP/1. A body in chunks comes after the head, so that it
// has to be waited for.
func askPlainly(version string, chunked bool) func(*testing.T, *proxy, ...header) {
	return func(t *testing.T, p *proxy, more ...header) {
		method := "GET"
		if chunked {
			method, more = "POST", append(more, header{"Transfer-Encoding", "chunked"})
		}
		head := method + " /way?q=1 " + version + "\r\nHost: a.example:8080\r\n"
		for _, h := range more {
			head += h.name + ": " + h.value + "\r\n"
		}
		cl := p.dial()
		cl.send(head + "\r\n")
		if chunked {
			cl.send("2\r\nhi\r\n0\r\n\r\n")
		}
		cl.want(200, "*")
	}
}

func askHTTP2(t *testing.T, p *proxy, more ...header) {
	r := p.request("GET", "/way?q=1", nil)
	r.Host = "a.example:8080"
	for _, h := range more {
		r.Header[h.name] = append(r.Header[h.name], h.value)
	}
	if resp, _ := fetch(t, p.http2Client(), r); resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
}

const sampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestTraceContextPasses: without tracing of our own, what a client says of its
// trace reaches the server byte by byte, well formed or not.
func TestTraceContextPasses(t *testing.T) {
	for _, parent := range []string{sampledParent, "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", "?"} {
		sent := []header{{"traceparent", parent}, {"tracestate", "rojo=00f067aa0ba902b7, congo=t61"}, {"tracestate", "b@c=1"}, {"baggage", "userId=Am%C3%A9lie,serverNode=DF%2028;p=1"}, {"baggage", "k=v"}}
		eachWay(t, func(t *testing.T, w *way) {
			h := newHearer(t, repeat)
			p := w.proxy(t, func(*Options, *spec.Frontend) {}, h.target)
			w.ask(t, p, sent...)
			got := h.last()
			for _, name := range []string{"traceparent", "tracestate", "baggage"} {
				var want []string
				for _, s := range sent {
					if s.name == name {
						want = append(want, s.value)
					}
				}
				if values := got.Values(name); !slices.Equal(values, want) {
					t.Errorf("%s is %q, want %q", name, values, want)
				}
			}
		})
	}
}

// TestTraceContextPassesUpgrades: the same where a request becomes a tunnel.
func TestTraceContextPassesUpgrades(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		head, err := readHead(br)
		if err != nil {
			return
		}
		b.record(head)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	})
	cl := newProxy(t, spec.HTTPOptions{}, target(b)).dial()
	const lines = "traceparent: " + sampledParent + "\r\ntracestate: a=1\r\nbaggage: b=2\r\n"
	cl.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + lines + "\r\n")
	if m, err := readMessage(cl.br, true); err != nil || !strings.Contains(m.line, " 101 ") {
		t.Fatalf("answer %q, %v", m.line, err)
	}
	if head := b.seen()[0]; !strings.Contains(head, lines) {
		t.Errorf("the server saw %q", head)
	}
}
