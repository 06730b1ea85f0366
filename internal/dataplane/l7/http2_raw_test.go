package l7

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// http2Raw is a client that says what the test says.
type http2Raw struct {
	t    testing.TB
	conn *tls.Conn
	tcp  *net.TCPConn
	br   *bufio.Reader
	fr   *http2.Framer
	code bytes.Buffer
	enc  *hpack.Encoder
	seen watched // by watch
}

// dialHTTP2 connects with the given settings.
func (p *proxy) dialHTTP2(settings ...http2.Setting) *http2Raw {
	p.t.Helper()
	tcp := p.dialPlain()
	conn := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := conn.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	r := &http2Raw{t: p.t, conn: conn, tcp: tcp, br: br, fr: http2.NewFramer(conn, br)}
	r.enc = hpack.NewEncoder(&r.code)
	r.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(conn, http2.ClientPreface)
	r.fr.WriteSettings(settings...)
	return r
}

func (r *http2Raw) head(id uint32, end bool, fields ...string) {
	r.t.Helper()
	r.ask(id, end, "GET", "a", "/", fields...)
}

// ask is head for other requests.
func (r *http2Raw) ask(id uint32, end bool, method, authority, path string, fields ...string) {
	r.t.Helper()
	r.fields(id, end, append([]string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}, fields...)...)
}

// fields sends a head, or trailers, of names and values in turn.
func (r *http2Raw) fields(id uint32, end bool, fields ...string) {
	r.t.Helper()
	r.code.Reset()
	for i := 0; i < len(fields); i += 2 {
		r.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	const most = 16 << 10
	p := r.code.Bytes()
	n := min(len(p), most)
	err := r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p[:n], EndStream: end, EndHeaders: n == len(p)})
	for p = p[n:]; err == nil && len(p) > 0; p = p[n:] {
		n = min(len(p), most)
		err = r.fr.WriteContinuation(id, n == len(p), p[:n])
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// until reads frames until one that fn likes.
func (r *http2Raw) until(what string, fn func(f http2.Frame) bool) {
	r.t.Helper()
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			r.t.Fatalf("waiting for %s: %v", what, err)
		}
		if fn(f) {
			return
		}
	}
}

func (r *http2Raw) untilEnd(id uint32) {
	r.t.Helper()
	r.until(fmt.Sprintf("the end of %d", id), func(f http2.Frame) bool {
		if rst, ok := f.(*http2.RSTStreamFrame); ok && rst.StreamID == id {
			r.t.Fatalf("stream %d reset: %v", id, rst.ErrCode)
		}
		return f.Header().StreamID == id && f.Header().Flags.Has(http2.FlagDataEndStream)
	})
}

// TestHTTP2Stalled: a client that opens no window for some streams gets the
// others, and what it does not take is not read from the servers.
func TestHTTP2Stalled(t *testing.T) {
	if !overTLS {
		return
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err != nil {
			return
		}
		if m.header("X-Small") != nil {
			io.WriteString(c, ok("small"))
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		block := make([]byte, 64<<10)
		for sent := 0; ; sent += len(block) {
			if _, err := c.Write(block); err != nil {
				b.record(fmt.Sprint(sent))
				return
			}
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	r := p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	const n = 20
	for i := range uint32(n) {
		r.head(2*i+1, true)
	}
	r.head(2*n+1, true, "x-small", "1")
	r.fr.WriteWindowUpdate(2*n+1, 100)
	r.untilEnd(2*n + 1)
	r.fr.WriteWindowUpdate(1, 10)
	r.until("ten bytes", func(f http2.Frame) bool {
		d, ok := f.(*http2.DataFrame)
		return ok && d.StreamID == 1 && len(d.Data()) == 10
	})
	for i := range uint32(n) {
		r.fr.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
	}
	eventually(t, "the servers let go", func() bool { return len(b.seen()) == n })
	for _, s := range b.seen() {
		var sent int
		if fmt.Sscan(s, &sent); sent > 8<<20 { // what the system's buffers take
			t.Errorf("%d bytes were read for a client that took none", sent)
		}
	}
	r.head(2*n+3, true, "x-small", "1")
	r.fr.WriteWindowUpdate(2*n+3, 100)
	r.untilEnd(2*n + 3)
}

// TestHTTP2NotRead: a client that does not read at all is left in the end, and
// closing does not wait for it.
func TestHTTP2NotRead(t *testing.T) {
	if !overTLS {
		return
	}
	body := string(pattern(4 << 20))
	b := answering(t, func(m *message) string { return ok(body) })
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	r := p.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	r.tcp.SetReadBuffer(4096)
	r.fr.WriteWindowUpdate(0, 1<<30)
	for i := range uint32(8) {
		r.head(2*i+1, true)
	}
	eventually(t, "answers on their way", func() bool { return p.Facts().Status[2] > 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	done := make(chan struct{})
	go func() { p.Close(ctx); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("closing waits for the client")
	}
}

// TestHTTP2SlowServer: a server that does not take a body keeps the client from
// sending it, and other bodies pass.
func TestHTTP2SlowServer(t *testing.T) {
	if !overTLS {
		return
	}
	release := make(chan struct{})
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		head, err := readHead(br)
		if err != nil {
			return
		}
		if strings.Contains(head, "/slow ") {
			c.(*net.TCPConn).SetReadBuffer(128 << 10)
			<-release
		}
		n, _ := io.CopyN(io.Discard, br, 8<<20)
		io.WriteString(c, ok(fmt.Sprint(n)))
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	c := p.http2Client()
	sent := &counting{r: bytes.NewReader(make([]byte, 8<<20))}
	slow := p.request("POST", "/slow", sent)
	slow.ContentLength = 8 << 20
	type result struct {
		body []byte
		err  error
	}
	got := make(chan result, 1)
	go func() {
		resp, err := c.Do(slow)
		if err != nil {
			got <- result{err: err}
			return
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		got <- result{body, err}
	}()
	quick := p.request("POST", "/quick", bytes.NewReader(make([]byte, 8<<20)))
	if _, body := fetch(t, c, quick); string(body) != "8388608" {
		t.Errorf("quick: %q", body)
	}
	if n := sent.n.Load(); n >= 8<<20 {
		t.Errorf("the client could send all %d bytes", n)
	}
	close(release)
	if r := <-got; r.err != nil || string(r.body) != "8388608" {
		t.Errorf("slow: %q, %v", r.body, r.err)
	}
}

// TestHTTP2EarlyAnswer: a server that answers without waiting for the body ends
// the matter, and the client need not send the rest.
func TestHTTP2EarlyAnswer(t *testing.T) {
	if !overTLS {
		return
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err == nil {
			io.WriteString(c, "HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig")
			io.Copy(io.Discard, br)
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	r := p.dialHTTP2()
	r.head(1, false, "content-length", "1000000")
	r.fr.WriteData(1, false, make([]byte, 1000))
	r.untilEnd(1)
	// That comes in a record of its own.
	if rest, _ := r.br.Peek(r.br.Buffered()); len(rest) > 3 && http2.FrameType(rest[3]) == http2.FrameRSTStream {
		t.Error("one record for the answer and the end")
	}
	r.until("word that the rest is not wanted", func(f http2.Frame) bool {
		rst, ok := f.(*http2.RSTStreamFrame)
		return ok && rst.StreamID == 1 && rst.ErrCode == http2.ErrCodeNo
	})
	r.fr.WriteData(1, true, make([]byte, 1000)) // on its way already
	r.head(3, true)
	r.until("an answer", func(f http2.Frame) bool { return f.Header().StreamID == 3 })
}

// TestHTTP2Leave: closing the frontend lets what is under way finish, and tells
// the client to go elsewhere.
func TestHTTP2Leave(t *testing.T) {
	if !overTLS {
		return
	}
	began, release := make(chan struct{}, 1), make(chan struct{})
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readMessage(br, false); err == nil {
			began <- struct{}{}
			<-release
			io.WriteString(c, ok("late"))
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	r, idle := p.dialHTTP2(), p.dialHTTP2()
	r.head(1, true)
	<-began
	idle.until("SETTINGS", func(f http2.Frame) bool { _, ok := f.(*http2.SettingsFrame); return ok }) // its handshake is over
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- p.Close(ctx) }()
	r.until("GOAWAY", func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok })
	r.until("PING", func(f http2.Frame) bool {
		ping, ok := f.(*http2.PingFrame)
		if ok && !ping.IsAck() {
			r.fr.WritePing(true, ping.Data)
		}
		return ok && !ping.IsAck()
	})
	r.until("the last GOAWAY", func(f http2.Frame) bool {
		g, ok := f.(*http2.GoAwayFrame)
		return ok && g.LastStreamID == 1
	})
	close(release)
	r.untilEnd(1)
	if _, err := r.fr.ReadFrame(); err != io.EOF {
		t.Errorf("after the last answer: %v", err)
	}
	for { // the idle one is told and closed, though it does not answer
		if _, err := idle.fr.ReadFrame(); err != nil {
			if err != io.EOF {
				t.Errorf("idle: %v", err)
			}
			break
		}
	}
	if err := <-closed; err != nil {
		t.Errorf("closing: %v", err)
	}
}

// TestHTTP2Gone: a client that leaves in the middle leaves nothing behind.
func TestHTTP2Gone(t *testing.T) {
	if !overTLS {
		return
	}
	began := make(chan struct{}, 100)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err == nil {
			began <- struct{}{}
			io.Copy(io.Discard, br)
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: time.Second}, target(b))
	for range 3 {
		r := p.dialHTTP2()
		r.head(1, false)
		r.head(3, true)
		r.fr.WriteData(1, false, make([]byte, 10))
		<-began
		<-began
		r.tcp.SetLinger(0)
		r.tcp.Close()
	}
	eventually(t, "connections forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
}

// TestHTTP2Off: without the switch clients get HTTP/1.1.
func TestHTTP2Off(t *testing.T) {
	if !overTLS {
		return
	}
	b := answering(t, func(m *message) string { return ok("x") })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	if resp, _ := fetch(t, &http.Client{Transport: tr}, p.request("GET", "/", nil)); resp.ProtoMajor != 1 {
		t.Errorf("answered by %s", resp.Proto)
	}
}

// TestHTTP2Panic: a panic ends one request, and is logged.
func TestHTTP2Panic(t *testing.T) {
	if !overTLS {
		return
	}
	b := answering(t, func(m *message) string { return ok("x") })
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	log := p.expectLog()
	c := p.http2Client()
	fetch(t, c, p.request("GET", "/", nil))
	good := p.snap.Swap(nil) // the next request trips over it
	if resp, err := c.Do(p.request("GET", "/", nil)); err == nil {
		resp.Body.Close()
		t.Error("an answer in spite of the panic")
	}
	p.snap.Store(good)
	fetch(t, c, p.request("GET", "/", nil))
	log.mu.Lock()
	defer log.mu.Unlock()
	if !strings.Contains(log.String(), "panic") || p.Facts().NewConnections != 1 {
		t.Errorf("log %q, %d connections", log, p.Facts().NewConnections)
	}
}
