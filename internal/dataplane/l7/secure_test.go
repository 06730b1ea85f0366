package l7

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// newSecureProxy is newProxy with HTTPS whatever the pass.
func newSecureProxy(t testing.TB, o spec.HTTPOptions, targets ...spec.Target) *proxy {
	defer func(before bool) { overTLS = before }(overTLS)
	overTLS = true
	return newProxy(t, o, targets...)
}

func (p *proxy) dialPlain() *net.TCPConn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	p.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// changeTLS has the proxy make its TLS settings anew.
func (p *proxy) changeTLS() {
	f := p.f
	f.TLS = &spec.TLSOptions{Default: strconv.Itoa(int(p.e.seq.Add(1)))}
	p.Update(f, p.pool)
}

func TestPlainOnHTTPS(t *testing.T) {
	p := newSecureProxy(t, spec.HTTPOptions{})
	for _, in := range []string{simple, "POST / HTTP/1.1\r\n", "M / HTTP/1.1\r\n\r\n"} {
		c := p.dialPlain()
		io.WriteString(c, in)
		got, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(string(got), "Connection: close\r\n") {
			t.Errorf("%q: answer %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"\x16", "garbage\r\n\r\n", "\x16\x03\x01\x00\x05hello", "\x80\x2e\x01\x03\x01"} {
		c := p.dialPlain()
		io.WriteString(c, in)
		c.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || bytes.HasPrefix(got, []byte("HTTP/")) {
			t.Errorf("%q: answer %q, %v", in, got, err)
		}
	}
	eventually(t, "connections forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if f := p.Facts(); f.Status[4] != 3 || f.Requests != 3 {
		t.Errorf("facts %+v", f)
	}
}

// TestVersions goes through the versions and kinds of cipher suites: records
// differ between them.
func TestVersions(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(string(m.body)) })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		return &tls.Config{Certificates: testCertificates(), MinVersion: tls.VersionTLS10}, nil
	}
	p.changeTLS()
	for _, c := range []struct {
		name    string
		version uint16
		suite   uint16
	}{
		{"1.0 CBC", tls.VersionTLS10, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
		{"1.1 CBC", tls.VersionTLS11, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA},
		{"1.2 CBC", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
		{"1.2 GCM", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		{"1.3", tls.VersionTLS13, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &tls.Config{InsecureSkipVerify: true, MinVersion: c.version, MaxVersion: c.version,
				ClientSessionCache: tls.NewLRUClientSessionCache(1), NextProtos: []string{"h2", "http/1.1"}}
			if c.suite != 0 {
				config.CipherSuites = []uint16{c.suite}
			}
			for again := range 2 {
				conn := tls.Client(p.dialPlain(), config)
				cl := &client{Conn: conn, t: t, br: bufio.NewReader(conn)}
				for _, n := range []int{1, 5000, 16 << 10, 200 << 10} {
					body := string(pattern(n))
					cl.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, body))
					cl.want(200, body)
				}
				state := conn.ConnectionState()
				if state.NegotiatedProtocol != "http/1.1" {
					t.Errorf("protocol %q", state.NegotiatedProtocol)
				}
				if state.DidResume != (again == 1) {
					t.Errorf("connection %d resumed: %v", again, state.DidResume)
				}
			}
		})
	}
}

// TestTornRecords: records that arrive byte by byte and several at once.
func TestTornRecords(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(string(m.body)) })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	torn := &tearing{Conn: p.dialPlain()}
	conn := tls.Client(torn, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	cl := &client{Conn: conn, t: t, br: bufio.NewReader(conn)}
	const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n"
	for _, parts := range [][]string{{head + "1234567"}, {head, "123", "4567"}, {head + "1234567" + head, "123", "4567"}, {head + "12", "34567" + head + "1234567"}} {
		for _, size := range []int{1, 7, 1 << 20} {
			torn.collect = true
			for _, part := range parts {
				cl.send(part)
			}
			torn.collect = false
			torn.flush(size)
			for range strings.Count(strings.Join(parts, ""), "POST") {
				cl.want(200, "1234567")
			}
		}
	}
}

// tearing sends what was collected in pieces of a size.
type tearing struct {
	net.Conn
	collect bool
	held    []byte
}

func (c *tearing) Write(p []byte) (int, error) {
	if !c.collect {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

func (c *tearing) flush(size int) {
	for len(c.held) > 0 {
		n := min(size, len(c.held))
		c.Conn.Write(c.held[:n])
		c.held = c.held[n:]
	}
}

// TestUpdateCertificate: the next handshake has the new certificate, live
// connections go on, and settings that cannot be used change nothing.
func TestUpdateCertificate(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	name := func(c *client) string {
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	dial := func() *client {
		conn := tls.Client(p.dialPlain(), &tls.Config{InsecureSkipVerify: true})
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		return &client{Conn: conn, t: t, br: bufio.NewReader(conn)}
	}
	old := dial()
	old.send(simple)
	old.want(200, "x")
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{newCertificate("b.test")}}, nil
	}
	p.changeTLS()
	if got := name(dial()); got != "b.test" {
		t.Errorf("new connection has the certificate of %s", got)
	}
	log := new(logSink)
	p.e.log = newTextLog(log)
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) { return nil, errors.New("no good") }
	p.changeTLS()
	if got := name(dial()); got != "b.test" {
		t.Errorf("after a bad change new connections have the certificate of %s", got)
	}
	if !strings.Contains(log.String(), "no good") {
		t.Errorf("log %q", log)
	}
	old.send(simple)
	old.want(200, "x")
	f := p.f
	f.Listen = p.Addr()
	if _, err := p.e.NewHTTP(f, p.pool, nil); err == nil || err.Error() != "no good" {
		t.Errorf("new frontend: %v", err)
	}
}

// TestMutualTLS: without a certificate of the right authority there is no
// request.
func TestMutualTLS(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	good, bad := newCertificate("good"), newCertificate("bad")
	leaf, _ := x509.ParseCertificate(good.Certificate[0])
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		c := &tls.Config{Certificates: testCertificates(), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
		c.ClientCAs.AddCert(leaf)
		return c, nil
	}
	p.changeTLS()
	for _, c := range []struct {
		name         string
		certificates []tls.Certificate
		served       bool
	}{{"none", nil, false}, {"wrong", []tls.Certificate{bad}, false}, {"right", []tls.Certificate{good}, true}} {
		conn := tls.Client(p.dialPlain(), &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(c.certificates) == 0 {
				return new(tls.Certificate), nil
			}
			return &c.certificates[0], nil
		}})
		io.WriteString(conn, simple)
		got, err := readHead(bufio.NewReader(conn))
		if served := strings.HasPrefix(got, "HTTP/1.1 200 "); served != c.served {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
		if !c.served && (err == nil || !strings.Contains(err.Error(), "tls: ")) {
			t.Errorf("%s: the client learns %v", c.name, err)
		}
		conn.Close()
	}
	if n := len(b.seen()); n != 1 {
		t.Errorf("server saw %d requests", n)
	}
}

// TestMeantEnd: only an end that is meant is announced as one.
func TestMeantEnd(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err != nil {
			return
		}
		if strings.Contains(m.line, "/broken") {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		} else {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nabc")
		}
	})
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	for path, whole := range map[string]bool{"/": true, "/broken": false} {
		conn := tls.Client(p.dialPlain(), &tls.Config{InsecureSkipVerify: true})
		io.WriteString(conn, "GET "+path+" HTTP/1.0\r\n\r\n")
		m, err := readMessage(bufio.NewReader(conn), false)
		if err != nil {
			t.Fatal(err)
		}
		if string(m.body) != "abc" || (m.err == nil) != whole {
			t.Errorf("%s: body %q, %v", path, m.body, m.err)
		}
		conn.Close()
	}
}

// TestHandshakeEnds: a client that says nothing, or not all, is waited for no
// longer than it may take, and Close does not wait for it.
func TestHandshakeEnds(t *testing.T) {
	p := newSecureProxy(t, spec.HTTPOptions{})
	conns := []*net.TCPConn{p.dialPlain(), p.dialPlain()}
	io.WriteString(conns[1], "\x16\x03\x01\x02\x00\x01")
	eventually(t, "both there", func() bool { return p.Facts().ActiveConnections == 2 })
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for _, c := range conns {
		if got, err := io.ReadAll(c); err == nil && bytes.HasPrefix(got, []byte("HTTP")) {
			t.Errorf("got %q", got)
		}
	}
	if n := len(p.e.handshakes.free); n != 0 {
		t.Errorf("%d handshakes still counted", n)
	}
}

// TestHandshakeTime: a handshake has its time in all, however busily its client
// goes on, and ends without a word.
func TestHandshakeTime(t *testing.T) {
	p := hasty(func(w *waits) { w.handshake = 300 * time.Millisecond }, func() *proxy { return newSecureProxy(t, spec.HTTPOptions{}) })
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 400)
	silent, busy := p.dialPlain(), p.dialPlain()
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ; i++ {
			if _, err := io.WriteString(busy, hello[i%len(hello):][:1]); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	for _, c := range []*net.TCPConn{silent, busy} {
		if got, err := io.ReadAll(c); len(got) > 0 || isTimeout(err) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	close(stop)
	writing.Wait()
	eventually(t, "forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
}

// TestManyHandshakes: with fewer places than clients all are served, and those
// that stand still hold none.
func TestManyHandshakes(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	for range 50 {
		io.WriteString(p.dialPlain(), "\x16\x03\x01\x02\x00\x01")
	}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			conn, err := tls.Dial("tcp", p.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, simple)
			if m, err := readMessage(bufio.NewReader(conn), false); err != nil || string(m.body) != "x" {
				t.Errorf("%v, %v", m, err)
			}
		})
	}
	wg.Wait()
}

// deaf is a connection whose client stops reading when it is answered.
type deaf struct {
	*net.TCPConn
	answered chan<- error
	until    <-chan struct{}
}

func (d deaf) Read(p []byte) (int, error) {
	_, err := d.TCPConn.Read(p[:1])
	d.answered <- err
	<-d.until
	return 0, io.EOF
}

// TestHandshakesNotRead: clients that do not read what the server has to say in
// the handshake, which is more than the system has room for, keep no others from
// theirs.
func TestHandshakesNotRead(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newSecureProxy(t, spec.HTTPOptions{}, target(b))
	long := newCertificate("long.test")
	long.Certificate = append(long.Certificate, make([]byte, 8<<20)) // never looked at
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		return &tls.Config{Certificates: append(testCertificates(), long)}, nil
	}
	p.changeTLS()
	answered, left := make(chan error), make(chan struct{})
	var clients sync.WaitGroup
	defer clients.Wait()
	defer close(left)
	for range 2 * cap(p.e.handshakes.free) {
		c := deaf{p.dialPlain(), answered, left}
		clients.Go(func() {
			_ = tls.Client(c, &tls.Config{ServerName: "long.test", InsecureSkipVerify: true}).Handshake()
		})
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", p.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, simple)
	if m, err := readMessage(bufio.NewReader(conn), false); err != nil || string(m.body) != "x" {
		t.Errorf("%v, %v", m, err)
	}
}
