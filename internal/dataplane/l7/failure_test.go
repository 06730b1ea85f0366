package l7

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// deadAddr is an address nobody listens on.
func deadAddr(t *testing.T) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestNoServer(t *testing.T) {
	dead := deadAddr(t)
	for _, c := range []struct {
		name    string
		targets []spec.Target
		status  int
	}{
		{"none", nil, 503},
		{"no weight", []spec.Target{{ID: "a", Addr: dead}}, 503},
		{"stopped", []spec.Target{{ID: "a", Addr: dead, Weight: 1, Disabled: true}}, 502},
		{"refusing", []spec.Target{{ID: "a", Addr: dead, Weight: 1}}, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, spec.HTTPOptions{}, c.targets...)
			cl := p.dial()
			for range 2 { // the client connection survives
				cl.send(simple)
				cl.want(c.status, "*")
			}
			cl.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
			cl.want(c.status, "*")
			cl.wantClosed()
			if f := p.Facts(); f.Requests != 3 || f.Status[5] != 3 || f.Upstream5 != 0 {
				t.Errorf("facts %+v", f)
			}
		})
	}
}

func TestNextServer(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(string(m.body) + "!") })
	p := newProxy(t, spec.HTTPOptions{}, spec.Target{ID: "dead", Addr: deadAddr(t), Weight: 100}, target(b))
	c := p.dial()
	for range 10 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
		c.want(200, "hi!")
	}
	// A body that is still to come makes no difference before a server is found.
	for range 4 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
		c.send("hi")
		c.want(200, "hi!")
	}
}

func TestSilentServer(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) { io.Copy(io.Discard, br) })
	p := newProxy(t, spec.HTTPOptions{RequestTimeout: 300 * time.Millisecond}, target(b))
	c := p.dial()
	c.send(simple)
	c.want(504, "*")
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	c.want(504, "*")
	if n := p.keptCount(); n != 0 {
		t.Errorf("%d silent connections kept", n)
	}
}

// TestSilentMidBody: silence in the middle of an answer is a truncation.
func TestSilentMidBody(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			io.Copy(io.Discard, br)
		}
	})
	p := newProxy(t, spec.HTTPOptions{RequestTimeout: 300 * time.Millisecond}, target(b))
	c := p.dial()
	c.send(simple)
	if m := c.read(); m.err == nil || string(m.body) != "abc" {
		t.Errorf("%q %q %v", m.head, m.body, m.err)
	}
}

func TestBadAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"garbage":           "hello\r\n\r\n",
		"two framings":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"half a head":       "HTTP/1.1 200 OK\r\nContent-",
		"unasked switch":    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"large head":        "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 100<<10) + "\r\n\r\n",
		"bad first chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"endless interim":   strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100),
		"only interim":      "HTTP/1.1 102 Processing\r\n\r\n",
		"nothing":           "",
		"HTTP/2 by mistake": "\x00\x00\x12\x04\x00\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
				head, err := readHead(br)
				if err == nil {
					b.record(head)
					io.WriteString(c, answer)
				}
			})
			p := newProxy(t, spec.HTTPOptions{}, target(b))
			c := p.dial()
			c.send(simple)
			for {
				head, err := readHead(c.br)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(head, "HTTP/1.1 102") {
					continue
				}
				if !strings.HasPrefix(head, "HTTP/1.1 502") {
					t.Errorf("answer %q", head)
				}
				break
			}
			if n := len(b.seen()); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

// TestRetry: a kept connection that ends without a word.
func TestRetry(t *testing.T) {
	for _, c := range []struct {
		name, request string
		sentTwice     bool
	}{
		{"get", "GET /r HTTP/1.1\r\nHost: a\r\n\r\n", true},
		{"delete", "DELETE /r HTTP/1.1\r\nHost: a\r\n\r\n", true},
		{"post without body", "POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", false},
		{"put with body", "PUT /r HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var swallowed atomic.Int32
			b := newBackend(t, func(b *backend, conn net.Conn, br *bufio.Reader) {
				for n := 0; ; n++ {
					m, err := readMessage(br, false)
					if err != nil {
						return
					}
					if strings.Contains(m.line, "/r") {
						b.record(m.head)
						if n > 0 && swallowed.Add(1) == 1 {
							return // after the request was read: no answer
						}
					}
					io.WriteString(conn, ok("x"))
				}
			})
			p := newProxy(t, spec.HTTPOptions{}, target(b))
			cl := p.dial()
			cl.send(simple)
			cl.want(200, "x") // leaves a kept connection
			cl.send(c.request)
			want, times := 502, 1
			if c.sentTwice {
				want, times = 200, 2
			}
			cl.want(want, "*")
			if n := len(b.seen()); n != times {
				t.Errorf("sent %d times, want %d", n, times)
			}
		})
	}
}

// TestNoRetryOnFresh: a fresh connection that ends is not tried again.
func TestNoRetryOnFresh(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		head, _ := readHead(br)
		b.record(head)
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b), target(b))
	c := p.dial()
	c.send(simple)
	c.want(502, "*")
	if n := len(b.seen()); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// TestDeadKept: a kept connection that the server closed is found out before
// anything is sent, so even a POST goes through.
func TestDeadKept(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if m, err := readMessage(br, false); err == nil {
			b.record(m.head)
			io.WriteString(c, ok("x")) // and close, unannounced
		}
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	for range 20 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		c.want(200, "x")
		settle(p, b)
	}
	if n := len(b.seen()); n != 20 {
		t.Errorf("server saw %d requests", n)
	}
}

// TestKeptTooLong: what must not be sent twice takes no connection that its
// server may be about to close for having been idle.
func TestKeptTooLong(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	for _, c := range []struct {
		name, request string
		sure          time.Duration
		connections   int
	}{
		{"get after long", get, time.Nanosecond, 1},
		{"post after long", post, time.Nanosecond, 5},
		{"post at once", post, time.Hour, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := answering(t, func(m *message) string { return ok("x") })
			p := hasty(func(w *waits) { w.sure = c.sure }, func() *proxy { return newProxy(t, spec.HTTPOptions{}, target(b)) })
			cl := p.dial()
			for range 5 {
				cl.send(c.request)
				cl.want(200, "x")
				eventually(t, "connection kept", func() bool { return p.keptCount() > 0 })
			}
			if n := b.connections(); n != c.connections {
				t.Errorf("%d connections to the server, want %d", n, c.connections)
			}
		})
	}
}

// TestRemovedMember: connections to a member that left are closed.
func TestRemovedMember(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send(simple)
	c.want(200, "x")
	if n := p.keptCount(); n != 1 {
		t.Fatalf("%d kept", n)
	}
	p.pool.Update(spec.Pool{ID: "p", Scheduler: spec.WRR})
	eventually(t, "connection of the removed member closed", func() bool {
		return p.keptCount() == 0 && p.keptMembers() == 0
	})
}

func TestSlowClients(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{RequestTimeout: 300 * time.Millisecond, IdleTimeout: 400 * time.Millisecond}, target(b))
	t.Run("head", func(t *testing.T) {
		c := p.dial()
		c.send("GET / HTTP/1.1\r\nHo")
		c.want(408, "*")
		c.wantClosed()
	})
	t.Run("body", func(t *testing.T) {
		c := p.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
		c.want(408, "*")
		c.wantClosed()
	})
	t.Run("idle", func(t *testing.T) {
		c := p.dial()
		c.wantClosed() // without a word
		c = p.dial()
		c.send(simple)
		c.want(200, "x")
		c.wantClosed()
	})
	if f := p.Facts(); f.SlowHeads != 1 || f.SlowBodies != 1 || f.SlowReads != 0 {
		t.Errorf("counted %d, %d, %d", f.SlowHeads, f.SlowBodies, f.SlowReads)
	}
	for _, head := range b.seen() {
		if strings.Contains(head, "POST") && len(b.seen()) > 2 {
			t.Errorf("server saw %q", b.seen())
		}
	}
}

// TestHalfClose: a client that ends its direction with the request gets its
// answer, and does not hold the connection for the idle timeout.
func TestHalfClose(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{IdleTimeout: time.Hour}, target(b))
	c := p.dial()
	c.send(simple)
	c.CloseWrite()
	c.want(200, "x")
	c.wantClosed()
}

// TestBrokenUpload: a body the client does not finish properly never looks
// complete to the server.
func TestBrokenUpload(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"malformed chunk", "3\r\nabc\r\nzz\r\n", 400},
		{"malformed at once", "zz\r\n", 400},
		{"gone", "3\r\nabc\r\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan *message, 1)
			b := newBackend(t, func(b *backend, conn net.Conn, br *bufio.Reader) {
				if m, err := readMessage(br, false); err == nil {
					got <- m
				} else {
					got <- nil
				}
			})
			p := newProxy(t, spec.HTTPOptions{}, target(b))
			cl := p.dial()
			cl.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			if c.name != "malformed at once" {
				eventually(t, "request under way", func() bool { return b.connections() == 1 })
			}
			cl.send(c.body)
			if c.status == 0 {
				cl.Close()
			} else {
				cl.want(c.status, "*")
				cl.wantClosed()
			}
			if b.connections() == 0 {
				return // never sent: fine
			}
			if m := <-got; m != nil && m.err == nil {
				t.Errorf("server took %q for complete", m.body)
			}
		})
	}
}

// TestClientAborts: the exchange with the server goes on to its end.
func TestClientAborts(t *testing.T) {
	asked, release := make(chan bool, 1), make(chan bool)
	b := answering(t, func(m *message) string {
		asked <- true
		<-release
		return ok("x")
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send(simple)
	<-asked
	c.tcp.SetLinger(0)
	c.tcp.Close()
	close(release)
	eventually(t, "connection forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if n := p.keptCount(); n != 1 {
		t.Errorf("%d connections kept", n)
	}
}

// TestClientLeavesLargeAnswer: nothing is left behind.
func TestClientLeavesLargeAnswer(t *testing.T) {
	body := strings.Repeat("x", 8<<20)
	b := answering(t, func(m *message) string { return ok(body) })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send(simple)
	io.ReadFull(c.br, make([]byte, 100<<10))
	c.tcp.SetLinger(0)
	c.tcp.Close()
	eventually(t, "connection forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if n := p.keptCount(); n != 0 {
		t.Errorf("%d connections kept", n)
	}
}

// TestHastyServer: what a server says before it is asked is no answer, whenever
// it arrives, and is not waited for.
func TestHastyServer(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		io.WriteString(c, "hello, who is there?\r\n")
		io.Copy(io.Discard, br)
	})
	p := newProxy(t, spec.HTTPOptions{RequestTimeout: time.Hour}, target(b))
	for range 50 {
		c := p.dial()
		c.send(simple)
		c.want(502, "*")
		c.Close()
	}
}
