package limit

import "time"

const (
	// restMost is how long a queue rests at most: a limit may be raised meanwhile.
	restMost = 500 * time.Millisecond
	// serveMost is how many are served before others get a turn.
	serveMost = 256
)

// Waiter is what waits in a Queue.
type Waiter interface {
	comparable
	// Waits is where the queue notes that it waits. Who needs its turn no more
	// takes the note away.
	Waits() *bool
	// Turn says that one piece may pass now.
	Turn()
}

// Queue holds those of one event loop that wait for their part of a bandwidth.
// The front of the queue passes one piece and goes to the back if it has more,
// so that all get even turns. Like a Part it belongs to one loop.
type Queue[W Waiter] struct {
	part  Part
	rest  func(time.Duration)
	line  []W // line[first:] wait; those that ended meanwhile do not any more
	first int
	woken W    // whose turn it is; zero: nobody's
	used  bool // it has used it
}

// Init prepares a queue. rest must see to it that Serve is called after the time
// it is given.
func (q *Queue[W]) Init(part Part, rest func(time.Duration)) { q.part, q.rest = part, rest }

// Limited reports whether there is a limit. Without one nothing else need be
// asked.
func (q *Queue[W]) Limited() bool { return q.part.Limited() }

// Chunk is how many bytes a piece should have at most.
func (q *Queue[W]) Chunk() int { return q.part.Chunk() }

// Free reports whether a piece may pass now, be there a queue or not.
func (q *Queue[W]) Free() bool { return q.part.Wait() == 0 }

// Take counts n bytes that pass.
func (q *Queue[W]) Take(n int) { q.part.Take(n) }

// Pass reports whether a piece of w may pass now; if not, w is in the queue and
// will be told.
func (q *Queue[W]) Pass(w W) bool {
	waits := w.Waits()
	if *waits {
		return false
	}
	if w == q.woken && !q.used {
		q.used = true
		return true
	}
	if q.first == len(q.line) {
		wait := q.part.Wait()
		if wait == 0 {
			return true
		}
		q.pause(wait)
	}
	*waits = true
	q.line = append(q.line, w)
	return false
}

func (q *Queue[W]) pause(wait time.Duration) { q.rest(min(wait, restMost)) }

// Serve gives turns as far as the limit allows.
func (q *Queue[W]) Serve() {
	for range serveMost {
		for q.first < len(q.line) && !*q.line[q.first].Waits() {
			q.first++
		}
		if q.first == len(q.line) {
			clear(q.line)
			q.line, q.first = q.line[:0], 0
			return
		}
		if wait := q.part.Wait(); wait > 0 {
			q.tidy()
			q.pause(wait)
			return
		}
		w := q.line[q.first]
		q.first++
		*w.Waits() = false
		q.woken, q.used = w, false
		w.Turn()
		q.woken = *new(W)
	}
	q.tidy()
	q.pause(0)
}

// tidy moves the queue to the front of its room.
func (q *Queue[W]) tidy() {
	n := copy(q.line, q.line[q.first:])
	clear(q.line[n:])
	q.line, q.first = q.line[:n], 0
}

// Abort goes on after a turn that panicked and tells whose it was; zero:
// nobody's.
func (q *Queue[W]) Abort() W {
	w := q.woken
	q.woken = *new(W)
	q.pause(0)
	return w
}
