package health

import (
	"cmp"
	"context"
	"hash/fnv"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// What a spec.Check means by 0. Source: the vendor's page on configuring health
// checks, for TCP and HTTP probes.
const (
	DefaultTimeout   = 5 * time.Second
	DefaultInterval  = 2 * time.Second
	DefaultThreshold = 3
)

const (
	// defaultConcurrent is how many probes run at once unless Options say
	// otherwise. Probes of silent targets last their whole timeout; the bound is
	// high enough that a thousand of those hold up nobody else.
	defaultConcurrent = 1024
	// spreadStep is the share of the first interval that each target waiting for
	// its first probe adds to the spread.
	spreadStep = time.Millisecond
)

// Options of a Runner. The zero value serves.
type Options struct {
	// Logger gets one line for every change of a target's health.
	Logger *slog.Logger
	// MaxConcurrent bounds the probes that run at once; 0 means 1024. Others
	// wait, and their timeout begins when they start.
	MaxConcurrent int
	// Sources are the addresses that probes come from, one for each family at
	// most; for a family without, the system chooses.
	Sources []netip.Addr
}

// Runner makes the probes of all pools. All methods are safe for concurrent use.
type Runner struct {
	log        *slog.Logger
	slots      chan struct{}
	newChecker func(spec.Check) (Checker, error)
	running    sync.WaitGroup // one for every timer that is set and every probe that runs

	mu      sync.Mutex
	closed  bool
	probes  map[probeKey]*probe
	waiting int // probes that have not begun their first round
	// inherited are verdicts of a process before this one, for probes to begin with.
	inherited map[inheritedKey]Verdict
	// lenient: probes that begin find a target well by their first result.
	lenient bool
}

// NewRunner returns a runner without probes.
func NewRunner(o Options) *Runner {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = defaultConcurrent
	}
	return &Runner{
		log:        o.Logger,
		slots:      make(chan struct{}, o.MaxConcurrent),
		newChecker: func(c spec.Check) (Checker, error) { return NewChecker(c, o.Sources...) },
		probes:     make(map[probeKey]*probe),
	}
}

// Subscription is one interest in a target's health.
type Subscription struct {
	probe    *probe
	onChange func(spec.Health)
}

// Subscribe begins to watch addr, at check.Port if that is set, and calls
// onChange after every change of its health. Calls for one target come one at a
// time, from the goroutine of its probe, which waits for them; a call that has
// begun may still be under way after Close.
//
// Times and thresholds of 0 mean the defaults. All subscriptions to one address
// with equal settings share one probe, and one that joins later has its verdict
// at once.
//
// A new target is probed at once when few are new; when many are, the first
// probes are spread by hash, at most over the first interval. Later rounds keep
// the distance that this gave them.
func (r *Runner) Subscribe(check spec.Check, addr netip.AddrPort, onChange func(spec.Health)) *Subscription {
	if check.Port != 0 {
		addr = netip.AddrPortFrom(addr.Addr(), check.Port)
		check.Port = 0
	}
	check.Timeout = cmp.Or(check.Timeout, DefaultTimeout)
	check.Interval = cmp.Or(check.Interval, DefaultInterval)
	check.Healthy = cmp.Or(check.Healthy, DefaultThreshold)
	check.Unhealthy = cmp.Or(check.Unhealthy, DefaultThreshold)
	key := probeKey{check, addr}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.probes[key]
	if p == nil {
		p = r.newProbeLocked(key)
		r.probes[key] = p
	}
	s := &Subscription{probe: p, onChange: onChange}
	p.subscribers[s] = struct{}{}
	return s
}

// Health is the verdict now.
func (s *Subscription) Health() spec.Health { return spec.Health(s.probe.health.Load()) }

// Cause is why the target was found to be down when that happened last.
func (s *Subscription) Cause() string {
	if text := s.probe.cause.Load(); text != nil {
		return *text
	}
	return ""
}

// Close ends the subscription, and the probe with its last one. It does not
// wait, so it may be called from onChange.
func (s *Subscription) Close() {
	p := s.probe
	p.runner.mu.Lock()
	defer p.runner.mu.Unlock()
	delete(p.subscribers, s)
	if len(p.subscribers) == 0 {
		p.endLocked()
	}
}

// Close ends all probes and waits for those under way and for their onChange
// calls. Subscriptions keep their last verdict.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closed = true
	for _, p := range r.probes {
		p.endLocked()
	}
	r.mu.Unlock()
	r.running.Wait()
}

// firstDelay spreads first probes: a fixed fraction of the window, which grows
// with the number of targets that wait, up to the interval.
func firstDelay(key probeKey, waiting int) time.Duration {
	window := min(key.check.Interval, time.Duration(waiting)*spreadStep)
	h := fnv.New32a()
	_, _ = h.Write([]byte(key.addr.String()))
	_, _ = h.Write([]byte(key.check.URI))
	return time.Duration(float64(window) * float64(h.Sum32()) / (1 << 32))
}

// slot waits for leave to probe; it reports false when ctx ended first.
func (r *Runner) slot(ctx context.Context) bool {
	select {
	case r.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
