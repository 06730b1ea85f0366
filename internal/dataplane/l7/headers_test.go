package l7

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestHeaderSwitches(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	const forged = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nSLB-IP: f\r\nslb_id: f\r\nX-Forwarded-Proto: f\r\nX-Forwarded-Port: f\r\nX-Forwarded-Client-srcport: f\r\n\r\n"
	all := []string{"X-Forwarded-For", "SLB-IP", "slb-id", "slb_id", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Client-srcport"}
	for _, c := range []struct {
		name    string
		options spec.HTTPOptions
		want    []string // of all, by name; SRCPORT is the client's
	}{
		{"off", spec.HTTPOptions{}, []string{"9.9.9.9", "f", "", "f", "f", "f", "f"}},
		{"on", spec.HTTPOptions{XForwardedFor: true, SLBIP: true, SLBID: true, Proto: true, Port: true, ClientSrcPort: true},
			[]string{"9.9.9.9, 127.0.0.1", "127.0.0.1", "lb-1", "", "PROTO", "PORT", "SRCPORT"}},
		{"some", spec.HTTPOptions{XForwardedFor: true, Port: true}, []string{"9.9.9.9, 127.0.0.1", "f", "", "f", "f", "PORT", "f"}},
	} {
		p := newProxy(t, c.options, target(b))
		cl := p.dial()
		cl.send(forged)
		cl.want(200, "x")
		seen := b.seen()
		m := &message{head: seen[len(seen)-1]}
		values := strings.NewReplacer("SRCPORT", strconv.Itoa(cl.LocalAddr().(*net.TCPAddr).Port),
			"PROTO", string(p.f.ID.Protocol), "PORT", strconv.Itoa(int(p.f.ID.Port)))
		for i, name := range all {
			want := values.Replace(c.want[i])
			if got := strings.Join(m.header(name), "|"); got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
			}
		}
	}
	p := newProxy(t, spec.HTTPOptions{XForwardedFor: true}, target(b))
	cl := p.dial()
	cl.send(simple)
	cl.want(200, "x")
	seen := b.seen()
	if got := (&message{head: seen[len(seen)-1]}).header("X-Forwarded-For"); len(got) != 1 || got[0] != "127.0.0.1" {
		t.Errorf("X-Forwarded-For %q", got)
	}
}

func TestAnswerHeaders(t *testing.T) {
	b := answering(t, func(m *message) string {
		return "HTTP/1.1 200 OK\r\nServer: theirs\r\nDate: theirs\r\nX-Pad: p\r\nX-Accel-Redirect: /i\r\nConnection: foo\r\nFoo: hop\r\nKeep-Alive: 5\r\nContent-Length: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nx"
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send(simple)
	m := c.want(200, "x")
	if got := m.header("Server"); len(got) != 1 || got[0] != "OpenSLB" {
		t.Errorf("Server %q", got)
	}
	if got := m.header("Date"); len(got) != 1 || !strings.HasSuffix(got[0], "GMT") {
		t.Errorf("Date %q", got)
	}
	for _, name := range []string{"X-Pad", "X-Accel-Redirect", "Foo", "Keep-Alive", "Connection"} {
		if got := m.header(name); got != nil {
			t.Errorf("%s passed on: %q", name, got)
		}
	}
	if got := m.header("Set-Cookie"); len(got) != 2 {
		t.Errorf("cookies %q", got)
	}
}

func TestRedirect(t *testing.T) {
	p := newProxy(t, spec.HTTPOptions{Redirect: &spec.Redirect{Port: 8443}})
	c := p.dial()
	for range 3 {
		c.send("GET /x?y=z HTTP/1.1\r\nHost: example.com:80\r\n\r\n")
		if got := c.want(301, "*").header("Location"); len(got) != 1 || got[0] != "https://example.com:8443/x?y=z" {
			t.Fatalf("location %q", got)
		}
	}
	c.send("POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\nhalf")
	if m := c.want(301, "*"); strings.Join(m.header("Connection"), "") != "close" {
		t.Errorf("head %q", m.head)
	}
	c.wantClosed()
	c = p.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	if got := c.want(301, "*").header("Location"); len(got) != 1 || got[0] != "https://127.0.0.1:8443/" {
		t.Errorf("location %q", got)
	}
}

// TestRedirectCodes: each code that a listener may have, for all methods and
// whatever else the listener would do.
func TestRedirectCodes(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		p := newProxy(t, spec.HTTPOptions{Redirect: &spec.Redirect{Port: 443, Code: code}})
		c := p.dial()
		for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
			c.send(method + " /a%20b?c=d HTTP/1.1\r\nHost: example.com\r\n\r\n")
			if got := c.want(code, "*").header("Location"); len(got) != 1 || got[0] != "https://example.com/a%20b?c=d" {
				t.Errorf("%d for %s: location %q", code, method, got)
			}
		}
		c.send("HEAD / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")
		m, err := readMessage(c.br, true)
		if err != nil || strings.Join(m.header("Location"), "") != "https://[::1]/" {
			t.Errorf("%d for HEAD: %q, %v", code, m.head, err)
		}
		c.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want(405, "*")
	}
}

func TestLoop(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	self := spec.Target{ID: "self", Addr: p.Addr(), Weight: 100}
	p.pool.Update(spec.Pool{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{self}})
	c := p.dial()
	c.send(simple)
	status := 500
	if overTLS {
		status = 400 // we are a plain client of our own HTTPS port
	}
	c.want(status, "*")
	if f := p.Facts(); f.Requests > 20 {
		t.Errorf("%d requests in the loop", f.Requests)
	}
}
