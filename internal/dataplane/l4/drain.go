package l4

import (
	"maps"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
)

// Draining cuts the connections of a server that may have no new ones, when it
// has been so for the time set. Without draining they live on. Nothing is done
// until a pool tells that a server stopped being usable; then each loop looks
// through its connections once, and again when the first of them is due.

// watchPoolLocked has p tell of servers that stop being usable. A pool that is
// left is watched on, for the connections that are still on it, until it is
// closed: then it has told all it ever will.
func (t *TCP) watchPoolLocked(p *pool.Pool) {
	if p == nil || t.watched[p] {
		return
	}
	if t.watched == nil {
		t.watched = make(map[*pool.Pool]bool)
	}
	maps.DeleteFunc(t.watched, func(old *pool.Pool, _ bool) bool { return old.Closed() })
	t.watched[p] = true
	p.Tell(t, t.drainAll)
}

// unwatch takes back what watchPoolLocked asked for.
func (t *TCP) unwatch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.watched {
		p.Untell(t)
	}
	t.watched = nil
}

// drainAll has every loop look for connections to cut.
func (t *TCP) drainAll() {
	for _, p := range t.ports {
		p.worker.loop.Post(p.drain)
	}
}

// drain cuts the connections whose server has been unusable for long enough,
// and comes back when the next are due.
func (p *port) drain() {
	limit := time.Duration(p.tcp.now.Load().drain)
	l := p.worker.loop
	l.Disarm(&p.draining)
	if limit == 0 || p.tcp.closed.Load() {
		return
	}
	next, cut := time.Duration(-1), 0
	for c := p.conns; c != nil; {
		following := c.next
		if c.member != nil && c.state != parting {
			if since := c.member.UnusableFor(); since >= limit {
				c.tally.because(endDrained)
				c.reset()
				if cut++; cut == closeMost {
					l.Post(p.drain) // the rest, after others had a turn
					return
				}
			} else if since > 0 && (next < 0 || limit-since < next) {
				next = limit - since
			}
		}
		c = following
	}
	if next >= 0 {
		l.Arm(&p.draining, next)
	}
}

// drained is the timer of a port for the connections that are due next.
type drained struct{ p *port }

// Expired looks for connections to cut.
func (d drained) Expired() { d.p.drain() }
