package loop

// Slab hands out values of one type and takes them back, for state that comes
// and goes with connections. Values live in chunks that are kept, so that in
// the long run nothing is allocated and pointers stay valid. Not safe for
// concurrent use: a slab belongs to a loop.
type Slab[T any] struct {
	free []*T
}

const slabChunk = 64

// Get gives a value as it was put back, or a zero one.
func (s *Slab[T]) Get() *T {
	if len(s.free) == 0 {
		chunk := make([]T, slabChunk)
		for i := range chunk {
			s.free = append(s.free, &chunk[len(chunk)-1-i])
		}
	}
	v := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return v
}

// Put takes a value back. The caller resets it and must not use it any more.
func (s *Slab[T]) Put(v *T) { s.free = append(s.free, v) }
