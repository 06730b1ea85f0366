package l7

import (
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// loopShare is how many blocks of an answer are moved before others get a turn.
const loopShare = 4

// pull reads from the server what there is, unless the client has to take
// something first.
func (x *loopExchange) pull() {
	s := x.s
	for moved := 0; x.s == s && s.readable && !x.paused(); moved++ {
		if moved == loopShare {
			if !s.queued {
				s.queued = true
				x.r.loop.Again(s.handle, 0)
			}
			return
		}
		if !x.c.port.out.pass(x.c) {
			return
		}
		going := false
		if x.answered {
			going = x.pass()
		} else {
			going = x.readHead()
		}
		if !going {
			return
		}
	}
}

// recv reads from the server. It is false when there is nothing now.
func (x *loopExchange) recv(room []byte) (n int, errno syscall.Errno, some bool) {
	s := x.s
	if out := &x.c.port.out; out.Limited() {
		room = room[:min(len(room), out.Chunk())]
	}
	n, errno = sock.Recv(int(s.fd), room)
	if errno == syscall.EAGAIN {
		s.readable, s.ending = false, false
		return 0, 0, false
	}
	s.readable = n == len(room) || s.ending
	return n, errno, true
}

// readHead reads once and looks for a head. It is false when x must be left
// alone.
func (x *loopExchange) readHead() bool {
	b := x.b
	if b == nil {
		b = x.r.block
	}
	room := b[headRoom+x.have : len(b)-tailRoom]
	if len(room) == 0 {
		x.fail(502)
		return false
	}
	n, errno, some := x.recv(room)
	switch {
	case !some:
		return true
	case errno != 0 || n == 0:
		if x.have > 0 || x.interim > 0 {
			x.fail(502)
		} else {
			x.lost()
		}
		return false
	}
	x.have += n
	resp := &x.r.resp
	for x.have > 0 {
		in := b[headRoom : headRoom+x.have]
		resp.Reset()
		done, err := resp.Parse(in, h1.Asked{Head: x.head})
		if err != nil {
			x.fail(502)
			return false
		}
		if !done {
			break
		}
		if !resp.Interim() {
			return x.deliver(b)
		}
		if !x.passInterim(in) {
			return false
		}
		x.have = copy(in, in[resp.Len():])
	}
	if x.have > 0 && x.b == nil {
		x.b = x.r.yieldBlock()
	}
	x.c.setDeadline(x.plan.Timeout)
	return true
}

// passInterim passes a 1xx answer on. HTTP/1.0 knows none.
func (x *loopExchange) passInterim(in []byte) bool {
	if x.interim++; x.interim > maxInterim {
		x.fail(502)
		return false
	}
	if x.minor == 0 {
		return true
	}
	r := x.r
	r.head = r.resp.AppendHead(r.head[:0], in, &h1.ResponseEdits{})
	n, errno := sock.Send(int(x.c.fd), r.head)
	x.c.port.out.Take(n)
	x.c.port.count.bytesOut.Add(uint64(n))
	if errno == syscall.EAGAIN {
		return true // it is not worth waiting for room: clients do without
	}
	if errno != 0 || n < len(r.head) {
		x.c.abort()
		return false
	}
	return true
}

// deliver sends the final head, which is parsed, and what came of the body with
// it; b holds them. It is false when x must be left alone.
func (x *loopExchange) deliver(b *block) bool {
	r := x.r
	resp := &r.resp
	coding := x.coding(b)
	if coding == policy.Gzip && resp.Body != h1.NoBody {
		x.handOver(b)
		return false
	}
	x.framing, x.left = resp.Body, resp.BodyLength
	x.keep = x.mayKeep()
	edits := &h1.ResponseEdits{Lines: r.stamp(), Vary: coding != policy.Identity, Gzip: coding == policy.Gzip}
	r.mark = markSession(edits, r.mark[:0], &x.plan, resp.Status, x.m)
	switch resp.Body {
	case h1.Chunks, h1.UntilClose:
		x.chunked = x.minor > 0
		x.keep = x.keep && x.chunked
		edits.Chunked = x.chunked
	}
	edits.Close, edits.KeepAlive = !x.keep, x.keep && x.minor == 0
	r.head = resp.AppendHead(r.head[:0], b[headRoom:headRoom+x.have], edits)
	x.reusable = resp.Persistent && x.minor > 0 && x.sent == len(x.out)

	from, to, err := x.take(b, headRoom+resp.Len(), x.have-resp.Len(), &x.reusable)
	start := from - len(r.head)
	if start < 0 && err == nil && to-start <= len(b) { // it grew by more than headRoom
		to = len(r.head) + copy(b[len(r.head):], b[from:to])
		start = 0
	}
	if err != nil || start < 0 {
		x.fail(502)
		return false
	}
	x.c.port.count.answered(resp.Status, resp.Status)
	x.rec.passed(resp.Status, len(r.head), r.loop.Now())
	x.look()
	x.answered, x.have = true, 0
	copy(b[start:], r.head)
	return x.transmit(b, start, to)
}

// pass moves one block of the body. It is false when x must be left alone.
func (x *loopExchange) pass() bool {
	if x.splices() {
		return x.passSpliced()
	}
	b := x.r.block
	room := b[headRoom : len(b)-tailRoom]
	n, errno, some := x.recv(room)
	if !some {
		return true
	}
	if errno == 0 && n == 0 && x.framing == h1.UntilClose {
		x.done = true
		n = 0
		if x.chunked {
			n = copy(room, h1.LastChunk)
		}
		return x.transmit(b, headRoom, headRoom+n)
	}
	if errno != 0 || n == 0 {
		x.breakOff()
		return false
	}
	from, to, err := x.take(b, headRoom, n, &x.reusable)
	if err != nil {
		x.breakOff()
		return false
	}
	return x.transmit(b, from, to)
}

// transmit sends b[from:to] to the client and keeps b if not all is taken. With
// the last of the answer the server is done with first: it need not wait for a
// slow client. It is false when x must be left alone.
func (x *loopExchange) transmit(b *block, from, to int) bool {
	if x.done {
		x.settle()
	}
	n, errno := 0, syscall.Errno(0)
	if to > from {
		x.c.port.out.Take(to - from)
		n, errno = x.send(b[from:to])
	}
	if errno != 0 && errno != syscall.EAGAIN {
		x.c.abort()
		return false
	}
	x.c.port.count.bytesOut.Add(uint64(n))
	x.rec.out += int64(n)
	if from += n; from < to {
		if b == x.r.block {
			b = x.r.yieldBlock()
		}
		x.stall(b, from, to)
		return false
	}
	if x.b != nil {
		putBlock(x.b)
		x.b = nil
	}
	if x.done {
		x.complete()
		return false
	}
	x.c.setDeadline(x.plan.Timeout)
	return true
}

// settle keeps or closes the connection to a server that has said all.
func (x *loopExchange) settle() {
	now := x.r.loop.Now()
	x.c.port.count.upstream.took(now - x.began)
	x.rec.endTry(now)
	switch {
	case x.s == nil:
	case x.reusable && !x.s.ending && !x.s.readable:
		x.keepServer()
	default:
		x.discard()
	}
}

// stall waits for the client to take b[from:to].
func (x *loopExchange) stall(b *block, from, to int) {
	x.b, x.from, x.to = b, from, to
	x.c.setDeadline(x.r.e.wheel.waits.slow / 2)
	x.c.watch(true)
}

// sendBytes is transmit for an answer of our own.
func (x *loopExchange) sendBytes(p []byte) bool {
	x.c.port.out.Take(len(p))
	n, errno := x.send(p)
	if errno != 0 && errno != syscall.EAGAIN {
		x.c.abort()
		return false
	}
	x.c.port.count.bytesOut.Add(uint64(n))
	x.rec.out += int64(n)
	if n < len(p) {
		if x.b == nil {
			x.b = getBlock()
		}
		c := x.c
		x.stall(x.b, 0, copy(x.b[:], p[n:]))
		return c.state != loopGone
	}
	return true
}

// send sends to the client. What ends the connection leaves with its end.
func (x *loopExchange) send(p []byte) (n int, errno syscall.Errno) {
	if x.done && !x.keep {
		return sock.SendLast(int(x.c.fd), p)
	}
	return sock.Send(int(x.c.fd), p)
}

// flush goes on after the client had no room, and then with the server.
func (x *loopExchange) flush() {
	if x.pipe != nil {
		if x.drain() {
			x.pull()
		}
		return
	}
	n, errno := sock.Send(int(x.c.fd), x.b[x.from:x.to])
	if errno == syscall.EAGAIN {
		return
	}
	if errno != 0 {
		x.c.abort()
		return
	}
	x.c.port.count.bytesOut.Add(uint64(n))
	x.rec.out += int64(n)
	if x.from += n; x.paused() {
		x.c.setDeadline(x.r.e.wheel.waits.slow / 2)
		return
	}
	putBlock(x.b)
	x.b, x.from, x.to = nil, 0, 0
	if x.done {
		x.complete()
		return
	}
	x.c.setDeadline(x.plan.Timeout)
	x.pull()
}

// Ready handles events of a connection to a server.
func (s *loopServer) Ready(ev loop.Events) {
	s.queued = s.queued && ev != 0
	if ev&(loop.PeerClosed|loop.Hangup|loop.Failed) != 0 {
		s.ending = true
	}
	if s.ending || ev&loop.Readable != 0 {
		s.readable = true
	}
	x := s.x
	if x == nil {
		if s.readable && !s.quiet() {
			s.close() // the end, or bytes nobody asked for
		}
		return
	}
	c, r := x.c, s.r
	r.current = c
	switch {
	case s.connecting:
		s.connected(ev)
	case x.paused():
	default:
		if ev&loop.Writable != 0 && x.sent < len(x.out) {
			x.push()
		}
		x.pull()
	}
	c.run()
	r.current = nil
}

// Abort ends the connection and the client's that it was called for after a
// panic.
func (s *loopServer) Abort() {
	if c := s.r.current; c != nil {
		s.r.current = nil
		c.abort()
	}
	s.close()
}

// rttFresh is how long a round trip time counts as the present one. To ask for it
// with each answer would be a third of what the log costs.
const rttFresh = int64(time.Second)

// look is record.look on a loop, which is told when a client ends
// once it is watched.
func (x *loopExchange) look() {
	if x.rec.log == nil {
		return
	}
	c, now := x.c, x.r.loop.Now()
	x.rec.left = c.ending
	if c.handle == 0 || now-c.rttAt > rttFresh { // or nothing is told of the client yet
		open := false
		c.rtt, open = sock.RoundTrip(int(c.fd))
		c.rttAt, x.rec.left = now, !open
	}
	x.rec.rtt = c.rtt
}
