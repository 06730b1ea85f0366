package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHTTP2Idle: a connection without requests is told and ended. Requests keep
// it, however long they take; pings do not.
func TestHTTP2Idle(t *testing.T) {
	if !overTLS {
		return
	}
	if http2Idle != 180*time.Second {
		t.Errorf("it may be idle for %v, the vendor documents 180 s", http2Idle)
	}
	const idle = 400 * time.Millisecond
	b := answering(t, func(m *message) string {
		if strings.Contains(m.line, "/long") {
			time.Sleep(2 * idle)
		}
		return ok("x")
	})
	p := hasty(func(w *waits) { w.http2 = idle }, func() *proxy {
		return newHTTP2Proxy(t, spec.HTTPOptions{IdleTimeout: 100 * time.Millisecond}, target(b))
	})
	r, silent := p.dialHTTP2(), p.dialHTTP2()
	r.ask(1, true, "GET", "a", "/long")
	r.watchEnds(1)
	r.head(3, true)
	r.watchEnds(3)
	began, last := time.Now(), time.Time{}
	r.watch("the end", func(w *watched) bool {
		if time.Since(last) > idle/8 && !w.closed {
			last = time.Now()
			_ = r.fr.WritePing(false, [8]byte{1})
		}
		return w.closed
	})
	if took := time.Since(began); took < idle/2 || r.seen.goAway == nil || *r.seen.goAway != http2.ErrCodeNo || r.seen.lastID != 3 {
		t.Errorf("after %v: goodbye %v, last %d", took, r.seen.goAway, r.seen.lastID)
	}
	silent.watch("the end", func(w *watched) bool { return w.closed })
	if silent.seen.goAway == nil || *silent.seen.goAway != http2.ErrCodeNo {
		t.Errorf("without a request: goodbye %v", silent.seen.goAway)
	}
	eventually(t, "both are forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if f := p.Facts(); f.SlowHeads != 0 {
		t.Errorf("%d are counted as slow", f.SlowHeads)
	}
}

// TestHTTP2ServerGone: wherever a server breaks off, the client never sees a
// clean end, and loses nothing but that request.
func TestHTTP2ServerGone(t *testing.T) {
	if !overTLS {
		return
	}
	long := strings.Repeat("half ", 20_000)
	answers := map[string]string{
		"length":     "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + long,
		"first":      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
		"chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n", 200_000) + long,
		"no-end":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"trailers":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-Sum: 1",
		"compressed": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 200000\r\n\r\n" + long,
		"reset":      "HTTP/1.1 200 OK\r\n\r\n" + long,
		"head":       "HTTP/1.1 200 OK\r\nContent-Le",
		"nothing":    "",
		"interim":    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err != nil {
			return
		}
		path := strings.Fields(m.line)[1][1:]
		io.WriteString(c, answers[path])
		if path == "reset" {
			time.Sleep(50 * time.Millisecond) // else what was sent is lost, too
			c.(*net.TCPConn).SetLinger(0)
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{Gzip: true}, target(b))
	r := p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	r.fr.WriteWindowUpdate(0, 16<<20)
	id := uint32(1)
	for path := range answers {
		var fields []string
		if path == "compressed" {
			fields = []string{"accept-encoding", "gzip"}
		}
		r.ask(id, true, "GET", "a", "/"+path, fields...)
		r.watch("the end of "+path, func(w *watched) bool { _, reset := w.reset[id]; return reset || w.ended[id] })
		w := &r.seen
		switch path {
		case "head", "nothing", "interim":
			if w.value(id, ":status") != "502" || !w.ended[id] {
				t.Errorf("%s: %v", path, w.heads[id])
			}
		default:
			if w.ended[id] || w.reset[id] != http2.ErrCodeInternal {
				t.Errorf("%s: ended %v, reset %v after %d bytes", path, w.ended[id], w.reset[id], w.body[id])
			}
			if path != "compressed" && path != "first" && w.body[id] == 0 {
				t.Errorf("%s: nothing of the body", path)
			}
		}
		id += 2
	}
	if n := p.Facts().NewConnections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestHTTP2Pages: what we answer ourselves is a page, in HTTP/2's form.
func TestHTTP2Pages(t *testing.T) {
	if !overTLS {
		return
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if m, err := readMessage(br, false); err == nil && strings.Contains(m.line, "/silent") {
			io.Copy(io.Discard, br)
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: 300 * time.Millisecond}, target(b))
	f := p.f
	f.HTTP = &spec.HTTPOptions{RequestTimeout: 300 * time.Millisecond, Rules: []spec.Rule{{ID: "1", Domain: "none"}, {ID: "2", Domain: "path", Path: "/x"}}}
	none := pool.NewStatic()
	t.Cleanup(none.Close)
	p.Update(f, p.pool, none, p.pool)
	r := p.dialHTTP2()
	id := uint32(1)
	for _, row := range []struct {
		method, authority, path string
		end                     bool
		status                  string
	}{
		{"GET", "a", "/silent", true, "504"},
		{"POST", "a", "/silent", false, "408"},
		{"GET", "a", "/gone", true, "502"},
		{"GET", "none", "/", true, "503"},
		{"GET", "path", "/y", true, "404"},
		{"TRACE", "a", "/", true, "405"},
		{"get", "a", "/", true, "400"},
		{"GET", "a", "/" + strings.Repeat("a", 40<<10), true, "414"},
		{"HEAD", "a", "/gone", true, "502"},
	} {
		name := row.method + " " + row.authority + row.path[:min(10, len(row.path))]
		r.ask(id, row.end, row.method, row.authority, row.path)
		r.watchEnds(id)
		w := &r.seen
		if got := w.value(id, ":status"); got != row.status {
			t.Errorf("%s: %s, want %s", name, got, row.status)
		}
		if row.method == "HEAD" && w.body[id] > 0 || row.method != "HEAD" && !strings.Contains(w.text[id], "<h1>"+row.status+" ") || w.value(id, "content-type") != "text/html" || w.value(id, "server") != "OpenSLB" {
			t.Errorf("%s: %v %q", name, w.heads[id], w.text[id])
		}
		for _, field := range w.heads[id][0] {
			switch field.Name {
			case "connection", "keep-alive", "transfer-encoding":
				t.Errorf("%s: %v", name, field)
			}
		}
		if allow := w.value(id, "allow"); (allow != "") != (row.status == "405") {
			t.Errorf("%s: allow %q", name, allow)
		}
		id += 2
	}
	if n := p.Facts().NewConnections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestHTTP2Bodiless: answers without a body end with their head.
func TestHTTP2Bodiless(t *testing.T) {
	if !overTLS {
		return
	}
	answers := map[string]string{
		"/204": "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
		"/304": "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nEtag: \"x\"\r\n\r\n",
		"/len": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
		"/chk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"/0":   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	}
	b := answering(t, func(m *message) string { return answers[strings.Fields(m.line)[1]] })
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	r := p.dialHTTP2()
	id := uint32(1)
	for _, row := range []struct{ method, path, status, length string }{
		{"GET", "/204", "204", ""}, {"HEAD", "/204", "204", ""}, {"GET", "/304", "304", ""}, {"HEAD", "/304", "304", ""},
		{"HEAD", "/len", "200", "10"}, {"HEAD", "/chk", "200", ""}, {"GET", "/0", "200", "0"},
	} {
		r.ask(id, true, row.method, "a", row.path)
		r.watchEnds(id)
		w := &r.seen
		if w.value(id, ":status") != row.status || w.value(id, "content-length") != row.length || w.value(id, "transfer-encoding") != "" || w.datas[id] != 0 {
			t.Errorf("%s %s: %v and %d frames", row.method, row.path, w.heads[id], w.datas[id])
		}
		id += 2
	}
	if b.connections() != 1 {
		t.Errorf("%d connections to the server", b.connections())
	}
}

// TestHTTP2GivenUp: a client that gives a request up does not stop the server,
// which is asked by HTTP/1.1; the connection goes on, and the log tells.
func TestHTTP2GivenUp(t *testing.T) {
	if !overTLS {
		return
	}
	asked, release, said := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err != nil {
			return
		}
		if strings.Contains(m.line, "/given-up") {
			asked <- struct{}{}
			<-release
			_, err := io.WriteString(c, ok("late"))
			said <- err
			return
		}
		io.WriteString(c, ok("x"))
	})
	p := newLoggedProxy(t, spec.HTTPOptions{}, target(b))
	p.enableHTTP2()
	r := p.dialHTTP2()
	r.ask(1, true, "GET", "a", "/given-up")
	<-asked
	r.fr.WriteRSTStream(1, http2.ErrCodeCancel)
	r.ask(3, true, "GET", "a", "/")
	r.watchEnds(3)
	wantFields(t, p.next(), map[string]string{"request_uri": "/", "status": "200"})
	close(release)
	if err := <-said; err != nil {
		t.Errorf("the server was stopped: %v", err)
	}
	wantFields(t, p.next(), map[string]string{"request_uri": "/given-up", "status": "499", "upstream_status": "200", "server_protocol": "HTTP/2.0", "body_bytes_sent": "0"})
	if r.seen.body[1] > 0 || len(r.seen.heads[1]) > 0 {
		t.Errorf("what was given up is answered: %v", r.seen.heads[1])
	}
}
