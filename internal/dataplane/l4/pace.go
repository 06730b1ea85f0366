package l4

import (
	"time"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// Bandwidth of TCP is kept by not reading: the kernel's windows then slow the
// sender down and nothing is lost. A direction that may not read now waits in
// its port's queue; the front of the queue moves one chunk and goes to the back
// if it has more, so that all connections get even turns.

const (
	// paceMost is how long a queue rests at most: a limit may be raised meanwhile.
	paceMost = 500 * time.Millisecond
	// paceTurns is how many directions are served before others get a turn.
	paceTurns = 256
	// spliceChunk is the least chunk under which a pipe is still used, as what a
	// pipe takes at once cannot be bounded.
	spliceChunk = 512 << 10
)

// queue holds the ends of a port that wait to be read, of one direction.
type queue struct {
	port  *port
	pace  limit.Part
	timer loop.Timer
	ends  []*end // ends[first:] wait; those that ended meanwhile are not waiting
	first int
	woken *end // being served
}

func (q *queue) init(p *port, pace limit.Part) {
	q.port, q.pace = p, pace
	q.timer.Expirer = q
}

// queue is where e waits to be read.
func (e *end) queue() *queue {
	if e == &e.conn.client {
		return &e.conn.port.in
	}
	return &e.conn.port.out
}

// pass reports whether e may be read now; if not, e is in the queue.
func (q *queue) pass(e *end) bool {
	if e.waiting {
		return false
	}
	if e == q.woken {
		q.woken = nil // one chunk
		return true
	}
	if q.first == len(q.ends) {
		wait := q.pace.Wait()
		if wait == 0 {
			return true
		}
		q.rest(wait)
	}
	e.waiting = true
	q.ends = append(q.ends, e)
	return false
}

func (q *queue) rest(wait time.Duration) {
	q.port.worker.loop.Arm(&q.timer, min(wait, paceMost))
}

// Expired serves those who wait as far as the limit allows.
func (q *queue) Expired() {
	for range paceTurns {
		for q.first < len(q.ends) && !q.ends[q.first].waiting {
			q.first++
		}
		if q.first == len(q.ends) {
			clear(q.ends)
			q.ends, q.first = q.ends[:0], 0
			return
		}
		if wait := q.pace.Wait(); wait > 0 {
			q.tidy()
			q.rest(wait)
			return
		}
		e := q.ends[q.first]
		q.first++
		e.waiting = false
		q.woken = e
		e.conn.relay(e)
		q.woken = nil
	}
	q.tidy()
	q.rest(0)
}

// tidy moves the queue to the front of its room.
func (q *queue) tidy() {
	n := copy(q.ends, q.ends[q.first:])
	clear(q.ends[n:])
	q.ends, q.first = q.ends[:n], 0
}

// Abort ends the connection whose turn panicked; the queue goes on.
func (q *queue) Abort() {
	if e := q.woken; e != nil {
		q.woken = nil
		e.conn.reset()
	}
	q.rest(0)
}
