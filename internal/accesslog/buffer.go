package accesslog

// Sizes of buffers. A log with few lines gets a small one, so that thousands of
// them find room; one with many a large one, since the kernel takes a large write
// for less than half of what the same costs in small ones.
const (
	smallBuffer = 8 << 10
	largeBuffer = 160 << 10
)

// buffer gathers lines.
type buffer struct {
	text  []byte
	lines int
}

func newBuffer(size int) *buffer { return &buffer{text: make([]byte, 0, size)} }

// full tells whether it is to be written: a fifth is room for the line that fills
// it.
func (b *buffer) full() bool { return len(b.text) >= cap(b.text)-cap(b.text)/5 }

// take gives an empty buffer, or nil if there are too many.
func (w *Writer) take(large bool) *buffer {
	size, pool := int64(smallBuffer), &w.small
	if large {
		size, pool = largeBuffer, &w.large
	}
	if w.inUse.Add(size) > mostMemory {
		w.inUse.Add(-size)
		return nil
	}
	return pool.Get().(*buffer)
}

// give takes a buffer back. One that had to grow is left to the collector.
func (w *Writer) give(b *buffer) {
	size := cap(b.text)
	w.inUse.Add(-int64(size))
	b.text, b.lines = b.text[:0], 0
	switch size {
	case smallBuffer:
		w.small.Put(b)
	case largeBuffer:
		w.large.Put(b)
	}
}
