package l4

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/proxyproto"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// state of a connection.
type state uint8

const (
	connecting  state = iota // no server has accepted yet
	established              // data passes
	parting                  // one side broke; the other still gets what was sent
	dead                     // back in the slab
)

// conn is a client's connection with the one to its server. It belongs to its
// port's loop and is reused when it ends.
type conn struct {
	port           *port
	client, server end
	settings       *settings // as they were when it began
	member         *pool.Member
	source         netip.AddrPort // of the client
	key            uint64         // for hashing schedulers
	tried          []*pool.Member
	tally          *tally // nil: there is no log

	timer  loop.Timer
	used   int64 // when data last passed; while connecting, when the try began
	giveUp int64 // when no further server is tried; parting: when to stop waiting
	quiet  quiet // what is known of the time since used
	state  state

	prev, next *conn // in port.conns
}

// end is one of the two sides.
type end struct {
	conn   *conn
	handle loop.Handle
	fd     int32 // -1: closed

	readable bool // a read may give something
	ending   bool // the other side sent its end or broke: read until that shows
	eof      bool // the stream from this side has ended
	shut     bool // the stream to this side was ended
	watching bool // events of being writable are waited for
	tuned    bool // socket options are set
	started  bool // something was sent to this side
	queued   bool // will be called again in the next turn
	waiting  bool // in a queue for bandwidth

	// What follows is on the way from this side to the other.

	splicing bool  // through a pipe rather than the buffer
	full     uint8 // reads in sequence that filled the buffer
	small    uint8 // fills in sequence that were not worth a pipe
	pipe     *loop.Pipe
	rest     *parcel // read and not yet taken by the other side
}

// init makes a fresh connection of c, which comes from the slab.
func (c *conn) init(p *port, s *settings, fd int, source netip.AddrPort) {
	c.port, c.settings, c.source = p, s, source
	c.client = end{conn: c, fd: int32(fd), tuned: true}
	c.server = end{conn: c, fd: -1}
	c.timer.Expirer = c
	c.state = connecting
	c.tally = p.tcp.log.begin(p.worker)
	c.used = p.worker.loop.Now()
	c.giveUp = c.used + connectRounds*int64(p.tcp.engine.connectTimeout)
	c.next = p.conns
	if c.next != nil {
		c.next.prev = c
	}
	p.conns = c
	p.active.Add(1)
}

func (c *conn) worker() *worker { return c.port.worker }

func (e *end) other() *end {
	if e == &e.conn.client {
		return &e.conn.server
	}
	return &e.conn.client
}

// start connects to m, or to another server if that fails at once.
func (c *conn) start(m *pool.Member) {
	if !c.connect(m) {
		return
	}
	if c.port.early() {
		c.exchangeEarly()
		if c.state == dead {
			return
		}
	} else if c.settings.proxied {
		c.client.rest = c.worker().stash.keep(c.header(c.worker().loop.Buffer[:0]))
	}
	if !c.watch(&c.server) || !c.watch(&c.client) {
		return
	}
	c.worker().loop.Arm(&c.timer, min(c.worker().engine.connectTimeout, time.Duration(c.settings.idle/2)))
}

// watch registers an end with the loop.
func (c *conn) watch(e *end) bool {
	interest := loop.Readable | loop.PeerClosed
	if e == &c.server && c.state == connecting || e.watching {
		interest |= loop.Writable
		e.watching = true
	}
	handle, err := c.worker().loop.Register(int(e.fd), interest, e)
	if err != nil { // the system's limit of watched descriptors
		c.port.noRoom(syscall.ENOSPC)
		c.tally.because(endNoRoom)
		c.reset()
		return false
	}
	e.handle = handle
	return true
}

// connect opens a connection to m or, as long as that fails at once, to another
// server. False says that none was left and c is gone.
func (c *conn) connect(m *pool.Member) bool {
	for m != nil {
		m.Acquire()
		fd, errno := c.dial(m.Addr())
		if errno == 0 {
			c.member = m
			c.server.fd = int32(fd)
			c.used = c.worker().loop.Now()
			return true
		}
		m.Release()
		if errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ENOBUFS || errno == syscall.ENOMEM {
			// No other server would do better.
			c.port.noRoom(errno)
			c.tally.because(endNoRoom)
			c.reset()
			return false
		}
		m = c.another(m)
	}
	c.port.dropped.Add(1)
	c.tally.because(endNoServer)
	c.reset()
	return false
}

// dial starts to connect to a server, with the client's address where that is
// the mode in force. Where it is taken the server gets the node's address
// instead: a client that reaches two listeners from one port is served all the
// same, if both send it to one server.
func (c *conn) dial(server netip.AddrPort) (fd int, errno syscall.Errno) {
	if c.worker().engine.source.Covers(c.source.Addr(), server.Addr()) {
		fd, errno = sock.ConnectFrom(c.source, server)
		if !sock.Taken(errno) {
			return fd, errno
		}
		c.port.plain.Add(1)
	}
	return sock.Connect(server)
}

// another finds a server after m could not be reached; nil: none is left.
func (c *conn) another(m *pool.Member) *pool.Member {
	if c.worker().loop.Now() >= c.giveUp {
		return nil
	}
	c.tried = append(c.tried, m)
	m = c.settings.pool.PickOther(c.key, c.tried)
	if m != nil && c.settings.affinity != nil {
		c.settings.affinity.replace(c.source.Addr(), m, c.worker().loop.Now())
	}
	return m
}

// connectFailed goes on to another server.
func (c *conn) connectFailed() {
	m := c.member
	c.closeEnd(&c.server, sock.Close)
	c.member = nil
	m.Release()
	c.server = end{conn: c, fd: -1}
	if !c.connect(c.another(m)) || !c.watch(&c.server) {
		return
	}
	c.worker().loop.Arm(&c.timer, c.worker().engine.connectTimeout)
}

// header appends what the server is to know of the client before all else.
func (c *conn) header(b []byte) []byte {
	return proxyproto.AppendStream(b, c.source, c.settings.destination(int(c.client.fd)))
}

// exchangeEarly hands the client's first bytes to the server in the turn in
// which the connection was accepted.
func (c *conn) exchangeEarly() {
	buf, lead := c.worker().loop.Buffer, 0
	if c.settings.proxied {
		lead = len(c.header(buf[:0]))
	}
	n, errno := 0, syscall.EAGAIN
	if c.port.in.Free() {
		n, errno = sock.Recv(int(c.client.fd), buf[lead:])
		c.port.in.Take(n)
		// Nothing there, or an end or failure that its event will tell.
		c.client.readable = n == len(buf)-lead || n == 0 && errno != syscall.EAGAIN
	} else {
		c.client.readable = true
	}
	if errno != 0 {
		n = 0
	}
	if lead+n == 0 {
		c.port.learn(false)
		return
	}
	c.port.bytesIn.Add(uint64(n))
	c.tally.received(n)
	sent, errno := sock.Send(int(c.server.fd), buf[:lead+n])
	if errno == 0 {
		c.state = established
		c.server.started = true
	}
	// Where the server is not yet connected this fails, as a rule. If it refused,
	// its event tells.
	c.port.learn(errno == 0 && n > 0)
	if sent < lead+n {
		c.client.rest = c.worker().stash.keep(buf[sent : lead+n])
		c.server.watching = true
	}
}

// Ready handles the events of one side.
func (e *end) Ready(ev loop.Events) {
	c := e.conn
	e.queued = e.queued && ev != 0
	if ev&(loop.PeerClosed|loop.Hangup|loop.Failed) != 0 {
		e.ending = true
	}
	if e.ending || ev&loop.Readable != 0 {
		e.readable = true
	}
	switch c.state {
	case connecting:
		if e == &c.client {
			if ev&(loop.Hangup|loop.Failed) != 0 {
				c.tally.because(endClientGone)
				c.reset()
			}
			return
		}
		if ev&(loop.Hangup|loop.Failed) != 0 {
			c.connectFailed()
			return
		}
		if ev&loop.Writable == 0 {
			return
		}
		c.state = established
		c.used = c.worker().loop.Now()
		if !c.relay(&c.client) {
			return
		}
	case established:
		if ev&loop.Failed != 0 && e.eof {
			c.part(e) // a reset after the end: no read would show it
			return
		}
		if ev&loop.Writable != 0 && e.other().held() && !c.relay(e.other()) {
			return
		}
	case parting:
		if ev&(loop.Hangup|loop.Failed) != 0 {
			c.reset()
		}
		return
	}
	if e.readable {
		c.relay(e)
	}
}

// Abort ends the connection after a panic.
func (e *end) Abort() { e.conn.Abort() }

// Abort ends the connection after a panic of its timer.
func (c *conn) Abort() {
	c.tally.because(endFailure)
	c.reset()
}

// partWait is how often a parting connection looks whether it is done.
const (
	partWait = 50 * time.Millisecond
	partMost = 10 * time.Second
)

// part ends the connection because the side broken has failed. The other side is
// reset as well, once it has all that was sent to it before: a reset at once
// would take that back.
func (c *conn) part(broken *end) {
	other := broken.other()
	if broken == &c.client {
		c.tally.because(endClientReset)
	} else {
		c.tally.because(endServerReset)
	}
	if sock.Unsent(int(other.fd)) == 0 {
		c.reset()
		return
	}
	c.state = parting
	c.closeEnd(broken, sock.Close)
	c.giveUp = c.worker().loop.Now() + int64(min(partMost, time.Duration(c.settings.idle)))
	c.worker().loop.Arm(&c.timer, partWait)
}

// Expired looks whether the connection has been without progress for too long.
// Progress only notes the time, so this is called more often than that.
func (c *conn) Expired() {
	l := c.worker().loop
	now := l.Now()
	switch c.state {
	case connecting:
		if left := c.used + int64(c.worker().engine.connectTimeout) - now; left > 0 {
			l.Arm(&c.timer, time.Duration(left))
			return
		}
		c.connectFailed()
	case established:
		c.server.tune()
		if c.client.waiting || c.server.waiting {
			c.used = now // held up by us
		}
		left := c.idle(now)
		if left <= 0 {
			c.tally.because(endIdle)
			c.reset() // the vendor's rule: a reset to both sides
			return
		}
		l.Arm(&c.timer, time.Duration(left))
	case parting:
		for _, e := range []*end{&c.client, &c.server} {
			if e.fd >= 0 && sock.Unsent(int(e.fd)) > 0 && now < c.giveUp {
				l.Arm(&c.timer, partWait)
				return
			}
		}
		c.reset()
	}
}

// reset ends the connection by a reset of what is open of it.
func (c *conn) reset() { c.end(sock.Reset) }

// finish ends a connection whose streams have both ended.
func (c *conn) finish() {
	c.tally.because(endClosed)
	c.end(sock.Close)
}

func (c *conn) end(how func(fd int)) {
	if c.state == dead {
		return
	}
	c.state = dead
	l := c.worker().loop
	l.Disarm(&c.timer)
	c.closeEnd(&c.client, how)
	c.closeEnd(&c.server, how)
	p := c.port
	p.tcp.log.end(p.worker, c.tally, c.source, c.member)
	if c.member != nil {
		c.member.Release()
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		p.conns = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	p.active.Add(-1)
	p.worker.engine.budget.Give(2)
	p.tcp.limit.Leave()
	clear(c.tried)
	*c = conn{state: dead, tried: c.tried[:0]}
	p.worker.conns.Put(c)
}

// closeEnd closes one side and gives back what it holds.
func (c *conn) closeEnd(e *end, how func(fd int)) {
	if e.fd < 0 {
		return
	}
	w := c.worker()
	w.loop.Release(e.handle)
	how(int(e.fd))
	e.fd = -1
	e.handle = 0
	if e.pipe != nil {
		w.loop.PutPipe(e.pipe)
		e.pipe = nil
	}
	if e.rest != nil {
		w.stash.drop(e.rest)
		e.rest = nil
	}
}

// tune sets the options of a socket to a server, once. It is left until a second
// write, or until the connection has lived for some time: the first write is
// not delayed without them, and many connections see no second one.
func (e *end) tune() {
	if !e.tuned && e.fd >= 0 {
		e.tuned = true
		sock.Tune(int(e.fd))
	}
}
