package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Bodies long enough to be moved within the kernel, if the driver does that.

const longBody = 3 << 20

// TestLongBodies: what the server says behind a body of a length is not part of
// it, the next request on the client's connection is served, and a server's
// connection is used again after a body that ended well.
func TestLongBodies(t *testing.T) {
	body := pattern(longBody)
	for name, c := range map[string]struct {
		head, behind string
		again        bool // the server's connection is of use for another request
	}{
		"length":          {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)), "", true},
		"more than said":  {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false},
		"said to be last": {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(body)), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := answering(t, func(*message) string { return c.head + string(body) + c.behind })
			p := newProxy(t, spec.HTTPOptions{}, target(b))
			client := p.dial()
			for range 3 {
				client.send(simple)
				if m := client.want(200, "*"); !bytes.Equal(m.body, body) {
					t.Fatalf("another body of %d bytes", len(m.body))
				}
				if c.again {
					eventually(t, "a kept connection", func() bool { return p.keptCount() == 1 })
				}
			}
			if n := b.connections(); (n == 1) != c.again {
				t.Errorf("%d connections to the server", n)
			}
			pipes := 0
			p.eachReactor(func(r *reactor) { pipes += r.loop.IdlePipes() })
			if looped := driver == Loops && !overTLS; looped != (pipes > 0) {
				t.Errorf("%d pipes have been in use", pipes)
			}
			eventually(t, "all is counted", func() bool { // what ends the answer may be there before
				f := p.Facts()
				return f.BytesOut >= 3*longBody && f.ResponseTimes.Count == 3 && f.UpstreamTimes.Count == 3
			})
		})
	}
}

// A slow client and one that gives up in the middle harm nobody.
func TestLongBodiesSlowly(t *testing.T) {
	body := pattern(longBody)
	b := answering(t, func(m *message) string {
		if strings.Contains(m.line, " /short ") {
			return ok("hi")
		}
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)) + string(body)
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	slow, gone := p.dial(), p.dial()
	for _, c := range []*client{slow, gone} {
		if err := c.tcp.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		c.send(simple)
		if _, err := readHead(c.br); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(gone.br, make([]byte, 200_000)); err != nil {
		t.Fatal(err)
	}
	gone.Close()
	other := p.dial()
	other.send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
	other.want(200, "hi")
	got := make([]byte, len(body))
	if _, err := io.ReadFull(slow.br, got); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("another body: %v", err)
	}
	slow.send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
	slow.want(200, "hi")
	eventually(t, "the end of the one that went", func() bool { return p.Facts().ActiveConnections == 2 })
}

// A body that ends with its connection goes so to a client of HTTP/1.0; one that
// breaks off is never made to look complete.
func TestLongBodiesThatEnd(t *testing.T) {
	body := pattern(longBody)
	serve := func(head string, n int) *proxy {
		b := newBackend(t, func(_ *backend, c net.Conn, br *bufio.Reader) {
			if _, err := readMessage(br, false); err == nil {
				io.WriteString(c, head)
				c.Write(body[:n])
			}
		})
		return newProxy(t, spec.HTTPOptions{}, target(b))
	}
	c := serve("HTTP/1.0 200 OK\r\n\r\n", longBody).dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	if m := c.want(200, "*"); !bytes.Equal(m.body, body) {
		t.Errorf("another body of %d bytes", len(m.body))
	}
	c = serve(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", longBody), longBody-1).dial()
	c.send(simple)
	if m := c.read(); m.err == nil || len(m.body) != longBody-1 || !bytes.Equal(m.body, body[:longBody-1]) {
		t.Errorf("%d bytes, %v", len(m.body), m.err)
	}
}
