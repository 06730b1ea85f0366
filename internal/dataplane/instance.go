package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// closeWait is how long a change waits for the frontends it takes away. Their
// sockets are closed before that time begins; those that still have requests
// under way after it finish in the background.
const closeWait = 100 * time.Millisecond

// instance is one load balancer at run time.
type instance struct {
	engine *Engine
	id     string

	// changing is held for the whole of a change. Lock order: changing, mu.
	changing sync.Mutex
	limits   limit.Instance // updated under changing
	gone     bool           // guarded by changing: taken out of the engine
	applied  *spec.Instance // guarded by changing; nil unless wholly applied

	// mu guards the maps, which changes write and facts read. Nothing that may
	// wait is done under it.
	mu        sync.Mutex
	pools     map[string]*running[*pool.Pool, spec.Pool]
	frontends map[spec.FrontendID]*running[frontend, spec.Frontend]
}

// running is something that runs, with what it was told to be.
type running[T, S any] struct {
	it    T
	spec  S
	pools []*pool.Pool // frontends: the pools it was given, its own first
	err   error        // frontends: why it is not running
}

func newInstance(e *Engine, id string) *instance {
	return &instance{
		engine:    e,
		id:        id,
		pools:     make(map[string]*running[*pool.Pool, spec.Pool]),
		frontends: make(map[spec.FrontendID]*running[frontend, spec.Frontend]),
	}
}

// apply makes the instance what want says. It reports false, having done
// nothing, when the instance is no longer the engine's.
func (in *instance) apply(ctx context.Context, want *spec.Instance) (bool, error) {
	in.changing.Lock()
	defer in.changing.Unlock()
	if in.gone {
		return false, nil
	}
	if want == nil {
		in.removeLocked()
		return true, nil
	}
	if err := ctx.Err(); err != nil {
		return true, err
	}
	if want == in.applied {
		return true, nil
	}
	in.applied = nil
	// Pools come before the frontends that use them and go after those that used
	// them. Frontends that go make room first, for a port may change its protocol.
	in.updatePools(want)
	in.limits.Update(want)
	left := in.retire(in.frontendsNotIn(want.Frontends))
	err := in.updateFrontends(want.Frontends)
	in.closePools(in.poolsNotIn(want.Pools), left)
	if err == nil {
		in.applied = want
	}
	return true, err
}

// remove takes the instance away as a whole.
func (in *instance) remove() {
	in.changing.Lock()
	defer in.changing.Unlock()
	if !in.gone {
		in.removeLocked()
	}
}

func (in *instance) removeLocked() {
	in.gone = true
	left := in.retire(in.frontendsNotIn(nil))
	in.closePools(in.poolsNotIn(nil), left)
	in.engine.mu.Lock()
	delete(in.engine.instances, in.id)
	in.engine.mu.Unlock()
}

// updatePools starts new pools and tells changed ones.
func (in *instance) updatePools(want *spec.Instance) {
	for _, s := range want.Pools {
		p := in.pools[s.ID]
		switch {
		case p == nil:
			p = &running[*pool.Pool, spec.Pool]{it: pool.Continue(s, in.watch(s.ID), in.had(&s, want.Frontends)), spec: s}
			in.mu.Lock()
			in.pools[s.ID] = p
			in.mu.Unlock()
		case !reflect.DeepEqual(p.spec, s):
			p.it.Update(s)
			p.spec = s
		}
	}
}

// had tells which targets of a new pool may go on with their traffic: those of
// the engine before, those that have it with other settings, and those that have
// it in the pool that a listener or rule leaves for this one. Without the latter
// two, a rule that gets settings of its own, or a listener that gets another group
// of the same servers, would be without servers until they were checked anew.
func (in *instance) had(s *spec.Pool, frontends []spec.Frontend) pool.Had {
	before := in.engine.had(in.id, s.ID)
	left := in.leftFor(s.ID, frontends)
	return func(id string, addr netip.AddrPort) bool {
		if before != nil && before(id, addr) {
			return true
		}
		for _, p := range in.pools {
			if s.Origin != "" && p.spec.Origin == s.Origin && p.it.Well(id, addr) {
				return true
			}
		}
		return slices.ContainsFunc(left, func(p *pool.Pool) bool {
			m := p.Member(id, addr)
			return m != nil && m.Usable()
		})
	}
}

// leftFor are the pools of listeners and rules that are to use the pool named.
func (in *instance) leftFor(id string, frontends []spec.Frontend) []*pool.Pool {
	var out []*pool.Pool
	add := func(p *pool.Pool) {
		if p != nil {
			out = append(out, p)
		}
	}
	for i := range frontends {
		next := &frontends[i]
		f := in.frontends[next.ID]
		if f == nil || f.err != nil {
			continue
		}
		if next.Pool == id {
			add(f.pools[0])
		}
		if next.HTTP == nil || f.spec.HTTP == nil {
			continue
		}
		for _, r := range next.HTTP.Rules {
			if r.Pool != id {
				continue
			}
			was := slices.IndexFunc(f.spec.HTTP.Rules, func(old spec.Rule) bool { return old.ID == r.ID })
			if was >= 0 {
				add(f.pools[1+was])
			}
		}
	}
	return out
}

// updateFrontends starts new frontends, also those that could not be started
// before, and tells changed ones.
func (in *instance) updateFrontends(want []spec.Frontend) error {
	var errs []error
	for _, s := range want {
		f := in.frontends[s.ID]
		pools, err := in.poolsOf(s)
		switch {
		case err == nil && f != nil && f.err == nil:
			if !slices.Equal(f.pools, pools) || !reflect.DeepEqual(f.spec, s) {
				f.it.Update(s, pools[0], pools[1:]...)
				in.mu.Lock()
				f.spec, f.pools = s, pools
				in.mu.Unlock()
			}
			continue
		case err == nil:
			f = &running[frontend, spec.Frontend]{spec: s, pools: pools}
			f.it, f.err = in.engine.build(s, pools[0], in.limits.Frontend(s.ID), pools[1:])
		case f == nil || f.err != nil:
			f = &running[frontend, spec.Frontend]{spec: s, err: err}
		default:
			// It runs and stays open; the new settings are of no use to it.
			errs = append(errs, frontendError(s, err))
			continue
		}
		if f.err != nil {
			errs = append(errs, frontendError(s, f.err))
		}
		in.mu.Lock()
		in.frontends[s.ID] = f
		in.mu.Unlock()
	}
	return errors.Join(errs...)
}

func frontendError(s spec.Frontend, err error) error {
	return fmt.Errorf("listener %s:%d: %w", s.ID.Protocol, s.ID.Port, err)
}

// poolsOf finds the frontend's pool and those of its rules; a redirect has none.
func (in *instance) poolsOf(s spec.Frontend) ([]*pool.Pool, error) {
	ids := []string{s.Pool}
	if s.HTTP != nil {
		for i := range s.HTTP.Rules {
			ids = append(ids, s.HTTP.Rules[i].Pool)
		}
	}
	out := make([]*pool.Pool, len(ids))
	for i, id := range ids {
		if id == "" {
			continue
		}
		p := in.pools[id]
		if p == nil {
			return nil, fmt.Errorf("its pool %s is not part of the configuration", id)
		}
		out[i] = p.it
	}
	return out, nil
}

// frontendsNotIn takes out the frontends that are not wanted any more, or only
// at another address: that makes them other frontends.
func (in *instance) frontendsNotIn(want []spec.Frontend) []frontend {
	listen := make(map[spec.FrontendID]spec.Frontend, len(want))
	for _, s := range want {
		listen[s.ID] = s
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []frontend
	for id, f := range in.frontends {
		if s, ok := listen[id]; ok && s.Listen == f.spec.Listen {
			continue
		}
		if f.err == nil {
			out = append(out, f.it)
		}
		delete(in.frontends, id)
	}
	return out
}

func (in *instance) poolsNotIn(want []spec.Pool) []*pool.Pool {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []*pool.Pool
	for id, p := range in.pools {
		if !slices.ContainsFunc(want, func(s spec.Pool) bool { return s.ID == id }) {
			out = append(out, p.it)
			delete(in.pools, id)
		}
	}
	return out
}

// retire closes frontends. When it returns their sockets are closed, however long
// that took, so that others can have their ports. For the rest it waits a moment and leaves it to
// the background, where requests under way have the engine's drain timeout to
// finish. What it returns is closed when all are.
func (in *instance) retire(frontends []frontend) (left <-chan struct{}) {
	done := make(chan struct{})
	if len(frontends) == 0 {
		close(done)
		return done
	}
	for _, f := range frontends {
		f.Leave()
	}
	e := in.engine
	e.draining.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(e.life, e.drain)
		defer cancel()
		var closing sync.WaitGroup
		for _, f := range frontends {
			closing.Go(func() {
				if err := f.Close(ctx); err != nil {
					e.log.Warn("requests were cut short when their listener was taken away", "load_balancer", in.id, "cause", err)
				}
			})
		}
		closing.Wait()
	})
	wait := time.NewTimer(closeWait)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
	}
	return done
}

// closePools closes pools as soon as the frontends that left need them no more.
func (in *instance) closePools(pools []*pool.Pool, left <-chan struct{}) {
	if len(pools) == 0 {
		return
	}
	closeAll := func() {
		for _, p := range pools {
			p.Close()
		}
	}
	select {
	case <-left:
		closeAll()
	default:
		in.engine.draining.Go(func() { <-left; closeAll() })
	}
}

func (in *instance) targetFacts() []spec.TargetFacts {
	in.mu.Lock()
	pools := make([]*pool.Pool, 0, len(in.pools))
	for _, p := range in.pools {
		pools = append(pools, p.it)
	}
	in.mu.Unlock()
	slices.SortFunc(pools, func(a, b *pool.Pool) int { return strings.Compare(a.ID(), b.ID()) })
	var out []spec.TargetFacts
	for _, p := range pools {
		out = append(out, p.Facts()...)
	}
	return out
}

func (in *instance) frontendFacts() []spec.FrontendFacts {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := make([]spec.FrontendFacts, 0, len(in.frontends))
	for id, f := range in.frontends {
		facts := spec.FrontendFacts{ID: id}
		if f.err == nil {
			facts = f.it.Facts()
		} else {
			facts.Error = f.err.Error()
		}
		out = append(out, facts)
	}
	slices.SortFunc(out, func(a, b spec.FrontendFacts) int {
		if a.ID.Port != b.ID.Port {
			return int(a.ID.Port) - int(b.ID.Port)
		}
		return strings.Compare(string(a.ID.Protocol), string(b.ID.Protocol))
	})
	return out
}
