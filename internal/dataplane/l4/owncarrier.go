package l4

import (
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane/sock"
)

// In transparent mode a flow has a socket of its own towards its server, with
// the address and port of its client. The sockets are as many as the flows, so
// that a frontend has room for fewer.

// carry finds a carrier for a flow, one of its own if that is wanted and the
// client's address is not taken; nil: there is none.
func (p *udpPort) carry(client netip.AddrPort, to *upstream, own bool, now int64) *carrier {
	if own {
		if c, taken := p.ownCarrier(client, to); !taken {
			return c
		}
	}
	return p.carrierFor(to, now)
}

// ownCarrier makes a carrier with the address of a client; nil: there is no room,
// or the address is taken.
func (p *udpPort) ownCarrier(client netip.AddrPort, to *upstream) (c *carrier, taken bool) {
	if p.own >= p.most.carriers || !p.takeDescriptor() {
		return nil, false
	}
	fd, errno := sock.DatagramFrom(client, to.addr)
	if errno != 0 {
		p.giveDescriptor()
		return nil, sock.Taken(errno)
	}
	c = p.worker.own.Get()
	*c = carrier{port: p, own: true, ipv6: to.addr.Addr().Is6(), fd: -1, first: none}
	if !c.register(fd) {
		p.giveDescriptor()
		p.worker.own.Put(c)
		return nil, false
	}
	p.own++
	return c, false
}

// recallOwn takes on a socket of another process; nil: it cannot be, and is
// closed.
func (p *udpPort) recallOwn(m RememberedCarrier, fd int) *carrier {
	if !p.takeDescriptor() {
		sock.Close(fd)
		return nil
	}
	c := p.worker.own.Get()
	*c = carrier{port: p, own: true, ipv6: m.IPv6, fd: fd, first: none}
	p.own++
	return c
}

// dropOwn closes the carrier of a flow that has ended. What the batch under way
// has for it is sent before.
func (p *udpPort) dropOwn(c *carrier) {
	if c.first != none {
		p.send(p.worker.udp, c)
	}
	c.close()
	*c = carrier{fd: -1, first: none}
	p.worker.own.Put(c)
	p.own--
}

// makeRoom ends a quiet flow so that another to the server can have a carrier.
// Those with carriers of their own can make room for one another whatever their
// servers.
func (p *udpPort) makeRoom(to *upstream, own bool, now int64) bool {
	if own {
		return p.evict(to, now)
	}
	return to.evict(now)
}
