package l7

import (
	"math"
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/loop"
)

const (
	// spliceLeft is how much of a body must still be to come for a pipe to be
	// worth its calls.
	spliceLeft = 64 << 10
	// spliceChunk is the least piece under a limit of bandwidth for which it is.
	spliceChunk = 512 << 10
	// smallFill is what a pipe should carry at least; after smallFills that carry
	// less the body is copied, as it comes in drops.
	smallFill  = 16 << 10
	smallFills = 4
)

// large is what an exchange knows of moving its answer's body within the kernel.
type large struct {
	pipe  *loop.Pipe // holds what the client has not taken; nil: nothing
	small uint8      // fills that were not worth it
}

// splices tells whether what comes next of the body goes through a pipe: the
// body must go as it is and there must be much of it.
func (x *loopExchange) splices() bool {
	switch {
	case x.small >= smallFills || x.chunked:
		return false
	case x.framing == h1.Length:
		if x.left < spliceLeft {
			return false
		}
	case x.framing != h1.UntilClose:
		return false
	}
	out := &x.c.port.out
	return !out.Limited() || out.Chunk() >= spliceChunk
}

// passSpliced moves one fill of a pipe. It is false when x must be left alone.
func (x *loopExchange) passSpliced() bool {
	p := x.r.loop.TakePipe()
	if p == nil {
		x.small = smallFills
		return true
	}
	most := int64(math.MaxInt64)
	if x.framing == h1.Length {
		most = x.left // what follows the body is none of the client's business
	}
	s := x.s
	n, errno := p.FillUpTo(int(s.fd), most)
	if n == 0 {
		x.r.loop.PutPipe(p)
		switch {
		case errno == syscall.EAGAIN:
			s.readable, s.ending = false, false
			return true
		case errno == syscall.EINVAL: // a kind of socket that cannot be spliced
			x.small = smallFills
			return true
		case errno == 0 && x.framing == h1.UntilClose:
			x.done = true
			x.settle()
			x.complete()
		default:
			x.breakOff()
		}
		return false
	}
	if n < smallFill {
		x.small++
	}
	if x.framing == h1.Length {
		x.left -= int64(n)
		x.done = x.left == 0
	}
	x.c.port.out.Take(n)
	x.pipe = p
	if x.done {
		s.readable = s.ending || !s.quiet() // something behind the body?
		x.settle()
	}
	return x.drain()
}

// drain gives the client what the pipe holds. It is false when x must be left
// alone.
func (x *loopExchange) drain() bool {
	for x.pipe.Held > 0 {
		n, errno := x.pipe.Drain(int(x.c.fd))
		x.c.port.count.bytesOut.Add(uint64(n))
		x.rec.out += int64(n)
		if errno == syscall.EAGAIN {
			x.c.setDeadline(x.r.e.wheel.waits.slow / 2)
			x.c.watch(true)
			return false
		}
		if errno != 0 {
			x.c.abort()
			return false
		}
	}
	x.freePipe()
	if x.done {
		x.complete()
		return false
	}
	x.c.setDeadline(x.plan.Timeout)
	return true
}

// freePipe gives the pipe back. What it holds is lost.
func (x *loopExchange) freePipe() {
	if x.pipe != nil {
		x.r.loop.PutPipe(x.pipe)
		x.pipe = nil
	}
}
