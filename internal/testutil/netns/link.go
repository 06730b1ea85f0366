package netns

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Join connects two namespaces by a pair of interfaces, a's and b's, which are
// up and have no address but the link-local one of IPv6.
func Join(a *NS, nameA string, b *NS, nameB string) {
	a.t.Helper()
	pair := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: nameA, Namespace: netlink.NsFd(a.fd)},
		PeerName:      nameB,
		PeerNamespace: netlink.NsFd(b.fd),
	}
	if err := a.links.LinkAdd(pair); err != nil {
		a.t.Fatalf("join %s and %s: %v", a.Name, b.Name, err)
	}
	a.Up(nameA)
	b.Up(nameB)
	// One of them may outlive the test, and the kernel clears up the other later.
	a.t.Cleanup(func() {
		if err := a.links.LinkDel(pair); err != nil {
			a.t.Errorf("part %s and %s: %v", a.Name, b.Name, err)
		}
	})
}

// Up sets an interface up.
func (n *NS) Up(link string) {
	n.t.Helper()
	if err := n.links.LinkSetUp(n.link(link)); err != nil {
		n.t.Fatalf("namespace %s: set %s up: %v", n.Name, link, err)
	}
}

// Down sets an interface down. Its routes and its addresses of IPv6 are gone
// with that, as on any host.
func (n *NS) Down(link string) {
	n.t.Helper()
	if err := n.links.LinkSetDown(n.link(link)); err != nil {
		n.t.Fatalf("namespace %s: set %s down: %v", n.Name, link, err)
	}
}

// Address gives an interface addresses, each with the length of its network.
// Those of IPv6 are usable at once.
func (n *NS) Address(link string, prefixes ...string) {
	n.t.Helper()
	l := n.link(link)
	for _, text := range prefixes {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			n.t.Fatal(err)
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := n.links.AddrReplace(l, addr); err != nil {
			n.t.Fatalf("namespace %s: add %s to %s: %v", n.Name, text, link, err)
		}
	}
}

// Default sends what has no route of its own to the gateways, one for each
// family at most.
func (n *NS) Default(gateways ...string) {
	n.t.Helper()
	for _, text := range gateways {
		gateway := netip.MustParseAddr(text)
		all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		if gateway.Is6() {
			all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
		}
		if err := n.links.RouteReplace(&netlink.Route{Dst: all, Gw: gateway.AsSlice()}); err != nil {
			n.t.Fatalf("namespace %s: default route by %s: %v", n.Name, text, err)
		}
	}
}

func (n *NS) link(name string) netlink.Link {
	n.t.Helper()
	l, err := n.links.LinkByName(name)
	if err != nil {
		n.t.Fatalf("namespace %s: interface %s: %v", n.Name, name, err)
	}
	return l
}
