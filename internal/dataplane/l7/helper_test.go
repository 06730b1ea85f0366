package l7

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// overTLS makes the proxies of all tests HTTPS ones.
var overTLS bool

// driver serves the proxies of all tests.
var driver Driver

// TestMain runs all tests on each driver, and over TLS: to a client nothing but
// the first bytes of a connection may differ between HTTP and HTTPS.
func TestMain(m *testing.M) {
	if os.Getenv(crowdVariable) != "" {
		if err := runCrowd(); err != nil {
			fmt.Fprintln(os.Stderr, "crowd:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	var code int
	for _, pass := range []struct {
		name   string
		driver Driver
		tls    bool
	}{{"goroutines", Goroutines, false}, {"loops", Loops, false}, {"TLS", Goroutines, true}} {
		if only := os.Getenv("L7_DRIVER"); only != "" && only != pass.name {
			continue
		}
		driver, overTLS = pass.driver, pass.tls
		if code = m.Run(); code != 0 {
			fmt.Fprintln(os.Stderr, "failed with", pass.name)
			break
		}
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// patience bounds waits for events that are sure to come.
const patience = 10 * time.Second

// backend is a server written by hand on a raw socket.
type backend struct {
	l    net.Listener
	wg   sync.WaitGroup
	addr netip.AddrPort

	mu       sync.Mutex
	requests []string // heads, in order of arrival
	accepted int
	open     map[net.Conn]bool
}

// message is what a backend or a client read.
type message struct {
	head string // with its end
	line string
	body []byte
	err  error // of the body
}

// header returns the values of a header.
func (m *message) header(name string) []string {
	var all []string
	for _, l := range strings.Split(m.head, "\r\n")[1:] {
		if n, v, ok := strings.Cut(l, ":"); ok && strings.EqualFold(n, name) {
			all = append(all, strings.TrimSpace(v))
		}
	}
	return all
}

func readHead(br *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		l, err := br.ReadString('\n')
		b.WriteString(l)
		if err != nil {
			return b.String(), err
		}
		if l == "\r\n" {
			return b.String(), nil
		}
	}
}

// readMessage reads a message; noBody for answers without one.
func readMessage(br *bufio.Reader, noBody bool) (*message, error) {
	head, err := readHead(br)
	if err != nil {
		return &message{head: head}, err
	}
	m := &message{head: head}
	m.line, _, _ = strings.Cut(head, "\r\n")
	isAnswer := strings.HasPrefix(m.line, "HTTP/")
	switch {
	case noBody:
	case m.header("Transfer-Encoding") != nil:
		m.body, m.err = readChunks(br)
	case m.header("Content-Length") != nil:
		n, _ := strconv.Atoi(m.header("Content-Length")[0])
		m.body = make([]byte, n)
		var got int
		got, m.err = io.ReadFull(br, m.body)
		m.body = m.body[:got]
	case isAnswer:
		m.body, m.err = io.ReadAll(br)
	}
	return m, nil
}

func readChunks(br *bufio.Reader) ([]byte, error) {
	var body []byte
	for {
		l, err := br.ReadString('\n')
		if err != nil {
			return body, io.ErrUnexpectedEOF
		}
		n, err := strconv.ParseUint(strings.TrimRight(l, "\r\n"), 16, 31)
		if err != nil {
			return body, err
		}
		chunk := make([]byte, n+2)
		if got, err := io.ReadFull(br, chunk); err != nil {
			return append(body, chunk[:min(got, int(n))]...), io.ErrUnexpectedEOF
		}
		if string(chunk[n:]) != "\r\n" {
			return body, fmt.Errorf("chunk of %d without end", n)
		}
		if n == 0 {
			return body, nil
		}
		body = append(body, chunk[:n]...)
	}
}

// newBackend serves each connection by serve until the test ends.
func newBackend(t testing.TB, serve func(b *backend, c net.Conn, br *bufio.Reader)) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{l: l, addr: l.Addr().(*net.TCPAddr).AddrPort(), open: map[net.Conn]bool{}}
	b.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.accepted++
			b.open[c] = true
			b.mu.Unlock()
			b.wg.Go(func() {
				defer c.Close()
				serve(b, c, bufio.NewReader(c))
				b.mu.Lock()
				delete(b.open, c)
				b.mu.Unlock()
			})
		}
	})
	t.Cleanup(b.close)
	return b
}

func (b *backend) close() {
	b.l.Close()
	b.mu.Lock()
	for c := range b.open {
		c.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *backend) record(head string) {
	b.mu.Lock()
	b.requests = append(b.requests, head)
	b.mu.Unlock()
}

func (b *backend) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requests...)
}

func (b *backend) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepted
}

// answering is a keep-alive backend that records requests and answers each by fn.
func answering(t testing.TB, fn func(m *message) string) *backend {
	return newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		for {
			m, err := readMessage(br, false)
			if err != nil {
				return
			}
			b.record(m.head)
			a := fn(m)
			if a == "" {
				return
			}
			if _, err := io.WriteString(c, a); err != nil {
				return
			}
		}
	})
}

// ok is an answer with a length.
func ok(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func target(b *backend) spec.Target {
	return spec.Target{ID: b.addr.String(), Addr: b.addr, Weight: 100}
}

// proxy is an engine with one frontend.
type proxy struct {
	*HTTP
	t    testing.TB
	e    *Engine
	pool *pool.Pool
	f    spec.Frontend
	log  *logSink // must stay empty; nil: not looked at
}

// expectLog gives what is logged, which need not be nothing.
func (p *proxy) expectLog() *logSink {
	log := p.log
	p.log = nil
	return log
}

// logSink keeps what is logged for the test.
type logSink struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logSink) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func newTextLog(l *logSink) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// shorten changes what the next proxies wait for; see hasty.
var shorten func(*waits)

// hasty makes a proxy with other waits: they may be changed before it runs only.
func hasty(change func(*waits), made func() *proxy) *proxy {
	shorten = change
	defer func() { shorten = nil }()
	return made()
}

func newProxy(t testing.TB, o spec.HTTPOptions, targets ...spec.Target) *proxy {
	t.Helper()
	return newProxyWith(t, func(*Options, *spec.Frontend) {}, nil, o, targets...)
}

// newProxyWithin makes a proxy within limits; nil: none.
func newProxyWithin(t testing.TB, limits *limit.Frontend, o spec.HTTPOptions, targets ...spec.Target) *proxy {
	t.Helper()
	return newProxyWith(t, func(*Options, *spec.Frontend) {}, limits, o, targets...)
}

// newProxyWith lets the caller change what newProxyWithin would make.
func newProxyWith(t testing.TB, change func(*Options, *spec.Frontend), limits *limit.Frontend, o spec.HTTPOptions, targets ...spec.Target) *proxy {
	t.Helper()
	log := new(logSink)
	options := Options{Logger: newTextLog(log), Driver: driver, Loops: 2, Budget: loop.NewBudgetOf(1 << 20)}
	p := pool.NewStatic(targets...)
	f := spec.Frontend{
		ID:     spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTP, Port: 80},
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		HTTP:   &o,
	}
	change(&options, &f)
	e := NewEngine(options)
	if shorten != nil {
		shorten(&e.wheel.waits)
	}
	e.newTLS = func(spec.Frontend) (*tls.Config, error) { return &tls.Config{Certificates: testCertificates()}, nil }
	if overTLS {
		f.ID.Protocol, f.ID.Port = spec.HTTPS, 443
	}
	h, err := e.NewHTTP(f, p, limits)
	if err != nil {
		t.Fatal(err)
	}
	made := &proxy{HTTP: h, t: t, e: e, pool: p, f: f, log: log}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		h.Close(ctx)
		e.Close()
		p.Close()
		if n := options.Budget.Used(); n != 0 {
			t.Errorf("%d descriptors were not given back", n)
		}
		if log := made.log; log != nil && log.Len() > 0 {
			t.Errorf("logged: %s", log.String())
		}
	})
	return made
}

// eachKept visits the kept connections to servers.
func (p *proxy) eachKept(fn func(fd int)) {
	p.eachReactor(func(r *reactor) {
		for _, l := range r.kept.members {
			for s := l.first; s != nil; s = s.next {
				fn(int(s.fd))
			}
		}
	})
	for _, k := range *p.e.kept.members.Load() {
		for i := range k.shards {
			s := &k.shards[i]
			s.mu.Lock()
			for _, u := range s.list {
				fn(u.fd)
			}
			s.mu.Unlock()
		}
	}
}

// keptCount is the number of kept connections to servers.
func (p *proxy) keptCount() int {
	n := 0
	p.eachKept(func(int) { n++ })
	return n
}

// keptMembers is the number of members that connections may be kept to.
func (p *proxy) keptMembers() int {
	n := len(*p.e.kept.members.Load())
	p.eachReactor(func(r *reactor) { n += len(r.kept.members) })
	return n
}

// eachReactor calls fn on each loop, one after the other.
func (p *proxy) eachReactor(fn func(r *reactor)) {
	for _, r := range p.e.reactors.all {
		r.loop.Do(func() { fn(r) })
	}
}

// client is a raw connection to a proxy.
type client struct {
	net.Conn
	tcp *net.TCPConn // under Conn, or itself
	t   testing.TB
	br  *bufio.Reader
}

func (p *proxy) dial() *client {
	p.t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	p.t.Cleanup(func() { c.Close() })
	tcp := c.(*net.TCPConn)
	if overTLS {
		secured := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		if err := secured.Handshake(); err != nil {
			p.t.Fatalf("handshake: %v", err)
		}
		c = secured
	}
	return &client{Conn: c, tcp: tcp, t: p.t, br: bufio.NewReader(c)}
}

// CloseWrite ends the client's direction.
func (c *client) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// read reads an answer.
func (c *client) read() *message {
	c.t.Helper()
	m, err := readMessage(c.br, false)
	if err != nil {
		c.t.Fatalf("no answer: %v (%q)", err, m.head)
	}
	return m
}

// want reads an answer and checks status and body.
func (c *client) want(status int, body string) *message {
	c.t.Helper()
	m := c.read()
	if !strings.HasPrefix(m.line, "HTTP/1.1 "+strconv.Itoa(status)+" ") {
		c.t.Fatalf("answer %q, want status %d", m.line, status)
	}
	if m.err != nil {
		c.t.Fatalf("body: %v", m.err)
	}
	if body != "*" && string(m.body) != body {
		c.t.Fatalf("body %q, want %q", m.body, body)
	}
	return m
}

// wantClosed checks that the proxy ends the connection in the proper way.
func (c *client) wantClosed() {
	c.t.Helper()
	if b, err := io.ReadAll(c.br); err != nil || len(b) > 0 {
		c.t.Fatalf("connection not closed: %q, %v", b, err)
	}
}

// eventually waits until fn is true.
func eventually(t testing.TB, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !fn(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come true", what)
		}
	}
}

const simple = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
