package rpc

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefusedWhileSending: a client that looks for the answer only when it has sent
// all of an oversized request gets one, and no reset.
func TestRefusedWhileSending(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	clientTLS.NextProtos, clientTLS.ServerName = []string{"http/1.1"}, "127.0.0.1"
	handler := NewHandler(Options{Mux: NewMux(), Keys: fakeKeys{}})
	s := serve(t, ServerOptions{Handler: handler, TLS: serverTLS})
	const size = 10 << 20
	for _, c := range []struct {
		name, head, tail string
		status           int
	}{
		{"body", fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size), "", 413},
		{"chunked body", fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", size), "\r\n0\r\n\r\n", 413},
		{"other method", fmt.Sprintf("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size), "", 403},
		{"other path", fmt.Sprintf("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size), "", 404},
		{"query", "GET /?Name=", " HTTP/1.1\r\nHost: x\r\n\r\n", 431},
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(c.name+" "+scheme, func(t *testing.T) {
				t.Parallel() // each waits half a second, in net/http
				conn, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if scheme == "https" {
					conn = tls.Client(conn, clientTLS)
				}
				conn.SetDeadline(time.Now().Add(30 * time.Second))
				if _, err := io.Copy(conn, io.MultiReader(strings.NewReader(c.head), io.LimitReader(letters{}, size), strings.NewReader(c.tail))); err != nil {
					t.Fatal(err)
				}
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != c.status {
					t.Errorf("HTTP %d %v: %s", answer.StatusCode, err, body)
				}
			})
		}
	}
}

type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// TestLingerIsBounded: who sends without end is cut off, and who says no more is
// not waited for.
func TestLingerIsBounded(t *testing.T) {
	s := serve(t, ServerOptions{Handler: NewHandler(Options{Mux: NewMux(), Keys: fakeKeys{}})})
	const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
	for name, size := range map[string]int64{"endless": 1_000_000_000, "silent": 8 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begun := time.Now()
			conn.SetDeadline(begun.Add(time.Minute))
			sent, err := io.Copy(conn, io.MultiReader(strings.NewReader(head), io.LimitReader(letters{}, size)))
			if err == nil {
				_, err = io.Copy(io.Discard, conn) // until it is closed
			}
			if name == "endless" && (err == nil || sent > size/2) {
				t.Errorf("%d bytes were taken (%v)", sent, err)
			}
			if passed := time.Since(begun); passed > 30*time.Second {
				t.Errorf("took %v", passed)
			}
		})
	}
}

// TestEndDoesNotLinger: the end of the server does not wait for clients that go on
// sending what has been refused.
func TestEndDoesNotLinger(t *testing.T) {
	s := serve(t, ServerOptions{Handler: NewHandler(Options{Mux: NewMux(), Keys: fakeKeys{}}), ShutdownTimeout: time.Minute})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.Copy(conn, io.MultiReader(strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"), letters{}))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	begun := time.Now()
	s.end(t)
	if passed := time.Since(begun); passed > 30*time.Second {
		t.Errorf("took %v", passed)
	}
}
