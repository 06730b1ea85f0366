package dataplane

import (
	"net/netip"
	"slices"

	"github.com/openslb/openslb/internal/dataplane/health"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// HealthChange says that a target has turned abnormal, or is well again.
type HealthChange struct {
	Listen netip.AddrPort // of the frontend that uses the target
	Target netip.AddrPort
	Well   bool
	Cause  string // of being abnormal
}

// watch lets the pool of an instance ask for health checks, and has what they
// find told to the health log.
func (in *instance) watch(poolID string) pool.WatchFunc {
	e := in.engine
	if e.healthLog == nil {
		return e.watch
	}
	return func(check spec.Check, addr netip.AddrPort, report func(spec.Health)) pool.Watch {
		// Reports of one target come one at a time, and not before the runner's lock
		// is free, which Subscribe holds until it returns.
		var s *health.Subscription
		made := make(chan struct{})
		down := false
		s = e.checks.Subscribe(check, addr, func(h spec.Health) {
			report(h)
			<-made
			switch {
			case h == spec.HealthDown && !down:
				in.logHealth(poolID, HealthChange{Target: addr, Cause: s.Cause()})
			case h == spec.HealthUp && down:
				in.logHealth(poolID, HealthChange{Target: addr, Well: true})
			}
			down = h == spec.HealthDown
		})
		down = s.Health() == spec.HealthDown // found out for others before
		close(made)
		return s
	}
}

// logHealth tells of a change for each frontend that uses the pool.
func (in *instance) logHealth(poolID string, c HealthChange) {
	in.mu.Lock()
	var listen []netip.AddrPort
	if p := in.pools[poolID]; p != nil {
		for _, f := range in.frontends {
			if f.err == nil && slices.Contains(f.pools, p.it) {
				listen = append(listen, f.spec.Listen)
			}
		}
	}
	in.mu.Unlock()
	slices.SortFunc(listen, netip.AddrPort.Compare)
	for _, l := range listen {
		c.Listen = l
		in.engine.healthLog(c)
	}
}
