package l7

import (
	"compress/gzip"
	"sync"
)

// compressing bounds how many answers are compressed at once, for memory's sake:
// each takes some 1.2 MB. An answer beyond that goes as it is rather than wait.
const compressing = 32

// computing bounds how many of them compute at once, so that a processor is left
// for those who wait for something else.
func computing(processors int) int { return max(1, processors-1) }

// compressors gives out what compresses answers.
type compressors struct {
	free  chan struct{} // one for each that may be in use
	turns *turnstile
	idle  sync.Pool
}

func newCompressors(processors int) *compressors {
	return &compressors{free: make(chan struct{}, compressing), turns: newTurnstile(computing(processors))}
}

// reserve promises a compressor, without waiting. The promise is kept by take or
// taken back by cancel.
func (cs *compressors) reserve() bool {
	select {
	case cs.free <- struct{}{}:
		return true
	default:
		return false
	}
}

func (cs *compressors) cancel() { <-cs.free }

// take gives the compressor that was promised.
func (cs *compressors) take() *compressor {
	z, _ := cs.idle.Get().(*compressor)
	if z == nil {
		z = &compressor{of: cs}
		// The level of the engines that the vendor builds on: most of the gain, for
		// half of the time that the next levels take.
		z.zip, _ = gzip.NewWriterLevel(z, gzip.BestSpeed) // the level is a known one
	}
	z.out = append(z.out[:0], make([]byte, headRoom)...)
	z.zip.Reset(z)
	return z
}

// compressor compresses the body of one answer: what comes from a server goes in
// by add, what goes to the client stands at out[headRoom:] until
// reset. It is a stage on bytes
// and knows neither sockets nor a protocol. What computes never runs on a loop.
type compressor struct {
	of  *compressors
	zip *gzip.Writer
	out []byte // what has been compressed and not yet taken, from headRoom on
	raw bool   // something was added since the last flush
}

// Write takes what the writer of the format has ready.
func (z *compressor) Write(p []byte) (int, error) {
	z.out = append(z.out, p...)
	return len(p), nil
}

// add compresses p. last ends the body.
func (z *compressor) add(p []byte, last bool) {
	z.of.turns.acquire()
	defer z.of.turns.release()
	// Errors are those of Write, which has none.
	if len(p) > 0 {
		_, _ = z.zip.Write(p)
		z.raw = true
	}
	if last {
		_ = z.zip.Close()
		z.raw = false
	}
}

// flush makes all that was added ready to be taken: the server is silent, and
// the client should see what there is.
func (z *compressor) flush() {
	if !z.raw {
		return
	}
	z.of.turns.acquire()
	defer z.of.turns.release()
	_ = z.zip.Flush()
	z.raw = false
}

// ready is the number of bytes that can be taken.
func (z *compressor) ready() int { return len(z.out) - headRoom }

// reset forgets what has been taken.
func (z *compressor) reset() { z.out = z.out[:headRoom] }

// release gives the compressor back.
func (z *compressor) release() {
	if cap(z.out) > 4*blockSize {
		z.out = nil
	}
	z.zip.Reset(z)
	z.raw = false
	z.of.idle.Put(z)
	z.of.cancel()
}
