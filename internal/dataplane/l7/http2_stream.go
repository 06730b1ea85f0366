package l7

import (
	"bytes"
	"runtime/debug"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/h2"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// stream is one request of an HTTP/2 connection. Towards the servers it is a
// connection like any other with one request on it, so that all that is done
// for a request of HTTP/1 is done for it by the same code. Its client's side is
// here: what that code delivers, a head of HTTP/1.1 and then the bare body, goes
// out as frames.
type stream struct {
	conn
	hc   *http2Conn
	core h2.Stream // guarded by hc.mu, as the next ones are

	place           int // in hc.running
	queued          bool
	queue           pieceQueue // the request's body
	dropped         bool       // some of it was, since the client gave it up
	requestTrailers []byte

	wake  chan struct{} // for the goroutine that sends
	more  chan struct{} // for the upload
	timer *time.Timer

	// The rest belongs to the serving goroutine.

	pace     pace    // of the client, with the answer
	code     h2.Code // why it ends early; 0: our fault
	headed   bool    // the final head is sent
	trailers []byte  // of the answer
	lent     *block  // what is being delivered is in; nil: elsewhere
}

var streams = sync.Pool{New: func() any {
	st := &stream{wake: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	st.core.Owner = st
	st.conn.stream = st
	return st
}}

func getStream() *stream { return streams.Get().(*stream) }

// begin makes st a request with the given head. The lock is held.
func (st *stream) begin(hc *http2Conn, head []byte) {
	c := &st.conn
	st.hc = hc
	c.inherit(hc.c)
	c.w = getWork()
	c.w.fillExactly(head)
	st.code = h2.NoError
	st.pace = pace{}
	st.lent, st.dropped = nil, false
	st.headed, st.trailers, st.requestTrailers = false, st.trailers[:0], st.requestTrailers[:0]
	for _, signal := range []chan struct{}{st.wake, st.more} { // meant for the request before
		select {
		case <-signal:
		default:
		}
	}
}

// inherit makes c stand for a request on the connection p.
func (c *conn) inherit(p *conn) {
	c.h, c.shard, c.count = p.h, p.shard, p.count
	c.peer, c.peerKey, c.peerText, c.portText = p.peer, p.peerKey, p.peerText, p.portText
	c.refusal, c.requests = nil, 0
	c.linger, c.broken, c.last = false, false, false
	c.cut.Store(p.cut.Load())
}

// serve answers the request. It does not panic.
func (st *stream) serve() {
	defer st.finish()
	c := &st.conn
	w := c.w
	done, err := w.req.Parse(w.in)
	if err != nil || !done {
		if c.refusal = err; err == nil {
			c.refusal = h1.ErrHeaderTooLarge
		}
		c.refuse()
		return
	}
	body, up := st.body()
	if up != nil {
		defer up.free()
	}
	c.exchange(up, body)
}

// body finds out about the request's body: how many bytes of it are behind the
// head in the buffer, or the upload of what is still to come.
func (st *stream) body() (int, *upload) {
	w := st.w
	st.hc.mu.Lock()
	ended, size := st.core.Ended(), st.queue.size
	whole := ended && !st.dropped && len(st.requestTrailers) == 0 && size <= cap(w.in)-len(w.in)
	if whole && size > 0 {
		w.in = w.in[:len(w.in)+st.queue.peek(w.in[len(w.in):cap(w.in)])]
		st.queue.drop(size)
		st.hc.core.Consumed(&st.core, size)
	}
	st.hc.mu.Unlock()
	switch {
	case whole:
		if w.req.Body = h1.NoBody; size > 0 {
			w.req.Body, w.req.BodyLength = h1.Length, int64(size)
		}
		return size, nil
	case w.req.Body == h1.NoBody:
		if w.req.Find(h1.ContentLength) != nil {
			return 0, nil // of length 0; its end is still to come
		}
		w.req.Body = h1.Chunks
	}
	return 0, newStreamUpload(st)
}

// finish ends the request, whatever ended the serving.
func (st *stream) finish() {
	c, hc := &st.conn, st.hc
	if v := recover(); v != nil {
		c.h.e.log.Error("panic in an HTTP/2 request", "frontend", c.h.id, "client", c.peer, "panic", v, "stack", string(debug.Stack()))
		if u := c.current.Swap(nil); u != nil {
			u.close()
			u.member.Release()
		}
		c.w = nil // others may still hold its buffers
	}
	if c.w != nil {
		putWork(c.w)
		c.w = nil
	}
	hc.mu.Lock()
	st.queue.free()
	if st.code != h2.NoError {
		hc.core.Reset(&st.core, st.code)
	}
	hc.core.Release(&st.core)
	hc.finished(st)
	send := hc.core.Pending() > 0 && !hc.flushing && !hc.lost
	hc.flushing = hc.flushing || send
	hc.mu.Unlock()
	st.hc = nil
	streams.Put(st)
	if send {
		hc.send()
	}
	hc.workers.Done()
}

// wakeUp has the goroutines of the stream look again.
func (st *stream) wakeUp() {
	for _, signal := range []chan struct{}{st.wake, st.more} {
		select {
		case signal <- struct{}{}:
		default:
		}
	}
}

var endOfHead = []byte("\r\n\r\n")

// deliver sends to the client: heads in the form of HTTP/1.1, the final one
// followed by the body as it is. conn.last tells whether p is the end of it.
func (st *stream) deliver(p []byte) error {
	hc := st.hc
	hc.mu.Lock()
	defer hc.mu.Unlock()
	last := st.last && len(st.trailers) == 0
	for !st.headed {
		for hc.core.Room() <= 0 && st.alive() {
			var going bool
			if p, going = st.waitWith(p); !going {
				return errClient
			}
		}
		if !st.alive() {
			return errClient
		}
		n := bytes.Index(p, endOfHead) + len(endOfHead)
		head, rest := p[:n], p[n:]
		st.w.rec.out += int64(n)
		if head[9] == '1' {
			hc.core.SendHead(&st.core, head, false)
			if len(rest) == 0 {
				st.flushLocked()
				return nil
			}
			p = rest
			continue
		}
		st.headed = true
		bodiless := st.w.req.IsHead(st.w.in) || string(head[9:12]) == "204" || string(head[9:12]) == "304"
		hc.core.SendHead(&st.core, head, bodiless || last && len(rest) == 0)
		p = rest
	}
	for len(p) > 0 {
		n := hc.core.SendData(&st.core, p, last)
		st.pace.moved += int64(n)
		hc.moved += int64(n)
		st.w.rec.out += int64(n)
		if p = p[n:]; len(p) > 0 {
			var going bool
			if p, going = st.waitWith(p); !going {
				return errClient
			}
		}
	}
	hc.core.Unreserve(&st.core)
	if len(hc.waiting) > 0 && hc.core.Room() > h2.OutLimit/2 {
		hc.wakeNext()
	}
	if !st.last {
		st.flushLocked() // what ends the answer leaves with the end of the request
	}
	return nil
}

// alive tells whether anything can still be sent on the stream.
func (st *stream) alive() bool {
	return !st.core.Dead() && !st.hc.lost && st.hc.core.Err() == nil && !st.cut.Load()
}

// gone is the opposite of alive for those who have not locked.
func (st *stream) gone() bool {
	st.hc.mu.Lock()
	defer st.hc.mu.Unlock()
	return !st.alive()
}

// flushLocked sends what there is and lets the lock go meanwhile.
func (st *stream) flushLocked() {
	st.hc.mu.Unlock()
	st.hc.flush()
	st.hc.mu.Lock()
}

// waitLocked waits until more may be sent on the stream, or for a while. It is
// false when that will not come, or the client is too slow to take it.
//
// It is the stream that must keep a pace where its own window is closed. Where that
// of the connection is, its share in what the connection moves counts, since others
// may have their turn before it. And where the system has no room the timer of
// the socket decides.
func (st *stream) waitLocked() bool {
	hc := st.hc
	if !st.alive() {
		return false
	}
	if !hc.flushing && hc.core.Pending() > 0 {
		st.flushLocked()
		if st.alive() && (st.headed && hc.core.Sendable(&st.core) > 0 || !st.headed && hc.core.Room() > 0) {
			return true
		}
	}
	own := st.headed && st.core.CanSend() <= 0
	if !st.queued && !own {
		st.queued = true
		hc.waiting = append(hc.waiting, st)
	}
	excused, moved := hc.flushing && !own, hc.moved
	window := hc.c.wheel.waits.slow
	hc.mu.Unlock()
	began := loop.Clock()
	st.sleep(window / 8)
	waited := loop.Clock() - began
	hc.mu.Lock()
	if !st.alive() {
		return false
	}
	share := int64(0)
	if !own {
		share = (hc.moved - moved) / int64(len(hc.running))
	}
	if excused || st.pace.keeps(waited, share, window) {
		return true
	}
	st.count.slowReads.Add(1)
	st.code = h2.EnhanceYourCalm
	return false
}

// sleep waits for wakeUp, but not for longer than d.
func (st *stream) sleep(d time.Duration) {
	if st.timer == nil {
		st.timer = time.NewTimer(d)
	} else {
		st.timer.Reset(d)
	}
	defer st.timer.Stop()
	select {
	case <-st.wake:
	case <-st.timer.C:
	}
}

// complete ends the body of an answer whose last bytes came before its end, and
// sends the trailers.
func (st *stream) complete() {
	hc := st.hc
	hc.mu.Lock()
	defer hc.mu.Unlock()
	if len(st.trailers) > 0 {
		hc.core.SendTrailers(&st.core, st.trailers)
	} else {
		hc.core.SendData(&st.core, nil, true)
	}
}
