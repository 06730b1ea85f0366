package l4

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/proxyproto"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

const (
	// batchMost is how many datagrams move by one call.
	batchMost = 32
	// batchTurns is how many batches of one socket are handled before others get
	// a turn.
	batchTurns = 4
	// replyLeast is the room for replies below which those gathered are sent
	// before more are received.
	replyLeast = batchMost / 2
)

// udpPort is a frontend's part on one loop: its socket towards clients, its
// flows, its sockets towards servers. Only the counters may be read elsewhere.
type udpPort struct {
	udp     *UDP
	worker  *worker
	fd      int // -1: closed
	handle  loop.Handle
	in, out limit.Part
	flows   map[netip.AddrPort]*flow // by client
	servers map[netip.AddrPort]*upstream
	// carriers are the sockets towards servers, for IPv4 and IPv6. The places are
	// kept when sockets are closed.
	carriers [2][]*carrier
	own      int // carriers of one flow each
	most     struct{ flows, carriers int }
	tidying  loop.Timer

	count udpCounters
}

// udpCounters are on lines of their own, as they are written often.
type udpCounters struct {
	_               [64]byte
	active          atomic.Int64
	begun           atomic.Uint64
	refused         atomic.Uint64 // datagrams that would have begun a flow
	short           atomic.Uint64 // those of refused for which there was no room
	evicted         atomic.Uint64
	plain           atomic.Uint64 // flows for which the client's address was taken
	in, out         traffic
	dropIn, dropOut traffic
	_               [64]byte
}

type traffic struct{ packets, bytes atomic.Uint64 }

func (t *traffic) add(packets, bytes int) {
	if packets > 0 {
		t.packets.Add(uint64(packets))
		t.bytes.Add(uint64(bytes))
	}
}

// datagrams is what all UDP frontends of a loop use in turn.
type datagrams struct {
	loop     *loop.Loop
	received *sock.Batch // from clients, for the time of one call
	sending  *sock.Outgoing
	touched  []*carrier           // that datagrams of this batch go through
	to       [batchMost]*upstream // where each goes
	heads    [batchMost]header    // PROXY headers
	next     [batchMost]int8      // the next datagram for the same carrier

	replies *sock.Batch // from servers, until the end of the turn
	held    int         // how many there are
	answers *sock.Outgoing
	of      *udpPort // whose answers these are
	ending  bool     // the end of the turn will be told
}

type header struct {
	bytes [proxyproto.MaxSize]byte
	len   int
}

func newDatagrams(l *loop.Loop) *datagrams {
	return &datagrams{
		loop:     l,
		received: sock.NewBatch(batchMost),
		sending:  sock.NewOutgoing(batchMost),
		replies:  sock.NewBatch(batchMost),
		answers:  sock.NewOutgoing(batchMost),
	}
}

func newUDPPort(u *UDP, w *worker, fd int) *udpPort {
	parts := len(u.fds)
	p := &udpPort{
		udp: u, worker: w, fd: fd,
		in: u.limit.In.Part(parts), out: u.limit.Out.Part(parts),
		flows:   make(map[netip.AddrPort]*flow),
		servers: make(map[netip.AddrPort]*upstream),
	}
	p.most.flows = max(flowsMost/parts, 1)
	p.most.carriers = max(u.engine.carriers.Limit()/carrierShare/parts, 1)
	p.tidying.Expirer = tidier{p}
	return p
}

func (p *udpPort) on() *worker { return p.worker }

// open begins to receive.
func (p *udpPort) open() (err error) {
	if p.worker.udp == nil {
		p.worker.udp = newDatagrams(p.worker.loop)
	}
	if err := p.openCarriers(); err != nil {
		return err
	}
	p.handle, err = p.worker.loop.Register(p.fd, loop.Readable|loop.Repeat, p)
	return err
}

// Ready forwards what clients sent.
func (p *udpPort) Ready(loop.Events) {
	d := p.worker.udp
	for range batchTurns {
		n, errno := d.received.Receive(p.fd, 0)
		if errno != 0 {
			return
		}
		p.forward(d, n)
		if n < batchMost {
			return
		}
	}
}

// Abort is called if forwarding panicked; what was received with it is lost.
func (p *udpPort) Abort() {
	d := p.worker.udp
	for _, c := range d.touched {
		c.first = none
	}
	d.touched = d.touched[:0]
}

// forward finds the flows of n datagrams and sends them on, all those that leave
// by one socket with one call.
func (p *udpPort) forward(d *datagrams, n int) {
	s := p.udp.now.Load()
	now := p.worker.loop.Now()
	refused, dropped, droppedBytes := 0, 0, 0
	for i := range n {
		data := d.received.Data(i)
		name := d.received.From(i)
		client := name.AddrPort()
		f := p.flows[client]
		if f != nil && f.over(s, now) {
			f.end()
			f = nil
		}
		if f == nil {
			if f = p.begin(s, client, name, data, now); f == nil {
				refused++
			}
		}
		if f == nil || !p.in.Allow(len(data)) {
			dropped++
			droppedBytes += len(data)
			continue
		}
		f.used = now
		f.tally.received(len(data))
		if f.proxied {
			h := &d.heads[i]
			h.len = len(proxyproto.AppendDatagram(h.bytes[:0], client, p.udp.addr))
		} else {
			d.heads[i].len = 0
		}
		d.to[i], d.next[i] = f.server, none
		c := f.carrier
		if c.first == none {
			c.first = int8(i)
			d.touched = append(d.touched, c)
		} else {
			d.next[c.last] = int8(i)
		}
		c.last = int8(i)
	}
	if refused > 0 {
		p.count.refused.Add(uint64(refused))
	}
	p.count.dropIn.add(dropped, droppedBytes)
	for _, c := range d.touched {
		p.send(d, c)
	}
	d.touched = d.touched[:0]
}

// send sends the datagrams that go through one socket.
func (p *udpPort) send(d *datagrams, c *carrier) {
	var places [batchMost]int8
	packets, bytes := 0, 0
	for i := c.first; i != none; i = d.next[i] {
		data := d.received.Data(int(i))
		d.sending.Add(&d.to[i].name, d.heads[i].bytes[:d.heads[i].len], data)
		places[packets] = i
		packets++
		bytes += len(data)
	}
	c.first = none
	lost, lostBytes := 0, 0
	d.sending.Send(c.fd, func(k int, _ syscall.Errno) {
		lost++
		lostBytes += len(d.received.Data(int(places[k])))
	})
	p.count.in.add(packets-lost, bytes-lostBytes)
	p.count.dropIn.add(lost, lostBytes)
}

// answer takes in the replies of servers that came through one socket. They are
// sent at the end of the turn, together with those that come through others.
func (p *udpPort) answer(c *carrier) {
	d := p.worker.udp
	for range batchTurns {
		if d.of != p || d.replies.Len()-d.held < replyLeast {
			d.flush()
			d.of = p
		}
		first := d.held
		n, errno := d.replies.Receive(c.fd, first)
		if errno != 0 {
			return
		}
		d.held += n
		if !d.ending {
			d.ending = true
			d.loop.AtEnd(d)
		}
		s := p.udp.now.Load()
		now := p.worker.loop.Now()
		dropped, droppedBytes := 0, 0
		for i := first; i < first+n; i++ {
			f := p.flowOf(c, d.replies.From(i).AddrPort())
			if f == nil {
				continue // not from a server that was asked: none of our business
			}
			if f.over(s, now) {
				f.end()
				continue
			}
			data := d.replies.Data(i)
			if !p.out.Allow(len(data)) {
				dropped++
				droppedBytes += len(data)
				continue
			}
			f.used, f.answered = now, now
			f.tally.sent(len(data))
			d.answers.Add(&f.name, nil, data)
		}
		p.count.dropOut.add(dropped, droppedBytes)
		if first+n < d.replies.Len() {
			return
		}
	}
}

// TurnEnds sends the answers gathered in this turn.
func (d *datagrams) TurnEnds() {
	d.ending = false
	d.flush()
}

// flush sends the answers gathered so far.
func (d *datagrams) flush() {
	if p := d.of; p != nil && p.fd >= 0 {
		packets, bytes := d.answers.Len(), d.answers.Bytes()
		lost, lostBytes := 0, 0
		d.answers.Send(p.fd, func(k int, _ syscall.Errno) {
			lost++
			lostBytes += d.answers.Size(k)
		})
		p.count.out.add(packets-lost, bytes-lostBytes)
		p.count.dropOut.add(lost, lostBytes)
	}
	d.answers.Reset()
	d.held, d.of = 0, nil
}

// close ends everything and calls finished. With many flows it goes on in later
// turns.
func (p *udpPort) close(finished func()) {
	p.leave()
	n := 0
	for _, f := range p.flows {
		if n++; n > closeMost {
			p.worker.loop.Post(func() { p.close(finished) })
			return
		}
		f.tally.because(endListenerClose)
		f.end()
	}
	for _, set := range p.carriers {
		for _, c := range set {
			c.close()
		}
	}
	p.worker.loop.Disarm(&p.tidying)
	finished()
}
