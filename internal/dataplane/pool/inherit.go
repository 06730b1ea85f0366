package pool

import (
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Had tells whether a target was well enough for traffic before: in the process
// before, or in another pool.
type Had func(id string, addr netip.AddrPort) bool

// Standing is one target's, for the process that takes over.
type Standing struct {
	ID   string
	Addr netip.AddrPort
	// Well is whether health alone lets it have traffic.
	Well bool
}

// Standings are those of all members that are checked.
func (p *Pool) Standings() []Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Standing
	for _, m := range p.members {
		if m.watch != nil {
			out = append(out, Standing{m.id, m.addr, m.well()})
		}
	}
	return out
}

// Well tells whether the health of a member lets it have traffic.
func (p *Pool) Well(id string, addr netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.memberLocked(id, addr)
	return m != nil && m.well()
}

// Member finds the member that a target has become; nil: there is none.
func (p *Pool) Member(id string, addr netip.AddrPort) *Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.memberLocked(id, addr)
}

func (p *Pool) memberLocked(id string, addr netip.AddrPort) *Member {
	for _, m := range p.members {
		if m.id == id && m.addr == addr {
			return m
		}
	}
	return nil
}

// Former is a member that has left its pool and stopped being usable so long
// ago, for what is still on it.
func Former(t spec.Target, unusable time.Duration) *Member {
	m := &Member{id: t.ID, addr: t.Addr, text: t.Addr.String(), target: t}
	m.removed.Store(true)
	m.left.Store(int64(time.Since(start) - unusable))
	return m
}
