package dataplane

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/l4"
	"github.com/openslb/openslb/internal/dataplane/l7"
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/dataplane/tlsconf"
	"github.com/openslb/openslb/internal/dataplane/transparent"
	"github.com/openslb/openslb/internal/trace"
)

// frontend is one listening port at run time.
type frontend interface {
	// Update changes settings and pools for what comes from now on; connections go
	// on with what they began with. The ID and the listening address never change.
	// rules are the pools of the frontend's rules, in their order.
	Update(f spec.Frontend, p *pool.Pool, rules ...*pool.Pool)
	Facts() spec.FrontendFacts
	// Close stops accepting at once. Requests under way may finish until ctx
	// ends; connections of layer 4 are reset.
	Close(ctx context.Context) error
	passing
}

// passing is what a frontend does to pass to another process.
type passing interface {
	// Hold stops taking in anything new, Resume goes on.
	Hold()
	Resume() error
	// Sockets are the descriptors listened on, which stay the frontend's.
	Sockets() []int
	// Leave closes the sockets, which another process may have too, before it
	// returns; connections go on.
	Leave()
}

// remembering is a frontend that knows its clients, as those of layer 4 do.
type remembering interface {
	Remember() (*l4.Memory, []int)
	Recall(m *l4.Memory, fds []int) (lost int)
}

// builder starts a frontend within limits that its instance shares. It returns
// when the socket listens.
type builder func(f spec.Frontend, p *pool.Pool, limits *limit.Frontend, rules []*pool.Pool) (frontend, error)

// build starts a frontend by the table.
func (e *Engine) build(f spec.Frontend, p *pool.Pool, limits *limit.Frontend, rules []*pool.Pool) (frontend, error) {
	b := e.builders[f.ID.Protocol]
	if b == nil {
		return nil, fmt.Errorf("protocol %q is not served", f.ID.Protocol)
	}
	return b(f, p, limits, rules)
}

// engines are the parts that the frontends of one layer share. Each starts with
// its first frontend, so that a node pays for what it uses, and a part that
// cannot start is an error of the frontends that want it.
type engines struct {
	log  *slog.Logger
	logs *accesslog.Writer // of requests; nil: none
	// connections is for the log of connections; nil: none.
	connections *accesslog.Writer
	tracer      *trace.Tracer // nil: none
	loops       int
	source      *transparent.Source
	secret      []byte // of sticky sessions
	tls         *tlsconf.Builder
	// sockets are inherited, and held is set until they may be used.
	sockets *sock.Inherited
	held    atomic.Bool

	mu     sync.Mutex
	budget *loop.Budget // of descriptors, for both layers
	l4     *l4.Engine
	l7     *l7.Engine
}

// builders is the table of protocols. A new one needs a row here.
func (e *engines) builders() map[spec.Protocol]builder {
	return map[spec.Protocol]builder{
		spec.TCP: func(f spec.Frontend, p *pool.Pool, limits *limit.Frontend, _ []*pool.Pool) (frontend, error) {
			engine, err := e.layer4()
			if err != nil {
				return nil, err
			}
			return withoutRules(engine.NewTCP(f, p, limits))
		},
		spec.UDP: func(f spec.Frontend, p *pool.Pool, limits *limit.Frontend, _ []*pool.Pool) (frontend, error) {
			engine, err := e.layer4()
			if err != nil {
				return nil, err
			}
			return withoutRules(engine.NewUDP(f, p, limits))
		},
		spec.HTTP:  e.http,
		spec.HTTPS: e.http,
	}
}

// ruleless is a frontend of layer 4, where there are no rules.
type ruleless struct{ layer4 }

type layer4 interface {
	Update(f spec.Frontend, p *pool.Pool)
	Facts() spec.FrontendFacts
	Close(ctx context.Context) error
	passing
	remembering
}

func (r ruleless) Update(f spec.Frontend, p *pool.Pool, _ ...*pool.Pool) { r.layer4.Update(f, p) }

func withoutRules[F layer4](f F, err error) (frontend, error) {
	if err != nil {
		return nil, err
	}
	return ruleless{f}, nil
}

// http starts a frontend of layer 7.
func (e *engines) http(f spec.Frontend, p *pool.Pool, limits *limit.Frontend, rules []*pool.Pool) (frontend, error) {
	engine, err := e.layer7()
	if err != nil {
		return nil, err
	}
	return orNil(engine.NewHTTP(f, p, limits, rules...))
}

// orNil keeps a nil pointer from becoming a frontend that is not nil.
func orNil[F frontend](f F, err error) (frontend, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (e *engines) layer4() (*l4.Engine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.l4 == nil {
		budget, err := e.budgetLocked()
		if err != nil {
			return nil, err
		}
		engine, err := l4.NewEngine(l4.Options{Logger: e.log, Loops: e.loops, Budget: budget, Sockets: e.sockets, Held: &e.held, Source: e.source, Log: e.connections})
		if err != nil {
			return nil, err
		}
		e.l4 = engine
	}
	return e.l4, nil
}

func (e *engines) layer7() (*l7.Engine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.l7 == nil {
		budget, err := e.budgetLocked()
		if err != nil {
			return nil, err
		}
		e.l7 = l7.NewEngine(l7.Options{Logger: e.log, Driver: l7.Loops, Loops: e.loops, Budget: budget,
			Logs: e.logs, Tracer: e.tracer, Secret: e.secret, TLS: e.tls.Config, Sockets: e.sockets, Held: &e.held})
	}
	return e.l7, nil
}

// budgetLocked is what both layers take their descriptors from: each with one
// of its own could use up what the process has together.
func (e *engines) budgetLocked() (*loop.Budget, error) {
	if e.budget == nil {
		budget, err := loop.NewBudget()
		if err != nil {
			return nil, err
		}
		e.budget = budget
	}
	return e.budget, nil
}

func (e *engines) facts() spec.EngineFacts {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := spec.EngineFacts{Loops: e.loops}
	if f.Loops <= 0 {
		f.Loops = runtime.GOMAXPROCS(0)
	}
	if budget, err := e.budgetLocked(); err == nil { // else no frontend can start, and says so
		f.DescriptorsInUse, f.DescriptorLimit, f.DescriptorShortages = budget.Used(), budget.Limit(), budget.Shortages()
	}
	return f
}

// close ends the parts whose frontends are all closed.
func (e *engines) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.l4 != nil {
		e.l4.Close()
	}
	if e.l7 != nil {
		e.l7.Close()
	}
}
