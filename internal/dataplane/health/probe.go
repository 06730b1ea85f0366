package health

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// probeKey says when two subscriptions can share a probe.
type probeKey struct {
	check spec.Check // with Port 0
	addr  netip.AddrPort
}

// probe watches one target. Between rounds it is a timer, not a goroutine: most
// probes are idle most of the time.
type probe struct {
	runner *Runner
	key    probeKey
	// end stops the round under way. The context belongs to the probe's life, not
	// to a call, and is therefore kept by the closure of the timer.
	end     context.CancelFunc
	checker Checker
	refused error // of NewChecker: every round fails with it
	health  atomic.Uint32
	cause   atomic.Pointer[string] // of the last change to down

	// The next two are used by the round under way alone; rounds never overlap.
	localError bool // the last round failed for want of something on this host
	lenient    bool // one result is enough, if it is good: the first

	// The rest is guarded by Runner.mu. The round under way alone writes the verdict
	// and reads it without the lock.

	verdict     verdict
	since       time.Time // of the health
	timer       *time.Timer
	ended       bool
	begun       bool
	subscribers map[*Subscription]struct{}
}

// newProbeLocked sets the timer of a first round.
func (r *Runner) newProbeLocked(key probeKey) *probe {
	ctx, cancel := context.WithCancel(context.Background())
	p := &probe{runner: r, key: key, end: cancel, since: time.Now(), subscribers: make(map[*Subscription]struct{})}
	if r.closed {
		p.ended = true
		cancel()
		return p
	}
	p.lenient = r.lenient
	p.inheritLocked()
	p.checker, p.refused = r.newChecker(key.check)
	r.waiting++
	r.running.Add(1)
	p.timer = time.AfterFunc(firstDelay(key, r.waiting), func() {
		defer r.running.Done()
		p.round(ctx)
	})
	return p
}

// endLocked stops the probe for good.
func (p *probe) endLocked() {
	if p.ended {
		return
	}
	p.ended = true
	p.end()
	if p.timer.Stop() {
		p.runner.running.Done()
	}
	p.beginLocked()
	delete(p.runner.probes, p.key)
}

func (p *probe) beginLocked() {
	if !p.begun {
		p.begun = true
		p.runner.waiting--
	}
}

// round makes one probe, tells what it changed, and sets the timer for the
// next: the interval counts from here, not from the round's start.
func (p *probe) round(ctx context.Context) {
	r := p.runner
	if !r.slot(ctx) {
		return
	}
	r.mu.Lock()
	p.beginLocked()
	r.mu.Unlock()
	err := p.check(ctx)
	<-r.slots
	if ctx.Err() != nil {
		return
	}
	p.judge(err)

	r.mu.Lock()
	defer r.mu.Unlock()
	if p.ended {
		return
	}
	r.running.Add(1)
	p.timer.Reset(p.key.check.Interval)
}

func (p *probe) check(ctx context.Context) error {
	if p.refused != nil {
		return p.refused
	}
	ctx, cancel := context.WithTimeout(ctx, p.key.check.Timeout)
	defer cancel()
	return p.checker.Check(ctx, p.key.addr)
}

// judge takes in a result.
func (p *probe) judge(err error) {
	r, c := p.runner, &p.key.check
	local := err != nil && isLocal(err)
	if local != p.localError {
		p.localError = local
		if local {
			r.log.Warn("health check not possible on this host, the target keeps its state",
				"target", p.key.addr.String(), "check", string(c.Kind), "cause", err)
		}
	}
	if local {
		return
	}
	now := time.Now()
	since := p.since
	healthy := c.Healthy
	if p.lenient {
		healthy, p.lenient = 1, false
	}
	r.mu.Lock()
	changed := p.verdict.add(err == nil, healthy, c.Unhealthy)
	if changed {
		p.since = now
	}
	r.mu.Unlock()
	if !changed {
		return
	}
	args := []any{"target", p.key.addr.String(), "check", string(c.Kind), "results", p.verdict.run, "after", now.Sub(since).Round(time.Millisecond).String()}
	if p.verdict.health == spec.HealthUp {
		r.log.Info("target is up", args...)
	} else {
		r.log.Warn("target is down", append(args, "cause", err)...)
	}

	if err != nil {
		text := err.Error()
		p.cause.Store(&text)
	}
	r.mu.Lock()
	p.health.Store(uint32(p.verdict.health))
	told := make([]*Subscription, 0, len(p.subscribers))
	for s := range p.subscribers {
		told = append(told, s)
	}
	r.mu.Unlock()
	for _, s := range told {
		s.onChange(p.verdict.health)
	}
}
