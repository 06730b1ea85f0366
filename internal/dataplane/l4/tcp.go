package l4

import (
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TCP is one TCP frontend.
type TCP struct {
	front[*port]
	watched map[*pool.Pool]bool // guarded by mu
}

// NewTCP listens and begins to forward, within limits that may be shared with
// others; nil is none. If the address cannot be bound the error is a
// *sock.BindError.
func (e *Engine) NewTCP(f spec.Frontend, p *pool.Pool, limits *limit.Frontend) (*TCP, error) {
	t := &TCP{}
	group, err := t.listen(e, &f, limits, e.sockets.ListenTCP)
	if err != nil {
		return nil, err
	}
	t.ending = t.unwatch
	for i, fd := range group.FDs {
		t.ports = append(t.ports, newPort(t, e.workers[i%len(e.workers)], fd))
	}
	t.Update(f, p)
	if err := t.start(group); err != nil {
		return nil, err
	}
	return t, nil
}

// Update changes pool and settings for connections that begin from now on. Those
// that exist go on with what they began with, except that draining applies to
// all. The address cannot change.
func (t *TCP) Update(f spec.Frontend, p *pool.Pool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := settingsOf(&f, p, t.addr, t.now.Load())
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
		f.ShortConnections += p.short.Load()
		f.SourceFallbacks += p.plain.Load()
		f.BytesIn += p.bytesIn.Load()
		f.BytesOut += p.bytesOut.Load()
	}
	return f
}
