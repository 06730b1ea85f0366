// Package acl tells by its source address whether a new connection may pass.
package acl

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// List is an access control list, made for fast questions: the ranges of each
// family, sorted and merged, so that one binary search decides. It is immutable
// and safe for concurrent use. A nil List lets everybody pass.
type List struct {
	black bool
	v4    []span4
	v6    []span6
}

// span4 is a range of IPv4 addresses, both ends included.
type span4 struct{ first, last uint32 }

// span6 is a range of IPv6 addresses, both ends included.
type span6 struct{ first, last addr6 }

// addr6 is an IPv6 address as a number.
type addr6 struct{ hi, lo uint64 }

func (a addr6) less(b addr6) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// New makes a List of a; nil for nil.
func New(a *spec.ACL) *List {
	if a == nil {
		return nil
	}
	l := &List{black: a.Type == spec.ACLBlack}
	for _, p := range a.Prefixes {
		if p.Addr().Is4() {
			l.v4 = append(l.v4, spanOf4(p))
		} else {
			l.v6 = append(l.v6, spanOf6(p))
		}
	}
	l.v4 = merge(l.v4, func(a, b span4) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	}, func(a span4, b span4) (span4, bool) {
		if b.first > a.last && b.first-a.last > 1 {
			return a, false
		}
		a.last = max(a.last, b.last)
		return a, true
	})
	l.v6 = merge(l.v6, func(a, b span6) int {
		switch {
		case a.first.less(b.first):
			return -1
		case b.first.less(a.first):
			return 1
		}
		return 0
	}, func(a span6, b span6) (span6, bool) {
		if a.last.less(b.first) {
			return a, false
		}
		if a.last.less(b.last) {
			a.last = b.last
		}
		return a, true
	})
	return l
}

// merge sorts spans and joins those that meet.
func merge[S any](spans []S, compare func(a, b S) int, join func(a, b S) (S, bool)) []S {
	slices.SortFunc(spans, compare)
	n := 0
	for i, s := range spans {
		if i > 0 {
			if joined, ok := join(spans[n-1], s); ok {
				spans[n-1] = joined
				continue
			}
		}
		spans[n] = s
		n++
	}
	return slices.Clip(spans[:n])
}

func spanOf4(p netip.Prefix) span4 {
	first := number4(p.Masked().Addr())
	return span4{first, first | uint32(1<<(32-p.Bits())-1)}
}

func spanOf6(p netip.Prefix) span6 {
	first := number6(p.Masked().Addr())
	last, bits := first, p.Bits()
	if bits < 64 {
		last.hi |= 1<<(64-bits) - 1
		bits = 64
	}
	last.lo |= 1<<(128-bits) - 1
	return span6{first, last}
}

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func number6(a netip.Addr) addr6 {
	b := a.As16()
	return addr6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Admits reports whether a connection from the address may pass. It allocates
// nothing. An IPv4 address inside an IPv6 one counts as the IPv4 address.
func (l *List) Admits(from netip.Addr) bool {
	if l == nil {
		return true
	}
	return l.has(from) == !l.black
}

// has finds the last span that begins at or before the address.
func (l *List) has(a netip.Addr) bool {
	if a.Is4() || a.Is4In6() {
		n := number4(a.Unmap())
		low, high := 0, len(l.v4)
		for low < high {
			if mid := int(uint(low+high) >> 1); l.v4[mid].first <= n {
				low = mid + 1
			} else {
				high = mid
			}
		}
		return low > 0 && n <= l.v4[low-1].last
	}
	n := number6(a)
	low, high := 0, len(l.v6)
	for low < high {
		if mid := int(uint(low+high) >> 1); !n.less(l.v6[mid].first) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low > 0 && !l.v6[low-1].last.less(n)
}
