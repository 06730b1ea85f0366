package rpc

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// testTLS is a server's and a client's side of one made-up certificate.
func testTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

// running is a server on a loopback port.
type running struct {
	addr string
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, opts ServerOptions) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &running{addr: ln.Addr().String(), stop: cancel, done: make(chan error, 1)}
	opts.Logger = slog.New(slog.DiscardHandler)
	go func() { s.done <- NewServer(opts).Serve(ctx, ln) }()
	t.Cleanup(func() { s.end(t) })
	return s
}

// end stops the server and reports how it ended, once.
func (s *running) end(t *testing.T) {
	s.stop()
	if err, ok := <-s.done; ok && err != nil {
		t.Errorf("Serve: %v", err)
	} else if ok {
		close(s.done)
	}
}

func echoProto(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s tls=%v %s", r.Proto, r.TLS != nil, body)
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Post(url, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPlainAndTLSOnOnePort(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	serverTLS, clientTLS := testTLS(t)
	s := serve(t, ServerOptions{Handler: http.HandlerFunc(echoProto), TLS: serverTLS})
	defer s.end(t)
	withoutH2 := serverTLS.Clone()
	withoutH2.NextProtos = []string{"http/1.1"}
	only1 := serve(t, ServerOptions{Handler: http.HandlerFunc(echoProto), TLS: withoutH2})
	defer only1.end(t)
	for _, tc := range []struct {
		s      *running
		scheme string
		h2     bool
		want   string
	}{
		{s, "http", false, "HTTP/1.1 tls=false hello"},
		{s, "https", false, "HTTP/1.1 tls=true hello"},
		{s, "https", true, "HTTP/2.0 tls=true hello"},
		{only1, "https", true, "HTTP/1.1 tls=true hello"},
	} {
		transport := &http.Transport{TLSClientConfig: clientTLS.Clone(), ForceAttemptHTTP2: tc.h2}
		client := &http.Client{Transport: transport}
		for range 2 { // the second on the same connection
			if got := get(t, client, tc.scheme+"://"+tc.s.addr); got != tc.want {
				t.Errorf("%s h2=%v: %q", tc.scheme, tc.h2, got)
			}
		}
		transport.CloseIdleConnections()
	}
}

func TestTLSWithoutCertificateIsRefused(t *testing.T) {
	s := serve(t, ServerOptions{Handler: http.HandlerFunc(echoProto)})
	c, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		c.Close()
		t.Fatal("handshake without a certificate")
	}
	if got := get(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+s.addr); !strings.HasPrefix(got, "HTTP/1.1") {
		t.Error(got)
	}
}

func TestSilentAndSlowClients(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := serve(t, ServerOptions{Handler: http.HandlerFunc(echoProto), ReadHeaderTimeout: 50 * time.Millisecond, ReadTimeout: 100 * time.Millisecond})
	defer s.end(t)
	for name, sent := range map[string]string{
		"half a header": "GET / HTTP/1.1\r\nHos",
		"half a body":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
	} {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, sent)
		// The server must end it; the deadline is for a server that does not.
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("%s: still open", name)
		}
		c.Close()
	}
	// Silent connections do not hold up others, nor the end of the server.
	var silent []net.Conn
	for range 20 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	if got := get(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+s.addr); got != "HTTP/1.1 tls=false hello" {
		t.Error(got)
	}
	s.end(t)
	for _, c := range silent {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("a silent connection outlives the server: %v", err)
		}
		c.Close()
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// TestSniffTimeout runs the deadline itself on a pipe.
func TestSniffTimeout(t *testing.T) {
	server, client := net.Pipe()
	defer client.Close()
	split := newSplitter(closedListener{}, 10, slog.New(slog.DiscardHandler))
	if timeout, ok := split.admit(server); !ok || timeout != firstByteTimeout {
		t.Fatal(timeout, ok)
	}
	split.sniff(server, time.Millisecond)
	if _, err := client.Write([]byte("x")); err == nil {
		t.Error("the connection is still open")
	}
	if split.open != 0 || len(split.silent) != 0 {
		t.Errorf("%d open, %d silent", split.open, len(split.silent))
	}
}

func TestAdmission(t *testing.T) {
	split := newSplitter(closedListener{}, 3000, slog.New(slog.DiscardHandler))
	for i := range maxSilent {
		timeout, ok := split.admit(&net.TCPConn{})
		if want := map[bool]time.Duration{false: firstByteTimeout, true: hurriedTimeout}[i >= maxSilent/2]; !ok || timeout != want {
			t.Fatalf("connection %d: %v %v", i, timeout, ok)
		}
	}
	if _, ok := split.admit(&net.TCPConn{}); ok {
		t.Error("more silent connections than allowed")
	}
	split = newSplitter(closedListener{}, 1, slog.New(slog.DiscardHandler))
	split.admit(&net.TCPConn{})
	if _, ok := split.admit(&net.TCPConn{}); ok {
		t.Error("more connections than allowed")
	}
	split.stop()
	if _, ok := split.admit(&net.TCPConn{}); ok {
		t.Error("admitted after the end")
	}
}

type closedListener struct{}

func (closedListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (closedListener) Close() error              { return nil }
func (closedListener) Addr() net.Addr            { return &net.TCPAddr{} }

func TestMaxConns(t *testing.T) {
	s := serve(t, ServerOptions{Handler: http.HandlerFunc(echoProto), MaxConns: 1})
	first, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(first, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("a second connection was served")
	}
	// Closing the first makes room, as soon as the server has noticed.
	first.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		resp, err := client.Get("http://" + s.addr)
		if err == nil {
			resp.Body.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestGracefulEnd(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := serve(t, ServerOptions{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "finished")
	})})
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + s.addr)
		if err != nil {
			answered <- err.Error()
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		answered <- string(body)
	}()
	<-entered
	s.stop()
	for { // no new connections, while the call still runs
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		c.Close()
	}
	close(release)
	if got := <-answered; got != "finished" {
		t.Errorf("the running call ended with %q", got)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestEndDoesNotWaitForEver(t *testing.T) {
	entered := make(chan struct{})
	s := serve(t, ServerOptions{ShutdownTimeout: time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})})
	go func() {
		if resp, err := http.Get("http://" + s.addr); err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	s.end(t)
}

func TestServeReportsABrokenListener(t *testing.T) {
	broken := brokenListener{}
	err := NewServer(ServerOptions{Handler: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler)}).Serve(t.Context(), broken)
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("error %v", err)
	}
}

type brokenListener struct{ closedListener }

func (brokenListener) Accept() (net.Conn, error) { return nil, errors.New("broken") }

func TestLongQueryOverTheWire(t *testing.T) {
	h, _ := newTestHandler(t)
	s := serve(t, ServerOptions{Handler: h})
	params := with(vectorParams(), "Padding", strings.Repeat("ab+/", 20<<10))
	SignV1("GET", params, "testsecret")
	resp, err := http.Get("http://" + s.addr + "/?" + params.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || len(resp.Request.URL.RawQuery) < 64<<10 {
		t.Errorf("%d %.300s", resp.StatusCode, body)
	}
	http.DefaultClient.CloseIdleConnections()
}
