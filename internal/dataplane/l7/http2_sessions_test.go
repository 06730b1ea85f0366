package l7

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// cookies sends a GET by HTTP/2 with a Cookie header, if not empty, and returns the
// body and the cookies set.
func (p *proxy) cookies(c *http.Client, path, cookie string) (body string, set []string) {
	p.t.Helper()
	r := p.request("GET", path, nil)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	resp, b := fetch(p.t, c, r)
	return string(b), resp.Header["Set-Cookie"]
}

// TestHTTP2InsertedCookie: requests of one connection belong to different
// sessions, each of which stays on its server until that has gone.
func TestHTTP2InsertedCookie(t *testing.T) {
	if !overTLS {
		return
	}
	named := func(name string) *backend {
		return answering(t, func(m *message) string {
			if strings.Contains(m.line, "/missing") {
				return "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n" + name
			}
			return "HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n" + name + "\r\n0\r\n\r\n"
		})
	}
	servers := map[string]*backend{"1": named("1"), "2": named("2")}
	p := newHTTP2Proxy(t, spec.HTTPOptions{Sticky: &spec.Sticky{Mode: spec.StickyInsert, Timeout: time.Hour}}, target(servers["1"]), target(servers["2"]))
	c := p.http2Client()
	if _, set := p.cookies(c, "/missing", ""); set != nil {
		t.Errorf("a 404 carries %q", set)
	}
	sessions := map[string]string{} // by server
	for range 2 {
		body, set := p.cookies(c, "/", "")
		if len(set) != 2 || set[0] != "own=1" || !strings.HasPrefix(set[1], "SERVERID=") || !strings.HasSuffix(set[1], "; Path=/") {
			t.Fatalf("cookies %q", set)
		}
		sessions[body], _, _ = strings.Cut(set[1], ";")
	}
	if len(sessions) != 2 {
		t.Fatalf("sessions %v", sessions)
	}
	for range 4 {
		for name, cookie := range sessions {
			if body, set := p.cookies(c, "/", "own=1; "+cookie); body != name || len(set) != 1 {
				t.Errorf("%s answers in place of %s, cookies %q", body, name, set)
			}
		}
	}
	// As browsers do it: a field for each cookie.
	r := p.dialHTTP2()
	r.head(1, true, "cookie", "own=1", "cookie", sessions["2"], "cookie", "z=2")
	r.watchEnds(1)
	if got := r.seen.text[1]; got != "2" {
		t.Errorf("%s answers", got)
	}
	seen := servers["2"].seen()
	if head := seen[len(seen)-1]; !strings.Contains(head, "\r\ncookie: own=1; "+sessions["2"]+"; z=2\r\n") {
		t.Errorf("the server sees %q", head)
	}
	servers["1"].close()
	body, set := p.cookies(c, "/", sessions["1"])
	if body != "2" || len(set) != 2 || !strings.HasPrefix(set[1], "SERVERID=") {
		t.Errorf("%s answers, cookies %q", body, set)
	}
	if p.Facts().NewConnections != 2 {
		t.Errorf("%d connections", p.Facts().NewConnections)
	}
}

// TestHTTP2ServersCookie: the client's cookie carries our mark, the application
// sees nothing of it, whether it comes with others or in a field of its own.
func TestHTTP2ServersCookie(t *testing.T) {
	if !overTLS {
		return
	}
	named := func(name string) *backend {
		return answering(t, func(m *message) string {
			set := ""
			if strings.Contains(m.line, "/login") {
				set = "Set-Cookie: lang=en\r\nSet-Cookie: SID=app-" + name + "; Path=/; HttpOnly\r\n"
			}
			return "HTTP/1.1 200 OK\r\n" + set + "Content-Length: 1\r\n\r\n" + name
		})
	}
	b1, b2 := named("1"), named("2")
	p := newHTTP2Proxy(t, spec.HTTPOptions{Sticky: &spec.Sticky{Mode: spec.StickyServer, Cookie: "SID"}}, target(b1), target(b2))
	c := p.http2Client()
	if _, set := p.cookies(c, "/", ""); set != nil {
		t.Errorf("cookies %q", set)
	}
	name, set := p.cookies(c, "/login", "")
	if len(set) != 2 || set[0] != "lang=en" || !strings.HasPrefix(set[1], "SID=") || !strings.HasSuffix(set[1], ".app-"+name+"; Path=/; HttpOnly") {
		t.Fatalf("cookies %q", set)
	}
	cookie, _, _ := strings.Cut(set[1], ";")
	r := p.dialHTTP2()
	for id := uint32(1); id < 12; id += 2 {
		if id%4 == 1 {
			r.ask(id, true, "GET", "a", "/private", "cookie", "lang=en", "cookie", cookie, "cookie", "z=1")
		} else {
			r.ask(id, true, "GET", "a", "/private", "cookie", "lang=en; "+cookie+"; z=1")
		}
		r.watchEnds(id)
		if got := r.seen.text[id]; got != name {
			t.Errorf("%s answers", got)
		}
	}
	n := 0
	for _, head := range append(b1.seen(), b2.seen()...) {
		if strings.Contains(head, "/private") {
			n++
			if !strings.Contains(head, "\r\ncookie: lang=en; SID=app-"+name+"; z=1\r\n") {
				t.Errorf("the server sees %q", head)
			}
		}
	}
	if n != 6 {
		t.Errorf("%d requests", n)
	}
}
