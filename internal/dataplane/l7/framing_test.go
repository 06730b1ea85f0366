package l7

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// pattern is n bytes that no shift of themselves resembles.
func pattern(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 7))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// chunked encodes a body in chunks of changing size.
func chunked(body []byte, ext string) string {
	var s strings.Builder
	for n := 1; len(body) > 0; n = n*3 + 1 {
		k := min(n, len(body))
		fmt.Fprintf(&s, "%X%s\r\n%s\r\n", k, ext, body[:k])
		body = body[k:]
	}
	s.WriteString("0\r\n")
	return s.String()
}

var sizes = []int{0, 1, 100, 5000, 8 << 10, 70 << 10, 72<<10 + 1, 3 << 20}

// TestBodies sends bodies of many sizes in both framings both ways and compares
// checksums.
func TestBodies(t *testing.T) {
	answers := map[string]func(body []byte) string{
		"length": func(body []byte) string { return ok(string(body)) },
		"chunked": func(body []byte) string {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, ";x=1") + "Trailer-Field: a\r\n\r\n"
		},
		"close": func(body []byte) string { return "HTTP/1.1 200 OK\r\n\r\n" + string(body) },
	}
	for framing, answer := range answers {
		b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
			for {
				m, err := readMessage(br, false)
				if err != nil || m.err != nil {
					return
				}
				b.record(m.head)
				if _, err := io.WriteString(c, answer(m.body)); err != nil || framing == "close" {
					return
				}
			}
		})
		p := newProxy(t, spec.HTTPOptions{}, target(b))
		for _, sending := range []string{"length", "chunked"} {
			t.Run(sending+" there, "+framing+" back", func(t *testing.T) {
				c := p.dial()
				for _, n := range sizes {
					body := pattern(n)
					request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, body)
					if sending == "chunked" {
						request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, ";y") + "T: u\r\n\r\n"
					}
					sent := make(chan struct{})
					go func() { // the backend answers only when it has all
						defer close(sent)
						io.WriteString(c, request)
					}()
					m := c.want(200, "*")
					<-sent
					if sha256.Sum256(m.body) != sha256.Sum256(body) {
						t.Errorf("%d bytes: got %d others back", n, len(m.body))
					}
				}
			})
		}
	}
}

// TestPipelinedBodies sends requests with bodies back to back, cut anywhere.
func TestPipelinedBodies(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(string(m.body)) })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	r := rand.New(rand.NewPCG(1, 2))
	var all strings.Builder
	var want []string
	for i := range 60 {
		body := string(pattern(r.IntN(9000)))
		want = append(want, body)
		if i%2 == 0 {
			fmt.Fprintf(&all, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		} else {
			fmt.Fprintf(&all, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n", chunked([]byte(body), ""))
		}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for rest := all.String(); rest != ""; {
			n := min(1+r.IntN(5000), len(rest))
			io.WriteString(c, rest[:n])
			rest = rest[n:]
		}
	}()
	for i, body := range want {
		if m := c.want(200, "*"); string(m.body) != body {
			t.Fatalf("answer %d: %d bytes, want %d", i, len(m.body), len(body))
		}
	}
	<-sent
}

func TestBodylessAnswers(t *testing.T) {
	b := answering(t, func(m *message) string {
		switch {
		case strings.HasPrefix(m.line, "HEAD"):
			return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
		case strings.Contains(m.line, "/204"):
			return "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"
		case strings.Contains(m.line, "/304"):
			return "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"
		}
		return ok("body")
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	for range 3 {
		for _, r := range []struct {
			method, path string
			status       string
			length       string
		}{{"HEAD", "/", "200", "1000"}, {"GET", "/204", "204", ""}, {"GET", "/304", "304", "1000"}} {
			c.send(r.method + " " + r.path + " HTTP/1.1\r\nHost: a\r\n\r\n")
			m, err := readMessage(c.br, true)
			if err != nil || !strings.Contains(m.line, r.status) || strings.Join(m.header("Content-Length"), "") != r.length {
				t.Fatalf("%s %s: %q, %v", r.method, r.path, m.head, err)
			}
		}
		c.send(simple)
		c.want(200, "body")
	}
	if n := b.connections(); n != 1 {
		t.Errorf("%d connections to the server, want 1", n)
	}
}

func TestOldClient(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err != nil {
			return
		}
		b.record(m.head)
		if strings.Contains(m.line, "/length") {
			io.WriteString(c, ok("abc"))
		} else {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		}
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send("GET /length HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if m := c.want(200, "abc"); strings.Join(m.header("Connection"), "") != "keep-alive" {
		t.Errorf("not told to keep: %q", m.head)
	}
	c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	m := c.want(200, "abc")
	if m.header("Transfer-Encoding") != nil || strings.Join(m.header("Connection"), "") != "close" {
		t.Errorf("head %q", m.head)
	}
	c.wantClosed()
	if got := b.seen()[0]; got != "GET /length HTTP/1.0\r\nSLB-Hops: 1\r\nConnection: close\r\n\r\n" {
		t.Errorf("server saw %q", got)
	}
}

func TestInterim(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		head, err := readHead(br)
		if err != nil {
			return
		}
		b.record(head)
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
		body := make([]byte, 5)
		if _, err := io.ReadFull(br, body); err == nil {
			io.WriteString(c, ok(string(body)))
		}
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	for _, want := range []string{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"} {
		if head, err := readHead(c.br); err != nil || head != want {
			t.Fatalf("got %q, %v; want %q", head, err, want)
		}
	}
	c.send("hello") // only now
	c.want(200, "hello")
}

// TestExpectNothing: a server that never asks for the body is the one that is
// silent, and not the client that waits for its word.
func TestExpectNothing(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		head, err := readHead(br)
		if err == nil && strings.Contains(head, "/asks ") {
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		io.Copy(io.Discard, br)
	})
	p := newProxy(t, spec.HTTPOptions{RequestTimeout: 300 * time.Millisecond}, target(b))
	rows := []struct {
		path, body string
		status     int
	}{{"/silent", "", 504}, {"/silent", "h", 408}, {"/asks", "", 408}}
	clients := make([]*client, len(rows))
	for i, row := range rows {
		c := p.dial()
		clients[i] = c
		c.send("PUT " + row.path + " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n" + row.body)
		if row.path == "/asks" {
			if head, err := readHead(c.br); err != nil || !strings.HasPrefix(head, "HTTP/1.1 100 ") {
				t.Errorf("got %q, %v", head, err)
			}
		}
	}
	for i, row := range rows {
		clients[i].want(row.status, "*")
	}
	if n := p.Facts().SlowBodies; n != 2 {
		t.Errorf("%d counted", n)
	}
}

// TestEarlyAnswer has a server that refuses a body without reading it.
func TestEarlyAnswer(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
			io.Copy(io.Discard, br)
		}
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart")
	if m := c.want(413, "no"); strings.Join(m.header("Connection"), "") != "close" {
		t.Errorf("head %q", m.head)
	}
	c.wantClosed()
}

// TestEarlyAnswerToFastClient: a client that reads only when it has sent all it has
// gets an answer that came long before.
func TestEarlyAnswerToFastClient(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
		}
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
	for range 8 {
		c.send(string(make([]byte, 1_000_000)))
	}
	c.want(413, "no")
}

// TestStreaming has both sides speak in turn within one exchange.
func TestStreaming(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			l, err := br.ReadString('\n') // a chunk's size
			if err != nil || l == "0\r\n" {
				break
			}
			data, _ := br.ReadString('\n')
			io.WriteString(c, l+data)
		}
		io.WriteString(c, "0\r\n\r\n")
		br.ReadString('\n')
	})
	// At a pace that would be too slow for a body.
	p := hasty(func(w *waits) { w.slow = 200 * time.Millisecond }, func() *proxy { return newProxy(t, spec.HTTPOptions{}, target(b)) })
	c := p.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	if _, err := readHead(c.br); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		time.Sleep(50 * time.Millisecond)
		c.send("4\r\nping\r\n")
		l, _ := c.br.ReadString('\n')
		data, err := c.br.ReadString('\n')
		if l != "4\r\n" || data != "ping\r\n" {
			t.Fatalf("got %q %q, %v", l, data, err)
		}
	}
	c.send("0\r\n\r\n")
	if rest, err := io.ReadAll(c.br); string(rest) != "0\r\n\r\n" || err != nil {
		t.Errorf("end %q, %v", rest, err)
	}
}

// TestTruncation: an answer that breaks off must never look complete.
func TestTruncation(t *testing.T) {
	for _, c := range []struct{ name, request, answer string }{
		{"length", simple, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
		{"chunks", simple, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
		{"malformed chunks", simple, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd"},
		{"chunks to 1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
		{"length to 1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBackend(t, func(b *backend, conn net.Conn, br *bufio.Reader) {
				if _, err := readHead(br); err == nil {
					io.WriteString(conn, c.answer)
				}
			})
			p := newProxy(t, spec.HTTPOptions{}, target(b))
			cl := p.dial()
			cl.send(c.request)
			m, err := readMessage(cl.br, false)
			if err == nil && m.err == nil && !strings.HasPrefix(m.line, "HTTP/1.1 502 ") {
				t.Errorf("answer looks complete: %q %q", m.head, m.body)
			}
		})
	}
}

func TestResetInUntilClose(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nabc")
			br.ReadByte() // until the client has seen it
			c.(*net.TCPConn).SetLinger(0)
		}
	})
	p := newProxy(t, spec.HTTPOptions{RequestTimeout: 300e6}, target(b))
	for _, version := range []string{"1.1\r\nHost: a", "1.0"} {
		c := p.dial()
		c.send("GET / HTTP/" + version + "\r\n\r\n")
		m, err := readMessage(c.br, false)
		if err != nil || m.err == nil {
			t.Errorf("answer looks complete: %q %q, %v", m.head, m.body, err)
		}
	}
}
