package l7

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// errClient marks a failure to send to the client.
var errClient = errors.New("client connection failed")

// errFirst marks an answer whose body is malformed from the start, found before
// anything was sent to the client.
var errFirst = errors.New("malformed body")

// relay passes the body of an answer on.
type relay struct {
	body
	c       *conn
	u       *upstream
	timeout time.Duration
	// released: u was given back for reuse while its last bytes were still being
	// sent to the client.
	released bool
	// zip compresses the body; nil: it goes as it is. zipChunked is then chunked
	// of the compressed body.
	zip        *compressor
	zipChunked bool
}

// recv reads from the server. What has been compressed so far does not stay
// behind while the server is silent.
func (r *relay) recv(limit int) (*block, int, error) {
	if r.u.http2 != nil {
		return r.recvHTTP2()
	}
	if r.zip != nil && r.zip.raw {
		b := getBlock()
		n, errno := sock.Recv(r.u.fd, b[headRoom:headRoom+min(limit, len(b)-headRoom-tailRoom)])
		if n > 0 {
			return b, n, nil
		}
		putBlock(b)
		switch errno {
		case 0:
			return nil, 0, io.EOF
		case syscall.EAGAIN:
			if err := r.flushCompressed(); err != nil {
				return nil, 0, err
			}
		default:
			return nil, 0, errno
		}
	}
	return r.u.recvBlock(limit)
}

// start passes on the head and have bytes behind it in b, from at on, then the
// rest of the body. It gives b back. reusable says that u may be kept if the
// body ends well.
func (r *relay) start(b *block, at, have int, head []byte, reusable bool) error {
	from, to, err := r.take(b, at, have, &reusable)
	if err != nil {
		putBlock(b)
		return errFirst
	}
	status, rec, now := r.c.w.resp.Status, &r.c.w.rec, loop.Clock()
	r.c.count.answered(status, status)
	rec.passed(status, len(head), now)
	rec.look(r.c.front().fd)
	if r.done {
		r.serverDone(now)
	}
	r.blameless()
	if r.done && reusable {
		r.c.release(r.u)
		r.released = true
	}
	if r.zip != nil {
		err = r.startCompressed(b[from:to], head)
		putBlock(b)
		return r.finish(err, &reusable)
	}
	// Head and body in one piece: there is room in front of the body, since the
	// old head was there.
	if start := from - len(head); start >= 0 {
		copy(b[start:], head)
		err = r.deliverBlock(b, start, to)
	} else if err = r.deliverHead(head); err == nil && to > from {
		err = r.deliverBlock(b, from, to)
	} else {
		putBlock(b)
	}
	return r.finish(err, &reusable)
}

// finish passes on the rest of the body.
func (r *relay) finish(err error, reusable *bool) error {
	for err == nil && !r.done {
		err = r.pass(reusable)
	}
	if err == nil && r.c.stream != nil {
		r.c.stream.complete()
	}
	if err != nil && err != errClient && !r.c.stopped() {
		r.c.w.rec.broke()
	}
	if err == nil && *reusable && !r.released {
		r.c.release(r.u)
		r.released = true
	}
	if err == nil {
		r.c.count.response.took(loop.Clock() - r.c.began)
		r.c.w.rec.whole = true
	}
	return err
}

// serverDone notes how long the server took. It has said all.
func (r *relay) serverDone(now int64) {
	r.c.count.upstream.took(now - r.c.began)
	r.c.w.rec.endTry(now)
}

// pass moves one block of body.
func (r *relay) pass(reusable *bool) error {
	if r.u.sharer != nil {
		if err := r.u.sharer.awaitRoom(); err != nil {
			return err
		}
	}
	if !r.u.rtimer.arm(r.timeout) {
		return io.ErrUnexpectedEOF
	}
	limit := most(&r.c.h.out)
	if r.framing == h1.Length {
		limit = int(min(r.left, int64(limit)))
	}
	b, n, err := r.recv(limit)
	r.blameless()
	if err == io.EOF && r.framing == h1.UntilClose {
		r.done = true
		r.serverDone(loop.Clock())
		if r.zip != nil {
			return r.passCompressed(nil)
		}
		if r.chunked {
			return r.deliver([]byte(h1.LastChunk))
		}
		return nil
	}
	if err != nil {
		return err
	}
	from, to, err := r.take(b, headRoom, n, reusable)
	if r.done {
		r.serverDone(loop.Clock())
	}
	switch {
	case err != nil:
	case r.zip != nil:
		err = r.passCompressed(b[from:to])
	case to > from:
		return r.deliverBlock(b, from, to)
	}
	putBlock(b)
	return err
}

// deliver sends what is ready of the body, all of the rest of it when it is done.
func (r *relay) deliver(p []byte) error {
	r.c.last = r.done
	return r.send(p)
}

// deliverHead sends the head on its own.
func (r *relay) deliverHead(head []byte) error {
	r.c.last = false
	return r.send(head)
}

func (r *relay) send(p []byte) error {
	if out := &r.c.h.out; !out.Allow(len(p)) {
		r.c.await(out, len(p))
	}
	if r.c.deliver(p) != nil {
		return errClient
	}
	return nil
}

// blameless has the server not be timed any more: it may be the client that has to
// be waited for.
func (r *relay) blameless() {
	if !r.released { // else it may be another's by now
		r.u.rtimer.disarm()
	}
}

// deliverBlock sends b[from:to] to the client and gives b back.
func (r *relay) deliverBlock(b *block, from, to int) error {
	p := b[from:to]
	if out := &r.c.h.out; !out.Allow(len(p)) {
		if r.c.stream != nil {
			r.c.stream.unshare()
		}
		p, b = r.c.awaitWithout(out, b, p), nil
	}
	r.c.last = r.done
	var err error
	if r.c.stream != nil {
		err = r.c.stream.deliverFrom(b, p)
	} else {
		err = r.c.deliver(p)
		putBlock(b)
	}
	if err != nil {
		return errClient
	}
	return nil
}
