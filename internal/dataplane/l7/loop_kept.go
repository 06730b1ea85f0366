package l7

import (
	"time"

	"github.com/openslb/openslb/internal/dataplane/loop"
)

// loopKept are the idle connections to servers of one loop. What happens on one
// of them is told by the loop at once, so that the end of most is known before
// they would be used.
type loopKept struct {
	r       *reactor
	members map[*member]*lane
	timer   loop.Timer
	closed  bool
}

// lane is the list of connections to one member, the one used last in front.
type lane struct {
	first, last *loopServer
	n           int
}

// keptFresh is how long a connection counts as just read. It is about a turn of
// a busy loop.
const keptFresh = int64(500 * time.Microsecond)

// keptSweep is how often those are looked for that are idle for too long or
// whose members are not to be used any more.
const keptSweep = time.Second

func (k *loopKept) init(r *reactor) {
	k.r, k.members = r, map[*member]*lane{}
	k.timer.Expirer = k
}

// take gives the connection to m that was used last, unless it was put aside
// before the given time, or nil.
func (k *loopKept) take(m *member, since int64) *loopServer {
	l := k.members[m]
	if l == nil || l.first == nil || l.first.since < since {
		return nil
	}
	s := l.first
	l.remove(s)
	return s
}

// home gives the list for connections to m. As long as there are lists they are
// swept.
func (k *loopKept) home(m *member) *lane {
	l := k.members[m]
	if l == nil {
		l = new(lane)
		k.members[m] = l
		if !k.timer.Armed() {
			k.r.loop.Arm(&k.timer, keptSweep)
		}
	}
	return l
}

// put keeps a connection for later or closes it.
func (k *loopKept) put(s *loopServer) {
	if k.closed || !s.member.Usable() {
		s.close()
		return
	}
	l := s.home
	if l.n >= keptPerShard {
		s.close()
		return
	}
	s.since = k.r.loop.Now()
	l.add(s)
}

func (l *lane) add(s *loopServer) {
	s.lane, s.prev, s.next = l, nil, l.first
	if l.first != nil {
		l.first.prev = s
	} else {
		l.last = s
	}
	l.first = s
	l.n++
}

func (l *lane) remove(s *loopServer) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	s.lane, s.prev, s.next = nil, nil, nil
	l.n--
}

// Expired sweeps.
func (k *loopKept) Expired() {
	oldest := k.r.loop.Now() - int64(keptIdle)
	for m, l := range k.members {
		for l.last != nil && (!m.Usable() || l.last.since < oldest) {
			l.last.close()
		}
		if m.Removed() {
			delete(k.members, m)
		}
	}
	if len(k.members) > 0 {
		k.r.loop.Arm(&k.timer, keptSweep)
	}
}

// closeAll closes all of them and keeps none from now on.
func (k *loopKept) closeAll() {
	k.closed = true
	k.r.loop.Disarm(&k.timer)
	for _, l := range k.members {
		for l.last != nil {
			l.last.close()
		}
	}
	clear(k.members)
}
