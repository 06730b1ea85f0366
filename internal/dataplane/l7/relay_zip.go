package l7

import (
	"io"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
)

// A relay that compresses takes the body out of the server's framing, has it
// compressed, and frames what comes out. Only then does it differ from another.

// startCompressed passes on the head and the beginning of the body.
func (r *relay) startCompressed(p, head []byte) error {
	z := r.zip
	z.add(p, r.done)
	from, b := r.frameCompressed()
	if start := from - len(head); start >= 0 {
		copy(b[start:], head)
		from = start
	} else if err := r.deliverHead(head); err != nil {
		return err
	}
	return r.deliverCompressed(b[from:])
}

// passCompressed passes on a part of the body.
func (r *relay) passCompressed(p []byte) error {
	r.zip.add(p, r.done)
	return r.sendCompressed()
}

// sendCompressed sends what is ready.
func (r *relay) sendCompressed() error {
	if r.zip.ready() == 0 && !r.done {
		return nil
	}
	from, b := r.frameCompressed()
	return r.deliverCompressed(b[from:])
}

// flushCompressed sends all there is, and has the server be waited for again.
func (r *relay) flushCompressed() error {
	r.blameless()
	r.zip.flush()
	if err := r.sendCompressed(); err != nil {
		return err
	}
	if !r.u.rtimer.arm(r.timeout) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (r *relay) deliverCompressed(p []byte) error {
	err := r.deliver(p)
	r.zip.reset()
	return err
}

// frameCompressed puts what is ready into the client's framing: b[from:].
func (r *relay) frameCompressed() (from int, b []byte) {
	z, framed := r.zip, r.zipChunked
	from, n := headRoom, z.ready()
	if framed && n > 0 {
		z.out = append(z.out, "\r\n"...)
		from = h1.PutChunkHead(z.out, headRoom, n)
	}
	if framed && r.done {
		z.out = append(z.out, h1.LastChunk...)
	}
	return from, z.out
}
