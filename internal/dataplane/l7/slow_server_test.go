package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// slowTaker is a server that takes bodies at some bytes a tenth of a second, and
// answers with their size; a path of /never is not read at all.
func slowTaker(t *testing.T, each int, never <-chan struct{}) *backend {
	return newBackend(t, func(b *backend, c net.Conn, _ *bufio.Reader) {
		c.(*net.TCPConn).SetReadBuffer(2 * each)
		br := bufio.NewReaderSize(c, 16)
		head, err := readHead(br)
		if err != nil {
			return
		}
		if strings.Contains(head, "/never") {
			<-never
			return
		}
		var length int
		for l := range strings.Lines(strings.ToLower(head)) {
			fmt.Sscanf(l, "content-length: %d", &length)
		}
		for got := 0; got < length; {
			n, err := io.CopyN(io.Discard, br, int64(min(each, length-got)))
			if err != nil {
				return
			}
			got += int(n)
			time.Sleep(100 * time.Millisecond)
		}
		io.WriteString(c, ok(fmt.Sprint(length)))
	})
}

// TestSlowTakers: a server has the request's time from when it last took some of the
// request, however long a large one takes it; one that takes nothing has no more.
func TestSlowTakers(t *testing.T) {
	const timeout = 1200 * time.Millisecond
	for _, row := range []struct {
		name       string
		size, each int
	}{
		{"in one piece", 32 << 10, 2 << 10},
		{"upload", 4 << 20, 256 << 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			b := slowTaker(t, row.each, release)
			defer close(release)
			narrow(t, b, row.each)
			p := newProxy(t, spec.HTTPOptions{RequestTimeout: timeout}, target(b))
			c := p.dial()
			c.SetDeadline(time.Now().Add(3 * patience))
			head := "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(row.size) + "\r\n\r\n"
			began := time.Now()
			stuck := p.dial() // at the same time
			go io.WriteString(stuck.Conn, fmt.Sprintf(head, "/never")+string(bytes.Repeat([]byte("x"), row.size)))
			answered := make(chan time.Duration, 1)
			go func() {
				stuck.br.Peek(1)
				answered <- time.Since(began)
			}()
			c.send(fmt.Sprintf(head, "/") + string(bytes.Repeat([]byte("x"), row.size)))
			c.want(200, fmt.Sprint(row.size))
			if took := time.Since(began); took < timeout {
				t.Errorf("it took %v, which proves nothing", took)
			}
			if took := <-answered; took < timeout || took > 4*timeout {
				t.Errorf("a server that takes nothing is waited for %v", took)
			}
			stuck.want(504, "*")
		})
	}
}

// TestHTTP2SlowTakers: the same for bodies that come by HTTP/2, and for servers of
// HTTP/2, which take as much as their windows say.
func TestHTTP2SlowTakers(t *testing.T) {
	if !overTLS {
		return
	}
	const timeout = 1200 * time.Millisecond
	const size, each = 5 << 20, 256 << 10
	b := slowTaker(t, each, nil)
	narrow(t, b, each)
	const size2, each2 = 80 << 10, 4 << 10
	server := newHearerWith(t, &http.HTTP2Config{MaxReceiveBufferPerStream: 4 * each2}, func(w http.ResponseWriter, r *http.Request) {
		for err := error(nil); err == nil && r.URL.Path == "/"; {
			_, err = io.CopyN(io.Discard, r.Body, each2)
			time.Sleep(100 * time.Millisecond)
		}
		if r.URL.Path == "/never" {
			<-r.Context().Done()
		}
		fmt.Fprint(w, "done")
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: timeout}, target(b))
	p2 := newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: timeout, ServersHTTP2: true}, server.target)
	t.Run("HTTP/1.1", func(t *testing.T) {
		t.Parallel()
		if resp, got := fetch(t, p.http2Client(), p.request("POST", "/", bytes.NewReader(make([]byte, size)))); resp.StatusCode != 200 || string(got) != fmt.Sprint(size) {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		ask := func(path string) (*http.Response, []byte) {
			return fetch(t, p2.http2Client(), p2.request("POST", path, bytes.NewReader(make([]byte, size2))))
		}
		// A connection whose server has told its windows.
		fetch(t, p2.http2Client(), p2.request("GET", "/first", nil))
		began := time.Now()
		if resp, got := ask("/"); resp.StatusCode != 200 || string(got) != "done" || time.Since(began) < timeout {
			t.Errorf("%d %q after %v", resp.StatusCode, got, time.Since(began))
		}
		fetch(t, p2.http2Client(), p2.request("GET", "/first", nil))
		began = time.Now()
		if resp, _ := ask("/never"); resp.StatusCode != 504 || time.Since(began) > 4*timeout {
			t.Errorf("a server that takes nothing: %d after %v", resp.StatusCode, time.Since(began))
		}
	})
}

// narrow has the server's connections take little at once.
func narrow(t *testing.T, b *backend, n int) {
	t.Helper()
	raw, err := b.l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, n) })
	if err != nil {
		t.Fatal(err)
	}
}
