package l4

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// closeMost is how many connections are reset before others get a turn.
const closeMost = 256

// port is a frontend's part on one loop: its listening socket, its connections
// and its counters. Only the counters may be read elsewhere.
type port struct {
	tcp      *TCP
	worker   *worker
	listener loop.Listener
	// draining goes off when connections of a server that left are due.
	draining loop.Timer
	in, out  queue // who waits for bandwidth, from clients and to them
	conns    *conn // list of all
	fresh    *conn // being begun, for the case of a panic

	// An early exchange reads what the client sent with its hand-shake and sends
	// it to the server at once, without a turn of the loop in between. Where
	// that keeps failing it is tried more and more rarely.
	earlySkip  int
	earlyDelay int

	_        [64]byte // the counters are written often: keep them off other loops' lines
	active   atomic.Int64
	accepted atomic.Uint64
	dropped  atomic.Uint64
	short    atomic.Uint64 // those of dropped for which there was no room
	plain    atomic.Uint64 // connections for which the client's address was taken
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
	_        [64]byte
}

func newPort(t *TCP, w *worker, fd int) *port {
	p := &port{tcp: t, worker: w}
	p.listener.Init(w.loop, fd, p)
	p.draining.Expirer = drained{p}
	p.in.init(p, t.limit.In.Part(len(t.fds)))
	p.out.init(p, t.limit.Out.Part(len(t.fds)))
	return p
}

func (p *port) on() *worker { return p.worker }

func (p *port) open() error { return p.listener.Open() }
func (p *port) hold()       { p.listener.Hold() }
func (p *port) leave()      { p.listener.Close() }

// Take accepts a connection.
func (p *port) Take(fd int) syscall.Errno {
	client, remote, errno := sock.Accept(fd)
	if errno == 0 {
		p.begin(client, remote)
	}
	return errno
}

// Abort is called if beginning a connection panicked; accepting goes on.
func (p *port) Abort() {
	if c := p.fresh; c != nil {
		p.fresh = nil
		c.Abort()
	}
}

// Short tells that connections have to wait.
func (p *port) Short(errno syscall.Errno) {
	if p.tcp.engine.budget.Complain() {
		p.tcp.engine.log.Error("cannot accept connections; raise the limit of descriptors (LimitNOFILE= or ulimit -n)",
			"listener", p.tcp.addr.String(), "error", errno)
	}
}

// noRoom takes note of a connection that was refused for want of descriptors,
// or of something else that errno tells.
func (p *port) noRoom(errno syscall.Errno) {
	p.dropped.Add(1)
	p.short.Add(1)
	if e := p.worker.engine; e.budget.Complain() {
		e.log.Error("connection refused: no room for more; raise the limit of descriptors (LimitNOFILE= or ulimit -n)",
			"listener", p.tcp.addr.String(), "limit", e.budget.System(), "connections", e.Connections(), "error", errno)
	}
}

// begin takes on a client's connection and starts to connect it to a server.
func (p *port) begin(fd int, remote netip.AddrPort) {
	p.accepted.Add(1)
	s := p.tcp.now.Load()
	if !s.acl.Admits(remote.Addr()) || !p.tcp.limit.Admit() {
		p.dropped.Add(1)
		sock.Reset(fd)
		return
	}
	if !p.worker.engine.budget.Take(2) {
		p.tcp.limit.Leave()
		p.noRoom(syscall.EMFILE) // first: who is told may look at the count
		sock.Reset(fd)
		return
	}
	c := p.worker.conns.Get()
	c.init(p, s, fd, remote)
	p.fresh = c
	if s.pool != nil {
		switch s.pool.Scheduler() {
		case spec.SCH:
			c.key = balance.HashSource(remote.Addr())
		case spec.TCH:
			c.key = balance.HashFlow(remote, s.destination(fd))
		}
	}
	c.start(s.choose(remote.Addr(), c.key, p.worker.loop.Now()))
	p.fresh = nil
}

// early reports whether to try an early exchange now.
func (p *port) early() bool {
	if p.earlySkip > 0 {
		p.earlySkip--
		return false
	}
	return true
}

// learn takes note of how an early exchange went.
func (p *port) learn(worked bool) {
	if worked {
		p.earlyDelay = 0
		return
	}
	const most = 256
	p.earlyDelay = min(2*p.earlyDelay+1, most)
	p.earlySkip = p.earlyDelay
}

// close stops accepting, resets the connections and calls finished. With many
// connections it goes on in later turns.
func (p *port) close(finished func()) {
	p.leave()
	p.worker.loop.Disarm(&p.draining)
	for range closeMost {
		if p.conns == nil {
			p.worker.loop.Disarm(&p.in.timer)
			p.worker.loop.Disarm(&p.out.timer)
			finished()
			return
		}
		p.conns.tally.because(endListenerClose)
		p.conns.reset()
	}
	p.worker.loop.Post(func() { p.close(finished) })
}
