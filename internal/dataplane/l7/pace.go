package l7

import (
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/dataplane/sock"
)

// Slow clients. Whoever sends a body by the byte, or takes an answer so, holds a
// server's connection and memory for next to nothing. So a client must have a
// pace while it is waited for: slowBytes in each slowTime on the average. What
// counts is the time spent waiting for it, not that of a slow server or of a
// limit of bandwidth; a body of any size has all the time it needs at that pace.
const (
	slowTime  = 60 * time.Second
	slowBytes = 2 << 10
)

// pace is how well a client has done of late, by the time it was waited for.
type pace struct {
	waited int64 // nanoseconds
	moved  int64 // bytes
}

// keeps notes that n bytes moved after a wait, in nanoseconds, and reports
// whether the client is quick enough. What ends a long wait may be the first bytes of many: a
// sixteenth of the time is left for the rest to follow.
func (p *pace) keeps(waited, n int64, window time.Duration) bool {
	if left := int64(window) - p.waited; left > 0 {
		waited = min(waited, left)
	}
	p.waited += waited
	p.moved += n
	switch {
	case p.waited < int64(window):
		return true
	case p.moved >= slowBytes:
		*p = pace{}
		return true
	}
	return p.waited < int64(window+window/16)
}

// progress is the same for a socket that has had no room. The system takes what
// is sent in large pieces, and room shows when a good part of its buffer is empty, which on a
// slow line takes longer than a client may be silent. So what the other side
// has acknowledged is asked for, twice in the time and only then.
type progress struct{ acked uint64 }

// made reports whether the other side of fd has taken enough since the time
// before for the number of requests it has under way.
func (p *progress) made(fd, requests int) bool {
	acked := sock.Acknowledged(fd) + 1 // 0 stands for never asked
	before := p.acked
	p.acked = acked
	return before == 0 || acked-before >= slowBytes/2*uint64(max(requests, 1))
}

// taking is how a server does with a request. It has the request's time to answer; a
// large one may take longer than that to be taken, and the time counts from when
// the server last took some of it. That is asked for when the time is up and only
// then, and where something had to wait for room.
type taking struct {
	patience atomic.Int64  // the request's time, in nanoseconds; 0: none is under way
	acked    atomic.Uint64 // bytes that the server had acknowledged, and 1; 0: not known
}

// begin is for a request that begins, with its time; 0: it is over, or a tunnel now.
func (t *taking) begin(patience time.Duration) {
	t.acked.Store(0)
	t.patience.Store(int64(patience))
}

// mark notes what the server of fd has taken so far.
func (t *taking) mark(fd int) { t.acked.Store(takenBy(fd)) }

// goesOn reports whether the server of fd has taken something since the last mark,
// and makes a new one.
func (t *taking) goesOn(fd int) bool {
	now := takenBy(fd)
	return takesOn(fd, t.acked.Swap(now), now)
}

// takenBy is what the server of fd has taken so far, for takesOn.
func takenBy(fd int) uint64 { return sock.Acknowledged(fd) + 1 }

// takesOn tells whether the server of fd takes what it is sent: more now than
// before, or, where before is not known, if that is not all taken yet.
func takesOn(fd int, before, now uint64) bool {
	if before == 0 {
		return sock.Unsent(fd) > 0
	}
	return now > before
}
