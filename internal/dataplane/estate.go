package dataplane

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/health"
	"github.com/openslb/openslb/internal/dataplane/l4"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/dataplane/tlsconf"
)

// An engine passes to one of another process in the steps of
// docs/design/0003-handover.md: Bequeath here and New there, with the same
// configuration; Hold here; Memories here and Recall there; then Resume there
// and Leave here, or, if the other is gone, Resume here.

// Estate is what an engine leaves to the next, as values that can be written
// down. It holds secrets.
type Estate struct {
	Sockets   []Listening // whose descriptors travel beside, in this order
	Health    []health.Verdict
	Standings []PoolStandings
	Tickets   []tlsconf.TicketKey
}

// Listening is the sockets of one frontend.
type Listening struct {
	Datagram bool
	Addr     netip.AddrPort
	FDs      int // how many descriptors
}

// PoolStandings are those of one pool's targets.
type PoolStandings struct {
	Instance, Pool string
	Targets        []pool.Standing
}

type standingKey struct {
	instance, pool, target string
	addr                   netip.AddrPort
}

// live is a frontend that runs.
type live struct {
	id spec.FrontendID
	frontend
}

// running are all frontends that could be started.
func (e *Engine) running() []live {
	var out []live
	for _, in := range e.all() {
		in.mu.Lock()
		for id, f := range in.frontends {
			if f.err == nil {
				out = append(out, live{id, f.it})
			}
		}
		in.mu.Unlock()
	}
	return out
}

// Bequeath tells what there is to leave, with the descriptors of the sockets,
// which stay the engine's. Nothing changes by it.
func (e *Engine) Bequeath() (*Estate, []int) {
	e.applying.Lock()
	defer e.applying.Unlock()
	out := &Estate{Health: e.checks.Verdicts(), Tickets: e.engines.tls.TicketKeys()}
	var all []int
	for _, in := range e.all() {
		in.mu.Lock()
		for id, f := range in.frontends {
			if f.err == nil {
				fds := f.it.Sockets()
				out.Sockets = append(out.Sockets, Listening{id.Protocol == spec.UDP, f.spec.Listen, len(fds)})
				all = append(all, fds...)
			}
		}
		for id, p := range in.pools {
			if s := p.it.Standings(); len(s) > 0 {
				out.Standings = append(out.Standings, PoolStandings{in.id, id, s})
			}
		}
		in.mu.Unlock()
	}
	return out, all
}

// inherit takes an estate over. Descriptors that are not what it says are closed.
func (e *Engine) inherit(from *Estate, fds []int) {
	if from == nil {
		return
	}
	e.engines.held.Store(true)
	e.engines.sockets = new(sock.Inherited)
	e.checks.Inherit(from.Health)
	e.engines.tls.InheritTicketKeys(from.Tickets)
	e.standings = make(map[standingKey]bool)
	for _, p := range from.Standings {
		for _, t := range p.Targets {
			e.standings[standingKey{p.Instance, p.Pool, t.ID, t.Addr}] = t.Well
		}
	}
	for _, l := range from.Sockets {
		n := min(max(l.FDs, 0), len(fds))
		group := &sock.Group{Addr: l.Addr}
		for _, fd := range fds[:n] {
			if sock.IsSocket(fd, l.Datagram, l.Addr) {
				group.FDs = append(group.FDs, fd)
			} else {
				e.log.Error("an inherited descriptor is not the socket it is said to be", "listener", l.Addr.String())
				sock.Close(fd)
			}
		}
		fds = fds[n:]
		e.engines.sockets.Add(l.Datagram, group)
	}
	for _, fd := range fds {
		sock.Close(fd)
	}
}

// had tells what the engine before knew of a pool's targets; nil: nothing.
func (e *Engine) had(instance, id string) pool.Had {
	if len(e.standings) == 0 {
		return nil
	}
	return func(target string, addr netip.AddrPort) bool {
		return e.standings[standingKey{instance, id, target, addr}]
	}
}

// Hold stops taking in anything new: connections and datagrams wait in the
// sockets. What is under way goes on, except flows of UDP.
func (e *Engine) Hold() {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.engines.held.Store(true)
	for _, f := range e.running() {
		f.Hold()
	}
}

// Resume goes on after Hold, or begins with an estate: what of it nobody wanted
// is given up. A frontend that cannot go on is in the error.
func (e *Engine) Resume() error {
	e.applying.Lock()
	defer e.applying.Unlock()
	e.engines.held.Store(false)
	var errs []error
	for _, f := range e.running() {
		if err := f.Resume(); err != nil {
			errs = append(errs, fmt.Errorf("load balancer %s: listener %s:%d: %w", f.id.Instance, f.id.Protocol, f.id.Port, err))
		}
	}
	e.checks.Forget()
	e.standings = nil
	e.engines.sockets.Close()
	return errors.Join(errs...)
}

// Memories gives each frontend's knowledge of its clients to pass, with
// descriptors that stay the frontend's. The engine must be held.
func (e *Engine) Memories(pass func(id spec.FrontendID, memory []byte, fds []int) error) error {
	for _, f := range e.running() {
		r, ok := f.frontend.(remembering)
		if !ok {
			continue
		}
		m, fds := r.Remember()
		b, err := m.Encode()
		if err == nil {
			err = pass(f.id, b, fds)
		}
		if err != nil {
			return fmt.Errorf("memory of listener %s:%d of load balancer %s: %w", f.id.Protocol, f.id.Port, f.id.Instance, err)
		}
	}
	return nil
}

// Recall takes in what a frontend of another engine knew; the descriptors are
// then this engine's. What is of no use here is given up. The engine must be
// held.
func (e *Engine) Recall(id spec.FrontendID, memory []byte, fds []int) error {
	giveUp := func() {
		for _, fd := range fds {
			sock.Close(fd)
		}
	}
	m, err := l4.DecodeMemory(memory)
	if err != nil {
		giveUp()
		return err
	}
	for _, f := range e.running() {
		if r, ok := f.frontend.(remembering); ok && f.id == id {
			if lost := r.Recall(m, fds); lost > 0 {
				e.log.Warn("UDP flows could not be taken over", "load_balancer", id.Instance, "port", id.Port, "flows", lost)
			}
			return nil
		}
	}
	giveUp() // it is not wanted any more
	return nil
}

// Leave closes the listening sockets, which another process has too. Connections
// go on, see Active.
func (e *Engine) Leave() {
	e.applying.Lock()
	defer e.applying.Unlock()
	for _, f := range e.running() {
		f.Leave()
	}
}

// Active is how many client connections and flows there are.
func (e *Engine) Active() (n uint64) {
	for _, f := range e.FrontendFacts() {
		n += f.ActiveConnections
	}
	return n
}
