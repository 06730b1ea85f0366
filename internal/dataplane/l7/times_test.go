package l7

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestTimes: a slow server's time is in both sums.
func TestTimes(t *testing.T) {
	const slow = 50 * time.Millisecond
	b := answering(t, func(m *message) string {
		switch m.line {
		case "GET /slow HTTP/1.1":
			time.Sleep(slow)
		case "GET /chunks HTTP/1.1":
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
		}
		return ok("x")
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	for _, path := range []string{"/slow", "/fast", "/chunks", "/slow"} {
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want(200, "x")
	}
	eventually(t, "the last answer counted", func() bool { return p.Facts().ResponseTimes.Count == 4 })
	f := p.Facts()
	if f.UpstreamTimes.Count != 4 {
		t.Errorf("%d answers of servers", f.UpstreamTimes.Count)
	}
	// A turn of a loop may have begun before the request came.
	for name, got := range map[string]time.Duration{"responses": f.ResponseTimes.Total, "servers": f.UpstreamTimes.Total} {
		if got < 2*slow-10*time.Millisecond || got > patience {
			t.Errorf("%s took %v", name, got)
		}
	}
	if f.UpstreamTimes.Total > f.ResponseTimes.Total {
		t.Errorf("servers took %v, all %v", f.UpstreamTimes.Total, f.ResponseTimes.Total)
	}
}

// TestTimesWithoutServer: an answer of our own is in one sum alone, and that to
// something that was no request in none.
func TestTimesWithoutServer(t *testing.T) {
	p := newProxy(t, spec.HTTPOptions{})
	c := p.dial()
	c.send(simple)
	c.read()
	c.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.read()
	eventually(t, "connection forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if f := p.Facts(); f.Requests != 2 || f.ResponseTimes.Count != 1 || f.UpstreamTimes.Count != 0 {
		t.Errorf("facts %+v", f)
	}
}

// TestTimesOfHalfAnswers: an answer that breaks off says nothing about how long
// one takes.
func TestTimesOfHalfAnswers(t *testing.T) {
	b := newBackend(t, func(_ *backend, c net.Conn, br *bufio.Reader) {
		_, _ = readMessage(br, false)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send(simple)
	_, _ = io.ReadAll(c)
	eventually(t, "connection forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if f := p.Facts(); f.Status[2] != 1 || f.ResponseTimes.Count != 0 || f.UpstreamTimes.Count != 0 {
		t.Errorf("facts %+v", f)
	}
}

func TestHandshakeFailures(t *testing.T) {
	p := newSecureProxy(t, spec.HTTPOptions{})
	for range 3 {
		c := p.dialPlain()
		io.WriteString(c, "garbage\r\n\r\n")
		c.CloseWrite()
		_, _ = io.ReadAll(c)
	}
	eventually(t, "failures counted", func() bool { return p.Facts().HandshakeFailures == 3 })
}

// TestTimesOfHandedOver: an exchange that changes drivers is timed from its
// beginning, not from that of the process.
func TestTimesOfHandedOver(t *testing.T) {
	b := answering(t, func(*message) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2000\r\n\r\n" + strings.Repeat("x", 2000)
	})
	p := newProxy(t, spec.HTTPOptions{Gzip: true}, target(b))
	began := time.Now()
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
	if m := c.read(); len(m.header("Content-Encoding")) != 1 {
		t.Fatalf("not compressed: %s", m.head)
	}
	eventually(t, "answer counted", func() bool { return p.Facts().ResponseTimes.Count == 1 })
	if f := p.Facts(); f.UpstreamTimes.Count != 1 || f.ResponseTimes.Total > time.Since(began)+time.Second {
		t.Errorf("facts %+v", f)
	}
}
