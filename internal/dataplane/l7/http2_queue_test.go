package l7

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestPieceQueue: what goes in comes out in order, in parts of any size, and
// nothing is kept of what is out.
func TestPieceQueue(t *testing.T) {
	var q pieceQueue
	in := pattern(300_000)
	rng := rand.New(rand.NewPCG(1, 2))
	var out []byte
	for added := 0; len(out) < len(in); {
		n := min(rng.IntN(3*pieceSize), len(in)-added)
		q.add(in[added : added+n])
		added += n
		buf := make([]byte, rng.IntN(3*pieceSize))
		k := q.peek(buf)
		if want := min(len(buf), added-len(out)); k != want || q.size != added-len(out) {
			t.Fatalf("%d of %d, want %d", k, q.size, want)
		}
		k = rng.IntN(k + 1)
		q.drop(k)
		out = append(out, buf[:k]...)
		if most := q.size/pieceSize + 2; len(q.pieces) > most || q.size == 0 && len(q.pieces) > 0 {
			t.Fatalf("%d pieces for %d bytes", len(q.pieces), q.size)
		}
		for _, p := range q.pieces[len(q.pieces):cap(q.pieces)] {
			if p != nil {
				t.Fatal("a piece is held that was given back")
			}
		}
	}
	if !bytes.Equal(in, out) {
		t.Error("other bytes")
	}
	q.add(in)
	if q.free(); q.size != 0 || len(q.pieces) != 0 {
		t.Errorf("%d bytes are left", q.size)
	}
}
