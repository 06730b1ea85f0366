package l7

import (
	"errors"
	"io"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
)

// errClient marks a failure to send to the client.
var errClient = errors.New("client connection failed")

// errFirst marks an answer whose body is malformed from the start, found before
// anything was sent to the client.
var errFirst = errors.New("malformed body")

// relay passes the body of an answer on.
type relay struct {
	c       *conn
	u       *upstream
	timeout time.Duration
	framing h1.Framing // of the server
	left    int64      // of a body with a length
	decoder h1.Chunked
	chunked bool // towards the client
	done    bool
	// released: u was given back for reuse while its last bytes were still being
	// sent to the client.
	released bool
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
	r.c.count.answered(r.c.w.resp.Status, r.c.w.resp.Status)
	if r.done && reusable {
		r.c.release(r.u)
		r.released = true
	}
	// Head and body in one piece: there is room in front of the body, since the
	// old head was there.
	if start := from - len(head); start >= 0 {
		copy(b[start:], head)
		err = r.c.deliver(b[start:to])
	} else if err = r.c.deliver(head); err == nil && to > from {
		err = r.c.deliver(b[from:to])
	}
	putBlock(b)
	for err == nil && !r.done {
		err = r.pass(&reusable)
	}
	if err == nil && reusable && !r.released {
		r.c.release(r.u)
		r.released = true
	}
	return err
}

// pass moves one block of body.
func (r *relay) pass(reusable *bool) error {
	if !r.u.rtimer.arm(r.timeout) {
		return io.ErrUnexpectedEOF
	}
	limit := blockSize
	if r.framing == h1.Length {
		limit = int(min(r.left, blockSize))
	}
	b, n, err := r.u.recvBlock(limit)
	if err == io.EOF && r.framing == h1.UntilClose {
		r.done = true
		if r.chunked {
			return r.deliver([]byte(h1.LastChunk))
		}
		return nil
	}
	if err != nil {
		return err
	}
	from, to, err := r.take(b, headRoom, n, reusable)
	if err == nil && to > from {
		err = r.deliver(b[from:to])
	}
	putBlock(b)
	return err
}

func (r *relay) deliver(p []byte) error {
	if r.c.deliver(p) != nil {
		return errClient
	}
	return nil
}

// take turns have bytes from the server, at b[at:], into what is to be sent:
// b[from:to], in the client's framing.
func (r *relay) take(b *block, at, have int, reusable *bool) (from, to int, err error) {
	from, to = at, at
	switch r.framing {
	case h1.NoBody:
		r.done = true
		if have > 0 {
			*reusable = false // bytes nobody asked for
		}
		return from, to, nil
	case h1.Length:
		n := int(min(r.left, int64(have)))
		if n < have {
			*reusable = false
		}
		r.left -= int64(n)
		r.done = r.left == 0
		return at, at + n, nil
	case h1.Chunks:
		n, used, err := r.decoder.Decode(b[at:at+have], b[at:at+have])
		if err != nil {
			return 0, 0, err
		}
		r.done = r.decoder.Done()
		if used < have {
			*reusable = false
		}
		to = at + n
	default:
		to = at + have
	}
	if !r.chunked {
		return from, to, nil
	}
	// The first bytes behind a head may leave too little room in front: the head
	// itself is room enough, being longer than a chunk's size line.
	if to > from {
		from = h1.PutChunkHead(b[:], from, to-from)
		to += copy(b[to:], "\r\n")
	}
	if r.done {
		to += copy(b[to:], h1.LastChunk)
	}
	return from, to, nil
}
