package l7

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

const gzipGet = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, gzip\r\n\r\n"

// prose is text of a size that compresses well and is different everywhere.
func prose(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "<p>line %d of the text, number %x</p>\n", i, i*2654435761)
	}
	return b.String()[:n]
}

func page200(header, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", header, len(body), body)
}

// unzip gives what a client makes of an answer.
func unzip(t testing.TB, m *message) string {
	t.Helper()
	if got := m.header("Content-Encoding"); len(got) != 1 || got[0] != "gzip" {
		t.Fatalf("not compressed: %s", m.head)
	}
	zr, err := gzip.NewReader(bytes.NewReader(m.body))
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(zr)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(p), err)
	}
	return string(p)
}

// gzipServed serves each request by the answer that its path names.
func gzipServed(t *testing.T, answers map[string]string) *proxy {
	b := answering(t, func(m *message) string {
		path := strings.Fields(m.line)[1]
		if a, ok := answers[path]; ok {
			return a
		}
		t.Errorf("no answer for %s", path)
		return ""
	})
	return newProxy(t, spec.HTTPOptions{Gzip: true}, target(b))
}

func TestGzip(t *testing.T) {
	const html = "Content-Type: text/html; charset=utf-8\r\n"
	small, text, large := prose(1000), prose(3000), prose(400_000)
	chunked := func(header, body string) string {
		half := len(body) / 2
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", header, half, body[:half], len(body)-half, body[half:])
	}
	for _, c := range []struct {
		name, accept, answer, body string
		zipped                     bool
	}{
		{"html", "gzip", page200(html, text), text, true},
		{"large", "gzip", page200(html, large), large, true},
		{"among others", "deflate;q=0.5, GZIP ; q=0.8", page200(html, text), text, true},
		{"anything", "*", page200(html, text), text, true},
		{"old name", "x-gzip", page200(html, text), text, true},
		{"chunks", "gzip", chunked("Content-Type: application/javascript\r\n", text), text, true},
		{"small chunks", "gzip", chunked("Content-Type: application/xml\r\n", "<a/>"), "<a/>", true},
		{"empty chunks", "gzip", "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", true},
		{"not found", "gzip", strings.Replace(page200(html, text), "200 OK", "404 Not Found", 1), text, true},

		{"not offered", "br", page200(html, text), text, false},
		{"refused", "gzip;q=0, *", page200(html, text), text, false},
		{"rather not", "gzip;q=0.2, identity;q=0.5", page200(html, text), text, false},
		{"malformed weight", "gzip;q=2", page200(html, text), text, false},
		{"small", "gzip", page200(html, small), small, false},
		{"picture", "gzip", page200("Content-Type: image/png\r\n", text), text, false},
		{"no type", "gzip", page200("", text), text, false},
		{"encoded", "gzip", page200(html+"Content-Encoding: br\r\n", text), text, false},
		{"no-transform", "gzip", page200(html+"Cache-Control: public\r\nCache-Control: max-age=1, No-Transform\r\n", text), text, false},
		{"digest", "gzip", page200(html+"Content-Digest: sha-256=:x:\r\n", text), text, false},
		{"range", "gzip", strings.Replace(page200(html+"Content-Range: bytes 0-2999/9999\r\n", text), "200 OK", "206 Partial Content", 1), text, false},
		{"error", "gzip", strings.Replace(page200(html, text), "200 OK", "500 No", 1), text, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := gzipServed(t, map[string]string{"/": c.answer, "/next": ok("next")})
			cl := p.dial()
			cl.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: " + c.accept + "\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
			m := cl.read()
			got := string(m.body)
			if m.header("Content-Encoding") != nil && c.zipped {
				got = unzip(t, m)
				if len(c.body) > 2000 && len(m.body) > len(c.body)/2 {
					t.Errorf("%d of %d bytes are left", len(m.body), len(c.body))
				}
				if v := m.header("Vary"); len(v) != 1 || v[0] != "Accept-Encoding" {
					t.Errorf("Vary is %q", v)
				}
				if m.header("Content-Length") != nil {
					t.Errorf("head %q", m.head)
				}
			} else if c.zipped {
				t.Errorf("not compressed: %s", m.head)
			}
			if got != c.body || m.err != nil {
				t.Errorf("body of %d bytes, want %d (%v)", len(got), len(c.body), m.err)
			}
			cl.want(200, "next") // the connection goes on, with what had come behind
			cl.send(strings.Replace(simple, "/ ", "/next ", 1))
			cl.want(200, "next")
		})
	}
}

func TestGzipOff(t *testing.T) {
	b := answering(t, func(*message) string { return page200("Content-Type: text/html\r\nETag: \"a\"\r\n", prose(5000)) })
	cl := newProxy(t, spec.HTTPOptions{}, target(b)).dial()
	cl.send(gzipGet)
	if m := cl.want(200, prose(5000)); m.header("Vary") != nil || m.header("ETag")[0] != `"a"` {
		t.Errorf("head %q", m.head)
	}
}

func TestGzipHeaders(t *testing.T) {
	text := prose(2000)
	p := gzipServed(t, map[string]string{
		"/strong": page200("Content-Type: text/html\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\nVary: Cookie\r\n", text),
		"/weak":   page200("Content-Type: text/html\r\nETag: W/\"v1\"\r\nVary: cookie, ACCEPT-encoding\r\n", text),
		"/empty":  page200("Content-Type: text/html\r\nETag:\r\nVary: *\r\n", text),
	})
	for _, c := range []struct{ path, etag, vary string }{
		{"/strong", `W/"v1"`, "Cookie|Accept-Encoding"}, {"/weak", `W/"v1"`, "cookie, ACCEPT-encoding"}, {"/empty", "", "*"},
	} {
		cl := p.dial()
		cl.send(strings.Replace(gzipGet, "/ ", c.path+" ", 1))
		m := cl.read()
		if got := unzip(t, m); got != text {
			t.Errorf("%s: body of %d bytes", c.path, len(got))
		}
		if got := strings.Join(m.header("ETag"), "|"); got != c.etag {
			t.Errorf("%s: ETag is %q, want %q", c.path, got, c.etag)
		}
		if got := strings.Join(m.header("Vary"), "|"); got != c.vary {
			t.Errorf("%s: Vary is %q, want %q", c.path, got, c.vary)
		}
		if m.header("Accept-Ranges") != nil {
			t.Errorf("%s offers ranges of what it does not have", c.path)
		}
	}
	// Without the offer the body and its ETag stay, and caches are told.
	cl := p.dial()
	cl.send(strings.Replace(simple, "/ ", "/strong ", 1))
	m := cl.want(200, text)
	if m.header("ETag")[0] != `"v1"` || strings.Join(m.header("Vary"), "|") != "Cookie|Accept-Encoding" {
		t.Errorf("head %q", m.head)
	}
}

// TestGzipHead: HEAD gets the head that GET would get.
func TestGzipHead(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		for {
			if _, err := readMessage(br, false); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"a\"\r\nContent-Length: 5000\r\n\r\n")
		}
	})
	cl := newProxy(t, spec.HTTPOptions{Gzip: true}, target(b)).dial()
	for range 2 {
		cl.send(strings.Replace(gzipGet, "GET", "HEAD", 1))
		m, err := readMessage(cl.br, true)
		if err != nil {
			t.Fatal(err)
		}
		if m.header("Content-Length") != nil || strings.Join(m.header("Content-Encoding"), "|") != "gzip" || m.header("ETag")[0] != `W/"a"` {
			t.Errorf("head %q", m.head)
		}
	}
}

// TestGzipOldClient: HTTP/1.0 knows no chunks, so the connection ends the body.
func TestGzipOldClient(t *testing.T) {
	text := prose(200_000)
	p := gzipServed(t, map[string]string{"/": page200("Content-Type: text/html\r\n", text)})
	cl := p.dial()
	cl.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n")
	m := cl.read()
	if got := unzip(t, m); got != text || m.err != nil {
		t.Errorf("body of %d bytes, %v", len(got), m.err)
	}
	if strings.Join(m.header("Connection"), "|") != "close" || m.header("Transfer-Encoding") != nil {
		t.Errorf("head %q", m.head)
	}
}

// TestGzipStream: what a server says and then pauses is not held back.
func TestGzipStream(t *testing.T) {
	next := make(chan string)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readMessage(br, false); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
		for s := range next {
			fmt.Fprintf(c, "%x\r\n%s\r\n", len(s), s)
		}
		io.WriteString(c, "0\r\n\r\n")
	})
	cl := newProxy(t, spec.HTTPOptions{Gzip: true}, target(b)).dial()
	cl.send(gzipGet)
	head, err := readHead(cl.br)
	if err != nil || !strings.Contains(head, "Content-Encoding: gzip") {
		t.Fatalf("head %q, %v", head, err)
	}
	pr, pw := io.Pipe()
	go func() {
		for {
			l, err := cl.br.ReadString('\n')
			n := 0
			if _, e := fmt.Sscanf(l, "%x", &n); err != nil || e != nil || n == 0 {
				pw.CloseWithError(err)
				return
			}
			io.CopyN(pw, cl.br, int64(n))
			cl.br.Discard(2)
		}
	}()
	var zr *gzip.Reader
	for i := range 5 {
		line := fmt.Sprintf("event %d\n", i)
		next <- line
		if zr == nil {
			if zr, err = gzip.NewReader(pr); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, len(line))
		if _, err := io.ReadFull(zr, got); err != nil || string(got) != line {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(zr); err != nil || len(rest) > 0 {
		t.Errorf("rest %q, %v", rest, err)
	}
}

// TestGzipBrokenOff: a body that the server does not finish is not made to look
// whole, in any framing.
func TestGzipBrokenOff(t *testing.T) {
	text := prose(100_000)
	for _, c := range []struct{ name, head, version string }{
		{"length", "Content-Length: 200000\r\n\r\n", "1.1"},
		{"length, old client", "Content-Length: 200000\r\n\r\n", "1.0"},
		{"chunks", "Transfer-Encoding: chunked\r\n\r\n30000\r\n", "1.1"},
		{"chunks, old client", "Transfer-Encoding: chunked\r\n\r\n30000\r\n", "1.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBackend(t, func(b *backend, conn net.Conn, br *bufio.Reader) {
				if _, err := readMessage(br, false); err != nil {
					return
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"+c.head+text)
			})
			cl := newProxy(t, spec.HTTPOptions{Gzip: true}, target(b)).dial()
			cl.send("GET / HTTP/" + c.version + "\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
			m := cl.read()
			if m.err == nil {
				t.Errorf("a complete body of %d bytes", len(m.body))
			}
		})
	}
}

// TestGzipNoneFree: without a compressor the answer goes as it is.
func TestGzipNoneFree(t *testing.T) {
	text := prose(2000)
	p := gzipServed(t, map[string]string{"/": page200("Content-Type: text/html\r\n", text)})
	for range compressing {
		if !p.e.compressors.reserve() {
			t.Fatal("fewer than there should be")
		}
	}
	cl := p.dial()
	cl.send(gzipGet)
	if m := cl.want(200, text); strings.Join(m.header("Vary"), "|") != "Accept-Encoding" {
		t.Errorf("head %q", m.head)
	}
	p.e.compressors.cancel()
	cl.send(gzipGet)
	if got := unzip(t, cl.read()); got != text {
		t.Errorf("body of %d bytes", len(got))
	}
	eventually(t, "the compressor comes back", func() bool { return len(p.e.compressors.free) == compressing-1 })
}

// TestGzipSlowClient: a client that takes nothing holds a compressor no longer
// than its connection, and closing the frontend ends both.
func TestGzipSlowClient(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readMessage(br, false); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
		noise := make([]byte, 64<<10)
		for x := uint32(1); ; {
			for i := range noise {
				x = x*1664525 + 1013904223
				noise[i] = byte(x >> 24)
			}
			if _, err := c.Write(noise); err != nil {
				return
			}
		}
	})
	p := newProxy(t, spec.HTTPOptions{Gzip: true}, target(b))
	cl := p.dial()
	cl.send(gzipGet)
	eventually(t, "compressing", func() bool { return len(p.e.compressors.free) == 1 })
	time.Sleep(20 * time.Millisecond)
	cl.Conn.Close()
	eventually(t, "the compressor comes back", func() bool { return len(p.e.compressors.free) == 0 })
}
