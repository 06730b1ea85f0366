package pool

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Member is one target at run time. It keeps its counts and its health as long
// as a target of the same ID and address stays in the pool, whatever else
// changes. A connection holds on to its Member; what it reads there is current.
type Member struct {
	id   string
	addr netip.AddrPort
	text string

	usable  atomic.Bool
	standby atomic.Bool // a backup that is not needed
	removed atomic.Bool
	left    atomic.Int64 // when it stopped being usable, on the clock of this package
	active  atomic.Int64
	total   atomic.Uint64

	// The rest is guarded by Pool.mu.

	target spec.Target
	watch  Watch // nil: no check
	health spec.Health
	// carried lets an undecided member have traffic, see Pool.watchLocked.
	carried bool
	// waiting for its first verdict since it joined the pool.
	waiting bool
}

// ID is the target's ID.
func (m *Member) ID() string { return m.id }

// Addr is the address to dial.
func (m *Member) Addr() netip.AddrPort { return m.addr }

// String is the address as text.
func (m *Member) String() string { return m.text }

// Acquire counts a connection or request that begins on the member. Every
// Acquire needs a Release.
func (m *Member) Acquire() {
	m.active.Add(1)
	m.total.Add(1)
}

// Release counts the end of what Acquire counted.
func (m *Member) Release() { m.active.Add(-1) }

// Active is the number of connections or requests now on the member.
func (m *Member) Active() int64 { return m.active.Load() }

// Usable reports whether the member may be given new traffic: it is in the
// pool, has weight, is not disabled, is healthy or not checked, and no backup
// that is not needed.
func (m *Member) Usable() bool { return m.usable.Load() && !m.standby.Load() }

// UnusableFor is how long ago the member stopped being usable; 0 while it is.
// Connections that drain are cut by this.
func (m *Member) UnusableFor() time.Duration {
	if m.usable.Load() {
		return 0
	}
	return max(time.Since(start)-time.Duration(m.left.Load()), 1)
}

var start = time.Now()

// setUsable reports whether the member has just stopped being usable.
func (m *Member) setUsable(usable bool) (stopped bool) {
	if m.usable.Load() == usable {
		return false
	}
	if !usable {
		m.left.Store(int64(time.Since(start)))
	}
	m.usable.Store(usable)
	return !usable
}

// Removed reports whether the member has left its pool for good. A target that
// is added again is a new Member.
func (m *Member) Removed() bool { return m.removed.Load() }

// well reports whether health alone lets the member have traffic.
func (m *Member) well() bool {
	if m.health == spec.HealthUnknown {
		return m.watch == nil || m.carried
	}
	return m.health == spec.HealthUp
}

// pending reports whether the member would have traffic if its first verdict
// were good.
func (m *Member) pending() bool {
	return m.waiting && m.watch != nil && m.health == spec.HealthUnknown && m.target.Weight > 0 && !m.target.Disabled
}

// removeLocked takes the member out for good and reports whether it was usable.
func (m *Member) removeLocked() bool {
	if m.watch != nil {
		m.watch.Close()
		m.watch = nil
	}
	m.removed.Store(true)
	return m.setUsable(false)
}

func (m *Member) facts(pool string) spec.TargetFacts {
	return spec.TargetFacts{
		Pool:   pool,
		Target: m.id,
		Addr:   m.addr,
		Health: m.health,
		Active: uint64(max(0, m.active.Load())),
		Total:  m.total.Load(),
	}
}
