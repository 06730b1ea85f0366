package health

import (
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Verdict is what is known of one target, for the process that takes over.
type Verdict struct {
	Check  spec.Check // with its defaults filled in and Port 0
	Addr   string     // host:port that is probed
	Health spec.Health
	// Last and Run are the last results: Run of them in sequence spoke for Last.
	Last spec.Health
	Run  int
	// Since is when Health began.
	Since time.Time
}

// Verdicts are those of all targets that have one.
func (r *Runner) Verdicts() []Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Verdict, 0, len(r.probes))
	for key, p := range r.probes {
		v := p.verdict
		if v.run > 0 {
			out = append(out, Verdict{Check: key.check, Addr: key.addr.String(), Health: v.health, Last: v.last, Run: v.run, Since: p.since})
		}
	}
	return out
}

// inheritedKey is what a verdict is about.
type inheritedKey struct {
	check spec.Check
	addr  string
}

// Inherit has probes that begin from now on begin with these verdicts, as if the
// results behind them had been their own, until Forget.
func (r *Runner) Inherit(verdicts []Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inherited = make(map[inheritedKey]Verdict, len(verdicts))
	for _, v := range verdicts {
		if v.Health <= spec.HealthDown && v.Last <= spec.HealthDown && v.Run > 0 {
			r.inherited[inheritedKey{v.Check, v.Addr}] = v
		}
	}
}

// Restore has probes that begin from now on, until Forget, find a target well by
// their first result, if that is good. It is for targets that were in use before the
// process was, of which nothing is known any more: they are no new ones, and a
// whole success window would be an outage.
func (r *Runner) Restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lenient = true
}

// Forget ends what Inherit or Restore began: a target that comes later is a new one.
func (r *Runner) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inherited, r.lenient = nil, false
}

// inheritLocked gives a new probe the verdict that there is for it.
func (p *probe) inheritLocked() {
	v, ok := p.runner.inherited[inheritedKey{p.key.check, p.key.addr.String()}]
	if !ok {
		return
	}
	p.verdict = verdict{health: v.Health, last: v.Last, run: v.Run}
	p.health.Store(uint32(v.Health))
	if !v.Since.IsZero() {
		p.since = v.Since
	}
}
