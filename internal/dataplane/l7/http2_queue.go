package l7

import "sync"

// pieceSize is small, because each of the many streams of a connection may hold a
// byte.
const pieceSize = 4 << 10

type piece [pieceSize]byte

var pieces = sync.Pool{New: func() any { return new(piece) }}

// pieceQueue holds the part of a body that nobody has taken. Windows bound it: of
// a connection all such queues together hold no more than its window, and less
// than two pieces each beside it.
type pieceQueue struct {
	pieces []*piece
	first  int // bytes of the first piece that were dropped
	last   int // bytes in the last piece
	size   int
}

func (q *pieceQueue) add(p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		if len(q.pieces) == 0 || q.last == pieceSize {
			q.pieces = append(q.pieces, pieces.Get().(*piece))
			q.last = 0
		}
		n := copy(q.pieces[len(q.pieces)-1][q.last:], p)
		q.last += n
		p = p[n:]
	}
}

// peek copies the first bytes to dst, as many as there are and fit.
func (q *pieceQueue) peek(dst []byte) (n int) {
	dst = dst[:min(len(dst), q.size)]
	from := q.first
	for i := 0; n < len(dst); i++ {
		n += copy(dst[n:], q.pieces[i][from:])
		from = 0
	}
	return n
}

// drop forgets the first n bytes, which must be there.
func (q *pieceQueue) drop(n int) {
	if q.size -= n; q.size == 0 {
		n = len(q.pieces) * pieceSize // the last piece, too
	}
	done := 0
	for n += q.first; n >= pieceSize && done < len(q.pieces); n -= pieceSize {
		pieces.Put(q.pieces[done])
		done++
	}
	left := copy(q.pieces, q.pieces[done:])
	clear(q.pieces[left:])
	q.pieces = q.pieces[:left]
	if q.first = n; left == 0 {
		q.first, q.last = 0, 0
	}
}

// free forgets all.
func (q *pieceQueue) free() {
	if q.size > 0 {
		q.drop(q.size)
	}
}
