package l4

import (
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

const (
	// evictIdle is how long a flow must have been quiet to be ended for another.
	evictIdle = int64(2 * time.Second)
	// evictTries is how many flows are looked at to find one.
	evictTries = 16
)

// flow is the traffic of one client address and port. It belongs to its port's
// loop and is reused when it ends.
type flow struct {
	port     *udpPort
	client   netip.AddrPort
	name     sock.Name // of the client
	member   *pool.Member
	server   *upstream
	carrier  *carrier
	timer    loop.Timer
	idle     int64 // nanoseconds
	used     int64 // when a datagram last passed
	answered int64 // when the server last answered, or the flow began
	proxied  bool
	tally    *tally // nil: there is no log

	prev, next *flow // in the server's queue
}

// begin starts a flow; nil says that it may not be or cannot be.
func (p *udpPort) begin(s *settings, client netip.AddrPort, name *sock.Name, data []byte, now int64) *flow {
	if p.fd < 0 || s.pool == nil || !s.acl.Admits(client.Addr()) {
		return nil
	}
	m := s.choose(client.Addr(), s.keyOf(client, data), now)
	if m == nil || !p.udp.limit.Admit() {
		return nil
	}
	to := p.server(m.Addr())
	if len(p.flows) >= p.most.flows && !p.evict(to, now) {
		p.refuse()
		return nil
	}
	own := p.worker.engine.source.Covers(client.Addr(), to.addr.Addr())
	c := p.carry(client, to, own, now)
	if c == nil && p.makeRoom(to, own, now) {
		c = p.carry(client, to, own, now)
	}
	if c == nil {
		p.refuse()
		return nil
	}
	f := p.worker.flows.Get()
	*f = flow{
		port: p, client: client, name: *name, member: m, server: to, carrier: c,
		idle: s.idle, used: now, answered: now, proxied: s.proxied, tally: p.udp.log.begin(p.worker),
	}
	f.timer.Expirer = f
	m.Acquire()
	p.flows[client] = f
	to.add(f)
	c.flows++
	if own && !c.own {
		p.count.plain.Add(1)
	}
	p.count.active.Add(1)
	p.count.begun.Add(1)
	p.worker.loop.Arm(&f.timer, time.Duration(f.idle))
	return f
}

// refuse takes back the admission of a flow for which there is no room.
func (p *udpPort) refuse() {
	p.udp.limit.Leave()
	p.count.short.Add(1)
	if e := p.worker.engine; e.budget.Complain() {
		e.log.Error("datagrams dropped: no room for more UDP flows; raise the limit of descriptors (LimitNOFILE= or ulimit -n) or add servers",
			"listener", p.udp.addr.String(), "flows", p.count.active.Load(), "limit", e.budget.System())
	}
}

// keyOf is what a hashing scheduler goes by.
func (s *settings) keyOf(client netip.AddrPort, data []byte) uint64 {
	switch s.pool.Scheduler() {
	case spec.SCH:
		return balance.HashSource(client.Addr())
	case spec.TCH:
		return balance.HashFlow(client, s.listen)
	case spec.QCH:
		if id := balance.QUICConnectionID(data); id != nil {
			return balance.HashConnectionID(id)
		}
		return balance.HashFlow(client, s.listen) // no QUIC packet: stays with its flow
	}
	return 0
}

// over reports whether the flow has come to its end at now, so that the next
// datagram of the client begins another.
//
// A flow stays with a server that may have no new ones, for as long as it is
// used and draining does not end it. But what is sent to such a server in vain
// does not count as use: the client of a dead server would never get another.
func (f *flow) over(s *settings, now int64) bool {
	if now-f.used >= f.idle {
		f.tally.because(endIdle)
		return true
	}
	if f.member.Usable() {
		return false
	}
	left := int64(f.member.UnusableFor())
	switch {
	case s.drain > 0 && left >= s.drain:
		f.tally.because(endDrained)
	case min(left, now-f.answered) >= f.idle:
		f.tally.because(endServerLost)
	default:
		return false
	}
	return true
}

// Expired ends the flow when it has been idle for long enough. Traffic only
// notes the time, so this is called more often than that.
func (f *flow) Expired() {
	l := f.port.worker.loop
	if left := f.used + f.idle - l.Now(); left > 0 {
		l.Arm(&f.timer, time.Duration(left))
		return
	}
	f.tally.because(endIdle)
	f.end()
}

// Abort ends the flow after a panic of its timer.
func (f *flow) Abort() {
	f.tally.because(endFailure)
	f.end()
}

// end forgets the flow.
func (f *flow) end() {
	p := f.port
	if p == nil {
		return // it has ended
	}
	p.udp.log.end(p.worker, f.tally, f.client, f.member)
	p.worker.loop.Disarm(&f.timer)
	delete(p.flows, f.client)
	f.server.remove(f)
	if f.carrier.flows--; f.carrier.flows == 0 || f.server.active == 0 {
		p.tidyLater()
	}
	if f.carrier.own {
		p.dropOwn(f.carrier)
	}
	f.member.Release()
	p.udp.limit.Leave()
	p.count.active.Add(-1)
	*f = flow{}
	p.worker.flows.Put(f)
}

// evict makes room for a flow to a server, by ending one that is quiet: of the
// same server if there is one, else of another.
func (p *udpPort) evict(s *upstream, now int64) bool {
	if s.evict(now) {
		return true
	}
	for _, other := range p.servers {
		if other.evict(now) {
			return true
		}
	}
	return false
}

// evict ends the flow of the server that has been quiet for longest among the
// first few of its queue. Those in use go to the end of it.
func (s *upstream) evict(now int64) bool {
	for range evictTries {
		f := s.oldest
		if f == nil {
			return false
		}
		if now-f.used >= evictIdle {
			f.port.count.evicted.Add(1)
			f.tally.because(endEvicted)
			f.end()
			return true
		}
		s.unlink(f)
		s.link(f)
	}
	return false
}
