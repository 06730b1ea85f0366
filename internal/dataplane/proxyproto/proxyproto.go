// Package proxyproto writes the header by which a proxy tells a server whom it
// speaks for: the PROXY protocol, version 2. Nothing here reads one, as headers
// from clients are payload to us.
package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

// MaxSize is the size of the longest header that Append writes.
const MaxSize = 16 + 2*16 + 2*2

const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	proxied    = 0x21 // version 2, on behalf of another
	inet4      = 0x10
	inet6      = 0x20
	stream     = 0x01
	datagram   = 0x02
	addresses4 = 2*4 + 2*2
	addresses6 = 2*16 + 2*2
)

// AppendStream appends the header for a TCP connection from src to dst.
func AppendStream(b []byte, src, dst netip.AddrPort) []byte { return add(b, src, dst, stream) }

// AppendDatagram appends the header for a UDP datagram from src to dst.
func AppendDatagram(b []byte, src, dst netip.AddrPort) []byte { return add(b, src, dst, datagram) }

// add appends the header. Addresses of two families are both written as IPv6;
// an IPv4 address in IPv6 form counts as IPv4.
func add(b []byte, src, dst netip.AddrPort, transport byte) []byte {
	from, to := src.Addr().Unmap(), dst.Addr().Unmap()
	b = append(b, signature...)
	if from.Is4() && to.Is4() {
		b = append(b, proxied, inet4|transport, 0, addresses4)
		f, t := from.As4(), to.As4()
		b = append(append(b, f[:]...), t[:]...)
	} else {
		b = append(b, proxied, inet6|transport, 0, addresses6)
		f, t := as16(from), as16(to)
		b = append(append(b, f[:]...), t[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, src.Port())
	return binary.BigEndian.AppendUint16(b, dst.Port())
}

// as16 takes an address that is missing for the unspecified one.
func as16(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}
