package l7

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// get sends a request with a Cookie header, if not empty, and returns the
// answer.
func (c *client) get(path, cookie string) *message {
	c.t.Helper()
	if cookie != "" {
		cookie = "Cookie: " + cookie + "\r\nX: y\r\n"
	}
	c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + cookie + "\r\n")
	return c.read()
}

// TestInsertedCookie follows a session: it stays on its server, across
// connections, and moves when the server has gone.
func TestInsertedCookie(t *testing.T) {
	named := func(name string) *backend {
		return answering(t, func(m *message) string {
			if strings.Contains(m.line, "/missing") {
				return "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n" + name
			}
			if strings.Contains(m.line, "/chunks") {
				return "HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n" + name + "\r\n0\r\n\r\n"
			}
			return ok(name)
		})
	}
	b1, b2 := named("1"), named("2")
	p := newProxy(t, spec.HTTPOptions{Sticky: &spec.Sticky{Mode: spec.StickyInsert, Timeout: time.Hour}}, target(b1), target(b2))
	c := p.dial()
	if m := c.get("/missing", ""); m.header("Set-Cookie") != nil {
		t.Errorf("a 404 carries %q", m.header("Set-Cookie"))
	}
	first := c.get("/chunks", "")
	set := first.header("Set-Cookie")
	if len(set) != 2 || set[0] != "own=1" || !strings.HasPrefix(set[1], "SERVERID=") || !strings.HasSuffix(set[1], "; Path=/") {
		t.Fatalf("cookies %q", set)
	}
	cookie, _, _ := strings.Cut(set[1], ";")
	for range 6 {
		c := p.dial()
		for range 3 {
			m := c.get("/", "own=1; "+cookie)
			if string(m.body) != string(first.body) || m.header("Set-Cookie") != nil {
				t.Fatalf("%s answers, cookies %q", m.body, m.header("Set-Cookie"))
			}
		}
	}
	mine := b1
	if string(first.body) == "2" {
		mine = b2
	}
	for _, head := range mine.seen()[1:] {
		if strings.Contains(head, "GET / ") && !strings.Contains(head, "\r\nCookie: own=1; "+cookie+"\r\n") {
			t.Errorf("the server sees %q", head)
		}
	}
	// The server is still in the group, but nobody listens any more.
	mine.close()
	m := p.dial().get("/", cookie)
	if string(m.body) == string(first.body) || len(m.header("Set-Cookie")) != 1 {
		t.Fatalf("%s answers, cookies %q", m.body, m.header("Set-Cookie"))
	}
	cookie, _, _ = strings.Cut(m.header("Set-Cookie")[0], ";")
	if again := p.dial().get("/", cookie); string(again.body) != string(m.body) || again.header("Set-Cookie") != nil {
		t.Errorf("%s answers, cookies %q", again.body, again.header("Set-Cookie"))
	}
}

// TestWebSocketSession: a session may begin with a WebSocket, and clients keep
// the cookies of that answer like those of any other.
func TestWebSocketSession(t *testing.T) {
	for name, sticky := range map[string]*spec.Sticky{
		"insert": {Mode: spec.StickyInsert, Timeout: time.Hour},
		"server": {Mode: spec.StickyServer, Cookie: "SID"},
	} {
		t.Run(name, func(t *testing.T) {
			named := func(name string) *backend {
				return newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
					m, err := readMessage(br, false)
					if err != nil {
						return
					}
					b.record(m.head)
					io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Server: "+name+"\r\nSet-Cookie: SID=app\r\n\r\n")
					_, _ = io.Copy(io.Discard, br)
				})
			}
			p := newProxy(t, spec.HTTPOptions{Sticky: sticky}, target(named("1")), target(named("2")))
			open := func(cookie string) (server, set string) {
				t.Helper()
				c := p.dial()
				defer c.Close()
				c.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + cookie + "\r\n")
				head, err := readHead(c.br)
				m := message{head: head}
				if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
					t.Fatalf("answer %q, %v", head, err)
				}
				cookies := m.header("Set-Cookie")
				return m.header("X-Server")[0], cookies[len(cookies)-1]
			}
			server, set := open("")
			cookie, _, _ := strings.Cut(set, ";")
			for range 6 {
				if again, _ := open("Cookie: " + cookie + "\r\n"); again != server {
					t.Fatalf("with %q: server %s, then %s", set, server, again)
				}
			}
		})
	}
}

// TestQuotedCookie: the mark goes within the quotes of a value. Clients drop a
// cookie with a quote in the middle, net/http's among them.
func TestQuotedCookie(t *testing.T) {
	b := answering(t, func(m *message) string {
		return "HTTP/1.1 200 OK\r\nSet-Cookie: SID=\"a b\"; Path=/\r\nContent-Length: 1\r\n\r\nx"
	})
	p := newProxy(t, spec.HTTPOptions{Sticky: &spec.Sticky{Mode: spec.StickyServer, Cookie: "SID"}}, target(b))
	c := p.dial()
	set, err := http.ParseSetCookie(c.get("/", "").header("Set-Cookie")[0])
	if err != nil || !set.Quoted || !strings.HasSuffix(set.Value, ".a b") {
		t.Fatalf("cookie %+v, %v", set, err)
	}
	c.get("/", set.Name+`="`+set.Value+`"`)
	if seen := b.seen(); !strings.Contains(seen[1], "\r\nCookie: SID=\"a b\"\r\n") {
		t.Errorf("the server sees %q", seen[1])
	}
}

// TestServersCookie: the client's cookie carries our mark, the application sees
// nothing of it.
func TestServersCookie(t *testing.T) {
	named := func(name string) *backend {
		return answering(t, func(m *message) string {
			set := ""
			if strings.Contains(m.line, "/login") {
				set = "Set-Cookie: lang=en\r\nSet-Cookie: SID=app-" + name + "; Path=/; HttpOnly\r\nset-cookie: SIDE=x\r\n"
			}
			return "HTTP/1.1 200 OK\r\n" + set + "Content-Length: 1\r\n\r\n" + name
		})
	}
	b1, b2 := named("1"), named("2")
	p := newProxy(t, spec.HTTPOptions{Sticky: &spec.Sticky{Mode: spec.StickyServer, Cookie: "SID"}}, target(b1), target(b2))
	c := p.dial()
	if m := c.get("/", ""); m.header("Set-Cookie") != nil {
		t.Errorf("cookies %q", m.header("Set-Cookie"))
	}
	first := c.get("/login", "")
	name := string(first.body)
	set := first.header("Set-Cookie")
	if len(set) != 3 || set[0] != "lang=en" || set[2] != "SIDE=x" || !strings.HasPrefix(set[1], "SID=") || !strings.HasSuffix(set[1], ".app-"+name+"; Path=/; HttpOnly") {
		t.Fatalf("cookies %q", set)
	}
	cookie, _, _ := strings.Cut(set[1], ";")
	for range 6 {
		if m := c.get("/private", "lang=en; "+cookie+"; z=1"); string(m.body) != name {
			t.Fatalf("%s answers", m.body)
		}
	}
	seen := append(b1.seen(), b2.seen()...)
	for _, head := range seen {
		if strings.Contains(head, "/private") && !strings.Contains(head, "\r\nCookie: lang=en; SID=app-"+name+"; z=1\r\nX: y\r\n") {
			t.Errorf("the server sees %q", head)
		}
	}
}
