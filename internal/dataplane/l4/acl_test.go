package l4

import (
	"net/netip"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestAccessControl: whom the list refuses is reset and counted as dropped;
// connections that were there before the list go on.
func TestAccessControl(t *testing.T) {
	p := pool.NewStatic(target("a", server(t, echo)))
	f := listen(t, newEngine(t, Options{}), spec.TCPOptions{}, p)
	before := dial(t, f)
	exchange(t, before, "before")

	s := frontend(spec.TCPOptions{})
	change := func(t spec.ACLType, prefixes ...string) {
		s.ACL = &spec.ACL{Type: t}
		for _, text := range prefixes {
			s.ACL.Prefixes = append(s.ACL.Prefixes, netip.MustParsePrefix(text))
		}
		f.Update(s, p)
	}
	change(spec.ACLWhite, "10.0.0.0/8")
	for range 3 {
		expectRefusal(t, f)
	}
	change(spec.ACLBlack, "127.0.0.0/8")
	expectRefusal(t, f)
	change(spec.ACLWhite)
	expectRefusal(t, f)
	exchange(t, before, "still there")
	if facts := f.Facts(); facts.DropConnections != 5 || facts.NewConnections != 6 || facts.ActiveConnections != 1 {
		t.Errorf("facts = %+v", facts)
	}
	change(spec.ACLWhite, "10.0.0.0/8", "127.0.0.1/32")
	exchange(t, dial(t, f), "white")
	change(spec.ACLBlack, "10.0.0.0/8")
	exchange(t, dial(t, f), "black")
	s.ACL = nil
	f.Update(s, p)
	exchange(t, dial(t, f), "none")
	if n := f.Facts().DropConnections; n != 5 {
		t.Errorf("%d dropped", n)
	}
}
