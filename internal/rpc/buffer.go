package rpc

import "sync"

// buffer is a piece of scratch memory on loan from a pool.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 4096)} }}

func getBuffer() *buffer {
	buf := buffers.Get().(*buffer)
	buf.b = buf.b[:0]
	return buf
}

// free gives the memory back; large pieces go to the collector, so that one
// huge request does not hold its memory for ever.
func (b *buffer) free() {
	if cap(b.b) <= 64<<10 {
		buffers.Put(b)
	}
}
