package balance

import (
	"encoding/binary"
	"net/netip"
)

// The hashes of this file decide which server a client reaches. Every node of a
// cluster and the kernel fast path compute them too, so they must not change:
// picker_test.go holds vectors. They use 64-bit multiply, xor and shift only.
//
// They are not keyed. A client that chooses its source port can steer its own
// flows under tch, and nobody else's; under sch it has one address to choose.

const hashSeed = 0x9e3779b97f4a7c15

// mix is the 64-bit finaliser of MurmurHash3: a bijection in which every input
// bit moves every output bit.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}

// addAddr folds an address into h. An IPv4 address and its IPv4-mapped IPv6
// form count as one; zones are ignored.
func addAddr(h uint64, a netip.Addr) uint64 {
	b := a.As16()
	h = mix(h ^ binary.BigEndian.Uint64(b[0:8]))
	return mix(h ^ binary.BigEndian.Uint64(b[8:16]))
}

// HashSource is the key of scheduler sch: the client's address.
func HashSource(src netip.Addr) uint64 { return addAddr(hashSeed, src) }

// HashFlow is the key of scheduler tch: both addresses and both ports.
func HashFlow(src, dst netip.AddrPort) uint64 {
	h := addAddr(hashSeed, src.Addr())
	h = addAddr(h, dst.Addr())
	return mix(h ^ (uint64(src.Port())<<16 | uint64(dst.Port())))
}

// Rehash derives another key from a key: the place a flow goes when the server
// that its key names could not be reached.
func Rehash(key uint64) uint64 { return mix(key ^ hashSeed) }

// hashID hashes a target's id for the place it takes in a Maglev table; the two
// seeds used there give independent values. It is FNV-1a with a final mix.
func hashID(seed uint64, id string) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for i := range len(id) {
		h ^= uint64(id[i])
		h *= 0x100000001b3
	}
	return mix(h)
}
