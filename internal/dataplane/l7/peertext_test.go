package l7

import (
	"net/netip"
	"testing"
)

func TestPeerText(t *testing.T) {
	scratch := make([]byte, 0, 64)
	for _, peer := range []string{"192.0.2.1:80", "255.255.255.255:65535", "[2001:db8:1111:2222:3333:4444:5555:6666]:443", "[::1]:1"} {
		p := netip.MustParseAddrPort(peer)
		var text peerText
		for range 2 { // made, and kept if it is
			addr, port := text.of(p, &scratch)
			if got := string(addr) + " " + string(port); got != p.Addr().String()+" "+p.String()[len(peer)-len(string(port)):] {
				t.Errorf("%s is %s", peer, got)
			}
			clear(scratch[:cap(scratch)]) // others use it meanwhile
		}
		if kept := text.all > 0; kept != (len(p.Addr().String()) <= 15) {
			t.Errorf("%s is kept: %v", peer, kept)
		}
	}
}
