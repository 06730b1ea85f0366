package l4

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/acl"
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// DefaultIdleTimeout holds for a frontend that states none: the vendor's
// default of EstablishedTimeout.
const DefaultIdleTimeout = 900 * time.Second

// TCP is one TCP frontend.
type TCP struct {
	engine *Engine
	id     spec.FrontendID
	addr   netip.AddrPort
	limit  *limit.Frontend
	now    atomic.Pointer[settings]
	ports  []*port // one for each worker

	closing sync.Once
	closed  atomic.Bool
	done    chan struct{} // closed when all connections are

	mu      sync.Mutex // serialises Update
	watched map[*pool.Pool]bool
}

// settings are what new connections begin with. They are immutable.
type settings struct {
	pool        *pool.Pool
	listen      netip.AddrPort
	idle        int64 // nanoseconds
	persistence int64 // nanoseconds; 0: off
	affinity    *affinity
	acl         *acl.List
	drain       int64 // nanoseconds; 0: off
	proxied     bool  // a PROXY header begins each connection to a server
}

// NewTCP listens and begins to forward, within limits that may be shared with
// others; nil is none. If the address cannot be bound the error is a
// *sock.BindError.
func (e *Engine) NewTCP(f spec.Frontend, p *pool.Pool, limits *limit.Frontend) (*TCP, error) {
	if limits == nil {
		limits = &limit.Frontend{}
	}
	if !e.budget.Take(len(e.workers)) {
		return nil, &sock.BindError{Addr: f.Listen, Err: syscall.EMFILE}
	}
	group, err := sock.ListenTCP(f.Listen, len(e.workers))
	if err != nil {
		e.budget.Give(len(e.workers))
		return nil, err
	}
	t := &TCP{engine: e, id: f.ID, addr: group.Addr, limit: limits, done: make(chan struct{})}
	for i, w := range e.workers {
		t.ports = append(t.ports, newPort(t, w, group.FDs[i]))
	}
	t.Update(f, p)
	if err := e.add(t); err != nil {
		t.unwatch()
		group.Close()
		e.budget.Give(len(e.workers))
		return nil, err
	}
	errs := make([]error, len(t.ports))
	for i, p := range t.ports {
		if !p.worker.loop.Do(func() { errs[i] = p.open() }) {
			errs[i] = errClosed
		}
	}
	for _, err := range errs {
		if err != nil {
			t.close()
			<-t.done
			return nil, fmt.Errorf("listen on %s: %w", t.addr, err)
		}
	}
	return t, nil
}

// Addr is the address listened on.
func (t *TCP) Addr() netip.AddrPort { return t.addr }

// Update changes pool and settings for connections that begin from now on. Those
// that exist go on with what they began with, except that draining applies to
// all. The address cannot change.
func (t *TCP) Update(f spec.Frontend, p *pool.Pool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := &settings{pool: p, listen: t.addr, idle: int64(DefaultIdleTimeout), acl: acl.New(f.ACL)}
	if o := f.TCP; o != nil {
		if o.IdleTimeout > 0 {
			next.idle = int64(o.IdleTimeout)
		}
		next.persistence = int64(max(o.Persistence, 0))
		next.drain = int64(max(o.Drain, 0))
		next.proxied = o.ProxyProtocol
	}
	if next.persistence > 0 {
		if last := t.now.Load(); last != nil && last.pool == p && last.affinity != nil {
			next.affinity = last.affinity
		} else {
			next.affinity = newAffinity()
		}
	}
	t.now.Store(next)
	if next.drain > 0 {
		t.watchPoolLocked(p)
		t.drainAll()
	}
}

// Facts sums the counters of all loops.
func (t *TCP) Facts() spec.FrontendFacts {
	f := spec.FrontendFacts{ID: t.id, Listening: !t.closed.Load()}
	for _, p := range t.ports {
		f.ActiveConnections += uint64(max(p.active.Load(), 0))
		f.NewConnections += p.accepted.Load()
		f.DropConnections += p.dropped.Load()
		f.BytesIn += p.bytesIn.Load()
		f.BytesOut += p.bytesOut.Load()
	}
	return f
}

// Close stops accepting and resets all connections. It returns when that is
// done, or with the error of ctx while it still goes on.
func (t *TCP) Close(ctx context.Context) error {
	t.close()
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close of %s: %w", t.addr, ctx.Err())
	}
}

func (t *TCP) gone() <-chan struct{} { return t.done }

// close begins the closing; done tells its end.
func (t *TCP) close() {
	t.closing.Do(func() {
		t.closed.Store(true)
		t.unwatch()
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
			p.worker.loop.Post(func() { p.close(finished) })
		}
	})
}
