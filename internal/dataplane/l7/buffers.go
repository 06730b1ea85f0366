package l7

import (
	"sync"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
)

// Sizes of buffers. A block takes any head whole and moves bodies in few system
// calls; a work buffer takes the requests of everyday life.
const (
	blockSize = 72 << 10
	// headRoom is kept free in front of data that was read, for a head that
	// grew or a chunk size; tailRoom behind it, for the end of a chunk.
	headRoom = 1 << 10
	tailRoom = 16
	workSize = 8 << 10
)

type block [blockSize]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

func getBlock() *block { return blocks.Get().(*block) }

// putBlock takes a block back; nil is none.
func putBlock(b *block) {
	if b != nil {
		blocks.Put(b)
	}
}

// work is what one request needs from its first byte to the end of its answer.
type work struct {
	in    []byte // what came from the client, from the start of the request
	big   *block // backs in when small does not suffice
	out   []byte // what goes to the server: head and the body that was there
	head  []byte // scratch for the answer's head
	mark  []byte // scratch for a session's cookie
	req   h1.Request
	resp  h1.Response
	edits h1.RequestEdits
	rec   record
	// outgoing is of the request's trace.
	outgoing outgoing
	tried    [maxConnectTries]*member // servers that could not be connected to
	// began and read are when the first byte of the request and the whole of its
	// head had come; 0: not yet.
	began, read int64

	small [workSize]byte
}

var works = sync.Pool{New: func() any {
	return &work{out: make([]byte, 0, workSize+1024), head: make([]byte, 0, 2048)}
}}

func getWork() *work {
	w := works.Get().(*work)
	w.in = w.small[:0]
	w.req.Reset()
	w.began = 0
	return w
}

func putWork(w *work) {
	if w.big != nil {
		putBlock(w.big)
		w.big = nil
	}
	if cap(w.out) > 4*workSize {
		w.out = make([]byte, 0, workSize+1024)
	}
	if cap(w.head) > 4*workSize {
		w.head = make([]byte, 0, 2048)
	}
	w.rec.shrink()
	w.in = nil
	works.Put(w)
}

// grow makes room behind in. It is false when the largest buffer is full.
func (w *work) grow() bool {
	if len(w.in) < cap(w.in) {
		return true
	}
	if w.big != nil {
		return false
	}
	w.big = getBlock()
	w.in = w.big[:copy(w.big[:], w.in)]
	return true
}

// fill puts bytes into an empty in. They must fit the largest buffer.
func (w *work) fill(p []byte) {
	if len(p) > workSize {
		w.big = getBlock()
		w.in = w.big[:0]
	}
	w.in = append(w.in, p...)
}

// fillExactly is fill for one of many requests that wait at the same time: a large
// one has no more memory than it needs, in and out.
func (w *work) fillExactly(p []byte) {
	if len(p) <= workSize {
		w.fill(p)
		return
	}
	w.in = append([]byte(nil), p...)
	w.out = make([]byte, 0, len(p)+headRoom)
}

// consume drops the first n bytes of in and makes ready for the next request.
func (w *work) consume(n int) {
	rest := w.in[n:]
	if w.big != nil && len(rest) < workSize {
		w.in = w.small[:copy(w.small[:], rest)]
		putBlock(w.big)
		w.big = nil
	} else {
		w.in = w.in[:copy(w.in, rest)]
	}
	w.req.Reset()
	w.began = 0
}
