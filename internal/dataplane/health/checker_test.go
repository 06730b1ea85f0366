package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTableHasEveryKind(t *testing.T) {
	for _, k := range []spec.CheckKind{spec.CheckTCP, spec.CheckHTTP, spec.CheckUDP} {
		if !Known(k) {
			t.Errorf("%s has no row", k)
		}
	}
	if Known("none") {
		t.Error(`Known("none")`)
	}
	if _, err := NewChecker(spec.Check{Kind: "none"}); err == nil {
		t.Error("a checker of no kind")
	}
}

func run(t *testing.T, c spec.Check, target netip.AddrPort) error {
	t.Helper()
	checker, err := NewChecker(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return checker.Check(ctx, target)
}

func addrOf(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

// closedPort returns an address of loopback where nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return addrOf(l.Addr())
}

func TestTCPEndsByReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := run(t, spec.Check{Kind: spec.CheckTCP}, addrOf(l.Addr())); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server sees %v, want a reset", err)
	}
}

func TestTCPRefused(t *testing.T) {
	err := run(t, spec.Check{Kind: spec.CheckTCP}, closedPort(t))
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "connect: connection refused") {
		t.Errorf("error %v", err)
	}
}

func TestHTTPStatusAndRequest(t *testing.T) {
	type seen struct{ method, uri, host, agent, proto string }
	requests := make(chan seen, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- seen{r.Method, r.RequestURI, r.Host, r.UserAgent(), r.Proto}
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		if status == 0 {
			status = 200
		}
		if status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("x", 64<<10))
	}))
	defer server.Close()
	at := addrOf(server.Listener.Addr())

	const class2, class3, class4, class5 = 1 << 2, 1 << 3, 1 << 4, 1 << 5
	for _, c := range []struct {
		name  string
		check spec.Check
		fails string // empty: well
		want  seen
	}{
		{"defaults", spec.Check{}, "", seen{"HEAD", "/", "127.0.0.1", "", "HTTP/1.0"}},
		{"everything", spec.Check{Method: "GET", URI: "/204?a=b#c", Host: "www.example.com", HTTPVersion: "1.1", UserAgent: "KeepAliveClient"}, "", seen{"GET", "/204?a=b#c", "www.example.com", "KeepAliveClient", "HTTP/1.1"}},
		{"long answer", spec.Check{Method: "GET"}, "", seen{"GET", "/", "127.0.0.1", "", "HTTP/1.0"}},
		{"redirect not followed", spec.Check{URI: "/302"}, "status 302", seen{"HEAD", "/302", "127.0.0.1", "", "HTTP/1.0"}},
		{"redirect accepted", spec.Check{URI: "/302", Codes: class2 | class3}, "", seen{"HEAD", "/302", "127.0.0.1", "", "HTTP/1.0"}},
		{"4xx", spec.Check{URI: "/404", Codes: class2 | class3 | class5}, "status 404", seen{"HEAD", "/404", "127.0.0.1", "", "HTTP/1.0"}},
		{"4xx accepted", spec.Check{URI: "/404", Codes: class4}, "", seen{"HEAD", "/404", "127.0.0.1", "", "HTTP/1.0"}},
		{"5xx accepted, 2xx not", spec.Check{Codes: class5}, "status 200", seen{"HEAD", "/", "127.0.0.1", "", "HTTP/1.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.check.Kind = spec.CheckHTTP
			err := run(t, c.check, at)
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			if got := <-requests; got != c.want {
				t.Errorf("request %+v, want %+v", got, c.want)
			}
			if len(requests) != 0 {
				t.Errorf("%d further requests", len(requests))
			}
		})
	}
	if err := run(t, spec.Check{Kind: spec.CheckHTTP}, closedPort(t)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error of a closed port %v", err)
	}
}

// A server that takes connections and resets them at once has an open port, also
// when its reset is there before the probe looks.
func TestTCPPortThatResets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	for range 300 {
		if err := run(t, spec.Check{Kind: spec.CheckTCP}, addrOf(l.Addr())); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	<-done
}

func TestHTTPHostOfIPv6(t *testing.T) {
	c, err := newHTTPChecker(spec.Check{}, dialFrom(nil))
	if err != nil {
		t.Fatal(err)
	}
	got := c.(*httpChecker).request(netip.MustParseAddrPort("[2001:db8::1]:80"))
	if want := "HEAD / HTTP/1.0\r\nHost: [2001:db8::1]\r\n\r\n"; got != want {
		t.Errorf("request %q, want %q", got, want)
	}
}

func TestHTTPRefusesWhatCannotBeSent(t *testing.T) {
	for _, c := range []spec.Check{
		{URI: "/a b"}, {URI: "/\r\nX: y"}, {Host: "a\nb"}, {Method: "GET /"}, {HTTPVersion: "1.1\r\n"}, {UserAgent: "a\r\nb"},
	} {
		c.Kind = spec.CheckHTTP
		if _, err := NewChecker(c); err == nil {
			t.Errorf("no error for %+v", c)
		}
	}
}

// answers plays a server over a pipe, inside a bubble.
func answers(t *testing.T, c spec.Check, serve func(net.Conn)) error {
	t.Helper()
	done := make(chan struct{})
	h, err := newHTTPChecker(c, func(context.Context, string, netip.AddrPort) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer close(done)
			defer far.Close()
			buf := make([]byte, 1024)
			if _, err := far.Read(buf); err == nil {
				serve(far)
			}
		}()
		return near, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = h.Check(ctx, target)
	<-done
	return err
}

func TestHTTPAnswers(t *testing.T) {
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	say := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
		fails string
		takes time.Duration
	}{
		{"plain", say("HTTP/1.1 200 OK\r\n\r\n"), "", 0},
		{"bare line feeds, no reason", say("HTTP/1.0 204\n\n"), "", 0},
		{"interim first", say("HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), "", 0},
		{"interim without end", say(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9)), "interim", 0},
		{"another protocol", say("SSH-2.0-OpenSSH_9.6\r\n"), "not the start", 0},
		{"strange status", say("HTTP/1.1 999 X\r\n"), "status 999", 0},
		{"closed", func(net.Conn) {}, "unexpected EOF", 0},
		{"line without end", say("HTTP/1.1 200 OK" + strings.Repeat("x", 10<<10)), "unexpected EOF", 0},
		{"silent", silent, "no answer in time", 5 * time.Second},
		{"status, then nothing", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n"); silent(c) }, "", drainTime},
		{"too slow", func(c net.Conn) {
			time.Sleep(6 * time.Second)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		}, "no answer in time", 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				err := answers(t, spec.Check{Method: "GET"}, c.serve)
				if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
					t.Errorf("error %v, want %q", err, c.fails)
				}
				if took := time.Since(begin); took != c.takes {
					t.Errorf("took %v, want %v", took, c.takes)
				}
			})
		})
	}
}

// A probe reads no more than 8 KB.
func TestHTTPReadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		err := answers(t, spec.Check{Method: "GET"}, func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				n, err := c.Write(make([]byte, 1024))
				if sent += n; err != nil {
					return
				}
			}
		})
		if err != nil || sent > maxResponse {
			t.Errorf("error %v after %d bytes read", err, sent)
		}
	})
}

func FuzzReadStatus(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 404", "HTTP/1.1 100 \r\n\r\nHTTP/1.1 503 X\r\n", "", "HTTP/1.", "HTTP/2 200\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		status, err := readStatus(bufio.NewReader(strings.NewReader(text)))
		if err == nil && (status < 200 || status > 599 || !strings.Contains(text, fmt.Sprint(status))) {
			t.Errorf("status %d from %q", status, text)
		}
	})
}

func TestUDP(t *testing.T) {
	serve := func(t *testing.T, answer func(string) string) netip.AddrPort {
		t.Helper()
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 1024)
			for {
				n, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				if a := answer(string(buf[:n])); a != "" {
					_, _ = conn.WriteTo([]byte(a), from)
				}
			}
		}()
		t.Cleanup(func() { conn.Close(); <-done })
		return addrOf(conn.LocalAddr())
	}
	probe := func(c spec.Check, at netip.AddrPort) error {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		checker, err := NewChecker(c)
		if err != nil {
			t.Fatal(err)
		}
		return checker.Check(ctx, at)
	}
	ping := spec.Check{Kind: spec.CheckUDP, Request: "ping", Expect: "pong"}
	plain := spec.Check{Kind: spec.CheckUDP}
	mute := serve(t, func(string) string { return "" })
	if err := probe(plain, mute); err != nil {
		t.Errorf("silence: %v", err)
	}
	if err := probe(ping, mute); err == nil {
		t.Error("silence passed for an answer")
	}
	if err := probe(ping, serve(t, func(q string) string { return strings.Replace(q, "ping", "pong", 1) })); err != nil {
		t.Errorf("the expected answer: %v", err)
	}
	if err := probe(ping, serve(t, func(string) string { return "ping" })); err == nil || !strings.Contains(err.Error(), `"ping"`) {
		t.Errorf("another answer: %v", err)
	}
	if err := probe(plain, closedPort(t)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a closed port: %v", err)
	}
}
