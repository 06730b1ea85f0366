package pool

import (
	"math/rand/v2"
	"slices"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// snapshot is what picks read. It is immutable.
type snapshot struct {
	scheduler spec.Scheduler
	usesKey   bool
	hasWeight bool
	members   []*Member // the usable ones
	weights   []int     // of members
	picker    balance.Picker
	second    balance.Picker // for second choices
}

// rebuildLocked swaps in a snapshot of the members as they are now. The picker
// is kept when it would come out the same: a hash table is costly to fill.
// stopped says that a member which left the pool was usable.
func (p *Pool) rebuildLocked(stopped bool) {
	next := &snapshot{scheduler: p.spec.Scheduler, usesKey: balance.UsesKey(p.spec.Scheduler)}
	for _, m := range p.members {
		usable := m.target.Weight > 0 && !m.target.Disabled && m.well()
		stopped = m.setUsable(usable) || stopped
		next.hasWeight = next.hasWeight || m.target.Weight > 0
		if usable && !m.target.Backup {
			next.members = append(next.members, m)
			next.weights = append(next.weights, m.target.Weight)
		}
	}
	p.backupsLocked(next)
	last := p.now.Load()
	if last != nil && last.scheduler == next.scheduler &&
		slices.Equal(last.members, next.members) && slices.Equal(last.weights, next.weights) {
		next.picker, next.second = last.picker, last.second
	} else {
		ids := make([]string, len(next.members))
		for i, m := range next.members {
			ids[i] = m.id + "@" + m.text
		}
		members := next.members
		next.picker = balance.New(next.scheduler, next.weights, ids, func(i int) int64 { return members[i].Active() })
		next.second = balance.Apart(next.picker)
	}
	p.now.Store(next)
	if stopped {
		for _, fn := range p.told {
			fn()
		}
	}
}

// backupsLocked gives the backups the traffic if no other member can have it. A
// member that has just joined is waited for, so that a pool does not begin on
// its backup. The connections that are on a backup when the others come back stay there, as
// it has not become unfit.
func (p *Pool) backupsLocked(next *snapshot) {
	needed := len(next.members) == 0 && !slices.ContainsFunc(p.members, (*Member).pending)
	for _, m := range p.members {
		m.standby.Store(m.target.Backup && !needed)
		if m.target.Backup && needed && m.usable.Load() {
			next.members = append(next.members, m)
			next.weights = append(next.weights, m.target.Weight)
		}
	}
}

// Pick returns a usable member for new traffic, or nil when there is none. It
// takes no lock and allocates nothing. Hashing schedulers use key.
func (p *Pool) Pick(key uint64) *Member {
	s := p.now.Load()
	if i := s.picker.Pick(key); i >= 0 {
		return s.members[i]
	}
	return nil
}

// rePicks is how often PickOther asks a scheduler before it takes the next best:
// enough that the traffic of one dead member is shared by all others.
const rePicks = 16

// PickOther returns a usable member that is not among tried, or nil when all
// were. It serves traffic whose first choice could not be reached: under a
// hashing scheduler the second choice depends on key too.
func (p *Pool) PickOther(key uint64, tried []*Member) *Member {
	s := p.now.Load()
	switch {
	case len(s.members) == 0:
		return nil
	case s.usesKey:
		return s.otherByKey(key, tried)
	case s.scheduler == spec.WLC:
		return s.leastLoaded(tried)
	}
	return s.inTurn(tried)
}

// otherByKey hashes on.
func (s *snapshot) otherByKey(key uint64, tried []*Member) *Member {
	for range rePicks {
		key = balance.Rehash(key)
		if m := s.members[s.picker.Pick(key)]; !slices.Contains(tried, m) {
			return m
		}
	}
	return s.next(key, tried)
}

// inTurn goes by the weights as first choices do, in turns of its own: if a second
// choice moved the round robin on, then of two members of which one is dead every
// request would try the dead one first, not every other.
func (s *snapshot) inTurn(tried []*Member) *Member {
	for range rePicks {
		if m := s.members[s.second.Pick(0)]; !slices.Contains(tried, m) {
			return m
		}
	}
	return s.next(rand.Uint64(), tried)
}

// next gives the first member from a place on that has not been tried.
func (s *snapshot) next(from uint64, tried []*Member) *Member {
	n := uint64(len(s.members))
	for i := range n {
		if m := s.members[(from%n+i)%n]; !slices.Contains(tried, m) {
			return m
		}
	}
	return nil
}

// leastLoaded chooses the member with the fewest connections for its weight, by
// lot among equals. It takes nobody's turn either.
func (s *snapshot) leastLoaded(tried []*Member) *Member {
	var best *Member
	var load, weight int64
	equals := 0
	for i, m := range s.members {
		if slices.Contains(tried, m) {
			continue
		}
		l, w := m.Active(), int64(s.weights[i])
		switch {
		case best == nil || l*weight < load*w:
			equals = 1
		case l*weight == load*w:
			equals++
		default:
			continue
		}
		if rand.IntN(equals) == 0 {
			best, load, weight = m, l, w
		}
	}
	return best
}

// HasWeight reports whether any member has a weight above 0, usable or not: it
// tells a service that is down from one that has no servers.
func (p *Pool) HasWeight() bool { return p.now.Load().hasWeight }
