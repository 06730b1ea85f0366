package l7

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/h2"
)

// http2Conn is a client connection of HTTP/2. Its goroutine reads; every request
// has one of its own, which also sends what it and others have to say. What
// several have to say at about the same time leaves together.
type http2Conn struct {
	c      *conn
	turnFn func(uintptr) bool

	mu       sync.Mutex
	core     h2.Conn // guarded by mu, its output included
	flushing bool    // somebody sends
	lost     bool    // nothing can be sent any more
	leaving  int64   // when leaving began, on the wheel's clock
	buffer   *block  // backs the core's output while there is some
	running  []*stream
	waiting  []*stream // for room in the output or the connection's window
	fresh    []*stream // requests that have just come
	moved    int64     // bytes of bodies for the client
	clock    http2Clock
	workers  sync.WaitGroup
}

// serveHTTP2 serves a connection that has agreed on HTTP/2; see attend.
func (c *conn) serveHTTP2() (rests bool) {
	hc := &http2Conn{c: c}
	hc.turnFn = hc.turn
	hc.mu.Lock()
	hc.core.Serve(hc)
	hc.mu.Unlock()
	c.http2.Store(hc)
	hc.mu.Lock()
	hc.clock.open, hc.clock.since = true, c.wheel.now() // the preface is to come
	hc.restUntil(c.wheel.waits.http2)
	hc.mu.Unlock()
	hc.flush()
	if c.h.ends() {
		hc.leave() // Close or Leave may have looked just before
	}
	return hc.read()
}

// resume is serveHTTP2 after having been parked.
func (hc *http2Conn) resume() (rests bool) {
	hc.mu.Lock()
	hc.stay()
	hc.schedule()
	hc.mu.Unlock()
	return hc.read()
}

// read reads until the end of the connection or until it is to be parked.
func (hc *http2Conn) read() (rests bool) {
	defer func() {
		if !rests {
			hc.end()
		}
	}()
	for {
		if hc.c.rc.Read(hc.turnFn) == nil {
			return false
		}
		going, rests := hc.timedOut()
		if !going || rests {
			return rests
		}
	}
}

// turn is called by the poller when there is something to read. false waits for
// more.
func (hc *http2Conn) turn(uintptr) bool {
	hc.c.visit()
	b := getBlock()
	defer putBlock(b)
	for {
		n, errno := hc.c.recvNow(b[:])
		if errno == syscall.EAGAIN {
			hc.c.quiet = true
			return false
		}
		if errno != 0 || n == 0 {
			hc.c.linger = errno == syscall.EPROTO // the client should read why
			return true
		}
		hc.c.count.bytesIn.Add(uint64(n))
		if !hc.feed(b[:n]) {
			return true
		}
	}
}

// feed takes what has come. It is false when the connection is to be ended.
func (hc *http2Conn) feed(p []byte) bool {
	over, send := hc.take(p)
	if send {
		hc.c.h.e.workers.Go(func() {
			defer hc.workers.Done()
			hc.send()
		})
	}
	return !over
}

// take is feed's part under the lock. send asks for somebody to send.
func (hc *http2Conn) take(p []byte) (over, send bool) {
	c := hc.c
	hc.mu.Lock()
	defer hc.mu.Unlock()
	now := c.h.e.wheel.now()
	idle := len(hc.running) == 0
	if hc.leaving != 0 && now-hc.leaving > int64(http2Leave) {
		hc.core.LeaveNow()
	}
	err := hc.core.Receive(time.Duration(now), p)
	if e := (*h2.Error)(nil); errors.As(err, &e) && e.Code == h2.EnhanceYourCalm {
		c.count.floods.Add(1)
	}
	if hc.clock.changes(&hc.core) || idle && len(hc.running) > 0 {
		if !hc.schedule() {
			c.rtimer.acknowledge()
			hc.schedule()
		}
	}
	for i, st := range hc.fresh {
		hc.fresh[i] = nil
		c.h.e.serve(&st.conn)
	}
	hc.fresh = hc.fresh[:0]
	over = err != nil || len(hc.running) == 0 && hc.core.Left()
	send = hc.core.Pending() > 0 && !hc.flushing && !over
	if send {
		// Not here: a client that does not read would keep us from reading.
		hc.flushing = true
		hc.workers.Add(1)
	}
	if hc.core.Pending() == 0 && len(hc.running) == 0 {
		hc.core.Rest()
	}
	return over, send
}

// leave has the client go elsewhere: requests under way are finished.
func (hc *http2Conn) leave() {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	if hc.leaving != 0 || hc.lost {
		return
	}
	hc.leaving = hc.c.h.e.wheel.now()
	hc.core.Leave()
	if len(hc.running) == 0 {
		hc.restUntil(http2Leave)
	}
	if hc.flushing {
		return
	}
	hc.flushing = true
	hc.workers.Add(1)
	go func() {
		defer hc.workers.Done()
		hc.send()
	}()
}

// cutOff ends all requests whatever they are doing.
func (hc *http2Conn) cutOff() {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	for _, st := range hc.running {
		st.cutOff()
		st.wakeUp()
	}
}

// end waits for the requests under way, which find out that nobody is there,
// and says goodbye.
func (hc *http2Conn) end() {
	hc.mu.Lock()
	hc.leaving = max(hc.leaving, 1)
	if hc.core.Err() == nil {
		hc.core.LeaveNow()
	} else {
		hc.c.linger = true // the client should read why
	}
	for _, st := range hc.running {
		hc.core.Reset(&st.core, h2.Cancel)
		hc.Reset(&st.core, h2.Cancel)
	}
	hc.mu.Unlock()
	if hc.c.cut.Load() {
		hc.cutOff() // again, for those that have begun since
	}
	hc.flush()
	hc.workers.Wait()
}

// flush sends the output, unless somebody is doing so.
func (hc *http2Conn) flush() {
	hc.mu.Lock()
	if hc.flushing || hc.core.Pending() == 0 {
		hc.mu.Unlock()
		return
	}
	hc.flushing = true
	hc.mu.Unlock()
	hc.send()
}

// send sends the output until there is none. The caller has set flushing.
func (hc *http2Conn) send() {
	// Others that are about to say something get the time to do so: one record
	// and one system call for all.
	runtime.Gosched()
	c := hc.c
	var spare *block
	hc.mu.Lock()
	for hc.core.Pending() > 0 && !hc.lost {
		sent := hc.buffer
		if spare == nil {
			spare = getBlock()
		}
		hc.buffer = spare
		out := hc.core.TakeOutput(spare[:0])
		spare = sent
		if n := int32(len(hc.running)); n != c.riders.Load() {
			c.riders.Store(n)
		}
		hc.mu.Unlock()
		err := c.send(out)
		c.count.bytesOut.Add(uint64(len(out)))
		hc.mu.Lock()
		if err != nil {
			c.noteSlowRead()
			hc.fail()
		}
		hc.wakeNext()
	}
	hc.flushing = false
	hc.restLocked()
	hc.mu.Unlock()
	if spare != nil {
		putBlock(spare)
	}
}

// restLocked lets the output's buffer go when nobody is going to use it.
func (hc *http2Conn) restLocked() {
	if hc.buffer != nil && len(hc.running) == 0 && !hc.flushing && hc.core.Pending() == 0 {
		hc.core.TakeOutput(nil)
		putBlock(hc.buffer)
		hc.buffer = nil
	}
}

// fail notes that nothing can be sent any more. The lock is held.
func (hc *http2Conn) fail() {
	hc.lost = true
	for _, st := range hc.running {
		st.wakeUp()
	}
	hc.c.interruptRead()
}

// wakeNext lets one of those that wait for room go on; it wakes the next one
// when it leaves room. The lock is held.
func (hc *http2Conn) wakeNext() {
	if len(hc.waiting) > 0 {
		st := hc.waiting[0]
		n := copy(hc.waiting, hc.waiting[1:])
		hc.waiting[n] = nil
		hc.waiting = hc.waiting[:n]
		st.queued = false
		st.wakeUp()
	}
}

// started notes a request. The lock is held.
func (hc *http2Conn) started(st *stream) {
	st.place = len(hc.running)
	hc.running = append(hc.running, st)
	hc.c.h.e.streams.running.Add(1)
	hc.workers.Add(1)
	if hc.buffer == nil && hc.core.Pending() == 0 {
		hc.buffer = getBlock()
		hc.core.TakeOutput(hc.buffer[:0])
	}
}

// finished forgets a request. The lock is held.
func (hc *http2Conn) finished(st *stream) {
	last := len(hc.running) - 1
	hc.running[st.place] = hc.running[last]
	hc.running[st.place].place = st.place
	hc.running[last] = nil
	hc.running = hc.running[:last]
	hc.c.h.e.streams.running.Add(-1)
	if st.queued {
		for i, other := range hc.waiting {
			if other == st {
				hc.waiting = append(hc.waiting[:i], hc.waiting[i+1:]...)
				break
			}
		}
		st.queued = false
	}
	if last > 0 {
		hc.wakeNext()
		return
	}
	hc.restLocked()
	idle := hc.c.wheel.waits.http2
	if hc.leaving != 0 {
		idle = http2Leave
	}
	hc.restUntil(idle)
	if hc.core.Left() || hc.lost {
		hc.c.rtimer.interrupt()
	}
}

// The events of the core. The lock is held.

// New gives a stream for a request, unless there are too many.
func (hc *http2Conn) New() *h2.Stream {
	if hc.c.h.e.streams.refuses(len(hc.running)) {
		return nil
	}
	return &getStream().core
}

// Refused counts a request that was too many. There is no line of it in the access
// log: nothing was answered, and who sends too many is to cost little.
func (hc *http2Conn) Refused(by h2.Bound) {
	c := hc.c
	switch by {
	case h2.BoundStreams:
		c.count.refusedStreams.Add(1)
	case h2.BoundHeads:
		c.count.refusedHeads.Add(1)
	case h2.BoundOwner:
		c.count.refusedMemory.Add(1)
		c.h.e.streams.complain(c.h)
	}
}

// Head begins a request.
func (hc *http2Conn) Head(s *h2.Stream, head []byte) {
	st := s.Owner.(*stream)
	st.begin(hc, head)
	hc.started(st)
	hc.fresh = append(hc.fresh, st)
}

// Data takes a part of a request's body.
func (hc *http2Conn) Data(s *h2.Stream, p []byte) {
	s.Owner.(*stream).queue.add(p)
	s.Owner.(*stream).wakeUp()
}

// End notes the end of a request's body.
func (hc *http2Conn) End(s *h2.Stream, trailers []byte) {
	st := s.Owner.(*stream)
	st.requestTrailers = h1.AppendTrailers(st.requestTrailers[:0], trailers, st.h.snap.Load().Headers().OwnNames)
	st.wakeUp()
}

// Reset notes that nobody waits for an answer any more. A server that is asked
// by HTTP/2 is told; one that is not may finish, as the vendor documents.
func (hc *http2Conn) Reset(s *h2.Stream, code h2.Code) {
	st := s.Owner.(*stream)
	st.dropped = st.dropped || st.queue.size > 0
	st.queue.free()
	st.wakeUp()
	if u := st.current.Load(); u != nil && u.http2 != nil && code != h2.NoError {
		u.file.SetDeadline(past)
	}
}

// Window lets bodies go on.
func (hc *http2Conn) Window(s *h2.Stream) {
	if s == nil {
		hc.wakeNext()
		return
	}
	s.Owner.(*stream).wakeUp()
}
