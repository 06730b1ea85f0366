package l7

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestRefusals: what is malformed is answered, the connection closed, and the
// server sees nothing of it.
func TestRefusals(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	for _, c := range []struct {
		name, in string
		status   int
	}{
		{"garbage", "\x16\x03\x01\x02\x00", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"trace", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
		{"version", "GET / HTTP/2.0\r\n\r\n", 505},
		{"long target", "GET /" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"long header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := p.dial()
			cl.send(c.in)
			m := cl.want(c.status, "*")
			if strings.Join(m.header("Connection"), "") != "close" || strings.Join(m.header("Server"), "") != "OpenSLB" || !strings.Contains(string(m.body), "<html>") {
				t.Errorf("answer %q %q", m.head, m.body)
			}
			cl.wantClosed()
		})
	}
	if seen := b.seen(); len(seen) != 0 {
		t.Errorf("server saw %q", seen)
	}
}

func TestLargeHeads(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(strings.Join(m.header("X"), "")[:10]) })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	for range 3 {
		c.send("GET /" + strings.Repeat("u", 31<<10) + " HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("v", 31<<10) + "\r\n\r\n" + simple[:20])
		c.want(200, "vvvvvvvvvv")
		c.send(simple[20:len(simple)-2] + "X: 0123456789\r\n\r\n")
		c.want(200, "0123456789")
	}
}

// TestSmuggling sends what has fooled proxies. Whatever the proxy makes of it,
// the server must never find a request that was hidden in another.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
	post := func(headers ...string) string {
		return "POST /outer HTTP/1.1\r\nHost: a\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	}
	for _, c := range []struct{ name, in string }{
		{"CL.TE", post("Content-Length: 40", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden},
		{"TE.CL", post("Transfer-Encoding: chunked", "Content-Length: 4") + "2a\r\n" + hidden + "\r\n0\r\n\r\n"},
		{"TE space", post("Transfer-Encoding : chunked") + "0\r\n\r\n" + hidden},
		{"TE tab", post("Content-Length: 38", "Transfer-Encoding:\tchunked") + "0\r\n\r\n" + hidden},
		{"TE twice", post("Transfer-Encoding: chunked", "Transfer-Encoding: x") + "0\r\n\r\n" + hidden},
		{"TE x", post("Content-Length: 38", "Transfer-Encoding: xchunked") + "0\r\n\r\n" + hidden},
		{"TE folded", post("Content-Length: 38", "Transfer-Encoding:", " chunked") + "0\r\n\r\n" + hidden},
		{"TE bare LF", post("X: y\nTransfer-Encoding: chunked", "Content-Length: 38") + "0\r\n\r\n" + hidden},
		{"TE bare CR", post("X: y\rTransfer-Encoding: chunked", "Content-Length: 38") + "0\r\n\r\n" + hidden},
		{"TE nul", post("Transfer-Encoding: chunked\x00", "Content-Length: 38") + "0\r\n\r\n" + hidden},
		{"TE quoted", post("Transfer-Encoding: \"chunked\"", "Content-Length: 38") + "0\r\n\r\n" + hidden},
		{"TE in 1.0", strings.Replace(post("Transfer-Encoding: chunked"), "1.1", "1.0", 1) + "0\r\n\r\n" + hidden},
		{"CL twice", post("Content-Length: 0", "Content-Length: 33") + hidden},
		{"CL list", post("Content-Length: 0, 33") + hidden},
		{"CL plus", post("Content-Length: +0") + hidden},
		{"CL space", post("Content-Length : 33") + hidden},
		{"chunk size overflow", post("Transfer-Encoding: chunked") + "10000000000000000\r\n" + hidden},
		{"chunk size signed", post("Transfer-Encoding: chunked") + "+0\r\n\r\n" + hidden},
		{"chunk size 0x", post("Transfer-Encoding: chunked") + "0x0\r\n\r\n" + hidden},
		{"chunk LF", post("Transfer-Encoding: chunked") + "0\n\n" + hidden},
		{"chunk ext LF", post("Transfer-Encoding: chunked") + "2;\nxx\r\n35\r\nab\r\n0\r\n\r\n" + hidden},
		{"chunk too long", post("Transfer-Encoding: chunked") + "1\r\nab\r\n0\r\n\r\n" + hidden},
		{"trailer fold", post("Transfer-Encoding: chunked") + "0\r\nA: b\r\n \r\n" + hidden},
		{"nominated CL", post("Connection: Content-Length", "Content-Length: 33") + hidden},
		{"nominated TE", post("Connection: Transfer-Encoding", "Transfer-Encoding: chunked") + "21\r\n" + hidden + "\r\n0\r\n\r\n"},
		{"GET with body", strings.Replace(post("Content-Length: 33"), "POST", "GET", 1) + hidden},
		{"h2c", strings.Replace(post("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA", "Content-Length: 33"), "POST", "GET", 1) + hidden},
		{"websocket with body", strings.Replace(post("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 33"), "POST", "GET", 1) + hidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := answering(t, func(m *message) string { return ok("x") })
			p := newProxy(t, spec.HTTPOptions{}, target(b))
			cl := p.dial()
			cl.send(c.in)
			cl.CloseWrite()
			io.Copy(io.Discard, cl)
			for _, head := range b.seen() {
				if !strings.Contains(head, " /outer ") {
					t.Errorf("server saw %q", head)
				}
			}
			if n := len(b.seen()); n > 1 {
				t.Errorf("server saw %d requests", n)
			}
		})
	}
}

// TestUnaskedAnswer: bytes that a server sends beyond its answer never reach
// the next request.
func TestUnaskedAnswer(t *testing.T) {
	for _, at := range []string{"at once", "late"} {
		first := make(chan net.Conn, 100)
		b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
			for {
				m, err := readMessage(br, false)
				if err != nil {
					return
				}
				b.record(m.head)
				if at == "at once" {
					io.WriteString(c, ok("x")+ok("evil"))
				} else {
					io.WriteString(c, ok("x"))
					first <- c
				}
			}
		})
		p := newProxy(t, spec.HTTPOptions{}, target(b))
		c := p.dial()
		for range 3 {
			c.send(simple)
			c.want(200, "x")
			if at == "late" {
				io.WriteString(<-first, ok("evil"))
				// Let the bytes arrive before the next request is sent.
				settle(p, b)
			}
		}
	}
}

// settle waits until the proxy's kept connection has something to read, or was
// found out and closed already.
func settle(p *proxy, b *backend) {
	eventually(p.t, "unasked bytes arrived", func() bool {
		quiet := false
		p.eachKept(func(fd int) { quiet = quiet || !readable(fd) })
		return !quiet
	})
}
