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

// DefaultFlowTimeout ends a UDP flow without traffic on a frontend that states
// no time. Source: the vendor's FAQ about load balancing.
const DefaultFlowTimeout = 90 * time.Second

const (
	// flowsMost is how many flows a frontend keeps at most, whatever its own limit.
	flowsMost = 65536
	// carrierShare is the part of the descriptors for UDP, as a divisor, that one
	// frontend may use.
	carrierShare = 2
)

// UDP is one UDP frontend. A flow is what one address and port of a client
// sends and gets; it stays with one server until it has been idle for a while.
type UDP struct {
	engine *Engine
	id     spec.FrontendID
	addr   netip.AddrPort
	limit  *limit.Frontend
	now    atomic.Pointer[udpSettings]
	ports  []*udpPort // one for each worker

	closing sync.Once
	closed  atomic.Bool
	done    chan struct{} // closed when all flows are

	mu sync.Mutex // serialises Update
}

// udpSettings are what new flows begin with. They are immutable.
type udpSettings struct {
	pool        *pool.Pool
	acl         *acl.List
	idle        int64 // nanoseconds
	drain       int64 // nanoseconds; 0: off
	persistence int64 // nanoseconds; 0: off
	affinity    *affinity
	proxied     bool // a PROXY header precedes each datagram to a server
}

// NewUDP binds the address and begins to forward, within limits that may be
// shared with others; nil is none. If the address cannot be bound the error is a
// *sock.BindError.
func (e *Engine) NewUDP(f spec.Frontend, p *pool.Pool, limits *limit.Frontend) (*UDP, error) {
	if limits == nil {
		limits = &limit.Frontend{}
	}
	n := len(e.workers)
	if !e.budget.Take(n) {
		return nil, &sock.BindError{Addr: f.Listen, Datagram: true, Err: syscall.EMFILE}
	}
	group, err := sock.ListenUDP(f.Listen, n)
	if err != nil {
		e.budget.Give(n)
		return nil, err
	}
	u := &UDP{engine: e, id: f.ID, addr: group.Addr, limit: limits, done: make(chan struct{})}
	for i, w := range e.workers {
		u.ports = append(u.ports, newUDPPort(u, w, group.FDs[i]))
	}
	u.Update(f, p)
	if err := e.add(u); err != nil {
		group.Close()
		e.budget.Give(n)
		return nil, err
	}
	errs := make([]error, n)
	for i, p := range u.ports {
		if !p.worker.loop.Do(func() { errs[i] = p.open() }) {
			errs[i] = errClosed
		}
	}
	for _, err := range errs {
		if err != nil {
			u.close()
			<-u.done
			return nil, fmt.Errorf("listen on %s: %w", u.addr, err)
		}
	}
	return u, nil
}

// Addr is the address listened on.
func (u *UDP) Addr() netip.AddrPort { return u.addr }

// Update changes pool and settings for flows that begin from now on. Those that
// exist stay with their servers, except that draining applies to all. The
// address cannot change.
func (u *UDP) Update(f spec.Frontend, p *pool.Pool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	next := &udpSettings{pool: p, acl: acl.New(f.ACL), idle: int64(DefaultFlowTimeout)}
	if o := f.UDP; o != nil {
		if o.IdleTimeout > 0 {
			next.idle = int64(o.IdleTimeout)
		}
		next.drain = int64(max(o.Drain, 0))
		next.persistence = int64(max(o.Persistence, 0))
		next.proxied = o.ProxyProtocol
	}
	if next.persistence > 0 {
		if last := u.now.Load(); last != nil && last.pool == p && last.affinity != nil {
			next.affinity = last.affinity
		} else {
			next.affinity = newAffinity()
		}
	}
	u.now.Store(next)
}

// Facts sums the counters of all loops. Flows count as connections.
func (u *UDP) Facts() spec.FrontendFacts {
	f := spec.FrontendFacts{ID: u.id, Listening: !u.closed.Load()}
	for _, p := range u.ports {
		c := &p.count
		f.ActiveConnections += uint64(max(c.active.Load(), 0))
		f.NewConnections += c.begun.Load()
		f.DropConnections += c.refused.Load()
		f.EvictedFlows += c.evicted.Load()
		f.PacketsIn += c.in.packets.Load()
		f.BytesIn += c.in.bytes.Load()
		f.PacketsOut += c.out.packets.Load()
		f.BytesOut += c.out.bytes.Load()
		f.DropPacketsIn += c.dropIn.packets.Load()
		f.DropBytesIn += c.dropIn.bytes.Load()
		f.DropPacketsOut += c.dropOut.packets.Load()
		f.DropBytesOut += c.dropOut.bytes.Load()
	}
	return f
}

// Close ends all flows. It returns when that is done, or with the error of ctx
// while it still goes on.
func (u *UDP) Close(ctx context.Context) error {
	u.close()
	select {
	case <-u.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close of %s: %w", u.addr, ctx.Err())
	}
}

func (u *UDP) gone() <-chan struct{} { return u.done }

// close begins the closing; done tells its end.
func (u *UDP) close() {
	u.closing.Do(func() {
		u.closed.Store(true)
		var left atomic.Int64
		left.Store(int64(len(u.ports)))
		finished := func() {
			if left.Add(-1) == 0 {
				u.engine.remove(u)
				close(u.done)
			}
		}
		for _, p := range u.ports {
			// The engine closes its loops only when all frontends are done.
			p.worker.loop.Post(func() { p.close(finished) })
		}
	})
}
