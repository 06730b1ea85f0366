package l7

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Policy is the same for all protocols. What these tests prove is that a request
// of HTTP/2 gets to it as what it is, and the answer back.

// TestHTTP2Rules: requests of one connection go where their authority and path
// say, and a change of rules counts from the next request on.
func TestHTTP2Rules(t *testing.T) {
	if !overTLS {
		return
	}
	named := func(name string) *pool.Pool {
		p := pool.NewStatic(target(answering(t, func(*message) string { return ok(name) })))
		t.Cleanup(p.Close)
		return p
	}
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(answering(t, func(*message) string { return ok("own") })))
	one, two, three := named("one"), named("two"), named("three")
	f := p.f
	f.HTTP = &spec.HTTPOptions{Rules: []spec.Rule{{ID: "1", Domain: "*.a.test"}, {ID: "2", Domain: "b.test", Path: "/x"}, {ID: "3", Domain: "b.test", Path: "/x/long"}}}
	p.Update(f, p.pool, one, two, three)
	r := p.dialHTTP2()
	id := uint32(1)
	ask := func(method, authority, path string, end bool, want string) {
		t.Helper()
		r.ask(id, end, method, authority, path)
		r.watchEnds(id)
		got := r.seen.text[id]
		if status := r.seen.value(id, ":status"); status != "200" {
			got = status
		}
		if got != want {
			t.Errorf("%s %s%s: %s, want %s", method, authority, path, got, want)
		}
		if !end { // the body is not waited for
			r.watch("word that the body is not wanted", func(w *watched) bool { _, reset := w.reset[id]; return reset })
		}
		id += 2
	}
	ask("GET", "www.a.test", "/", true, "one")
	ask("GET", "deep.www.a.test:443", "/", true, "one")
	ask("GET", "B.test:80", "/x/y?z", true, "two")
	ask("GET", "b.test", "/x/long/y", true, "three")
	ask("GET", "b.test", "/xx", true, "two")
	ask("GET", "b.test", "/%78", true, "two")
	ask("GET", "b.test", "/y", true, "404")
	ask("POST", "b.test", "/y", false, "404")
	ask("OPTIONS", "x.a.test", "*", true, "one")
	ask("GET", "a.test", "/", true, "own")
	f.HTTP = &spec.HTTPOptions{Rules: []spec.Rule{{ID: "2", Domain: "b.test"}}}
	p.Update(f, p.pool, two)
	ask("GET", "b.test", "/y", true, "two")
	ask("GET", "www.a.test", "/", true, "own")
	if f := p.Facts(); f.Status[4] != 2 || f.Upstream4 != 0 || f.NewConnections != 1 {
		t.Errorf("facts %+v", f)
	}
}

// TestHTTP2Redirect: with each code, and without waiting for bodies.
func TestHTTP2Redirect(t *testing.T) {
	if !overTLS {
		return
	}
	p := newHTTP2Proxy(t, spec.HTTPOptions{Redirect: &spec.Redirect{Port: 8443}})
	f := p.f
	for _, code := range []int{301, 302, 303, 307, 308} {
		f.HTTP = &spec.HTTPOptions{Redirect: &spec.Redirect{Port: 8443, Code: code}}
		p.Update(f, nil)
		r := p.dialHTTP2()
		r.ask(1, true, "GET", "example.com:80", "/a%20b?c=d")
		r.ask(3, false, "POST", "[::1]", "/")
		r.ask(5, true, "HEAD", "example.com", "/")
		r.watchEnds(1, 3, 5)
		for id, location := range map[uint32]string{1: "https://example.com:8443/a%20b?c=d", 3: "https://[::1]:8443/", 5: "https://example.com:8443/"} {
			if w := &r.seen; w.value(id, ":status") != strconv.Itoa(code) || w.value(id, "location") != location || (w.body[id] > 0) == (id == 5) {
				t.Errorf("%d: %v, %d bytes", code, w.heads[id], w.body[id])
			}
		}
	}
}

// TestHTTP2Loop: a server that sends requests back to the listener gets them
// answered at last.
func TestHTTP2Loop(t *testing.T) {
	if !overTLS {
		return
	}
	var p *proxy
	var c *http.Client
	b := answering(t, func(m *message) string {
		r := p.request("GET", "/", nil)
		for _, l := range strings.Split(m.head, "\r\n")[1:] {
			if name, value, ok := strings.Cut(l, ": "); ok && !strings.EqualFold(name, "host") {
				r.Header.Add(name, value)
			}
		}
		resp, _ := fetch(t, c, r)
		return fmt.Sprintf("HTTP/1.1 %d Back\r\nContent-Length: 0\r\n\r\n", resp.StatusCode)
	})
	p = newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	c = p.http2Client()
	if resp, _ := fetch(t, c, p.request("GET", "/", nil)); resp.StatusCode != 500 {
		t.Errorf("answer %d", resp.StatusCode)
	}
	if n := len(b.seen()); n < 5 || n > 20 {
		t.Errorf("%d requests in the loop", n)
	}
}

// TestHTTP2Headers: what is told of clients, and that they cannot forge it.
func TestHTTP2Headers(t *testing.T) {
	if !overTLS {
		return
	}
	b := answering(t, func(m *message) string {
		return "HTTP/1.1 200 OK\r\nServer: theirs\r\nDate: theirs\r\nX-Pad: p\r\nX-Accel-Redirect: /i\r\nConnection: foo\r\nFoo: hop\r\nKeep-Alive: 5\r\nX-UPPER: Kept\r\nContent-Length: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nx"
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	names := []string{"X-Forwarded-For", "SLB-IP", "SLB-ID", "slb_id", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Client-srcport"}
	r := p.dialHTTP2()
	for i, row := range []struct {
		options spec.HTTPOptions
		want    string // by name; SRCPORT is the client's
	}{
		{spec.HTTPOptions{}, "9.9.9.9 f f f f f f"},
		{spec.HTTPOptions{XForwardedFor: true, SLBIP: true, SLBID: true, Proto: true, Port: true, ClientSrcPort: true}, "9.9.9.9,127.0.0.1 127.0.0.1 lb-1  https 443 SRCPORT"},
	} {
		f := p.f
		f.HTTP = &row.options
		p.Update(f, p.pool)
		id := uint32(2*i + 1)
		r.head(id, true, "x-forwarded-for", "9.9.9.9", "slb-ip", "f", "slb-id", "f", "slb_id", "f", "x-forwarded-proto", "f", "x-forwarded-port", "f", "x-forwarded-client-srcport", "f")
		r.watchEnds(id)
		m := &message{head: b.seen()[i]}
		var got []string
		for _, name := range names {
			got = append(got, strings.ReplaceAll(strings.Join(m.header(name), "|"), ", ", ","))
		}
		want := strings.ReplaceAll(row.want, "SRCPORT", strconv.Itoa(r.tcp.LocalAddr().(*net.TCPAddr).Port))
		if strings.Join(got, " ") != want {
			t.Errorf("servers are told %q, want %q", got, want)
		}
	}
	for name, want := range map[string]string{"server": "OpenSLB", "x-pad": "", "x-accel-redirect": "", "connection": "", "foo": "", "keep-alive": "",
		"x-upper": "Kept", "content-length": "1", "set-cookie": "a|b", "transfer-encoding": ""} {
		if got := r.seen.value(3, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if date := r.seen.value(3, "date"); !strings.HasSuffix(date, "GMT") {
		t.Errorf("date %q", date)
	}
}

// TestHTTP2AccessControl: whom the list refuses gets no handshake; connections that
// were there before the list go on, with new requests.
func TestHTTP2AccessControl(t *testing.T) {
	if !overTLS {
		return
	}
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, hello(t))
	r := p.dialHTTP2()
	r.head(1, true)
	r.untilEnd(1)
	f := p.f
	f.ACL = &spec.ACL{Type: spec.ACLBlack, Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	p.Update(f, p.pool)
	c := p.http2Client()
	if resp, err := c.Do(p.request("GET", "/", nil)); err == nil {
		resp.Body.Close()
		t.Error("who is refused gets an answer")
	}
	r.head(3, true)
	r.untilEnd(3)
	eventually(t, "the refused to be counted", func() bool {
		f := p.Facts()
		return f.DropConnections >= 1 && f.DropConnections == f.NewConnections-1 && f.ActiveConnections == 1
	})
	f.ACL = &spec.ACL{Type: spec.ACLWhite, Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	p.Update(f, p.pool)
	fetch(t, c, p.request("GET", "/", nil))
}
