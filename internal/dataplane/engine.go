// Package dataplane is the engine: it owns every socket, frontend, pool and
// health check of a node, and makes them be what a spec.Config says.
//
// Changes are applied by difference, one load balancer at a time. What did not
// change is not touched: its connections, its health and its counters go on.
package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/dataplane/health"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/dataplane/tlsconf"
	"github.com/openslb/openslb/internal/dataplane/transparent"
	"github.com/openslb/openslb/internal/trace"
)

// DefaultDrainTimeout is how long the requests on a frontend that was taken
// away may take to finish.
const DefaultDrainTimeout = time.Minute

// Options of an Engine. The zero value serves.
type Options struct {
	Logger *slog.Logger // nil: slog.Default
	// Loops is the number of event loops; 0: one for each processor Go may use.
	Loops int
	// MaxProbes bounds the health probes that run at once; 0: the default of
	// package health.
	MaxProbes int
	// DrainTimeout is how long requests on a frontend that was taken away may
	// take to finish; 0: DefaultDrainTimeout.
	DrainTimeout time.Duration
	// Source decides which address servers of layer 4 see; nil: the node's. It is
	// to be closed after the engine.
	Source *transparent.Source
	// ProbeSources are the addresses that health probes come from, one for each
	// family at most; for a family without, the system chooses.
	ProbeSources []netip.Addr
	// Secret keys the cookies of sticky sessions, which live as long as it does.
	// nil: one of the engine's own.
	Secret []byte
	// ConnectionLog writes a line for each connection and flow of TCP and UDP
	// frontends that ends. nil: none is written.
	ConnectionLog *accesslog.Writer
	// AccessLogs writes the logs of requests that frontends ask for. nil: there are
	// none.
	AccessLogs *accesslog.Writer
	// Tracer records the requests of layer 7 as spans. nil: they are not.
	Tracer *trace.Tracer
	// HealthLog, if set, is told when a target that frontends use turns abnormal, and
	// when it is well again; once for each frontend. It may be called from many
	// goroutines and may take its time.
	HealthLog func(HealthChange)
	// Unseal opens the private key of a certificate, in PEM; what it returns is
	// overwritten after use. Without it no HTTPS frontend can be opened.
	Unseal func(id string, sealed []byte) ([]byte, error)
	// Restored says that the first configuration, until Settled, was in force before the
	// process began, and that nothing else is left of that: targets are well once
	// one check has passed, since they are no new ones.
	Restored bool
	// Estate is what an engine of another process left, with its sockets, which
	// are then this engine's; nil: there was none. With an estate the engine takes
	// in no traffic until Resume.
	Estate *Estate
	FDs    []int
}

// Engine runs load balancers. All methods are safe for concurrent use; changes
// to one load balancer are made one after the other, those to different ones
// side by side.
type Engine struct {
	log       *slog.Logger
	drain     time.Duration
	checks    *health.Runner
	healthLog func(HealthChange)        // nil: nobody wants to know
	builders  map[spec.Protocol]builder // immutable after New
	engines   engines
	// standings are of the estate, until Resume; guarded by applying.
	standings map[standingKey]bool

	// applying is read-locked by every change, so that Close can wait for those
	// under way.
	applying sync.RWMutex
	// draining counts what leaves in the background. It grows during changes and
	// Close only.
	draining sync.WaitGroup
	// life ends when Close runs out of time: what still drains is cut. It belongs
	// to the engine and not to the change that took a frontend away, whose caller
	// does not wait for the drain.
	life context.Context
	cut  context.CancelFunc

	mu        sync.Mutex
	closed    bool
	instances map[string]*instance
}

// New returns an engine that runs nothing.
func New(o Options) *Engine {
	e := &Engine{
		log:       o.Logger,
		drain:     o.DrainTimeout,
		instances: make(map[string]*instance),
	}
	e.life, e.cut = context.WithCancel(context.Background())
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.drain <= 0 {
		e.drain = DefaultDrainTimeout
	}
	e.checks = health.NewRunner(health.Options{Logger: e.log, MaxConcurrent: o.MaxProbes, Sources: o.ProbeSources})
	e.engines.log, e.engines.logs, e.engines.loops, e.engines.source, e.engines.secret = e.log, o.AccessLogs, o.Loops, o.Source, o.Secret
	e.engines.connections, e.engines.tracer = o.ConnectionLog, o.Tracer
	e.engines.tls = tlsconf.NewBuilder(tlsconf.Options{Unseal: o.Unseal, HTTP2: true})
	if o.Restored {
		e.checks.Restore()
	}
	e.inherit(o.Estate, o.FDs)
	e.builders = e.engines.builders()
	e.healthLog = o.HealthLog
	return e
}

// Settled says that a restored configuration has been applied: what comes now is
// new.
func (e *Engine) Settled() { e.checks.Forget() }

// ErrClosed is returned by changes to an engine that has been closed.
var ErrClosed = errors.New("dataplane: engine is closed")

// Sync makes the engine run exactly cfg. A load balancer that cannot be run
// whole does not keep others from it; the error joins what went wrong.
func (e *Engine) Sync(ctx context.Context, cfg spec.Config) error {
	e.mu.Lock()
	var gone []string
	for id := range e.instances {
		if cfg.Instances[id] == nil {
			gone = append(gone, id)
		}
	}
	e.mu.Unlock()
	// What goes makes room first: its address may be wanted by what comes.
	var errs []error
	for _, id := range gone {
		errs = append(errs, e.Apply(ctx, id, nil))
	}
	for id, inst := range cfg.Instances {
		errs = append(errs, e.Apply(ctx, id, inst))
	}
	return errors.Join(errs...)
}

// InstanceError is what went wrong with one load balancer. The errors of Sync
// and Apply consist of these.
type InstanceError struct {
	ID  string // Instance.ID
	Err error
}

// Error names the load balancer.
func (e *InstanceError) Error() string { return "load balancer " + e.ID + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *InstanceError) Unwrap() error { return e.Err }

// Apply makes the engine run one load balancer as inst says; nil takes it away.
// It may be repeated, and repeating it tries again what could not be started.
// When it returns, the listening sockets are as wanted; requests under way on a
// frontend that was taken away may still be finishing.
//
// One bad frontend does not hold up the others. The error joins what went
// wrong, and FrontendFacts shows it until it is mended.
func (e *Engine) Apply(ctx context.Context, id string, inst *spec.Instance) error {
	e.applying.RLock()
	defer e.applying.RUnlock()
	for {
		in, err := e.instance(id, inst != nil)
		if in == nil {
			return wrap(id, err)
		}
		if applied, err := in.apply(ctx, inst); applied {
			return wrap(id, err)
		}
		// Another Apply had just taken this one away; begin with a new one.
	}
}

func wrap(id string, err error) error {
	if err == nil {
		return nil
	}
	return &InstanceError{id, err}
}

// instance finds the load balancer, or makes an empty one. It answers nil when
// there is none, or the engine is closed.
func (e *Engine) instance(id string, make bool) (*instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	in := e.instances[id]
	if in == nil && make {
		in = newInstance(e, id)
		e.instances[id] = in
	}
	return in, nil
}

// all returns the load balancers ordered by id.
func (e *Engine) all() []*instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*instance, 0, len(e.instances))
	for _, in := range e.instances {
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b *instance) int { return strings.Compare(a.id, b.id) })
	return out
}

// TargetFacts tells what was seen of the targets of one load balancer. It does
// not wait for changes under way.
func (e *Engine) TargetFacts(instance string) []spec.TargetFacts {
	e.mu.Lock()
	in := e.instances[instance]
	e.mu.Unlock()
	if in == nil {
		return nil
	}
	return in.targetFacts()
}

// FrontendFacts tells what was seen of every frontend, ordered by load balancer
// and then by port. It does not wait for changes under way.
func (e *Engine) FrontendFacts() []spec.FrontendFacts {
	var out []spec.FrontendFacts
	for _, in := range e.all() {
		out = append(out, in.frontendFacts()...)
	}
	return out
}

// Facts tells what was seen of the engine as a whole.
func (e *Engine) Facts() spec.EngineFacts { return e.engines.facts() }

// SourceFacts tells which address servers of layer 4 see, and why.
func (e *Engine) SourceFacts() spec.SourceFacts { return e.engines.source.Facts() }

// CanServe reports whether a frontend of the protocol could listen on addr now.
// The error says what to do about it.
func (e *Engine) CanServe(protocol spec.Protocol, addr netip.AddrPort) error {
	switch {
	case e.builders[protocol] == nil:
		return fmt.Errorf("this version does not serve the protocol %s", protocol)
	case protocol == spec.UDP:
		return sock.CanBindUDP(addr)
	}
	return sock.CanBind(addr)
}

// watch lets pools ask for health checks without knowing the runner.
func (e *Engine) watch(check spec.Check, addr netip.AddrPort, report func(spec.Health)) pool.Watch {
	return e.checks.Subscribe(check, addr, report)
}

// Close takes everything away and waits for it. Requests under way may finish
// until ctx ends, then they are cut; the error says that this happened.
func (e *Engine) Close(ctx context.Context) error {
	// 1. No further changes, and those under way come to their end: whoever
	//    closes knows the whole of what runs.
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	e.applying.Lock()
	defer e.applying.Unlock()

	// 2. All frontends at once, as they share the time there is. They stop
	//    accepting first, so nothing new comes in while the rest finishes. Each
	//    load balancer closes its pools when its frontends no longer need them.
	defer e.cut()
	stop := context.AfterFunc(ctx, e.cut)
	for _, in := range e.all() {
		in.remove()
	}
	e.draining.Wait()
	var err error
	if !stop() {
		err = fmt.Errorf("dataplane: requests were cut short: %w", context.Cause(ctx))
	}

	// 3. The checks, whose verdicts no pool wants any more.
	e.checks.Close()
	// 4. The loops last: frontends needed them to close their connections.
	e.engines.close()
	e.engines.sockets.Close()
	return err
}
