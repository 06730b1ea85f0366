// Package limit keeps load balancers within bounds: connections open at once,
// new connections and requests a second, and bandwidth, of one frontend and of
// all frontends of an instance together.
//
// The counters outlive changes of the bounds and of the frontends, so that a
// change never lets through more than the bound. Without a bound the costs are
// an atomic add for a connection and an atomic load for a request or a chunk.
package limit

import (
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// rateBurst is how much of a rate of connections or requests may come at once: a
// whole second's, since the rate is stated by the second.
const rateBurst = time.Second

// leastShared is the bandwidth in bits a second that frontends without a limit
// share at least. Reservations that use up the whole instance would leave them
// open but dead.
const leastShared = 1_000_000

const bitsPerByte = 8

// Instance holds the bounds of one load balancer. The zero Instance has none.
type Instance struct {
	conns    gate
	rate     bucket
	requests bucket
	in, out  bucket // bandwidth beyond the reservations

	mu        sync.Mutex
	frontends map[spec.FrontendID]*Frontend
}

// Frontend holds the bounds of one frontend and those it shares. The zero
// Frontend has none.
type Frontend struct {
	// In and Out are the bandwidth from and to clients.
	In, Out Pace

	conns    gate
	instance *Instance // nil: shares none
}

// Update makes the bounds those of s, for all its frontends.
func (i *Instance) Update(s *spec.Instance) {
	i.conns.setMost(s.Limits.Connections)
	i.rate.set(int64(s.Limits.ConnectionRate), rateBurst)
	i.requests.set(int64(s.Limits.RequestRate), rateBurst)

	total := s.Limits.Bandwidth
	rest, sharers := total, int64(0)
	for k := range s.Frontends {
		if b := s.Frontends[k].Bandwidth; b > 0 {
			rest -= b
		} else {
			sharers++
		}
	}
	rest = max(rest, leastShared) / bitsPerByte
	i.in.set(rest, bandwidthBurst)
	i.out.set(rest, bandwidthBurst)

	i.mu.Lock()
	defer i.mu.Unlock()
	last := i.frontends
	i.frontends = make(map[spec.FrontendID]*Frontend, len(s.Frontends))
	for k := range s.Frontends {
		f := &s.Frontends[k]
		one := last[f.ID]
		if one == nil {
			one = &Frontend{instance: i}
			one.In.shared, one.Out.shared = &i.in, &i.out
		}
		i.frontends[f.ID] = one
		one.conns.setMost(f.MaxConnections)
		rate, borrows := f.Bandwidth/bitsPerByte, false
		if f.Bandwidth <= 0 && total > 0 {
			rate, borrows = max(rest/sharers, 1), true
		}
		one.Out.set(rate, borrows)
		// Bandwidth means traffic to clients. Only where the instance pays for it
		// is the other direction held to the same figure. Source: the vendor's page
		// on limits of peak bandwidth.
		if total <= 0 {
			rate, borrows = 0, false
		}
		one.In.set(rate, borrows)
	}
}

// Frontend gives the bounds of one frontend of the last Update, or of none for
// any other.
func (i *Instance) Frontend(id spec.FrontendID) *Frontend {
	i.mu.Lock()
	defer i.mu.Unlock()
	if f := i.frontends[id]; f != nil {
		return f
	}
	return &Frontend{}
}

// Admit counts a connection that begins, and reports false if it is beyond a
// bound of the frontend or the instance. Every Admit that reported true needs a
// Leave.
func (f *Frontend) Admit() bool {
	if !f.conns.enter() {
		return false
	}
	i := f.instance
	if i == nil {
		return true
	}
	if i.conns.enter() {
		if !i.rate.limited() || i.rate.allow(1, clock()) {
			return true
		}
		i.conns.leave()
	}
	f.conns.leave()
	return false
}

// Readmit counts a connection that was admitted before, by another process. No
// bound keeps it out; it needs a Leave too.
func (f *Frontend) Readmit() {
	f.conns.open.Add(1)
	if f.instance != nil {
		f.instance.conns.open.Add(1)
	}
}

// Leave counts the end of a connection.
func (f *Frontend) Leave() {
	f.conns.leave()
	if f.instance != nil {
		f.instance.conns.leave()
	}
}

// Request counts a request, and reports false if it is beyond what the instance
// may have in a second.
func (f *Frontend) Request() bool {
	i := f.instance
	return i == nil || !i.requests.limited() || i.requests.allow(1, clock())
}
