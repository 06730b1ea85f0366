package l7

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// upload passes a request body on that was not in the buffer to its end. It has
// a goroutine of its own, since the server may answer, and say 100 Continue,
// while the client still sends.
type upload struct {
	c       *conn
	u       *upstream
	timeout time.Duration

	chunks  bool
	left    int64
	decoder h1.Chunked

	first []byte // what was in the buffer, framed for the server; backed by store
	store *block
	used  int    // bytes of the buffer that first took, behind the head
	rest  []byte // bytes read behind the end of the body
	ended bool   // the end of the body was framed, not necessarily sent

	raw     bool          // the server gets the body without framing, by HTTP/2
	calls   bool          // it consists of the messages of a call
	st      *stream       // the client's side, of HTTP/2; nil: the connection itself
	stop    chan struct{} // closed to have it end, with st
	portion portion       // that is being sent, with st
	// trySendFn is the callback for sending it.
	trySendFn func(uintptr) bool
	received  int64 // bytes, beside those of the buffer
	finished  int64 // when the last of them had come

	started bool
	pace    pace        // of the client
	expects bool        // the client waits for 100 Continue
	told    atomic.Bool // it need not any more
	talks   atomic.Bool // the server's answer has begun
	state   atomic.Uint32
	done    chan struct{}
}

// The states of an upload.
const (
	uploading    uint32 = iota
	uploadEnding        // the last bytes are being sent
	uploadComplete
	uploadMalformed
	uploadTooSlow
	uploadGone     // the client broke off
	uploadRejected // the server took no more: its answer decides
	uploadUnasked  // the server did not say 100 Continue
	uploadStopped
)

// uploadOf is the upload of the request that c is about, still without any of it.
func uploadOf(c *conn) *upload {
	req := &c.w.req
	return &upload{
		c: c, expects: req.Expect100, chunks: req.Body == h1.Chunks, left: req.BodyLength,
		raw: c.h.snap.Load().toHTTP2(), calls: isGRPC(req, c.w.in),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// isGRPC tells whether a request is a call of gRPC.
func isGRPC(req *h1.Request, in []byte) bool {
	const grpc = "application/grpc"
	f := req.Find(h1.ContentType)
	return f != nil && len(f.Text(in)) >= len(grpc) && h1.IsNamed(f.Text(in)[:len(grpc)], grpc)
}

// newUpload frames the part of the body that is in the buffer.
func newUpload(c *conn) *upload {
	req, up := &c.w.req, uploadOf(c)
	have := c.w.in[req.Len():]
	if !up.chunks {
		up.first = have
		up.left -= int64(len(have))
		up.used = len(have)
		return up
	}
	var buf []byte
	if headRoom+len(have)+tailRoom <= blockSize {
		up.store = getBlock()
		buf = up.store[:]
	} else { // behind a head that nearly filled the largest buffer
		buf = make([]byte, headRoom+len(have)+tailRoom)
	}
	from, to, used, err := up.frame(buf, copy(buf[headRoom:], have))
	if err != nil {
		up.state.Store(uploadMalformed)
		return up
	}
	up.first, up.used = buf[from:to], used
	if up.ended {
		up.state.Store(uploadComplete)
	}
	return up
}

// frame turns n bytes at headRoom into what the server gets.
func (up *upload) frame(b []byte, n int) (from, to, used int, err error) {
	if !up.chunks {
		up.left -= int64(n)
		up.ended = up.left == 0
		return headRoom, headRoom + n, n, nil
	}
	in := b[headRoom : headRoom+n]
	size, used, err := up.decoder.Decode(in, in)
	if err != nil {
		return 0, 0, used, err
	}
	if used < n {
		up.rest = append(up.rest, in[used:]...)
	}
	from, to = headRoom, headRoom
	if up.raw {
		up.ended = up.decoder.Done()
		return from, from + size, used, nil
	}
	if size > 0 {
		from = h1.PutChunkHead(b, headRoom, size)
		to = headRoom + size
		to += copy(b[to:], "\r\n")
	}
	if up.decoder.Done() {
		to += copy(b[to:], h1.LastChunk)
		up.ended = true
	}
	return from, to, used, nil
}

// complete tells whether the whole body has been taken from the client and, if
// it was not all in the buffer, sent: the server connection may then be used
// again.
func (up *upload) complete() bool { return up.state.Load() == uploadComplete }

// settle is complete for the moment when the answer has come: a server may be
// faster to answer the last bytes than the upload's goroutine to note that they
// are sent.
func (up *upload) settle() bool {
	if up.state.Load() == uploadEnding {
		select {
		case <-up.done:
		case <-time.After(endingPatience): // the server does not read them
		}
	}
	return up.complete()
}

// endingPatience is far above what noting takes.
const endingPatience = 50 * time.Millisecond

// failed tells whether the client is to blame for a body without an end.
func (up *upload) failed() bool {
	switch up.state.Load() {
	case uploadMalformed, uploadTooSlow, uploadGone:
		return true
	}
	return false
}

// run moves the body until its end.
func (up *upload) run() {
	defer close(up.done)
	defer func() {
		if v := recover(); v != nil {
			up.c.h.e.log.Error("panic in an HTTP upload", "frontend", up.c.h.id, "client", up.c.peer, "panic", v, "stack", string(debug.Stack()))
			up.end(uploadGone)
		}
	}()
	if up.st != nil {
		up.runStream()
		return
	}
	for {
		b, p, state := up.read()
		if b == nil {
			up.end(state)
			return
		}
		if in := &up.c.h.in; !in.Allow(len(p)) {
			up.c.rtimer.disarm()
			p, b = up.c.awaitWithout(in, b, p), nil
		}
		if up.settled(up.pass(b, p)) {
			up.c.rtimer.disarm()
			return
		}
	}
}

// read waits for a part of the body and frames it for the server; p lies in b.
// Without a block it tells why there is none.
func (up *upload) read() (b *block, p []byte, state uint32) {
	up.u.rtimer.disarm() // while the client is to be waited for, not the server
	if !up.c.rtimer.arm(up.timeout) {
		return nil, nil, uploadTooSlow
	}
	limit := int64(most(&up.c.h.in))
	if !up.chunks {
		limit = min(limit, up.left)
	}
	asked := loop.Clock()
	b, n, err := up.c.recvBlock(int(limit))
	switch {
	case err == nil:
	case up.c.rtimer.isFired():
		return nil, nil, up.tooSlow()
	case isTimeout(err):
		return nil, nil, uploadStopped
	default:
		return nil, nil, uploadGone
	}
	up.c.count.bytesIn.Add(uint64(n))
	up.received += int64(n)
	from, to, _, err := up.frame(b[:], n)
	switch {
	case err != nil:
		state = uploadMalformed
	case !up.keepsPace(loop.Clock()-asked, n):
		state = uploadTooSlow
	default:
		return b, b[from:to], uploading
	}
	putBlock(b)
	return nil, nil, state
}

// pass sends a part of the body to the server. b backs p, and is given back.
func (up *upload) pass(b *block, p []byte) (err error) {
	up.u.rtimer.armTaking(up.timeout)
	if up.ended {
		up.finished = loop.Clock()
		up.u.taking.mark(up.u.fd) // from here on nothing else would
		up.state.Store(uploadEnding)
	}
	if up.raw {
		err = up.u.http2.send(p, up.ended, up.stop)
	} else if len(p) > 0 {
		err = up.u.send(p)
	}
	putBlock(b)
	return err
}

// settled notes what came of a part, and tells whether the upload is over.
func (up *upload) settled(err error) bool {
	switch {
	case err != nil:
		up.state.Store(uploadRejected)
	case up.ended:
		up.state.Store(uploadComplete)
	default:
		return false
	}
	return true
}

// keepsPace reports whether the client is quick enough, after n bytes for which
// it was waited. Where the two sides talk with each other, and in a call to a
// server of HTTP/2, it may be messages, which come when there is something to say.
func (up *upload) keepsPace(waited int64, n int) bool {
	return up.pace.keeps(waited, int64(n), up.c.h.e.wheel.waits.slow) || up.ended || up.raw && up.calls || up.talks.Load()
}

// tooSlow is the state when nothing has come in time: it is the server's fault if
// the client was to wait for its word.
func (up *upload) tooSlow() uint32 {
	if up.expects && up.used == 0 && up.received == 0 && !up.told.Load() {
		return uploadUnasked
	}
	return uploadTooSlow
}

// end gives up. The server must not wait for the rest, nor we for the server.
func (up *upload) end(state uint32) {
	if state == uploadTooSlow {
		up.c.count.slowBodies.Add(1)
	}
	up.state.Store(state)
	up.u.file.SetReadDeadline(past)
}

// stopUpload waits for the upload's goroutine, which ends at once.
func (c *conn) stopUpload(u *upstream, up *upload) {
	if up == nil || !up.started {
		return
	}
	up.started = false
	close(up.stop)
	if up.st != nil {
		select {
		case <-up.done: // u may have been given back
		default:
			u.file.SetWriteDeadline(past)
			<-up.done
		}
		return
	}
	select {
	case <-up.done:
	default:
		c.file.SetReadDeadline(past)
		u.file.SetWriteDeadline(past)
		<-up.done
	}
	if c.rtimer.isFired() {
		c.rtimer.acknowledge()
	} else {
		c.rtimer.disarm()
	}
	if !c.cut.Load() {
		c.file.SetReadDeadline(time.Time{})
	}
}

// askWithUpload is upstream.request for a body that is still coming.
func (c *conn) askWithUpload(u *upstream, plan *policy.Plan, up *upload) (*block, int, error) {
	u.noWait = true
	_, _, err := u.request(c.w.out, 0)
	u.noWait = false
	switch {
	case err != nil:
		return nil, 0, err
	case u.step == askStale || u.step == askFailed:
		return nil, 0, nil
	case u.step == askPartly:
		if err := u.sendSlowly(c.w.out[u.sent:]); err != nil && isTimeout(err) {
			return nil, 0, err
		}
	}
	up.u, up.timeout, up.started = u, plan.Timeout, true
	go up.run()
	return u.recvBlock(most(&c.h.out))
}

// exchangeSlowly handles a request outside the poller's visit, because more of
// it has to be read, or because it becomes a tunnel. It is false when the
// connection is to be closed.
func (c *conn) exchangeSlowly() bool {
	if c.w.req.WebSocket {
		if !c.exchange(nil, 0) {
			return false
		}
		c.after(c.w.req.Len())
		return true
	}
	up := newUpload(c)
	defer up.free()
	if up.failed() {
		c.requests++
		c.count.requests.Add(1)
		c.beginRecord(c.w.req.Len())
		going := c.answerUpload(up)
		c.endRecord(up)
		return going
	}
	if !c.exchange(up, 0) {
		return false
	}
	c.after(c.w.req.Len() + up.used)
	if len(up.rest) == 0 || up.fromBuffer() {
		return true
	}
	// The client has sent on behind the body.
	if c.w == nil {
		if !c.beginHead() {
			return false
		}
		c.w = getWork()
	}
	for len(up.rest) > 0 {
		if !c.w.grow() {
			return false
		}
		n := copy(c.w.in[len(c.w.in):cap(c.w.in)], up.rest)
		c.w.in, up.rest = c.w.in[:len(c.w.in)+n], up.rest[n:]
	}
	return true
}

// fromBuffer tells whether what lies behind the body is still in the request's
// buffer, where after leaves it.
func (up *upload) fromBuffer() bool { return up.u == nil }

// free gives back what first is backed by.
func (up *upload) free() {
	putBlock(up.store)
	up.store, up.first = nil, nil
}

// answerUpload answers a request whose body cannot be completed.
func (c *conn) answerUpload(up *upload) bool {
	a := answer{status: 400}
	switch up.state.Load() {
	case uploadTooSlow:
		a.status = 408
	case uploadGone:
		c.count.answered(400, 0) // nobody is there to read it
		c.w.rec.answered(400, 0, loop.Clock())
		return false
	}
	return c.answerLocally(&a, up)
}
