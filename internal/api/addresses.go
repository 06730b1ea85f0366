package api

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// pool is an AddressPool with the place where the search for a free address
// goes on. Addresses are handed out in order rather than lowest first, so that
// the address of a deleted instance rests before another gets it. The place is a
// hint: a transaction that fails or runs again merely skips an address.
type pool struct {
	AddressPool

	mu   sync.Mutex
	next netip.Addr // guarded by mu; invalid: begin at the first
}

// serves reports whether instances of that kind take addresses from the pool.
func (p *pool) serves(lb *slb.LoadBalancer) bool {
	return (p.Type == "" || p.Type == lb.AddressType) &&
		(p.VSwitchID == "" || p.VSwitchID == lb.VSwitchID)
}

// has reports whether the pool has addresses of the family at all.
func (p *pool) has(v slb.IPVersion) bool {
	return slices.ContainsFunc(p.Prefixes, func(x netip.Prefix) bool { return x.Addr().Is4() == (v == slb.IPv4) })
}

// usable reports whether the pool may hand out a.
func (p *pool) usable(a netip.Addr) bool {
	for _, prefix := range p.Prefixes {
		if prefix.Contains(a) {
			return !isEdge(prefix.Masked(), a)
		}
	}
	return false
}

// isEdge reports whether a is the network or the broadcast address of prefix.
func isEdge(prefix netip.Prefix, a netip.Addr) bool {
	if a.BitLen()-prefix.Bits() < 2 {
		return false
	}
	return a == prefix.Addr() || a.Is4() && !prefix.Contains(a.Next())
}

// search yields every usable address of the family once, beginning after the
// one handed out last, until found answers true.
func (p *pool) search(v slb.IPVersion, found func(netip.Addr) bool) (netip.Addr, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var prefixes []netip.Prefix
	start := 0
	for _, prefix := range p.Prefixes {
		prefix = prefix.Masked()
		if prefix.Addr().Is4() != (v == slb.IPv4) {
			continue
		}
		if p.next.IsValid() && prefix.Contains(p.next) {
			start = len(prefixes)
		}
		prefixes = append(prefixes, prefix)
	}
	// The prefix that the search begins in comes up twice: from the middle, and
	// at the end from its beginning.
	for i := range len(prefixes) + 1 {
		if len(prefixes) == 0 {
			break
		}
		prefix := prefixes[(start+i)%len(prefixes)]
		a := prefix.Addr()
		if i == 0 && p.next.IsValid() && prefix.Contains(p.next) {
			a = p.next
		}
		for ; a.IsValid() && prefix.Contains(a); a = a.Next() {
			if i == len(prefixes) && a == p.next {
				return netip.Addr{}, false
			}
			if !isEdge(prefix, a) && found(a) {
				p.next = a.Next()
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// claimAddress gives lb the address it asks for, or a free one when wanted is
// invalid, and records the claim in the transaction.
func (s *Server) claimAddress(tx *store.Tx, lb *slb.LoadBalancer, wanted netip.Addr) error {
	served := false
	for _, p := range s.pools {
		if !p.serves(lb) {
			continue
		}
		served = served || p.has(lb.AddressIPVersion)
		a, ok := p.pick(tx, lb.AddressIPVersion, wanted)
		if !ok {
			continue
		}
		claim := &slb.AddressClaim{Address: a.String(), LoadBalancerID: lb.ID, Shared: p.Shared}
		if _, taken := tx.Addresses.Get(claim.Key()); taken {
			return slb.ErrAddressTaken
		}
		lb.Address = a
		tx.Addresses.Put(claim)
		return nil
	}
	switch {
	case wanted.IsValid():
		return slb.ErrAddressNotInSubnet
	case served && lb.VSwitchID != "":
		return slb.ErrNoVSwitchAddress
	}
	return slb.ErrNoAddress
}

// pick is the address that the pool would give.
func (p *pool) pick(tx *store.Tx, v slb.IPVersion, wanted netip.Addr) (netip.Addr, bool) {
	if wanted.IsValid() {
		return wanted, p.usable(wanted) && wanted.Is4() == (v == slb.IPv4)
	}
	if p.Shared {
		for _, prefix := range p.Prefixes {
			if prefix.Addr().Is4() == (v == slb.IPv4) {
				return prefix.Addr(), true
			}
		}
		return netip.Addr{}, false
	}
	// The claims are looked up without a record: only the address that is taken
	// in the end must still be free when the transaction commits.
	claims := tx.State().Addresses
	return p.search(v, func(a netip.Addr) bool {
		_, taken := claims.Get(a.String())
		return !taken
	})
}

// releaseAddress gives the address of lb back.
func releaseAddress(tx *store.Tx, lb *slb.LoadBalancer) {
	for _, shared := range []bool{false, true} {
		claim := slb.AddressClaim{Address: lb.Address.String(), LoadBalancerID: lb.ID, Shared: shared}
		if c, ok := tx.Addresses.Get(claim.Key()); ok && c.LoadBalancerID == lb.ID {
			tx.Addresses.Delete(claim.Key())
		}
	}
}
