package l7

import (
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestKeepAliveBothSides(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("hello") })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	for range 5 {
		c.send(simple)
		m := c.want(200, "hello")
		if m.header("Connection") != nil {
			t.Errorf("unexpected Connection in %q", m.head)
		}
	}
	if n := b.connections(); n != 1 {
		t.Errorf("%d connections to the server, want 1", n)
	}
	f := p.Facts()
	if f.Requests != 5 || f.Status[2] != 5 || f.NewConnections != 1 || f.ActiveConnections != 1 || f.BytesIn != 5*uint64(len(simple)) || f.BytesOut == 0 || !f.Listening {
		t.Errorf("facts %+v", f)
	}
	if got := b.seen()[0]; got != "GET / HTTP/1.1\r\nHost: a\r\nSLB-Hops: 1\r\n\r\n" {
		t.Errorf("server saw %q", got)
	}
	c.Close()
	eventually(t, "connection forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
}

func TestHundredRequests(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.send(strings.Repeat(simple, 120)) // pipelined: all answered in order
	for i := 1; i <= 100; i++ {
		m := c.want(200, "x")
		if closes := m.header("Connection") != nil; closes != (i == 100) {
			t.Fatalf("answer %d: %q", i, m.head)
		}
	}
	c.wantClosed()
	if n := len(b.seen()); n != 100 {
		t.Errorf("server saw %d requests", n)
	}
}
