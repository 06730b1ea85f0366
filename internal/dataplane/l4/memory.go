package l4

import (
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Memory is what a frontend knows of its clients, for the process that takes
// over. Times are ages.
type Memory struct {
	Members  []RememberedMember
	Affinity []RememberedClient
	Ports    []RememberedPort // of UDP, in the order of the sockets
}

// RememberedMember is a server that others refer to by its place.
type RememberedMember struct {
	ID   string
	Addr netip.AddrPort
	// Unusable is for how long it has not been usable; 0: it is.
	Unusable time.Duration
}

// RememberedClient is persistence by source address.
type RememberedClient struct {
	Source netip.Addr
	Member int
	Age    time.Duration // since it was used
}

// RememberedPort is the flows of one socket.
type RememberedPort struct {
	Carriers []RememberedCarrier
	Flows    []RememberedFlow
}

// RememberedCarrier is a socket towards servers. Its descriptor travels beside
// the memory.
type RememberedCarrier struct {
	Index int
	IPv6  bool
	Own   bool // of one flow, with its client's address; without Index
}

// RememberedFlow is one flow.
type RememberedFlow struct {
	Client         netip.AddrPort
	Server         netip.AddrPort
	Member         int
	Carrier        int // place in RememberedPort.Carriers
	Idle           time.Duration
	Used, Answered time.Duration
	Proxied        bool
}

// memberPlaces gives members their places.
type memberPlaces struct {
	memory *Memory
	places map[*pool.Member]int
}

func (p *memberPlaces) of(m *pool.Member) int {
	i, ok := p.places[m]
	if !ok {
		i = len(p.memory.Members)
		p.places[m] = i
		p.memory.Members = append(p.memory.Members, RememberedMember{m.ID(), m.Addr(), m.UnusableFor()})
	}
	return i
}

// Remember tells what the frontend knows. It must be held.
func (t *TCP) Remember() (*Memory, []int) {
	m := &Memory{}
	t.rememberAffinity(&memberPlaces{m, make(map[*pool.Member]int)})
	return m, nil
}

// Remember tells what the frontend knows, with the sockets towards servers in the
// order of their mention. They are the frontend's. It must be held.
func (u *UDP) Remember() (*Memory, []int) {
	m := &Memory{Ports: make([]RememberedPort, len(u.ports))}
	places := &memberPlaces{m, make(map[*pool.Member]int)}
	u.rememberAffinity(places)
	var fds []int
	for i, p := range u.ports {
		p.worker.loop.Do(func() { fds = append(fds, p.remember(&m.Ports[i], places)...) })
	}
	return m, fds
}

func (p *udpPort) remember(out *RememberedPort, places *memberPlaces) (fds []int) {
	at := make(map[*carrier]int)
	for c := range p.allCarriers() {
		at[c] = len(out.Carriers)
		out.Carriers = append(out.Carriers, RememberedCarrier{c.index, c.ipv6, c.own})
		fds = append(fds, c.fd)
	}
	now := p.worker.loop.Now()
	out.Flows = make([]RememberedFlow, 0, len(p.flows))
	for client, f := range p.flows {
		out.Flows = append(out.Flows, RememberedFlow{
			Client: client, Server: f.server.addr, Member: places.of(f.member), Carrier: at[f.carrier],
			Idle: time.Duration(f.idle), Used: time.Duration(now - f.used), Answered: time.Duration(now - f.answered), Proxied: f.proxied,
		})
	}
	return fds
}

func (t *front[P]) rememberAffinity(places *memberPlaces) {
	a := t.now.Load().affinity
	if a == nil {
		return
	}
	t.ports[0].on().loop.Do(func() {
		now := t.ports[0].on().loop.Now()
		for i := range a.shards {
			s := &a.shards[i]
			s.mu.Lock()
			for source, e := range s.entries {
				places.memory.Affinity = append(places.memory.Affinity, RememberedClient{source, places.of(e.member), time.Duration(max(now-e.used, 0))})
			}
			s.mu.Unlock()
		}
	})
}

// Recall takes in what another process knew. The frontend must be held and new.
func (t *TCP) Recall(m *Memory, fds []int) (lost int) {
	closeAll(fds) // there are none
	t.recallAffinity(m, t.recallMembers(m))
	return 0
}

// Recall takes in what another process knew, with the sockets towards servers in
// the order of their mention, which are then the frontend's. What does not fit,
// for want of descriptors or because it makes no sense, is left out and counted.
// The frontend must be held and new.
func (u *UDP) Recall(m *Memory, fds []int) (lost int) {
	members := u.recallMembers(m)
	u.recallAffinity(m, members)
	for i := range m.Ports {
		n := min(len(m.Ports[i].Carriers), len(fds))
		mine := fds[:n]
		fds = fds[n:]
		if i >= len(u.ports) {
			lost += len(m.Ports[i].Flows)
			closeAll(mine)
			continue
		}
		p := u.ports[i]
		if !p.worker.loop.Do(func() { lost += p.recall(&m.Ports[i], mine, members) }) {
			closeAll(mine)
		}
	}
	closeAll(fds)
	return lost
}

func closeAll(fds []int) {
	for _, fd := range fds {
		sock.Close(fd)
	}
}

// recallMembers finds the servers. One that has left its pool, or the pool its
// frontend, is there for what is on it still.
func (t *front[P]) recallMembers(m *Memory) []*pool.Member {
	p := t.now.Load().pool
	out := make([]*pool.Member, len(m.Members))
	for i, r := range m.Members {
		if p != nil {
			out[i] = p.Member(r.ID, r.Addr)
		}
		if out[i] == nil {
			out[i] = pool.Former(spec.Target{ID: r.ID, Addr: r.Addr}, r.Unusable)
		}
	}
	return out
}

func (t *front[P]) recallAffinity(m *Memory, members []*pool.Member) {
	s := t.now.Load()
	if s.affinity == nil {
		return
	}
	t.ports[0].on().loop.Do(func() {
		now := t.ports[0].on().loop.Now()
		for _, c := range m.Affinity {
			if c.Member < len(members) {
				s.affinity.put(c.Source, members[c.Member], now-int64(c.Age), s.persistence)
			}
		}
	})
}

// recall makes carriers of the sockets and flows of what is remembered.
func (p *udpPort) recall(m *RememberedPort, fds []int, members []*pool.Member) (lost int) {
	now := p.worker.loop.Now()
	carriers := make([]*carrier, len(fds))
	for i, fd := range fds {
		carriers[i] = p.recallCarrier(m.Carriers[i], fd)
	}
	for i := range m.Flows {
		f := &m.Flows[i]
		var c *carrier
		if f.Carrier < len(carriers) && f.Member < len(members) {
			c = carriers[f.Carrier]
		}
		if c == nil || !p.recallFlow(f, c, members[f.Member], now) {
			lost++
		}
	}
	for _, c := range carriers {
		if c != nil && c.own && c.flow == nil {
			p.dropOwn(c)
		}
	}
	for _, s := range p.servers { // what is free rests, as if just left
		for i, f := range s.flows {
			if f == nil {
				s.leave(place{i, now})
			}
		}
	}
	p.tidyLater()
	return lost
}

// recallCarrier takes a socket on; nil: it cannot be, and is closed.
func (p *udpPort) recallCarrier(m RememberedCarrier, fd int) *carrier {
	set := &p.carriers[0]
	if m.IPv6 {
		set = &p.carriers[1]
	}
	if m.Own {
		return p.recallOwn(m, fd)
	}
	e := p.worker.engine
	if m.Index < flowsMost && (m.Index >= len(*set) || (*set)[m.Index].fd < 0) && e.carriers.Take(1) {
		if e.budget.Take(1) {
			for m.Index >= len(*set) {
				*set = append(*set, &carrier{port: p, index: len(*set), ipv6: m.IPv6, fd: -1, first: none})
			}
			(*set)[m.Index].fd = fd
			return (*set)[m.Index]
		}
		e.carriers.Give(1)
	}
	sock.Close(fd)
	return nil
}

func (p *udpPort) recallFlow(r *RememberedFlow, c *carrier, m *pool.Member, now int64) bool {
	if p.fd < 0 || p.flows[r.Client] != nil || !r.Client.IsValid() || !r.Server.IsValid() || r.Server.Addr().Is6() != c.ipv6 || r.Idle <= 0 {
		return false
	}
	to := p.server(r.Server)
	if c.own {
		// Without the mode in force nobody brings the answers here.
		if c.flow != nil || !p.worker.engine.source.Covers(r.Client.Addr(), r.Server.Addr()) {
			return false
		}
	} else {
		for c.index >= len(to.flows) {
			to.flows = append(to.flows, nil)
		}
		if to.flows[c.index] != nil {
			return false
		}
	}
	f := p.worker.flows.Get()
	*f = flow{
		port: p, client: r.Client, name: sock.NameOf(r.Client), member: m, server: to, carrier: c,
		idle: int64(r.Idle), used: now - int64(r.Used), answered: now - int64(r.Answered), proxied: r.Proxied, tally: p.udp.log.begin(p.worker),
	}
	f.timer.Expirer = f
	m.Acquire()
	p.udp.limit.Readmit()
	p.flows[r.Client] = f
	to.add(f)
	c.flows++
	p.count.active.Add(1)
	p.worker.loop.Arm(&f.timer, max(r.Idle-r.Used, 0))
	return true
}
