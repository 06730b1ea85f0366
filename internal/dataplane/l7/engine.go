package l7

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/trace"
)

// Options of an Engine. The zero value is of use.
type Options struct {
	Logger *slog.Logger // nil: slog.Default
	// Driver serves the HTTP frontends; HTTPS ones have Goroutines.
	Driver Driver
	// Loops is the number of event loops; 0: one for each processor Go may use.
	Loops int
	// Budget limits the descriptors of connections and frontends, whoever serves
	// them. nil: one of its own, from the limit of the process.
	Budget *loop.Budget
	// Secret keys the cookies of sticky sessions. nil: one of the process's own,
	// so that sessions end with it.
	Secret []byte
	// Sockets are those of another process, to be taken over; nil: none.
	Sockets *sock.Inherited
	// Held, while it is set, has new frontends accept nothing until their Resume;
	// nil: never.
	Held *atomic.Bool
	// Logs writes the access logs; nil: there are none.
	Logs *accesslog.Writer
	// Tracer records requests as spans; nil: they are not, and what clients say of
	// traces is passed on as it came.
	Tracer *trace.Tracer
	// TLS makes the settings of an HTTPS frontend. Without it none can be opened.
	TLS func(spec.Frontend) (*tls.Config, error)
}

// Engine is what the HTTP frontends of a process share: the timers, the clock
// and the connections to servers.
type Engine struct {
	log      *slog.Logger
	options  Options
	reactors reactors
	wheel    *wheel
	kept     upstreams
	quit     chan struct{}
	once     sync.Once
	// stamp holds the header lines of our own that go into every answer.
	stamp atomic.Pointer[[]byte]
	seq   atomic.Uint32 // spreads connections over shards
	// handshakes bounds those that compute.
	handshakes *turnstile
	// unfinished bounds what those hold that are not done.
	unfinished  handshakeBudget
	compressors *compressors
	streams     streamBudget
	newTLS      func(spec.Frontend) (*tls.Config, error)

	jobs    chan *conn // to spare workers
	spare   atomic.Int32
	workers sync.WaitGroup
}

// maxSpare is how many goroutines wait for another connection after theirs has
// ended. Their stacks have grown to what serving takes, which a new goroutine
// would have to do again, in steps.
const maxSpare = 64

// NewEngine starts an engine. Close ends it.
func NewEngine(o Options) *Engine {
	e := &Engine{log: o.Logger, options: o, quit: make(chan struct{}), jobs: make(chan *conn), handshakes: newTurnstile(runtime.GOMAXPROCS(0)), compressors: newCompressors(runtime.GOMAXPROCS(0))}
	if e.newTLS = o.TLS; e.newTLS == nil {
		e.newTLS = func(spec.Frontend) (*tls.Config, error) { return nil, errors.New("no TLS settings") }
	}
	if e.options.Secret == nil {
		e.options.Secret = make([]byte, 32)
		rand.Read(e.options.Secret) // ends the program rather than fail
	}
	if e.options.Held == nil {
		e.options.Held = new(atomic.Bool)
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	e.streams.init()
	e.unfinished.init()
	empty := map[*member]*kept{}
	e.kept.members.Store(&empty)
	e.wheel = newWheel(e.kept.sweep, e.setStamp)
	e.setStamp()
	go e.wheel.run(e.quit)
	return e
}

// serve has a goroutine serve a connection.
func (e *Engine) serve(c *conn) {
	select {
	case e.jobs <- c:
	default:
		e.workers.Go(func() { e.work(c) })
	}
}

func (e *Engine) work(c *conn) {
	for {
		c.serve()
		c = nil
		if e.spare.Add(1) > maxSpare {
			e.spare.Add(-1)
			return
		}
		select {
		case c = <-e.jobs:
			e.spare.Add(-1)
		case <-e.quit:
			return
		}
	}
}

// tlsConfig prepares the TLS settings of a frontend. HTTP/1.1 is offered unless
// they say otherwise.
func (e *Engine) tlsConfig(f spec.Frontend) (*tls.Config, error) {
	config, err := e.newTLS(f)
	if err != nil {
		return nil, err
	}
	if config.NextProtos == nil {
		config.NextProtos = []string{"http/1.1"}
	}
	return config, nil
}

// setStamp renders Server and Date. A server's own are not passed on, as the
// vendor documents; ours take their place, so an answer carries both exactly
// once whoever wrote it.
func (e *Engine) setStamp() {
	b := appendStamp(nil, time.Now())
	e.stamp.Store(&b)
}

func appendStamp(b []byte, t time.Time) []byte {
	b = append(b, "Server: OpenSLB\r\nDate: "...)
	return t.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT\r\n")
}

// Close closes the kept connections to servers and stops the timers. The
// frontends must have been closed before.
func (e *Engine) Close() {
	e.once.Do(func() {
		e.reactors.close()
		e.kept.close()
		close(e.quit)
	})
	<-e.wheel.stopped
	e.workers.Wait()
}
