package l7

import "github.com/openslb/openslb/internal/dataplane/l7/h1"

// body is the body of an answer on its way from the server's framing to the
// client's.
type body struct {
	framing h1.Framing // of the server
	left    int64      // of a body with a length
	decoder h1.Chunked
	chunked bool // towards the client
	done    bool
	// trailers is where those of the server go; nil: they are dropped.
	trailers *[]byte
}

// take turns have bytes from the server, at b[at:], into what is to be sent:
// b[from:to], in the client's framing.
func (r *body) take(b *block, at, have int, reusable *bool) (from, to int, err error) {
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
		if r.done = r.decoder.Done(); r.done && r.trailers != nil {
			*r.trailers = h1.AppendTrailers(*r.trailers, r.decoder.Trailers, nil)
		}
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
