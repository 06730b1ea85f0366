package l7

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/h2"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// The upload of a stream. What a server does not take stays in the stream's queue,
// within the windows of its connection, and goes with the stream at once when
// the client gives it up: who waits for a server holds nothing else.

// portion is a part of a body on its way to a server, framed for it.
type portion struct {
	head  []byte // still to be sent in front of the data; backed by space
	data  int    // bytes still to be sent, the first ones of the queue
	tail  []byte // still to be sent behind
	errno error
	space [h1.ChunkHeadRoom]byte
}

// portionSize is how many bytes of a body are sent at once.
const portionSize = 64 << 10

var endOfChunk = []byte("\r\n")

func (p *portion) sent() bool { return len(p.head)+p.data+len(p.tail) == 0 }

// newStreamUpload is newUpload for a stream, whose body has no framing of its
// own.
func newStreamUpload(st *stream) *upload {
	up := uploadOf(&st.conn)
	up.st, up.trySendFn = st, up.trySend
	return up
}

// runStream moves the body of a stream until its end.
func (up *upload) runStream() {
	st := up.st
	timer := time.NewTimer(up.timeout)
	defer timer.Stop()
	for {
		n, state := up.next(timer)
		switch state {
		case uploading:
		case uploadStopped:
			up.state.Store(state)
			return
		default:
			up.end(state)
			return
		}
		st.await(&st.h.in, n)
		up.u.rtimer.armTaking(up.timeout)
		up.received += int64(n)
		if up.ended {
			up.finished = loop.Clock()
			up.u.taking.mark(up.u.fd) // from here on nothing else would
			up.state.Store(uploadEnding)
		}
		var err error
		if up.raw {
			err = up.passFrames(n)
		} else {
			err = up.passPortion(n)
		}
		if err == errGone {
			up.end(uploadGone)
			return
		}
		if up.settled(err) {
			return
		}
	}
}

// errGone says that the client has given up what was to be sent.
var errGone = errors.New("request given up")

// next waits for a part of the body, and tells how much is there. It is nothing
// where only the end has come.
func (up *upload) next(timer *time.Timer) (int, uint32) {
	st := up.st
	up.u.rtimer.disarm() // while the client is to be waited for, not the server
	timer.Reset(up.timeout)
	asked := loop.Clock()
	for {
		st.hc.mu.Lock()
		n := min(st.queue.size, portionSize, most(&st.h.in))
		ended, alive := st.core.Ended() && st.queue.size == n, st.alive()
		st.hc.mu.Unlock()
		switch {
		case !alive:
			return 0, uploadGone
		case n > 0 || ended:
			if up.ended = ended; !up.keepsPace(loop.Clock()-asked, n) {
				return 0, uploadTooSlow
			}
			return n, uploading
		}
		select {
		case <-up.stop:
			return 0, uploadStopped
		case <-st.more:
		case <-timer.C:
			if up.raw && up.u.http2.active(up.timeout) { // a stream of answers
				timer.Reset(up.timeout)
				continue
			}
			return 0, up.tooSlow()
		}
	}
}

// passPortion sends the next n bytes to a server of HTTP/1.1.
func (up *upload) passPortion(n int) error {
	p := &up.portion
	p.data = n
	if up.chunks {
		if n > 0 {
			p.head = p.space[h1.PutChunkHead(p.space[:], len(p.space), n):]
			p.tail = endOfChunk
		}
		if up.ended {
			p.tail = slices.Concat(p.tail, []byte("0\r\n"), up.st.requestTrailers, endOfChunk)
		}
	}
	for !p.sent() {
		p.errno = nil
		if err := up.u.sendWhen(up.trySendFn); err != nil {
			return err
		}
		if p.errno != nil {
			return p.errno
		}
		up.st.hc.flush() // the window may have been opened
	}
	return nil
}

// trySend sends as much of the portion as there is room for; true ends one wait.
// Memory for it is taken only while there may be room.
func (up *upload) trySend(uintptr) bool {
	p := &up.portion
	b := getBlock()
	defer putBlock(b)
	n := copy(b[:], p.head)
	k, ok := up.peek(b[n:min(n+p.data, len(b))])
	if !ok {
		p.errno = errGone
		return true
	}
	if n += k; k == p.data {
		n += copy(b[n:], p.tail)
	}
	n, e := sock.Send(up.u.fd, b[:n])
	if e == syscall.EAGAIN {
		return false
	}
	if e != 0 {
		p.errno = e
		return true
	}
	k = min(n, len(p.head))
	p.head, n = p.head[k:], n-k
	k = min(n, p.data)
	up.took(k)
	p.data, n = p.data-k, n-k
	p.tail = p.tail[n:]
	return true
}

// passFrames sends the next n bytes to a server of HTTP/2.
func (up *upload) passFrames(n int) error {
	h := up.u.http2
	var trailers []byte
	if up.ended {
		trailers = up.st.requestTrailers
	}
	for {
		b := getBlock()
		k, ok := up.peek(b[:min(n, h2.FrameSize)])
		if !ok {
			putBlock(b)
			return errGone
		}
		sent, done, err := h.offer(b[:k], up.ended && k == n, trailers)
		putBlock(b)
		up.took(sent)
		up.st.hc.flush()
		switch n -= sent; {
		case err != nil:
			return err
		case done && n == 0:
			return nil
		case sent == 0:
			if err := h.await(up.stop); err != nil {
				return err
			}
		}
	}
}

// peek copies the first bytes of the body that were not sent to p. It is false
// when they are not there any more.
func (up *upload) peek(p []byte) (n int, ok bool) {
	st := up.st
	st.hc.mu.Lock()
	defer st.hc.mu.Unlock()
	n = st.queue.peek(p)
	return n, n == len(p)
}

// took forgets n bytes of the body, which were sent.
func (up *upload) took(n int) {
	st := up.st
	if n == 0 {
		return
	}
	st.hc.mu.Lock()
	defer st.hc.mu.Unlock()
	if n <= st.queue.size { // else the client has given it up
		st.queue.drop(n)
		st.hc.core.Consumed(&st.core, n)
	}
}
