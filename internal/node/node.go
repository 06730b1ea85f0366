package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/accesslog"
	"github.com/openslb/openslb/internal/api"
	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/dataplane/transparent"
	"github.com/openslb/openslb/internal/keys"
	"github.com/openslb/openslb/internal/metrics"
	"github.com/openslb/openslb/internal/reconcile"
	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/kv"
	"github.com/openslb/openslb/internal/trace"
)

// Node is a running node. Its methods are safe for concurrent use.
type Node struct {
	// Set while starting, immutable from then on.
	cfg           Config
	log           *slog.Logger
	pid           int
	data          *dataDir
	old           *predecessor // nil: none
	listener      *apiListener
	gate          *apiGate
	server        *rpc.Server
	budget        uint64
	quotas        api.Quotas
	seeds         []*slb.Server // of the servers file
	caFile        string
	sealer        *store.Sealer
	source        *transparent.Source
	accessLogs    *accesslog.Writer
	connectionLog *accesslog.Writer // nil: off
	auditLog      *accesslog.Writer
	tracer        *trace.Tracer // nil: off
	engine        *dataplane.Engine
	history       *metrics.History
	startedAt     time.Time
	credentials   Credentials
	newKey        bool

	// These change if the store passes to another process and comes back, while
	// the API is closed.
	kv         kv.KV
	store      *store.Store
	keys       *keys.Keys
	reconciler *reconcile.Reconciler
	nonces     *rpc.NonceFile

	// Three stacks of closers end what has been started, each in order of starting:
	// brain is what has to do with the store, which stands between the other two.
	// stack is the one that grows. While a process takes over, brain belongs to the
	// goroutine of the control socket.
	below, brain, above []closer
	stack               *[]closer

	replaced  chan struct{} // closed when another process has taken over
	successor atomic.Int64  // that process

	failed   chan struct{} // closed with the first failure of a part
	failOnce sync.Once
	failure  error // readable once failed is closed

	stopOnce sync.Once
	stopErr  error
}

// closer ends one part of a node.
type closer struct {
	name  string
	close func(context.Context) error
}

// abandonTimeout bounds the closing of what a failed start leaves behind.
const abandonTimeout = 5 * time.Second

// Start starts a node and returns when it serves: the API answers, and what the
// store held before is in the traffic. ctx bounds the start alone.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	begun := time.Now()
	n := &Node{cfg: cfg, log: cfg.Logger, startedAt: begun, pid: os.Getpid(), gate: newAPIGate(), failed: make(chan struct{}), replaced: make(chan struct{})}
	// The order matters: what fails for an outside reason fails before the slow
	// store starts, and everything stands below what uses it.
	steps := []struct {
		name  string
		stack *[]closer
		run   func(context.Context) error
	}{
		{"settings", &n.below, func(context.Context) error { return cfg.Check() }},
		{"quotas", &n.below, n.readQuotas},
		{"servers file", &n.below, n.readSeed},
		{"limits", &n.below, n.raiseLimits},
		{"data directory", &n.below, n.openData},
		{"API port", &n.below, n.listen},
		{"source addresses", &n.below, n.setUpSources},
		{"seal key", &n.below, n.openSealer},
		{"inheritance", &n.below, n.inherit},
		{"logs", &n.below, n.openLogs},
		{"tracing", &n.below, n.openTracing},
		{"data plane", &n.below, n.startEngine},
		{"trimming", &n.below, n.startTrimming},
		{"store", &n.brain, n.openStore},
		{"keys", &n.brain, n.openKeys},
		{"register", &n.brain, n.seed},
		{"reconciler", &n.brain, n.startReconciler},
		{"used nonces", &n.brain, n.openNonces},
		{"API", &n.above, n.prepareAPI},
		{"take-over", &n.above, n.takeOver},
		{"API calls", &n.above, n.serveAPI},
		{"control socket", &n.above, n.startControl},
	}
	for _, step := range steps {
		n.stack = step.stack
		if err := step.run(ctx); err != nil {
			abandon, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
			defer cancel()
			return nil, errors.Join(err, n.Stop(abandon))
		}
		n.log.Debug("started", "part", step.name, "after", time.Since(begun).String())
	}
	n.log.Info("node serves", "endpoint", n.Endpoint(), "data", n.data.path, "version", cfg.Version,
		"connection_budget", n.budget, "after", time.Since(begun).Round(time.Millisecond).String())
	return n, nil
}

// Stop ends the node: the API first, so that nothing changes any more, then the
// store, and last the traffic, whose requests under way may finish until ctx
// ends. Repeated calls return the first's result.
// If a part had failed before, its error is part of the result.
func (n *Node) Stop(ctx context.Context) error {
	n.stopOnce.Do(func() {
		var errs []error
		for _, stack := range []*[]closer{&n.above, &n.brain, &n.below} {
			errs = append(errs, closeAll(ctx, n.log, stack))
		}
		select {
		case <-n.failed:
			errs = append([]error{n.failure}, errs...)
		default:
		}
		n.stopErr = errors.Join(errs...)
	})
	return n.stopErr
}

// closeAll ends what stands in a stack, from its top, and empties it.
func closeAll(ctx context.Context, log *slog.Logger, stack *[]closer) error {
	var errs []error
	for _, c := range slices.Backward(*stack) {
		begun := time.Now()
		if err := c.close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.name, err))
		}
		log.Debug("stopped", "part", c.name, "took", time.Since(begun).String())
	}
	*stack = nil
	return errors.Join(errs...)
}

// Failed is closed when a part of the node has ended by itself. The node is then
// to be stopped; Stop tells why.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// fail records that a part has ended by itself.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		n.log.Error("a part of the node has failed", "error", err)
		n.failure = err
		close(n.failed)
	})
}

// onStop registers how to end a part that has just been started.
func (n *Node) onStop(name string, close func(context.Context) error) {
	*n.stack = append(*n.stack, closer{name, close})
}

// goes runs a part in a goroutine until its context ends, which happens at the
// part's turn in Stop.
func (n *Node) goes(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := run(ctx)
		if ctx.Err() != nil {
			return // it was told to
		}
		if err == nil {
			err = errors.New("no reason given")
		}
		n.fail(fmt.Errorf("%s ended by itself: %w", name, err))
	}()
	n.onStop(name, func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

// Endpoint is the URL of the API for clients on this machine.
func (n *Node) Endpoint() string { return "http://" + clientHostPort(n.listener.Addr()) }

// Data is the absolute path of the data directory.
func (n *Node) Data() string { return n.data.path }

// CAFile is the certificate that clients trust to use TLS with this node.
func (n *Node) CAFile() string { return n.caFile }

// ConnectionBudget is the number of proxied connections that the limit of open
// files has room for.
func (n *Node) ConnectionBudget() uint64 { return n.budget }

// Credentials are endpoint and key pair as in the credentials file. KeyID is
// empty when the store has keys whose secrets this node was never told.
func (n *Node) Credentials() Credentials { return n.credentials }

// NewKey reports whether this start made the key pair of Credentials.
func (n *Node) NewKey() bool { return n.newKey }

// Store is the node's store, for tests that look behind the API.
func (n *Node) Store() *store.Store { return n.store }

// Engine is the node's data plane, for tests that look behind the API.
func (n *Node) Engine() *dataplane.Engine { return n.engine }
