package l4

import (
	"time"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// Bandwidth of TCP is kept by not reading: the kernel's windows then slow the
// sender down and nothing is lost. A direction that may not read now waits in
// its port's queue, where a turn is a read of one chunk.

// spliceChunk is the least chunk under which a pipe is still used, as what a
// pipe takes at once cannot be bounded.
const spliceChunk = 512 << 10

// queue holds the ends of a port that wait to be read, of one direction.
type queue struct {
	limit.Queue[*end]
	port  *port
	timer loop.Timer
}

func (q *queue) init(p *port, pace limit.Part) {
	q.port = p
	q.timer.Expirer = q
	q.Init(pace, func(d time.Duration) { p.worker.loop.Arm(&q.timer, d) })
}

// queue is where e waits to be read.
func (e *end) queue() *queue {
	if e == &e.conn.client {
		return &e.conn.port.in
	}
	return &e.conn.port.out
}

// Waits is where the queue notes that e waits.
func (e *end) Waits() *bool { return &e.waiting }

// Turn lets e read one chunk.
func (e *end) Turn() { e.conn.relay(e) }

// Expired serves those who wait as far as the limit allows.
func (q *queue) Expired() { q.Serve() }

// Abort ends the connection whose turn panicked; the queue goes on.
func (q *queue) Abort() {
	if e := q.Queue.Abort(); e != nil {
		e.conn.reset()
	}
}
