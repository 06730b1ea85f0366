package acl

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

func listOf(t spec.ACLType, prefixes ...string) *List {
	a := &spec.ACL{Type: t}
	for _, p := range prefixes {
		a.Prefixes = append(a.Prefixes, netip.MustParsePrefix(p))
	}
	return New(a)
}

func TestAdmits(t *testing.T) {
	var none *List
	four := []string{"10.0.0.0/8", "10.1.0.0/16", "192.168.1.7/32", "11.0.0.5/8", "255.255.255.255/32"}
	six := []string{"2001:db8::/32", "fd00::1/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"}
	for _, c := range []struct {
		list *List
		from string
		want bool
	}{
		{none, "1.2.3.4", true},
		{New(nil), "1.2.3.4", true},
		{listOf(spec.ACLWhite), "1.2.3.4", false},
		{listOf(spec.ACLBlack), "1.2.3.4", true},
		{listOf(spec.ACLWhite, four...), "9.255.255.255", false},
		{listOf(spec.ACLWhite, four...), "10.0.0.0", true},
		{listOf(spec.ACLWhite, four...), "11.255.255.255", true},
		{listOf(spec.ACLWhite, four...), "12.0.0.0", false},
		{listOf(spec.ACLWhite, four...), "192.168.1.7", true},
		{listOf(spec.ACLWhite, four...), "192.168.1.8", false},
		{listOf(spec.ACLWhite, four...), "255.255.255.255", true},
		{listOf(spec.ACLWhite, four...), "255.255.255.254", false},
		{listOf(spec.ACLWhite, four...), "::ffff:10.1.2.3", true},
		{listOf(spec.ACLWhite, four...), "2001:db8::1", false},
		{listOf(spec.ACLBlack, four...), "10.1.2.3", false},
		{listOf(spec.ACLBlack, four...), "2001:db8::1", true},
		{listOf(spec.ACLWhite, six...), "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{listOf(spec.ACLWhite, six...), "2001:db9::", false},
		{listOf(spec.ACLWhite, six...), "fd00::1", true},
		{listOf(spec.ACLWhite, six...), "fd00::2", false},
		{listOf(spec.ACLWhite, six...), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{listOf(spec.ACLWhite, "0.0.0.0/0"), "200.1.2.3", true},
		{listOf(spec.ACLWhite, "0.0.0.0/0"), "2001:db8::1", false},
		{listOf(spec.ACLWhite, "::/0"), "2001:db8::1", true},
	} {
		if got := c.list.Admits(netip.MustParseAddr(c.from)); got != c.want {
			t.Errorf("%+v admits %s: %v", c.list, c.from, got)
		}
	}
}

// TestAgainstPrefixes compares with the plain way, near the ends of ranges.
func TestAgainstPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &spec.ACL{Type: spec.ACLWhite}
		var ask []netip.Addr
		for range rapid.IntRange(0, 12).Draw(t, "prefixes") {
			var addr netip.Addr
			if rapid.Bool().Draw(t, "v4") {
				addr = netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c"), rapid.Byte().Draw(t, "d")})
			} else {
				b := [16]byte{0x20, 1, 7: rapid.Byte().Draw(t, "h"), 8: rapid.Byte().Draw(t, "l"), 15: rapid.Byte().Draw(t, "z")}
				addr = netip.AddrFrom16(b)
			}
			p := netip.PrefixFrom(addr, rapid.IntRange(0, addr.BitLen()).Draw(t, "bits"))
			a.Prefixes = append(a.Prefixes, p)
			first := p.Masked().Addr()
			ask = append(ask, addr, addr.Next(), first, first.Prev())
		}
		white := New(a)
		black := New(&spec.ACL{Type: spec.ACLBlack, Prefixes: a.Prefixes})
		for _, from := range ask {
			if !from.IsValid() {
				continue
			}
			want := false
			for _, p := range a.Prefixes {
				want = want || p.Contains(from)
			}
			if white.Admits(from) != want || black.Admits(from) == want {
				t.Fatalf("%v of %v: %v", from, a.Prefixes, !want)
			}
		}
	})
}

func TestAdmitsAllocatesNothing(t *testing.T) {
	l := listOf(spec.ACLWhite, "10.0.0.0/8", "2001:db8::/32")
	four, six := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { l.Admits(four); l.Admits(six) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmits(b *testing.B) {
	for _, n := range []int{1, 300, 1000, 10_000} {
		for _, family := range []int{4, 6} {
			b.Run(fmt.Sprintf("IPv%d/%d", family, n), func(b *testing.B) {
				a := &spec.ACL{Type: spec.ACLWhite}
				var ask [1024]netip.Addr
				random := func() netip.Addr {
					var v [16]byte
					binary.BigEndian.PutUint64(v[:], rand.Uint64())
					if family == 4 {
						return netip.AddrFrom4([4]byte(v[:4]))
					}
					v[0] = 0x20
					return netip.AddrFrom16(v)
				}
				for range n {
					a.Prefixes = append(a.Prefixes, netip.PrefixFrom(random(), 6*family))
				}
				for i := range ask {
					ask[i] = random()
				}
				l := New(a)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					l.Admits(ask[i%len(ask)])
				}
			})
		}
	}
}
