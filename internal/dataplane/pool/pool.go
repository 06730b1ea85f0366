// Package pool is a backend group at run time: its members, their health and
// counts, and the picker over those that may have traffic.
//
// Changes and health reports take a lock, build a new snapshot and swap it in;
// picks read the snapshot alone. A pool outlives every change of its settings,
// so that nothing learnt about one member is lost when another changes.
package pool

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Watch is one member's share in a health check.
type Watch interface {
	// Health is the verdict now.
	Health() spec.Health
	// Close ends the watch without waiting for a report under way.
	Close()
}

// WatchFunc starts a watch on the target at addr, whose probed port may be
// another by the check. It calls report after every change of
// the verdict, always from another goroutine than the caller's. A watch that
// joins a check which is already decided has its verdict at once.
type WatchFunc func(check spec.Check, addr netip.AddrPort, report func(spec.Health)) Watch

// Pool is a group of members with a scheduler. All methods are safe for
// concurrent use.
type Pool struct {
	id    string
	watch WatchFunc
	had   Had
	now   atomic.Pointer[snapshot]

	mu      sync.Mutex
	closed  bool
	spec    spec.Pool
	members []*Member // in the order of spec.Targets
	told    map[any]func()
}

type memberKey struct {
	id   string
	addr netip.AddrPort
}

// New returns a pool with the targets of s. It watches their health by watch
// when s has a check; watch may be nil for a pool that never has one.
func New(s spec.Pool, watch WatchFunc) *Pool { return Continue(s, watch, nil) }

// Continue is New for a pool that another process had before. Targets that had
// traffic there have it at once, until their check decides; nil: none had.
func Continue(s spec.Pool, watch WatchFunc, had Had) *Pool {
	p := &Pool{id: s.ID, watch: watch, had: had}
	p.Update(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.had = nil // a target that comes later is a new one
	return p
}

// NewStatic returns a pool of unchecked targets under wrr, for tests.
func NewStatic(targets ...spec.Target) *Pool {
	return New(spec.Pool{ID: "static", Scheduler: spec.WRR, Targets: targets}, nil)
}

// ID is the pool's name.
func (p *Pool) ID() string { return p.id }

// Scheduler is the one in force.
func (p *Pool) Scheduler() spec.Scheduler { return p.now.Load().scheduler }

// Update changes the pool to s. Members are known by ID and address and keep
// health and counts; of several targets with the same ID and address the first
// counts. After Close it does nothing.
func (p *Pool) Update(s spec.Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	old := make(map[memberKey]*Member, len(p.members))
	for _, m := range p.members {
		old[memberKey{m.id, m.addr}] = m
	}
	sameCheck := equalCheck(p.spec.Check, s.Check)
	p.spec = s
	p.members = make([]*Member, 0, len(s.Targets))
	seen := make(map[memberKey]bool, len(s.Targets))
	for _, target := range s.Targets {
		key := memberKey{target.ID, target.Addr}
		if seen[key] {
			continue
		}
		seen[key] = true
		m := old[key]
		delete(old, key)
		if m == nil {
			m = &Member{id: target.ID, addr: target.Addr, text: target.Addr.String(), target: target}
			p.watchLocked(m, true)
		} else {
			again := !sameCheck || m.target.Unchecked != target.Unchecked
			m.target = target
			if again {
				p.watchLocked(m, false)
			}
		}
		p.members = append(p.members, m)
	}
	stopped := false
	for _, m := range old {
		stopped = m.removeLocked() || stopped
	}
	p.rebuildLocked(stopped)
}

func equalCheck(a, b *spec.Check) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// watchLocked begins the pool's check on a member, in place of the one before.
//
// The vendor shows a server as unavailable after its check was reconfigured,
// and so do we. But a server that was taking traffic goes on doing so until the
// new check decides against it: taking all servers of a listener out for a
// whole success window would turn a change of one setting into an outage. A
// server that was out stays out until the new check finds it well, and a new
// server waits for its first verdict.
func (p *Pool) watchLocked(m *Member, fresh bool) {
	m.carried = !fresh && m.well() || fresh && p.had != nil && p.had(m.id, m.addr)
	m.waiting = fresh && !m.carried || m.waiting && m.health == spec.HealthUnknown
	if m.watch != nil {
		m.watch.Close()
	}
	m.watch, m.health = nil, spec.HealthUnknown
	if p.spec.Check == nil || m.target.Unchecked || !m.addr.IsValid() {
		return
	}
	var w Watch // read by the report under mu, which is held until w is set
	w = p.watch(*p.spec.Check, m.addr, func(spec.Health) { p.report(m, &w) })
	m.watch, m.health = w, w.Health()
}

// report takes in a verdict. One that a closed watch was still delivering is
// ignored; the current verdict is asked for, as reports may have crossed.
func (p *Pool) report(m *Member, w *Watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.watch == nil || m.watch != *w {
		return
	}
	m.health = m.watch.Health()
	p.rebuildLocked(false)
}

// Tell has fn called after each change by which a member stopped being usable,
// its removal and Close included, until Untell with the same key. It replaces
// what was told under the key before. fn is called with the pool locked: it must
// not wait, nor call methods of the pool but those of members.
func (p *Pool) Tell(key any, fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if p.told == nil {
		p.told = make(map[any]func())
	}
	p.told[key] = fn
}

// Untell ends what Tell began.
func (p *Pool) Untell(key any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.told, key)
}

// Facts tells what is known of every member.
func (p *Pool) Facts() []spec.TargetFacts {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]spec.TargetFacts, len(p.members))
	for i, m := range p.members {
		out[i] = m.facts(p.id)
	}
	return out
}

// Closed reports whether the pool was closed.
func (p *Pool) Closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Close ends all watches and takes every member out. Picks find nothing from
// then on. It may be called again.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	stopped := false
	for _, m := range p.members {
		stopped = m.removeLocked() || stopped
	}
	p.members = nil
	p.rebuildLocked(stopped)
	p.told = nil
}
