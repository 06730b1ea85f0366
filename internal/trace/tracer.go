// Package trace records requests as spans of distributed traces, for parts that
// must not wait: event loops above all. It reads and writes the header that
// traces travel in, decides which requests are recorded, and hands the spans of
// those that are over to an exporter in a goroutine. When that cannot keep up,
// spans are dropped and counted, never waited for.
package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Options of a Tracer.
type Options struct {
	// Ratio is the share of traces that begin here to be recorded, from 0 to 1.
	// Those that come with a request are recorded if its sender records them.
	Ratio float64
	// Parents says whose traces may come with requests; empty: AllParents.
	Parents Parents
	// Export sends spans away, which are not its own any more when it returns. An
	// error says that they are lost, a *Rejected how many of them are.
	Export func(context.Context, []*Span) error
	// Delay is how long a span waits at most for others; 0: a second.
	Delay time.Duration
	// Logger is told of spans that cannot be exported. nil: nobody is.
	Logger *slog.Logger
}

// Parents says which clients are believed about traces. Requests of others begin
// traces here, whatever they say: nobody but the ratio decides on those.
type Parents string

// The values of Parents.
const (
	AllParents      Parents = "all"
	IntranetParents Parents = "intranet" // not those who come by the internet
	NoParents       Parents = "none"
)

// Rejected is the error of an export that took place, which the receiver has
// something to say about.
type Rejected struct {
	Requests int // that lost a span at least, or may have; 0: it is a warning
	Err      error
}

// Error tells what the receiver says.
func (r *Rejected) Error() string { return r.Err.Error() }

// Unwrap gives Err.
func (r *Rejected) Unwrap() error { return r.Err }

// Bounds of what waits to be exported.
const (
	// queueSize is how many spans wait at most: beyond it they are dropped.
	queueSize = 4096
	// batchSize is how many are exported together: receivers have their limits.
	batchSize = 256
	// exportTimeout bounds the export of one batch, its repetitions included.
	exportTimeout = 20 * time.Second
	// complainEvery bounds what is logged of an exporter that fails.
	complainEvery = time.Minute
)

// Tracer decides which requests are recorded and collects their spans. Its
// methods are safe for concurrent use, and but for Close none of them waits.
type Tracer struct {
	o     Options
	bound uint64 // of the ids that are recorded
	queue chan *Span
	wake  chan struct{} // spans wait, or a batch is full
	quit  chan struct{}
	done  chan struct{}
	// life ends when Close runs out of time.
	life context.Context
	cut  context.CancelFunc

	waiting  atomic.Bool // the goroutine knows of spans in the queue
	exported atomic.Uint64
	dropped  atomic.Uint64
	failed   atomic.Uint64

	silence time.Time // of the goroutine: until then failures are not logged
}

// New starts a tracer.
func New(o Options) *Tracer {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Delay <= 0 {
		o.Delay = time.Second
	}
	t := &Tracer{o: o, bound: bound(o.Ratio), queue: make(chan *Span, queueSize), wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	t.life, t.cut = context.WithCancel(context.Background())
	go t.run()
	return t
}

// Believes tells whether a request that came by the internet, or did not, may be
// part of a trace of its sender's.
func (t *Tracer) Believes(internet bool) bool {
	switch t.o.Parents {
	case NoParents:
		return false
	case IntranetParents:
		return !internet
	}
	return true
}

// bound turns a ratio into the least id that is not recorded.
func bound(ratio float64) uint64 {
	if ratio >= 1 {
		return 1 << 63
	}
	return uint64(max(ratio, 0) * (1 << 63))
}

// Begin begins a trace: its context says whether it is recorded.
func (t *Tracer) Begin() Context {
	c := Context{Span: newID()}
	high, low := rand.Uint64(), rand.Uint64()|1 // an id of zeros alone is none
	binary.BigEndian.PutUint64(c.Trace[:8], high)
	binary.BigEndian.PutUint64(c.Trace[8:], low)
	if low>>1 < t.bound { // the half that samplers of OpenTelemetry look at
		c.Flags = Sampled
	}
	return c
}

// Join gives the context of a request that is part of a recorded trace.
func Join(parent Context) Context {
	parent.Span = newID()
	return parent
}

// newID makes a span's id: never 0, and with room above it for attempts.
func newID() uint64 { return rand.Uint64()>>1 + 1 }

// Finish hands over a span that is complete, and must not be used any more. It is
// false when the span was dropped.
func (s *Span) Finish() bool {
	t := s.tracer
	select {
	case t.queue <- s:
	default:
		t.dropped.Add(1)
		s.free()
		return false
	}
	if len(t.queue) >= batchSize || !t.waiting.Load() && !t.waiting.Swap(true) {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return true
}

func (t *Tracer) run() {
	defer close(t.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for quitting := false; !quitting; {
		select {
		case <-t.wake:
		case <-t.quit:
			quitting = true
		}
		timer.Reset(t.o.Delay)
		for due := false; !due && !quitting && len(t.queue) < batchSize; {
			select {
			case <-t.wake:
			case <-timer.C:
				due = true
			case <-t.quit:
				quitting = true
			}
		}
		t.waiting.Store(false)
		t.drain()
	}
}

// drain exports what waits, in batches.
func (t *Tracer) drain() {
	for {
		n := min(len(t.queue), batchSize) // nobody else takes from it
		if n == 0 {
			return
		}
		batch := make([]*Span, n)
		for i := range batch {
			batch[i] = <-t.queue
		}
		t.export(batch)
		if n < batchSize {
			return // what has come since has its own wake
		}
	}
}

// export sends a batch away and takes its spans back.
func (t *Tracer) export(batch []*Span) {
	ctx, cancel := context.WithTimeout(t.life, exportTimeout)
	err := t.o.Export(ctx, batch)
	cancel()
	lost := 0
	if err != nil {
		lost = len(batch)
		if rejected, ok := errors.AsType[*Rejected](err); ok {
			lost = min(lost, rejected.Requests)
		}
		if now := time.Now(); now.After(t.silence) {
			t.silence = now.Add(complainEvery)
			t.o.Logger.Error("spans are not exported as they should be", "requests", len(batch), "lost", lost, "error", err)
		}
	}
	t.failed.Add(uint64(lost))
	t.exported.Add(uint64(len(batch) - lost))
	for _, s := range batch {
		s.free()
	}
}

// Close exports what there is until ctx ends, and gives up the rest. Spans that
// are finished from now on are never exported.
func (t *Tracer) Close(ctx context.Context) {
	close(t.quit)
	select {
	case <-t.done:
	case <-ctx.Done():
	}
	t.cut()
	<-t.done
}

// Stats are counts of spans since the start; a request is one, however many
// attempts it has.
type Stats struct {
	Exported uint64
	Dropped  uint64 // for want of room: the exporter is too slow
	Failed   uint64 // could not be exported, or were rejected; see Rejected
}

// Stats tells what became of the spans so far.
func (t *Tracer) Stats() Stats {
	return Stats{t.exported.Load(), t.dropped.Load(), t.failed.Load()}
}
