package l4

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// part is what a frontend has on one loop.
type part interface {
	// open begins to take traffic, or goes on with it.
	open() error
	// hold stops taking in anything new until it is opened again; what there is
	// goes on as far as it can without.
	hold()
	// close ends everything and calls finished, maybe in a later turn.
	close(finished func())
	// on is the worker whose loop the others are called on.
	on() *worker
}

// front is what TCP and UDP have alike: an address, a part on each loop, and
// an orderly end.
type front[P part] struct {
	engine *Engine
	id     spec.FrontendID
	addr   netip.AddrPort
	limit  *limit.Frontend
	log    *connectionLog // nil: none
	now    atomic.Pointer[settings]
	ports  []P   // one for each socket
	fds    []int // the sockets listened on: one for each worker, if none is inherited

	ending  func() // called once when closing begins; nil: nothing
	closing sync.Once
	closed  atomic.Bool
	done    chan struct{} // closed when all that was open is closed

	mu sync.Mutex // serialises Update
}

// listen binds the address, by one socket for each worker unless those of
// another process are inherited.
func (t *front[P]) listen(e *Engine, f *spec.Frontend, limits *limit.Frontend, bind func(netip.AddrPort, int) (*sock.Group, error)) (*sock.Group, error) {
	if limits == nil {
		limits = &limit.Frontend{}
	}
	n := len(e.workers)
	if !e.budget.Take(n) {
		return nil, &sock.BindError{Addr: f.Listen, Datagram: f.ID.Protocol == spec.UDP, Err: syscall.EMFILE}
	}
	group, err := bind(f.Listen, n)
	if err != nil {
		e.budget.Give(n)
		return nil, err
	}
	t.fds = slices.Clone(group.FDs)
	if e.budget.Give(n); !e.budget.Take(len(t.fds)) {
		group.Close()
		return nil, &sock.BindError{Addr: f.Listen, Datagram: f.ID.Protocol == spec.UDP, Err: syscall.EMFILE}
	}
	t.engine, t.id, t.addr, t.limit, t.done = e, f.ID, group.Addr, limits, make(chan struct{})
	t.log = newConnectionLog(e.connections, f.ID, group.Addr)
	return group, nil
}

// start has all parts take traffic through the sockets of group, unless the
// engine is held. After a failure everything is closed.
func (t *front[P]) start(group *sock.Group) error {
	if err := t.engine.add(t); err != nil {
		if t.ending != nil {
			t.ending()
		}
		group.Close()
		t.engine.budget.Give(len(t.ports))
		return err
	}
	if t.engine.held.Load() {
		return nil
	}
	if err := t.Resume(); err != nil {
		t.close()
		<-t.done
		return err
	}
	return nil
}

// Addr is the address listened on.
func (t *front[P]) Addr() netip.AddrPort { return t.addr }

// Close stops taking traffic and ends all connections, those of TCP by a reset.
// It returns when that is done, or with the error of ctx while it still goes on.
func (t *front[P]) Close(ctx context.Context) error {
	t.close()
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close of %s: %w", t.addr, ctx.Err())
	}
}

func (t *front[P]) gone() <-chan struct{} { return t.done }

// close begins the closing; done tells its end.
func (t *front[P]) close() {
	t.closing.Do(func() {
		t.closed.Store(true)
		if t.ending != nil {
			t.ending()
		}
		var left atomic.Int64
		left.Store(int64(len(t.ports)))
		finished := func() {
			if left.Add(-1) == 0 {
				t.engine.remove(t)
				close(t.done)
			}
		}
		for _, p := range t.ports {
			// The engine closes its loops only when all frontends are done.
			p.on().loop.Post(func() { p.close(finished) })
		}
	})
}
