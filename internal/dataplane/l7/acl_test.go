package l7

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestAccessControl: whom the list refuses gets no answer at all and is counted
// as dropped; connections that were there before the list go on.
func TestAccessControl(t *testing.T) {
	p := newProxy(t, spec.HTTPOptions{}, target(answering(t, func(*message) string { return ok("hi") })))
	before := p.dial()
	before.send(simple)
	before.want(200, "hi")

	s := p.f
	change := func(t spec.ACLType, prefixes ...string) {
		s.ACL = &spec.ACL{Type: t}
		for _, text := range prefixes {
			s.ACL.Prefixes = append(s.ACL.Prefixes, netip.MustParsePrefix(text))
		}
		p.Update(s, p.pool)
	}
	refused := func() {
		t.Helper()
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			return // reset before the dial had returned
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		// The end may be a reset, if the request came before the end.
		_, _ = io.WriteString(c, simple)
		b, err := io.ReadAll(c)
		if timeout, ok := err.(net.Error); len(b) > 0 || ok && timeout.Timeout() {
			t.Errorf("read %q, %v", b, err)
		}
	}
	change(spec.ACLWhite, "10.0.0.0/8")
	refused()
	refused()
	change(spec.ACLBlack, "127.0.0.0/8")
	refused()
	change(spec.ACLWhite)
	refused()
	before.send(simple)
	before.want(200, "hi")
	eventually(t, "the refused to be counted", func() bool {
		f := p.Facts()
		return f.DropConnections == 4 && f.NewConnections == 5 && f.ActiveConnections == 1
	})
	change(spec.ACLWhite, "127.0.0.1/32")
	c := p.dial()
	c.send(simple)
	c.want(200, "hi")
	if n := p.Facts().DropConnections; n != 4 {
		t.Errorf("%d dropped", n)
	}
}
