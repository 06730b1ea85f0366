package l4

import "github.com/openslb/openslb/internal/dataplane/loop"

// parcel keeps bytes that one side did not take.
type parcel struct {
	data  []byte // all of the room
	from  int
	to    int
	class int8
}

func (p *parcel) bytes() []byte { return p.data[p.from:p.to] }

// take drops the first n bytes and tells how many are left.
func (p *parcel) take(n int) int {
	p.from += n
	return p.to - p.from
}

// stash lends parcels to the connections of a loop. The more is lent, the less
// is read at once, and so the less can be left over: many slow receivers cost
// little each, a few get full speed.
type stash struct {
	idle [len(classes)][]*parcel
	lent int // bytes of room
}

var classes = [...]struct{ size, idle int }{
	{256, 512}, // headers
	{4 << 10, 64},
	{16 << 10, 32},
	{loop.BufferSize, 16},
}

// Room lent out, from which reads become smaller.
const (
	stashSome = 4 << 20
	stashMuch = 16 << 20
)

// readMost is how much may be read at once.
func (s *stash) readMost() int {
	switch {
	case s.lent < stashSome:
		return classes[3].size
	case s.lent < stashMuch:
		return classes[2].size
	}
	return classes[1].size
}

// keep copies b into a parcel.
func (s *stash) keep(b []byte) *parcel {
	class := 0
	for len(b) > classes[class].size {
		class++
	}
	var p *parcel
	if n := len(s.idle[class]); n > 0 {
		p = s.idle[class][n-1]
		s.idle[class] = s.idle[class][:n-1]
	} else {
		p = &parcel{data: make([]byte, classes[class].size), class: int8(class)}
	}
	s.lent += len(p.data)
	p.from, p.to = 0, copy(p.data, b)
	return p
}

// drop takes a parcel back.
func (s *stash) drop(p *parcel) {
	s.lent -= len(p.data)
	if len(s.idle[p.class]) < classes[p.class].idle {
		s.idle[p.class] = append(s.idle[p.class], p)
	}
}
