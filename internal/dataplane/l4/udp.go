package l4

import (
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

const (
	// flowsMost is how many flows a frontend keeps at most, whatever its own limit.
	flowsMost = 65536
	// carrierShare is the part of the descriptors for UDP, as a divisor, that one
	// frontend may use.
	carrierShare = 2
)

// UDP is one UDP frontend. A flow is what one address and port of a client
// sends and gets; it stays with one server until it has been idle for a while.
type UDP struct{ front[*udpPort] }

// NewUDP binds the address and begins to forward, within limits that may be
// shared with others; nil is none. If the address cannot be bound the error is a
// *sock.BindError.
func (e *Engine) NewUDP(f spec.Frontend, p *pool.Pool, limits *limit.Frontend) (*UDP, error) {
	u := &UDP{}
	group, err := u.listen(e, &f, limits, e.sockets.ListenUDP)
	if err != nil {
		return nil, err
	}
	for i, fd := range group.FDs {
		u.ports = append(u.ports, newUDPPort(u, e.workers[i%len(e.workers)], fd))
	}
	u.Update(f, p)
	if err := u.start(group); err != nil {
		return nil, err
	}
	return u, nil
}

// Update changes pool and settings for flows that begin from now on. Those that
// exist stay with their servers, except that draining applies to all. The
// address cannot change.
func (u *UDP) Update(f spec.Frontend, p *pool.Pool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now.Store(settingsOf(&f, p, u.addr, u.now.Load()))
}

// Facts sums the counters of all loops. Flows count as connections.
func (u *UDP) Facts() spec.FrontendFacts {
	f := spec.FrontendFacts{ID: u.id, Listening: !u.closed.Load()}
	for _, p := range u.ports {
		c := &p.count
		f.ActiveConnections += uint64(max(c.active.Load(), 0))
		f.NewConnections += c.begun.Load()
		f.DropConnections += c.refused.Load()
		f.ShortConnections += c.short.Load()
		f.EvictedFlows += c.evicted.Load()
		f.SourceFallbacks += c.plain.Load()
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
