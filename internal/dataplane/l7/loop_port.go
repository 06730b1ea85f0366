package l7

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

const (
	// acceptMost is how many connections are accepted before others get a turn.
	acceptMost = 64
	// acceptPause is how long accepting rests when descriptors have run out.
	acceptPause = 50 * time.Millisecond
)

// loopPort is a frontend's part on one loop: its listening socket and its
// connections.
type loopPort struct {
	h       *HTTP
	r       *reactor
	count   *counters
	shard   uint32
	fd      int // -1: closed
	handle  loop.Handle
	pause   loop.Timer
	batch   int         // how many connections to accept at one event
	turn    int64       // of the loop, when connections were last accepted
	in, out loopQueue   // who waits for bandwidth, from clients and to them
	clients *loopClient // list of all
	fresh   *loopClient // being begun, for the case of a panic
}

// open begins to accept.
func (p *loopPort) open() (err error) {
	p.batch = 1
	p.pause.Expirer = loopResume{p}
	p.handle, err = p.r.loop.Register(p.fd, loop.Readable|loop.Repeat, p)
	return err
}

// Ready accepts connections. While the socket is ready in turn after turn the
// batches grow; otherwise one accept is enough and saves the one that would find
// nothing.
func (p *loopPort) Ready(loop.Events) {
	turn := p.r.loop.Turn()
	if turn == p.turn+1 {
		p.batch = min(2*p.batch, acceptMost)
	} else {
		p.batch = 1
	}
	p.turn = turn
	for range p.batch {
		fd, remote, errno := sock.Accept(p.fd)
		if errno != 0 {
			p.turn = 0
			if errno != syscall.EAGAIN {
				p.rest(errno)
			}
			return
		}
		p.begin(fd, remote)
	}
}

// Abort is called if beginning a connection panicked; accepting goes on.
func (p *loopPort) Abort() {
	if c := p.fresh; c != nil {
		p.fresh = nil
		c.abort()
	}
}

// rest stops accepting for a moment: descriptors or memory ran out, and the
// connections that wait would wake the loop without end.
func (p *loopPort) rest(errno syscall.Errno) {
	p.h.e.log.Warn("accepting HTTP connections", "address", p.h.addr, "error", errno)
	if p.r.loop.Modify(p.handle, loop.Repeat) == nil {
		p.r.loop.Arm(&p.pause, acceptPause)
	}
}

// loopResume ends a rest.
type loopResume struct{ p *loopPort }

func (r loopResume) Expired() {
	if r.p.fd >= 0 {
		_ = r.p.r.loop.Modify(r.p.handle, loop.Readable|loop.Repeat)
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
	if !p.r.loop.Budget.Take(1) {
		p.count.dropped.Add(1)
		p.h.left(p.count)
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

// close stops accepting.
func (p *loopPort) close() {
	if p.fd >= 0 {
		p.hold()
		sock.Close(p.fd)
		p.fd = -1
		p.r.loop.Budget.Give(1)
	}
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
	all, err := e.reactors.start(e)
	if err != nil {
		return err
	}
	group, err := e.options.Sockets.ListenTCP(listen, len(all))
	if err != nil {
		return err
	}
	if !all[0].loop.Budget.Take(len(group.FDs)) {
		group.Close()
		return &sock.BindError{Addr: listen, Err: syscall.EMFILE}
	}
	h.addr, h.fds = group.Addr, slices.Clone(group.FDs)
	parts := len(group.FDs)
	h.bounds.init(limits, parts)
	for i, fd := range group.FDs {
		p := &loopPort{h: h, r: all[i%len(all)], count: &h.shards[i%counterShards], shard: uint32(i), fd: fd}
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
