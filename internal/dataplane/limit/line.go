package limit

import (
	"sync"
	"sync/atomic"
	"time"
)

// lineLook is how long somebody in front of a Line sleeps at most before it
// looks whether it is to stop, or whether the limit was changed.
const lineLook = 20 * time.Millisecond

// Line lets goroutines pass under a Pace, one after the other in the order in
// which they came. The zero Line has no limit. It is safe for concurrent use.
type Line struct {
	waiting atomic.Int32
	front   chan struct{} // full while somebody is in front

	mu   sync.Mutex
	part Part // guarded by mu; but what tells whether there is a limit never changes
}

// Init prepares a line for one part of a Pace. It must not be used before.
func (l *Line) Init(part Part) { l.part, l.front = part, make(chan struct{}, 1) }

// Limited reports whether there is a limit. It costs next to nothing, and
// without a limit nothing else need be asked.
func (l *Line) Limited() bool { return l.part.Limited() }

// Chunk is how many bytes should be moved at once under the limit.
func (l *Line) Chunk() int { return l.part.Chunk() }

// Allow counts n bytes and reports true if they may pass now, before nobody
// else.
func (l *Line) Allow(n int) bool {
	return !l.Limited() || l.waiting.Load() == 0 && l.allow(n)
}

func (l *Line) allow(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.part.Allow(n)
}

// Wait waits until n bytes may pass, and counts them. It ends early, with
// nothing counted, when stopped turns true, which is noticed within some
// milliseconds once the caller is in front.
func (l *Line) Wait(n int, stopped func() bool) {
	if !l.Limited() {
		return
	}
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	l.front <- struct{}{}
	defer func() { <-l.front }()
	for !stopped() && !l.allow(n) {
		l.mu.Lock()
		wait := l.part.Wait()
		l.mu.Unlock()
		time.Sleep(min(wait, lineLook))
	}
}

// Take counts n bytes that pass whatever the limit says.
func (l *Line) Take(n int) {
	if l.Limited() {
		l.mu.Lock()
		l.part.Take(n)
		l.mu.Unlock()
	}
}
