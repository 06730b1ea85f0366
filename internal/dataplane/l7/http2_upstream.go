package l7

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/h2"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// An extension beyond what the vendor has: servers that are asked by HTTP/2 with
// prior knowledge, so that gRPC works from end to end. A connection carries one
// request at a time and is kept like any other. What the server answers is
// turned into a head of HTTP/1.1 and the bare body, which the code for all answers passes on.

// http2Upstream is the protocol on a connection to a server.
type http2Upstream struct {
	u *upstream

	sending sync.Mutex // orders those who write to the connection

	mu       sync.Mutex
	core     h2.Conn // guarded by mu, as the rest is
	s        h2.Stream
	heads    []byte // that have come and were not looked at
	queue    pieceQueue
	trailers []byte
	ended    bool
	broken   bool // the server gave up, for the reason in code
	code     h2.Code
	heard    int64
	wake     chan struct{} // for who sends the body
}

func newHTTP2Upstream(u *upstream) *http2Upstream {
	h := &http2Upstream{u: u, wake: make(chan struct{}, 1)}
	h.core.Connect(h)
	return h
}

// begin opens the stream of a request and returns the first bytes to send; body
// is what there is of the body, and more tells whether that is not all. left is
// what does not fit yet.
func (h *http2Upstream) begin(head, host, body []byte, more bool) (out, left []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.code, h.ended, h.broken, h.heads, h.trailers = h2.NoError, false, false, h.heads[:0], h.trailers[:0]
	end := len(body) == 0 && !more
	h.core.SendRequest(&h.s, head, host, end)
	if !end {
		body = body[h.core.SendData(&h.s, body, !more):]
	}
	return h.core.TakeOutput(nil), body
}

// finish makes the connection ready for another request. It is false when that
// cannot be.
func (h *http2Upstream) finish() bool {
	h.mu.Lock()
	clean := h.ended && h.s.Finished() && !h.broken && !h.core.Left() && h.queue.size == 0
	h.queue.free()
	h.core.Release(&h.s)
	h.mu.Unlock()
	h.flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.core.Rest()
	return clean && h.core.Pending() == 0
}

// pump reads once from the server, waiting as the connection's timer allows.
func (h *http2Upstream) pump() error {
	b, n, err := h.u.recvBlock(blockSize)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.heard = h.u.wheel.now()
	err = h.core.Receive(time.Duration(h.heard), b[headRoom:headRoom+n])
	h.mu.Unlock()
	putBlock(b)
	h.flush()
	return err
}

// flush sends the output. Who finds somebody else sending leaves it to them.
func (h *http2Upstream) flush() {
	for h.sending.TryLock() {
		h.mu.Lock()
		out := h.core.TakeOutput(nil)
		h.mu.Unlock()
		var err error
		if len(out) > 0 {
			err = h.u.send(out)
		}
		h.sending.Unlock()
		h.mu.Lock()
		h.broken = h.broken || err != nil
		if len(out) > 0 {
			h.signal() // there is room; without need, who waits for it would go on and on
		}
		again := h.core.Pending() > 0 && !h.broken
		h.mu.Unlock()
		if !again {
			return
		}
	}
}

// offer sends as much of a part of the request's body as the server takes now, and
// no more than a frame is left waiting for others who send. end says that it is
// the last, in front of trailers. done tells that all has been said.
func (h *http2Upstream) offer(p []byte, end bool, trailers []byte) (n int, done bool, err error) {
	h.mu.Lock()
	if h.core.Pending() < h2.FrameSize {
		n = h.core.SendData(&h.s, p, end && len(trailers) == 0)
		if n == len(p) && end && len(trailers) > 0 {
			h.core.SendTrailers(&h.s, trailers)
		}
		done = n == len(p) && (!end || h.s.Finished())
	}
	over := h.broken || h.s.Dead() || h.core.Err() != nil
	h.mu.Unlock()
	h.flush()
	if over {
		return n, false, io.ErrClosedPipe
	}
	return n, done, nil
}

// await waits until more may be sent.
func (h *http2Upstream) await(stop <-chan struct{}) error {
	h.u.awaitServer()
	select {
	case <-h.wake:
		return nil
	case <-stop:
		return os.ErrDeadlineExceeded
	}
}

// send sends a part of the request's body, as fast as the server takes it. end
// says that it is the last.
func (h *http2Upstream) send(p []byte, end bool, stop <-chan struct{}) error {
	for {
		n, done, err := h.offer(p, end, nil)
		if err != nil || done {
			return err
		}
		if p = p[n:]; n > 0 {
			continue
		}
		if err := h.await(stop); err != nil {
			return err
		}
	}
}

// active tells whether the server has said something of late.
func (h *http2Upstream) active(within time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.u.wheel.now()-h.heard < int64(within)
}

// recv is recvBlock for the body of the answer.
func (h *http2Upstream) recv() (*block, int, error) {
	for {
		h.mu.Lock()
		var b *block
		n := h.queue.size
		if n > 0 {
			b = getBlock()
			n = h.queue.peek(b[headRoom : len(b)-tailRoom])
			h.queue.drop(n)
			h.core.Consumed(&h.s, n)
		}
		ended, broken := h.ended, h.broken || h.core.Err() != nil
		h.mu.Unlock()
		switch {
		case b != nil:
			h.flush()
			return b, n, nil
		case ended:
			return nil, 0, io.EOF
		case broken:
			return nil, 0, io.ErrUnexpectedEOF
		}
		if err := h.pump(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, 0, err
		}
	}
}

// empty tells whether the answer ended with its head.
func (h *http2Upstream) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended && h.queue.size == 0 && len(h.trailers) == 0
}

// drop lets go what nobody will take.
func (h *http2Upstream) drop() {
	h.mu.Lock()
	h.queue.free()
	h.mu.Unlock()
}

// recvHTTP2 is recv from a server that speaks HTTP/2.
func (r *relay) recvHTTP2() (*block, int, error) {
	h := r.u.http2
	if r.zip != nil && r.zip.raw && h.quiet() {
		if err := r.flushCompressed(); err != nil {
			return nil, 0, err
		}
	}
	b, n, err := h.recv()
	if err != nil && err != io.EOF && r.c.stream != nil {
		r.c.stream.giveUp(h)
	}
	if err == io.EOF && r.trailers != nil {
		*r.trailers = h1.AppendTrailers(*r.trailers, h.trailers, nil)
	}
	return b, n, err
}

// quiet tells whether nothing of the answer is waiting.
func (h *http2Upstream) quiet() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.queue.size == 0
}

// takeHead moves the next head to b, or waits for it.
func (h *http2Upstream) takeHead(b *block) (n int, outcome outcome) {
	for {
		h.mu.Lock()
		if i := bytes.Index(h.heads, endOfHead); i >= 0 {
			n = copy(b[headRoom:len(b)-tailRoom], h.heads[:i+len(endOfHead)])
			h.heads = h.heads[:copy(h.heads, h.heads[i+len(endOfHead):])]
			h.mu.Unlock()
			return n, delivered
		}
		broken := h.broken || h.core.Err() != nil
		h.mu.Unlock()
		if broken {
			return 0, invalid
		}
		switch err := h.pump(); {
		case err == nil:
		case isTimeout(err):
			return 0, silent
		default:
			return 0, lost
		}
	}
}

// The events of the core. The lock is held.

func (h *http2Upstream) New() *h2.Stream { return new(h2.Stream) } // of servers alone

func (h *http2Upstream) Refused(h2.Bound) {} // likewise

func (h *http2Upstream) Head(_ *h2.Stream, head []byte) { h.heads = append(h.heads, head...) }

func (h *http2Upstream) Data(_ *h2.Stream, p []byte) { h.queue.add(p) }

func (h *http2Upstream) End(_ *h2.Stream, trailers []byte) {
	h.ended = true
	h.trailers = append(h.trailers[:0], trailers...)
}

// Reset ends the stream. After a complete answer it says that the rest of the
// request is not wanted.
func (h *http2Upstream) Reset(_ *h2.Stream, code h2.Code) {
	h.broken, h.code = !h.ended, code
	h.signal()
}

func (h *http2Upstream) Window(*h2.Stream) { h.signal() }

func (h *http2Upstream) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// askHTTP2 is askOver for a server that speaks HTTP/2.
func (c *conn) askHTTP2(u *upstream, kept bool, plan *policy.Plan, up *upload) outcome {
	w := c.w
	if u.http2 == nil {
		u.http2 = newHTTP2Upstream(u)
	}
	h := u.http2
	n := bytes.Index(w.out, endOfHead) + len(endOfHead)
	more := up != nil && !up.complete()
	out, left := h.begin(w.out[:n], w.req.Host(w.in), w.out[n:], more)
	u.taking.begin(plan.Timeout)
	if !u.rtimer.armTaking(plan.Timeout) || c.abandoned() {
		c.discard(u)
		return cutShort
	}
	var err error
	if kept {
		u.noWait = true
		_, _, err = u.request(out, 0)
		u.noWait = false
		switch u.step {
		case askStale, askFailed:
			c.discard(u)
			return stale
		case askPartly:
			err = u.sendSlowly(out[u.sent:])
		}
	} else if err = u.send(out); err != nil { // a server speaks at once, and is not to be mistaken for a stale one
		c.discard(u)
		return lost
	}
	for err == nil && len(left) > 0 { // a window that is smaller than the body at hand
		h.mu.Lock()
		left = left[h.core.SendData(&h.s, left, !more):]
		over := h.ended || h.broken
		h.mu.Unlock()
		h.flush()
		if over {
			break
		}
		if len(left) > 0 {
			err = h.pump()
		}
	}
	if err == nil && more {
		up.u, up.timeout, up.started = u, plan.Timeout, true
		go up.run()
	}
	result := lost
	b := getBlock()
	if err == nil {
		n, result = c.readHTTP2Head(h, b, up)
	} else if isTimeout(err) {
		result = silent
	}
	if result == delivered {
		return c.passHead(u, b, headRoom, n, plan, up)
	}
	putBlock(b)
	c.stopUpload(u, up)
	c.discard(u)
	switch {
	case up != nil && up.failed():
		return badUpload
	case c.cut.Load():
		return cutShort
	case result == invalid && c.stream != nil && c.stream.giveUp(h):
		c.count.answered(502, 0)
		w.rec.answered(502, 0, loop.Clock()) // it is not the client who has gone
		return cutShort
	}
	return result
}

// giveUp passes on that the server has ended the stream, which says more to a
// client of gRPC than an answer of ours. It is false when that is not so.
func (st *stream) giveUp(h *http2Upstream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		st.code = h.code
	}
	return h.broken && h.code != h2.NoError
}

// readHTTP2Head is readHead.
func (c *conn) readHTTP2Head(h *http2Upstream, b *block, up *upload) (n int, result outcome) {
	w := c.w
	for interim := 0; ; interim++ {
		n, result = h.takeHead(b)
		if result != delivered {
			return n, result
		}
		w.resp.Reset()
		done, err := w.resp.Parse(b[headRoom:headRoom+n], h1.Asked{Head: w.req.IsHead(w.in)})
		switch {
		case err != nil || !done || interim > maxInterim:
			return n, invalid
		case !w.resp.Interim():
			// The end of a body is known without its length.
			w.resp.Persistent = true
			switch {
			case w.req.IsHead(w.in), w.resp.Status == 204, w.resp.Status == 304:
			case c.stream != nil && h.empty():
				w.resp.Body = h1.NoBody // all in one frame, as gRPC wants it
			default:
				w.resp.Body = h1.UntilClose
			}
			return n, delivered
		case !c.passInterim(b[headRoom:headRoom+n], up):
			return n, cutShort
		}
	}
}

// parted ends the request on u and takes u from the stream that it was for. It is
// false when u cannot be used again.
func (c *conn) parted(u *upstream) bool {
	if !u.http2.finish() {
		return false
	}
	if c.stream == nil {
		return true
	}
	// A client that gives up meanwhile interrupts what is current.
	c.stream.hc.mu.Lock()
	defer c.stream.hc.mu.Unlock()
	c.current.Store(nil)
	return !c.stream.core.Dead()
}

// abandoned tells whether the client of a stream has given it up.
func (c *conn) abandoned() bool { return c.stream != nil && c.stream.gone() }
