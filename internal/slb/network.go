package slb

import (
	"net/netip"
	"regexp"
	"strings"
)

var serverIDPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

// Valid reports whether id can name a server: 1 to 128 letters, digits and
// . _ : - with a letter or digit first. A slash would break the store's keys.
func (id ServerID) Valid() bool { return serverIDPattern.MatchString(string(id)) }

// IsHostAddress reports whether a single host can have the address.
func IsHostAddress(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// VpcIDOf derives the network of a vSwitch from the vSwitch's id. There are no
// vSwitches here, yet clients ask for the network of one before they create an
// internal instance, and the answer must be the same each time.
func VpcIDOf(vswitchID string) string {
	return "vpc-" + strings.TrimPrefix(vswitchID, "vsw-")
}

// AcceptsNetwork reports whether a server of the network vpcID, dialled at one
// of addrs, can serve the instance. It cannot when both are in networks that
// are known and differ, and when an IPv4 instance would have to reach it over
// IPv6: forwarding that keeps the client's address cannot change the family.
// An instance with an IPv6 address reaches servers of both families.
func (lb *LoadBalancer) AcceptsNetwork(vpcID string, addrs ...netip.Addr) bool {
	if lb.VpcID != "" && vpcID != "" && lb.VpcID != vpcID {
		return false
	}
	if lb.AddressIPVersion == IPv6 || len(addrs) == 0 {
		return true
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return true
		}
	}
	return false
}

// SameServer reports whether an entry is the one that a request names with id,
// address and type. Servers of type ecs are known by their id alone, the other
// types by their id and, where one is named, their address.
func (b *BackendServer) SameServer(id ServerID, ip netip.Addr) bool {
	if b.ServerID != id {
		return false
	}
	return b.Type == ECS || !ip.IsValid() || b.ServerIP == ip
}
