package l7

import (
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

// blockQueue holds the part of a request's body that no server has taken. The
// window of its stream bounds it.
type blockQueue struct {
	blocks []*block
	last   int // bytes in the last block
	size   int
}

// queueRoom is how much of a block is used: there is room for the framing of a
// chunk around it.
const queueRoom = blockSize - headRoom - tailRoom

func (q *blockQueue) add(p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		if len(q.blocks) == 0 || q.last == queueRoom {
			q.blocks = append(q.blocks, getBlock())
			q.last = 0
		}
		n := copy(q.blocks[len(q.blocks)-1][headRoom+q.last:headRoom+queueRoom], p)
		q.last += n
		p = p[n:]
	}
}

// take removes the first block; nil when there is none. Its data begin at
// headRoom.
func (q *blockQueue) take() (b *block, n int) {
	if len(q.blocks) == 0 {
		return nil, 0
	}
	b = q.blocks[0]
	if n = queueRoom; len(q.blocks) == 1 {
		n, q.last = q.last, 0
	}
	q.blocks = q.blocks[:copy(q.blocks, q.blocks[1:])]
	q.size -= n
	return b, n
}

func (q *blockQueue) appendTo(dst []byte) []byte {
	for q.size > 0 {
		b, n := q.take()
		dst = append(dst, b[headRoom:headRoom+n]...)
		putBlock(b)
	}
	return dst
}

func (q *blockQueue) free() {
	for q.size > 0 {
		b, _ := q.take()
		putBlock(b)
	}
}

// newStreamUpload is newUpload for a stream, whose body has no framing of its
// own.
func newStreamUpload(st *stream) *upload {
	req := &st.w.req
	return &upload{c: &st.conn, st: st, expects: req.Expect100, raw: st.h.snap.Load().toHTTP2(), chunks: req.Body == h1.Chunks, left: req.BodyLength, done: make(chan struct{}), stop: make(chan struct{})}
}

// runStream moves the body of a stream until its end.
func (up *upload) runStream() {
	st := up.st
	timer := time.NewTimer(up.timeout)
	defer timer.Stop()
	for {
		b, n, state := up.next(timer)
		if b == nil {
			if state == uploadStopped {
				up.state.Store(state)
			} else {
				up.end(state)
			}
			return
		}
		st.await(&st.h.in, n)
		up.u.rtimer.arm(up.timeout)
		from, to := headRoom, headRoom+n
		if up.chunks && !up.raw {
			to += copy(b[to:], "\r\n")
			from = h1.PutChunkHead(b[:], from, n)
			if n == 0 {
				from = to
			}
		}
		up.received += int64(n)
		if up.ended {
			up.finished = loop.Clock()
			up.state.Store(uploadEnding)
		}
		var err error
		if up.raw {
			var trailers []byte
			if up.ended {
				trailers = st.requestTrailers
			}
			err = up.u.http2.send(b[from:to], up.ended, trailers, up.stop)
		} else if to > from {
			err = up.u.send(b[from:to])
		}
		putBlock(b)
		if err == nil && up.ended && up.chunks && !up.raw {
			err = up.u.send(appendLastChunk(nil, st.requestTrailers))
		}
		if n > 0 && err == nil {
			st.hc.mu.Lock()
			st.hc.core.Consumed(&st.core, n)
			st.hc.mu.Unlock()
			st.hc.flush()
		}
		if err != nil {
			up.state.Store(uploadRejected)
			return
		}
		if up.ended {
			up.state.Store(uploadComplete)
			return
		}
	}
}

// next waits for a part of the body. The last one may be empty.
func (up *upload) next(timer *time.Timer) (*block, int, uint32) {
	st := up.st
	up.u.rtimer.disarm() // while the client is to be waited for, not the server
	timer.Reset(up.timeout)
	asked := loop.Clock()
	for {
		st.hc.mu.Lock()
		b, n := st.queue.take()
		ended, alive := st.core.Ended() && st.queue.size == 0, st.alive()
		if n > 0 || ended {
			up.ended = ended
			st.hc.mu.Unlock()
			if !up.keepsPace(loop.Clock()-asked, n) {
				putBlock(b)
				return nil, 0, uploadTooSlow
			}
			if b == nil {
				b = getBlock()
			}
			return b, n, 0
		}
		st.hc.mu.Unlock()
		if !alive {
			return nil, 0, uploadGone
		}
		select {
		case <-up.stop:
			return nil, 0, uploadStopped
		case <-st.more:
		case <-timer.C:
			if up.raw && up.u.http2.active(up.timeout) { // a stream of answers
				timer.Reset(up.timeout)
				continue
			}
			return nil, 0, up.tooSlow()
		}
	}
}

// appendLastChunk ends a chunked body with trailers.
func appendLastChunk(dst, trailers []byte) []byte {
	dst = append(dst, "0\r\n"...)
	dst = append(dst, trailers...)
	return append(dst, "\r\n"...)
}
