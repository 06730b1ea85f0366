package l7

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// http2Client is a client of one proxy that speaks HTTP/2 alone.
func (p *proxy) http2Client() *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(true)
	p.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (p *proxy) url(path string) string { return "https://" + p.Addr().String() + path }

func (p *proxy) request(method, path string, body io.Reader) *http.Request {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	p.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, p.url(path), body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// fetch sends a request and reads the whole answer.
func fetch(t testing.TB, c *http.Client, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: body: %v after %d bytes", r.Method, r.URL, err, len(body))
	}
	return resp, body
}

func TestHTTP2Requests(t *testing.T) {
	if !overTLS {
		return
	}
	b := answering(t, func(m *message) string {
		switch strings.Fields(m.line)[1] {
		case "/empty":
			return "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"
		case "/same":
			return "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nEtag: \"x\"\r\n\r\n"
		case "/chunked":
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nwith\r\n3;e=1\r\nout\r\n0\r\nX-Sum: 7\r\nContent-Length: 99\r\n\r\n"
		case "/interim":
			return "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("late")
		}
		return "HTTP/1.1 200 OK\r\nServer: x\r\nConnection: x-gone\r\nX-Gone: 1\r\nX-Stay: 1\r\nContent-Length: " + fmt.Sprint(len(m.body)) + "\r\n\r\n" + string(m.body)
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{XForwardedFor: true, Proto: true, SLBID: true}, target(b))
	c := p.http2Client()

	resp, body := fetch(t, c, p.request("POST", "/echo?q=1", strings.NewReader("hello")))
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 || string(body) != "hello" || resp.Header.Get("X-Stay") != "1" ||
		resp.Header.Get("X-Gone") != "" || resp.Header.Get("Server") != "OpenSLB" || resp.Header.Get("Date") == "" || resp.ContentLength != 5 {
		t.Errorf("answer %+v %q", resp, body)
	}
	seen := b.seen()[0]
	for _, want := range []string{"POST /echo?q=1 HTTP/1.1\r\n", "host: " + p.Addr().String() + "\r\n", "X-Forwarded-For: 127.0.0.1\r\n",
		"X-Forwarded-Proto: https\r\n", "SLB-ID: lb-1\r\n", "Content-Length: 5\r\n"} {
		if !strings.Contains(seen, want) {
			t.Errorf("%q missing in %q", want, seen)
		}
	}
	for _, not := range []string{"chunked", "\r\nte:"} {
		if strings.Contains(seen, not) {
			t.Errorf("%q in %q", not, seen)
		}
	}

	for _, row := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 200, ""},
		{"HEAD", "/chunked", 200, ""},
		{"GET", "/empty", 204, ""},
		{"GET", "/same", 304, ""},
		{"GET", "/chunked", 200, "without"},
		{"DELETE", "/interim", 200, "late"},
		{"TRACE", "/", 405, "*"},
	} {
		resp, body := fetch(t, c, p.request(row.method, row.path, nil))
		if resp.StatusCode != row.status || row.body != "*" && string(body) != row.body {
			t.Errorf("%s %s: %d %q", row.method, row.path, resp.StatusCode, body)
		}
		if row.body == "without" && (resp.Trailer.Get("X-Sum") != "7" || resp.Trailer.Get("Content-Length") != "") {
			t.Errorf("trailers %v", resp.Trailer)
		}
	}

	r := p.request("POST", "/echo", io.MultiReader(strings.NewReader("part"), strings.NewReader("s")))
	r.Trailer = http.Header{"X-Last": {"word"}, "Host": {"evil"}}
	if resp, body := fetch(t, c, r); resp.StatusCode != 200 || string(body) != "parts" {
		t.Errorf("with trailers: %d %q", resp.StatusCode, body)
	}

	r = p.request("GET", "/", nil)
	r.Header["Cookie"] = []string{"a=1; b=2; c=3"} // goes out in crumbs
	fetch(t, c, r)
	all := b.seen()
	if last := all[len(all)-1]; !strings.Contains(last, "cookie: a=1; b=2; c=3\r\n") {
		t.Errorf("cookies in %q", last)
	}
	eventually(t, "counted", func() bool { return p.Facts().Requests == 10 })
	if f := p.Facts(); f.Status[2] != 8 || f.Status[3] != 1 || f.Status[4] != 1 || f.NewConnections != 1 {
		t.Errorf("facts %+v", f)
	}
}

// TestHTTP2Bodies: big bodies both ways, many at once.
func TestHTTP2Bodies(t *testing.T) {
	if !overTLS {
		return
	}
	b := answering(t, func(m *message) string {
		if m.header("Transfer-Encoding") != nil {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(m.body), m.body)
		}
		return ok(string(m.body))
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	c := p.http2Client()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for _, n := range []int{1, 100, 8 << 10, 70 << 10, 400<<10 + i} {
				want := pattern(n)
				var in io.Reader = bytes.NewReader(want)
				if i%2 == 1 {
					in = io.MultiReader(in) // of unknown length
				}
				resp, err := c.Do(p.request("POST", "/", in))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes: got %d, %v", n, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

// TestHTTP2Failures: what goes wrong at a server is told as in HTTP/1.
func TestHTTP2Failures(t *testing.T) {
	if !overTLS {
		return
	}
	half := make(chan struct{}, 1)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err != nil {
			return
		}
		switch strings.Fields(m.line)[1] {
		case "/silent":
			io.Copy(io.Discard, br)
		case "/garbage":
			io.WriteString(c, "garbage\r\n\r\n")
		case "/short":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		case "/broken":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
			<-half
			io.WriteString(c, "zz\r\n")
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: 300 * time.Millisecond}, target(b))
	c := p.http2Client()
	for _, row := range []struct {
		path   string
		status int
	}{{"/silent", 504}, {"/garbage", 502}, {"/none", 502}} {
		if resp, _ := fetch(t, c, p.request("GET", row.path, nil)); resp.StatusCode != row.status {
			t.Errorf("%s: %d", row.path, resp.StatusCode)
		}
	}
	for _, path := range []string{"/short", "/broken"} {
		resp, err := c.Do(p.request("GET", path, nil))
		if err != nil {
			t.Fatal(err)
		}
		var body [4]byte
		io.ReadFull(resp.Body, body[:])
		if path == "/broken" {
			half <- struct{}{}
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		var reset http2.StreamError
		if string(body[:]) != "half" || !errors.As(err, &reset) {
			t.Errorf("%s: %q, %v", path, body, err)
		}
	}
	f := p.f
	p.Update(f, nil)
	if resp, _ := fetch(t, c, p.request("GET", "/", nil)); resp.StatusCode != 503 {
		t.Errorf("without servers: %d", resp.StatusCode)
	}
	if f := p.Facts(); f.NewConnections != 1 {
		t.Errorf("%d connections: one failure must not end the others", f.NewConnections)
	}
}

// counting counts what is read of it.
type counting struct {
	r io.Reader
	n atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// TestHTTP2Gzip: answers are compressed as in HTTP/1.
func TestHTTP2Gzip(t *testing.T) {
	if !overTLS {
		return
	}
	text := prose(300_000)
	b := answering(t, func(m *message) string { return page200("Content-Type: text/html\r\n", text) })
	p := newHTTP2Proxy(t, spec.HTTPOptions{Gzip: true}, target(b))
	c := p.http2Client()
	for _, method := range []string{"GET", "HEAD"} {
		r := p.request(method, "/", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		resp, body := fetch(t, c, r)
		if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") != "Accept-Encoding" || resp.ContentLength > 0 {
			t.Errorf("%s: head %v", method, resp.Header)
		}
		if method == "HEAD" {
			continue
		}
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(zr); err != nil || string(got) != text {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}
