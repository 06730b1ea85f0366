package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	peer "github.com/pires/go-proxyproto"
)

var pairs = []struct{ name, src, dst string }{
	{"IPv4", "192.0.2.1:12345", "198.51.100.2:80"},
	{"IPv6", "[2001:db8::1]:65535", "[2001:db8::2]:443"},
	{"IPv4 in IPv6 form", "[::ffff:192.0.2.1]:1", "198.51.100.2:80"},
	{"both families", "192.0.2.1:1", "[2001:db8::2]:443"},
	{"with a zone", "[fe80::1%lo]:7", "[fe80::2]:8"},
}

// The headers are read by another implementation.
func TestAnotherReadsIt(t *testing.T) {
	for _, c := range pairs {
		src, dst := netip.MustParseAddrPort(c.src), netip.MustParseAddrPort(c.dst)
		for name, add := range map[string]func([]byte, netip.AddrPort, netip.AddrPort) []byte{"tcp": AppendStream, "udp": AppendDatagram} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				b := add([]byte("before"), src, dst)
				if len(b) > len("before")+MaxSize {
					t.Errorf("%d bytes are more than MaxSize", len(b)-6)
				}
				b = append(b, "after"...)
				if !bytes.HasPrefix(b, []byte("before")) {
					t.Fatal("what was there is gone")
				}
				r := bufio.NewReader(bytes.NewReader(b[len("before"):]))
				h, err := peer.Read(r)
				if err != nil {
					t.Fatal(err)
				}
				if h.Version != 2 || !h.Command.IsProxy() {
					t.Errorf("version %d, command %v", h.Version, h.Command)
				}
				if name == "tcp" != h.TransportProtocol.IsStream() || name == "udp" != h.TransportProtocol.IsDatagram() {
					t.Errorf("transport %v", h.TransportProtocol)
				}
				plain := func(a netip.AddrPort) netip.AddrPort {
					return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
				}
				for _, x := range []struct {
					got  string
					want netip.AddrPort
				}{{h.SourceAddr.String(), src}, {h.DestinationAddr.String(), dst}} {
					if got := plain(netip.MustParseAddrPort(x.got)); got != plain(x.want) {
						t.Errorf("address %v, want %v", got, x.want)
					}
				}
				rest := make([]byte, 16)
				if n, _ := r.Read(rest); string(rest[:n]) != "after" {
					t.Errorf("%q follows the header", rest[:n])
				}
			})
		}
	}
}

// Vectors worked out by hand from the specification, section 2.2.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"tcp over IPv4", AppendStream(nil, netip.MustParseAddrPort("192.0.2.1:4660"), netip.MustParseAddrPort("198.51.100.2:80")),
			"0d0a0d0a000d0a515549540a" + "2111000c" + "c0000201" + "c6336402" + "1234" + "0050"},
		{"udp over IPv6", AppendDatagram(nil, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:443")),
			"0d0a0d0a000d0a515549540a" + "21220024" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "0001" + "01bb"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	if n := len(AppendStream(nil, netip.AddrPort{}, netip.AddrPort{})); n != MaxSize {
		t.Errorf("missing addresses give %d bytes", n)
	}
}

func TestAllocatesNothing(t *testing.T) {
	src, dst := netip.MustParseAddrPort("192.0.2.1:12345"), netip.MustParseAddrPort("[2001:db8::2]:443")
	buf := make([]byte, 0, MaxSize)
	if n := testing.AllocsPerRun(1000, func() { buf = AppendStream(buf[:0], src, dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	src, dst := netip.MustParseAddrPort("192.0.2.1:12345"), netip.MustParseAddrPort("198.51.100.2:80")
	buf := make([]byte, 0, MaxSize)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendDatagram(buf[:0], src, dst)
	}
}
