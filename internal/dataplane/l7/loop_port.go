package l7

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// loopPort is a frontend's part on one loop: its listening socket and its
// connections.
type loopPort struct {
	h       *HTTP
	r       *reactor
	count   *counters
	shard   uint32
	listen  loop.Listener
	in, out loopQueue   // who waits for bandwidth, from clients and to them
	clients *loopClient // list of all
	fresh   *loopClient // being begun, for the case of a panic
}

func (p *loopPort) open() error { return p.listen.Open() }
func (p *loopPort) hold()       { p.listen.Hold() }
func (p *loopPort) close()      { p.listen.Close() }

// Take accepts a connection.
func (p *loopPort) Take(fd int) syscall.Errno {
	client, remote, errno := sock.Accept(fd)
	if errno == 0 {
		p.begin(client, remote)
	}
	return errno
}

// Short tells that connections have to wait.
func (p *loopPort) Short(errno syscall.Errno) {
	p.h.complain("cannot accept connections", errno)
}

// Abort is called if beginning a connection panicked; accepting goes on.
func (p *loopPort) Abort() {
	if c := p.fresh; c != nil {
		p.fresh = nil
		c.abort()
	}
}

// begin serves one accepted connection, or closes it without an answer if access
// control, limits or the budget of descriptors say so. The first request may be
// there already, and is then taken in this turn.
func (p *loopPort) begin(fd int, remote netip.AddrPort) {
	if !p.h.admit(remote.Addr(), p.count) {
		sock.Close(fd)
		return
	}
	if !p.r.loop.Budget.TakeFirst(1) {
		p.h.noRoom(p.count)
		sock.Close(fd)
		return
	}
	p.h.conns.Add(1)
	c := p.r.clients.Get()
	*c = loopClient{port: p, fd: int32(fd), peer: remote, key: balance.HashSource(remote.Addr()), readable: true}
	c.timer.Expirer = c
	c.next = p.clients
	if c.next != nil {
		c.next.prev = c
	}
	p.clients = c
	p.fresh = c
	c.run()
	p.fresh = nil
}

// interruptIdle ends the connections that are between requests.
func (p *loopPort) interruptIdle() {
	p.each(func(c *loopClient) {
		if c.interruptible() {
			c.end(sock.Close)
		}
	})
}

// cut ends all connections whatever they are doing.
func (p *loopPort) cut() { p.each((*loopClient).abort) }

func (p *loopPort) each(fn func(*loopClient)) {
	for c := p.clients; c != nil; {
		next := c.next
		fn(c)
		c = next
	}
}

// listenLooped opens a frontend on all loops.
func (e *Engine) listenLooped(h *HTTP, listen netip.AddrPort, limits *limit.Frontend) error {
	all := h.lots
	group, err := e.options.Sockets.ListenTCP(listen, len(all))
	if err != nil {
		return err
	}
	if !h.budget.Take(len(group.FDs)) {
		group.Close()
		return &sock.BindError{Addr: listen, Err: syscall.EMFILE}
	}
	h.addr, h.fds = group.Addr, slices.Clone(group.FDs)
	parts := len(group.FDs)
	h.bounds.init(limits, parts)
	for i, fd := range group.FDs {
		p := &loopPort{h: h, r: all[i%len(all)], count: &h.shards[i%counterShards], shard: uint32(i)}
		p.listen.Init(p.r.loop, fd, p)
		p.in.init(p.r, h.limits.In.Part(parts+1))
		p.out.init(p.r, h.limits.Out.Part(parts+1))
		h.ports = append(h.ports, p)
	}
	if e.options.Held.Load() {
		return nil
	}
	if err := h.openPorts(); err != nil {
		h.eachPort((*loopPort).close)
		return err
	}
	return nil
}

// eachPort calls fn on every loop and waits for it.
func (h *HTTP) eachPort(fn func(*loopPort)) {
	for _, p := range h.ports {
		p.r.loop.Do(func() { fn(p) })
	}
}
