package l4

import (
	"iter"
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// A carrier is a socket towards the servers. What tells a flow from others in
// the answer of a server is the port that it is sent to, so two flows to one
// server need two carriers; but flows to different servers share one. The
// sockets of a frontend are thus as many as its busiest server has flows, and
// not as many as there are flows.
type carrier struct {
	port   *udpPort
	index  int // in port.carriers, and of the flow in upstream.flows
	ipv6   bool
	fd     int // -1: not open
	handle loop.Handle
	flows  int
	own    bool  // has the address of one client, and serves no other
	flow   *flow // of an own carrier

	first, last int8 // of the batch under way: datagrams that go through it
}

const (
	// none ends a list of datagrams.
	none = int8(-1)
	// quarantine is how long a place beside a server rests after its last
	// datagram, lest a late answer reaches another client. Flows that end by being
	// idle have rested already; under want of sockets the rest is cut short.
	quarantine = int64(10 * time.Second)
	// tidyAfter is when sockets and servers without flows are looked for.
	tidyAfter = 15 * time.Second
)

// upstream is an address that a port has flows to.
type upstream struct {
	addr           netip.AddrPort
	name           sock.Name
	flows          []*flow // by carrier
	free           []place // of flows; free[taken:] are in the order they were left
	taken          int
	active         int
	oldest, newest *flow // queue of all flows, by when they began or were spared
}

// place is one of upstream.flows that is free.
type place struct {
	index int
	used  int64 // when a datagram last passed
}

// server finds a server of this port.
func (p *udpPort) server(addr netip.AddrPort) *upstream {
	// As answers come from it: without the zone.
	key := netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
	s := p.servers[key]
	if s == nil {
		s = &upstream{addr: key, name: sock.NameOf(addr)}
		p.servers[key] = s
	}
	return s
}

// flowOf finds the flow that a server answers through a carrier.
func (p *udpPort) flowOf(c *carrier, from netip.AddrPort) *flow {
	if c.own || c.fd < 0 { // connected: nobody but the server is heard
		return c.flow
	}
	s := p.servers[from]
	if s == nil || c.index >= len(s.flows) {
		return nil
	}
	return s.flows[c.index]
}

// carrierFor finds a carrier without a flow to the server; nil: there is none.
func (p *udpPort) carrierFor(s *upstream, now int64) *carrier {
	set := &p.carriers[0]
	if s.addr.Addr().Is6() {
		set = &p.carriers[1]
	}
	rested := s.taken < len(s.free) && now-s.free[s.taken].used >= quarantine
	if !rested && len(s.flows) < p.most.carriers {
		index := len(s.flows)
		if index == len(*set) {
			*set = append(*set, &carrier{port: p, index: index, ipv6: s.addr.Addr().Is6(), fd: -1, first: none})
		}
		if c := (*set)[index]; c.open() {
			s.flows = append(s.flows, nil)
			return c
		}
	}
	// A place may need a socket that cannot be had just now; others have theirs.
	for range min(len(s.free)-s.taken, evictTries) {
		at := s.free[s.taken]
		s.taken++
		if c := (*set)[at.index]; c.open() {
			return c
		}
		s.leave(at)
	}
	return nil
}

// add enters a flow, which has its carrier.
func (s *upstream) add(f *flow) {
	if f.carrier.own {
		f.carrier.flow = f
	} else {
		s.flows[f.carrier.index] = f
	}
	s.active++
	s.link(f)
}

// remove takes a flow out.
func (s *upstream) remove(f *flow) {
	s.active--
	s.unlink(f)
	if f.carrier.own {
		f.carrier.flow = nil
		return
	}
	s.flows[f.carrier.index] = nil
	s.leave(place{f.carrier.index, f.used})
}

// leave puts a place at the end of those that are free.
func (s *upstream) leave(at place) {
	if s.taken > len(s.free)/2 {
		s.free = s.free[:copy(s.free, s.free[s.taken:])]
		s.taken = 0
	}
	s.free = append(s.free, at)
}

// link puts a flow at the end of the queue.
func (s *upstream) link(f *flow) {
	f.prev, f.next = s.newest, nil
	if f.prev != nil {
		f.prev.next = f
	} else {
		s.oldest = f
	}
	s.newest = f
}

// unlink takes a flow out of the queue.
func (s *upstream) unlink(f *flow) {
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		s.oldest = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		s.newest = f.prev
	}
	f.prev, f.next = nil, nil
}

// open opens the socket if it is not, and reports whether it is then.
func (c *carrier) open() bool {
	if c.fd >= 0 {
		return true
	}
	if !c.port.takeDescriptor() {
		return false
	}
	fd, err := sock.DatagramSocket(c.ipv6)
	if err == nil && c.register(fd) {
		return true
	}
	c.port.giveDescriptor()
	return false
}

// register has the loop watch the socket, which is the carrier's from now on. If
// that fails it is closed.
func (c *carrier) register(fd int) bool {
	handle, err := c.port.worker.loop.Register(fd, loop.Readable|loop.Repeat, c)
	if err != nil {
		sock.Close(fd)
		return false
	}
	c.fd, c.handle = fd, handle
	return true
}

// takeDescriptor sets aside what a carrier needs, if there is some left.
func (p *udpPort) takeDescriptor() bool {
	e := p.worker.engine
	if !e.carriers.Take(1) {
		return false
	}
	if !e.budget.Take(1) {
		e.carriers.Give(1)
		return false
	}
	return true
}

// giveDescriptor gives that back.
func (p *udpPort) giveDescriptor() {
	p.worker.engine.carriers.Give(1)
	p.worker.engine.budget.Give(1)
}

// close closes the socket if it is open.
func (c *carrier) close() {
	if c.fd < 0 {
		return
	}
	c.port.worker.loop.Detach(c.handle) // another process may have the socket too
	sock.Close(c.fd)
	c.fd = -1
	c.port.giveDescriptor()
}

// allCarriers are the carriers with open sockets.
func (p *udpPort) allCarriers() iter.Seq[*carrier] {
	return func(yield func(*carrier) bool) {
		for _, set := range p.carriers {
			for _, c := range set {
				if c.fd >= 0 && !yield(c) {
					return
				}
			}
		}
		for _, f := range p.flows {
			if f.carrier.own && !yield(f.carrier) {
				return
			}
		}
	}
}

// Ready takes in what servers answered.
func (c *carrier) Ready(loop.Events) { c.port.answer(c) }

// Abort is called if taking in answers panicked; they are lost.
func (c *carrier) Abort() {
	d := c.port.worker.udp
	d.answers.Reset()
	d.held, d.of = 0, nil
}

// tidyLater has sockets closed that no flow uses for some time.
func (p *udpPort) tidyLater() {
	if !p.tidying.Armed() && p.fd >= 0 {
		p.worker.loop.Arm(&p.tidying, tidyAfter)
	}
}

// tidier is the timer of a port for what is no longer used.
type tidier struct{ p *udpPort }

// Expired closes sockets and forgets servers without flows. By now no late
// answer can be meant for the flows that were.
func (t tidier) Expired() {
	for _, set := range t.p.carriers {
		for _, c := range set {
			if c.flows == 0 {
				c.close()
			}
		}
	}
	for addr, s := range t.p.servers {
		if s.active == 0 {
			delete(t.p.servers, addr)
		}
	}
}
