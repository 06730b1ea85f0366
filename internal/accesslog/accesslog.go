// Package accesslog writes lines to files for parts that must not wait: event
// loops above all. A line is made in a buffer in memory; one goroutine writes
// the buffers out, rotates the files and removes old ones. When it cannot keep up
// lines are dropped and counted, never waited for. Nothing is synced: a crash of
// the host may cost the last lines, a crash of the process a quarter of a second.
package accesslog

import (
	"bytes"
	"hash/fnv"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Writer. The zero value of all but Dir is of use.
type Options struct {
	// Dir is where the files are. It is made with the first line.
	Dir string
	// MaxSize of a file in bytes, after which it is put aside under a name with
	// the time and a new one begun; 0: 100 MB.
	MaxSize int64
	// Period after which a file is put aside whatever its size, counted from
	// midnight UTC; 0: a day.
	Period time.Duration
	// Keep is how long files that were put aside are kept; 0: a week.
	Keep time.Duration
	// KeepFiles is how many files that were put aside are kept of one log; 0: 100.
	KeepFiles int
	// Logger is told of files that cannot be written. nil: nobody is.
	Logger *slog.Logger
}

// Bounds of what waits to be written.
const (
	// mostMemory is how many bytes of buffers there are at most: beyond it lines
	// are dropped.
	mostMemory = 32 << 20
	// flushAfter is how long a line waits at most for others.
	flushAfter = 250 * time.Millisecond
	shards     = 8
)

// Writer writes any number of logs. Its methods are safe for concurrent use.
type Writer struct {
	o       Options
	files   files // of the goroutine alone
	full    chan batch
	wake    chan struct{} // a log has become dirty
	quit    chan struct{}
	done    chan struct{}
	small   sync.Pool
	large   sync.Pool
	inUse   atomic.Int64 // bytes of buffers
	written atomic.Uint64
	dropped atomic.Uint64
	failed  atomic.Uint64

	mu    sync.Mutex
	dirty []*Log // logs with lines that are in no full buffer
}

// batch is a buffer on its way to its file.
type batch struct {
	path string
	buf  *buffer
}

// New starts a writer.
func New(o Options) *Writer {
	if o.MaxSize <= 0 {
		o.MaxSize = 100 << 20
	}
	if o.Period <= 0 {
		o.Period = 24 * time.Hour
	}
	if o.Keep <= 0 {
		o.Keep = 7 * 24 * time.Hour
	}
	if o.KeepFiles <= 0 {
		o.KeepFiles = 100
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Writer{o: o, full: make(chan batch, mostMemory/smallBuffer), wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	w.small.New = func() any { return newBuffer(smallBuffer) }
	w.large.New = func() any { return newBuffer(largeBuffer) }
	w.files.init(&w.o)
	go w.run()
	return w
}

// Log is one file. It costs nothing while there are no lines, and need not be
// closed.
type Log struct {
	w       *Writer
	path    string
	isDirty atomic.Bool
	shards  [shards]shard
}

type shard struct {
	mu    sync.Mutex
	buf   *buffer // nil: there are no lines
	busy  bool    // the buffer before was filled, rather than written for its age
	stamp Stamp
	_     [24]byte
}

// Log gives the log of a path below the writer's directory, such as
// ("project", "store", "lb-1"). Parts may be any text: what cannot be in a file
// name is escaped. Several with the same path write to the same file.
func (w *Writer) Log(parts ...string) *Log {
	safe := make([]string, 0, len(parts)+1)
	safe = append(safe, w.o.Dir)
	for _, p := range parts {
		safe = append(safe, fileName(p))
	}
	return &Log{w: w, path: filepath.Join(safe...) + suffix}
}

// fileName makes any text the name of a file, a different one for each text.
func fileName(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	if name := b.String(); len(name) > 180 { // what file systems take has its limits
		h := fnv.New64a()
		_, _ = h.Write([]byte(s))
		return name[:160] + "~" + strconv.FormatUint(h.Sum64(), 16)
	}
	if b.Len() == 0 {
		return "%"
	}
	return b.String()
}

// Append has line append a line to what it is given, its end included. The
// caller's shard is any number that other callers seldom use at the same time.
// Append does not wait, and is false when there was no room for the line.
func (l *Log) Append(shard uint32, line func(dst []byte, stamp *Stamp) []byte) bool {
	s := &l.shards[shard%shards]
	if !l.append(s, line) {
		l.w.dropped.Add(1)
		return false
	}
	if !l.isDirty.Load() && !l.isDirty.Swap(true) {
		l.w.mark(l)
	}
	return true
}

func (l *Log) append(s *shard, line func([]byte, *Stamp) []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buf == nil {
		if s.buf = l.w.take(s.busy); s.buf == nil {
			return false
		}
	}
	b := s.buf
	had := cap(b.text)
	b.text = line(b.text, &s.stamp)
	b.lines++
	if grown := cap(b.text) - had; grown > 0 {
		l.w.inUse.Add(int64(grown))
	}
	if b.full() {
		s.busy = true
		l.w.full <- batch{l.path, b} // there is room for every buffer that there may be
		s.buf = nil
	}
	return true
}

// mark has the goroutine look after a log whose lines wait.
func (w *Writer) mark(l *Log) {
	w.mu.Lock()
	w.dirty = append(w.dirty, l)
	first := len(w.dirty) == 1
	w.mu.Unlock()
	if first {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// collect writes the buffers of all logs with lines.
func (w *Writer) collect() {
	w.mu.Lock()
	dirty := w.dirty
	w.dirty = nil
	w.mu.Unlock()
	for _, l := range dirty {
		l.isDirty.Store(false)
		for i := range l.shards {
			s := &l.shards[i]
			s.mu.Lock()
			b := s.buf
			s.buf = nil
			if b != nil {
				s.busy = len(b.text) > smallBuffer
			}
			s.mu.Unlock()
			if b != nil {
				w.write(batch{l.path, b})
			}
		}
	}
}

// write writes a buffer and takes it back.
func (w *Writer) write(b batch) {
	whole := b.buf.lines
	if n, err := w.files.write(b.path, b.buf.text); err != nil {
		whole = bytes.Count(b.buf.text[:n], []byte{'\n'})
	}
	w.written.Add(uint64(whole))
	w.failed.Add(uint64(b.buf.lines - whole))
	w.give(b.buf)
}

func (w *Writer) run() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	upkeep := time.NewTicker(upkeepEvery)
	defer upkeep.Stop()
	for {
		select {
		case b := <-w.full:
			w.write(b)
		case <-w.wake:
			timer.Reset(flushAfter)
		case <-timer.C:
			w.drain()
			w.collect()
		case now := <-upkeep.C:
			w.files.upkeep(now)
		case <-w.quit:
			w.drain()
			w.collect()
			w.files.close()
			return
		}
	}
}

// drain writes the buffers that are full.
func (w *Writer) drain() {
	for {
		select {
		case b := <-w.full:
			w.write(b)
		default:
			return
		}
	}
}

// Close writes what there is and closes the files. No line may follow.
func (w *Writer) Close() {
	close(w.quit)
	<-w.done
}

// Stats are counts of lines since the start.
type Stats struct {
	Written uint64
	Dropped uint64 // for want of room: the disk is too slow
	Failed  uint64 // could not be written
}

// Stats tells what became of the lines so far.
func (w *Writer) Stats() Stats {
	return Stats{w.written.Load(), w.dropped.Load(), w.failed.Load()}
}
