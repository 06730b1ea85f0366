package l4

import (
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

const (
	// share is how many buffers or pipes full one direction may move before
	// others get a turn.
	share = 4
	// fullReads in sequence turn a direction to splicing.
	fullReads = 2
	// smallFill is what a pipe should carry at least; smallFills in sequence that
	// carry less turn the direction back to copying.
	smallFill  = 16 << 10
	smallFills = 4
)

// held reports whether something from e still waits to be taken by the other
// side.
func (e *end) held() bool { return e.rest != nil || e.pipe != nil && e.pipe.Held > 0 }

// relay moves what there is from src to the other side, until src has no more,
// the other side takes no more, or the direction has had its share. Nothing is
// read while the other side is full, so what is held stays bounded and the
// sender is slowed down by its own window. False says that c has ended or is
// about to, and must be left alone.
func (c *conn) relay(src *end) bool {
	dst := src.other()
	if c.state != established {
		return false
	}
	if src.held() {
		if !c.flush(src, dst) {
			return false
		}
		if src.held() {
			return true
		}
	}
	w := c.worker()
	q := src.queue()
	for moved := 0; src.readable && !src.eof; moved++ {
		most := w.stash.readMost()
		if q.Limited() {
			if !q.Pass(src) {
				return true
			}
			chunk := q.Chunk()
			most = min(most, chunk)
			if src.splicing && chunk < spliceChunk {
				c.copyOn(src)
			}
		}
		if moved == share {
			if !src.queued {
				src.queued = true
				w.loop.Again(src.handle, 0)
			}
			return true
		}
		if src.splicing {
			if !c.splice(src, dst) {
				return false
			}
			if src.held() {
				return true
			}
			continue
		}
		buf := w.loop.Buffer[:most]
		n, errno := sock.Recv(int(src.fd), buf)
		switch {
		case errno == syscall.EAGAIN:
			src.readable = false
			continue
		case errno != 0:
			c.part(src)
			return false
		case n == 0:
			src.eof = true
			continue
		}
		// A read that does not fill the buffer has taken all there was; what
		// comes after it is told by a new event, except an end told already.
		if n < len(buf) {
			src.full = 0
			src.readable = src.ending
		} else if len(buf) == loop.BufferSize {
			if src.full++; src.full >= fullReads {
				src.splicing, src.small = true, 0
			}
		}
		c.count(src, n)
		sent, errno := c.send(dst, buf[:n])
		if errno != 0 && errno != syscall.EAGAIN {
			return c.broken(dst)
		}
		if sent < n {
			src.rest = w.stash.keep(buf[sent:n])
			return c.await(dst)
		}
	}
	if src.eof {
		return c.ended(src, dst)
	}
	return true
}

// send gives p to e as far as e takes it now.
func (c *conn) send(e *end, p []byte) (int, syscall.Errno) {
	if e.started {
		e.tune()
	}
	e.started = true
	n, errno := sock.Send(int(e.fd), p)
	if n > 0 && e == &c.client {
		c.port.bytesOut.Add(uint64(n))
		c.tally.sent(n)
	}
	return n, errno
}

// count takes note of n bytes that came from src.
func (c *conn) count(src *end, n int) {
	c.used = c.worker().loop.Now()
	if src == &c.client {
		c.port.bytesIn.Add(uint64(n))
		c.tally.received(n)
	}
	src.queue().Take(n)
}

// copyOn turns a direction of which nothing is held from splicing to copying.
func (c *conn) copyOn(src *end) {
	src.splicing, src.full = false, 0
	if src.pipe != nil {
		c.worker().loop.PutPipe(src.pipe)
		src.pipe = nil
	}
}

// flush gives dst what is held of src, as far as dst takes it. False says that c
// has ended.
func (c *conn) flush(src, dst *end) bool {
	w := c.worker()
	if src.rest != nil {
		n, errno := c.send(dst, src.rest.bytes())
		if errno != 0 && errno != syscall.EAGAIN {
			return c.broken(dst)
		}
		if n > 0 {
			c.used = w.loop.Now()
		}
		if src.rest.take(n) > 0 {
			return c.await(dst)
		}
		w.stash.drop(src.rest)
		src.rest = nil
	}
	if src.pipe != nil && src.pipe.Held > 0 {
		return c.drain(src, dst)
	}
	return true
}

// await has c called when e can be written to again.
func (c *conn) await(e *end) bool {
	if e.watching || e.handle == 0 {
		e.watching = true
		return true
	}
	e.watching = true
	if err := c.worker().loop.Modify(e.handle, loop.Readable|loop.Writable|loop.PeerClosed); err != nil {
		c.tally.because(endNoRoom)
		c.reset()
		return false
	}
	return true
}

// splice moves one fill of a pipe. False says that c has ended.
func (c *conn) splice(src, dst *end) bool {
	w := c.worker()
	if src.pipe == nil {
		if src.pipe = w.loop.TakePipe(); src.pipe == nil {
			src.splicing, src.full = false, 0
			return true
		}
	}
	n, errno := src.pipe.Fill(int(src.fd))
	switch {
	case errno == syscall.EAGAIN:
		src.readable = false
	case errno == syscall.EINVAL: // a kind of socket that cannot be spliced
		src.splicing, src.full = false, 0
	case errno != 0:
		c.part(src)
		return false
	case n == 0:
		src.eof = true
	}
	if n == 0 {
		w.loop.PutPipe(src.pipe) // idle: others may need it
		src.pipe = nil
		return true
	}
	if n >= smallFill {
		src.small = 0
	} else if src.small++; src.small >= smallFills {
		src.splicing, src.full = false, 0
	}
	c.count(src, n)
	return c.drain(src, dst)
}

// drain empties a pipe as far as dst takes it. False says that c has ended.
func (c *conn) drain(src, dst *end) bool {
	dst.tune()
	dst.started = true
	for src.pipe.Held > 0 {
		n, errno := src.pipe.Drain(int(dst.fd))
		if n > 0 {
			c.used = c.worker().loop.Now()
			if dst == &c.client {
				c.port.bytesOut.Add(uint64(n))
				c.tally.sent(n)
			}
		}
		if errno == syscall.EAGAIN {
			return c.await(dst)
		}
		if errno != 0 {
			return c.broken(dst)
		}
	}
	if !src.splicing {
		c.worker().loop.PutPipe(src.pipe)
		src.pipe = nil
	}
	return true
}

// ended passes on the end of the stream from src, and ends c when both have.
// False says that c has ended.
func (c *conn) ended(src, dst *end) bool {
	if src.pipe != nil {
		c.worker().loop.PutPipe(src.pipe)
		src.pipe = nil
	}
	if dst.eof { // nothing is held of it either, or it would not have been read
		c.finish()
		return false
	}
	if !dst.shut {
		dst.shut = true
		if errno := sock.ShutdownWrite(int(dst.fd)); errno != 0 {
			return c.broken(dst)
		}
	}
	return true
}

// broken ends c because e takes no more data. What e said before it broke is
// still passed on, as far as the other side takes it at once: a server that
// refuses a request half-way often says why. It returns false, as its callers do.
func (c *conn) broken(e *end) bool {
	other := e.other()
	buf := c.worker().loop.Buffer
	for range share {
		if e.held() || other.shut {
			break
		}
		n, errno := sock.Recv(int(e.fd), buf)
		if errno != 0 || n == 0 {
			break
		}
		c.count(e, n)
		if sent, _ := c.send(other, buf[:n]); sent < n {
			break
		}
	}
	c.part(e)
	return false
}
