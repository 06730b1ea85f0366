// Package l4 forwards TCP connections and UDP datagrams on event loops.
//
// Each loop has a listening socket of its own for every frontend and keeps what
// it accepts: a connection never changes loops, needs no lock, no goroutine
// and, in the long run, no allocation. An idle connection holds its place in a
// slab and two descriptors, nothing else: data passes through the loop's one
// buffer, or through a pipe lent for as long as bulk data moves. A flow of UDP
// holds a place in a slab, and shares the sockets towards the servers with
// other flows.
package l4

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/transparent"
)

// Options are the settings of an engine. The zero value works.
type Options struct {
	Logger *slog.Logger // nil: slog.Default
	// Loops is the number of event loops; 0: one for each processor Go may use.
	Loops int
	// Budget limits descriptors: two for each connection, up to one for each flow
	// and one for each frontend on each loop. nil: one of its own, from the limit of the process.
	Budget *loop.Budget
	// ConnectTimeout is how long one server has to accept a connection before
	// another is tried; 0: 5 s. All tries together get three times as long.
	ConnectTimeout time.Duration
	// Sockets are those of another process, to be taken over; nil: none.
	Sockets *sock.Inherited
	// Held, while it is set, has new frontends take nothing in until their Resume;
	// nil: never.
	Held *atomic.Bool
	// Log writes a line for each connection and flow that ends; nil: none is
	// written. It is to be closed after the engine.
	Log *accesslog.Writer
	// Source decides whether servers see the node's address or the client's; nil:
	// the node's. It is to be closed after the engine.
	Source *transparent.Source

	pipes int // of each loop; for tests, 0: the loop's default
}

const (
	defaultConnectTimeout = 5 * time.Second
	connectRounds         = 3
)

// Engine owns the loops that the frontends share.
type Engine struct {
	log            *slog.Logger
	workers        []*worker
	budget         *loop.Budget
	carriers       *loop.Budget // the part of budget that UDP may use towards servers
	connectTimeout time.Duration
	source         *transparent.Source
	connections    *accesslog.Writer // of connections; nil: none
	sockets        *sock.Inherited
	held           *atomic.Bool

	mu        sync.Mutex
	closed    bool
	frontends map[closer]struct{}
}

// closer is a frontend in the engine's hands.
type closer interface {
	close()                // begins it
	gone() <-chan struct{} // tells the end of it
}

// worker is a loop with what its connections share. Only the loop uses it.
type worker struct {
	engine  *Engine
	loop    *loop.Loop
	conns   loop.Slab[conn]
	flows   loop.Slab[flow]
	own     loop.Slab[carrier] // of one flow each
	stash   stash
	tallies loop.Slab[tally] // for the log of connections
	shard   uint32           // of the log
	udp     *datagrams       // made with the first UDP frontend
}

// NewEngine starts the loops.
func NewEngine(o Options) (*Engine, error) {
	e := &Engine{
		log:            o.Logger,
		budget:         o.Budget,
		connectTimeout: o.ConnectTimeout,
		sockets:        o.Sockets,
		held:           o.Held,
		source:         o.Source,
		connections:    o.Log,
		frontends:      make(map[closer]struct{}),
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.connectTimeout <= 0 {
		e.connectTimeout = defaultConnectTimeout
	}
	if e.held == nil {
		e.held = new(atomic.Bool)
	}
	if e.budget == nil {
		b, err := loop.NewBudget()
		if err != nil {
			return nil, fmt.Errorf("layer 4 engine: %w", err)
		}
		e.budget = b
	}
	e.carriers = loop.NewBudgetOf(e.budget.Limit() / 2)
	n := o.Loops
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	for i := range n {
		l, err := loop.New(loop.Options{Logger: e.log, Budget: e.budget, Pipes: o.pipes})
		if err != nil {
			e.closeLoops()
			return nil, fmt.Errorf("layer 4 engine: %w", err)
		}
		e.workers = append(e.workers, &worker{engine: e, loop: l, shard: uint32(i)})
	}
	e.log.Debug("layer 4 engine started", "loops", n, "descriptors", e.budget.Limit(), "descriptor_limit", e.budget.System())
	return e, nil
}

// Connections is how many connections fit at once, as the process's limit of
// descriptors has it; each frontend takes a little of that.
func (e *Engine) Connections() int { return e.budget.Limit() / 2 }

// Close closes all frontends, resetting their connections, and ends the loops.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	open := make([]closer, 0, len(e.frontends))
	for t := range e.frontends {
		open = append(open, t)
	}
	e.mu.Unlock()
	for _, t := range open {
		t.close()
		<-t.gone()
	}
	e.closeLoops()
}

func (e *Engine) closeLoops() {
	for _, w := range e.workers {
		w.loop.Close()
	}
}

var errClosed = errors.New("layer 4 engine is closed")

func (e *Engine) add(t closer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	e.frontends[t] = struct{}{}
	return nil
}

func (e *Engine) remove(t closer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.frontends, t)
}
