package l7

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options of an Engine. The zero value is of use.
type Options struct {
	Logger *slog.Logger // nil: slog.Default
}

// Engine is what the HTTP frontends of a process share: the timers, the clock
// and the connections to servers.
type Engine struct {
	log   *slog.Logger
	wheel *wheel
	kept  upstreams
	quit  chan struct{}
	once  sync.Once
	// stamp holds the header lines of our own that go into every answer.
	stamp atomic.Pointer[[]byte]
	seq   atomic.Uint32 // spreads connections over shards
}

// NewEngine starts an engine. Close ends it.
func NewEngine(o Options) *Engine {
	e := &Engine{log: o.Logger, quit: make(chan struct{})}
	if e.log == nil {
		e.log = slog.Default()
	}
	empty := map[*member]*kept{}
	e.kept.members.Store(&empty)
	e.wheel = newWheel(e.kept.sweep, e.setStamp)
	e.setStamp()
	go e.wheel.run(e.quit)
	return e
}

// setStamp renders Server and Date. A server's own are not passed on, as the
// vendor documents; ours take their place, so an answer carries both exactly
// once whoever wrote it.
func (e *Engine) setStamp() {
	b := append([]byte(nil), "Server: OpenSLB\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT\r\n")
	e.stamp.Store(&b)
}

// Close closes the kept connections to servers and stops the timers. The
// frontends must have been closed before.
func (e *Engine) Close(context.Context) error {
	e.once.Do(func() {
		e.kept.close()
		close(e.quit)
	})
	<-e.wheel.stopped
	return nil
}
