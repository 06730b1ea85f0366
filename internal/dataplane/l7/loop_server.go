package l7

import (
	"syscall"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// loopServer is a connection to a server on a loop.
type loopServer struct {
	r      *reactor
	handle loop.Handle
	member *member
	x      *loopExchange // nil while kept
	since  int64         // when it was put aside, on the loop's clock
	fd     int32         // -1: closed

	connecting bool
	readable   bool // a read may give something
	ending     bool // the server ended its direction or broke off
	watching   bool // events of being writable are waited for
	queued     bool // will be called again in the next turn

	home       *lane // of member
	lane       *lane // home while it is in it; nil: not
	prev, next *loopServer
}

// dial begins a connection to m and sends p if it is established at once, as it
// is on near networks. nil says that the server cannot be reached.
func (r *reactor) dial(m *member, p []byte) (s *loopServer, sent int) {
	if !r.loop.Budget.Take(1) {
		return nil, 0
	}
	fd, errno := sock.Connect(m.Addr())
	if errno != 0 {
		r.loop.Budget.Give(1)
		return nil, 0
	}
	sock.Tune(fd)
	s = r.servers.Get()
	*s = loopServer{r: r, member: m, home: r.kept.home(m), fd: int32(fd), connecting: true}
	if sent, errno = s.greet(p); errno == 0 {
		s.connecting = false
	} else if errno != syscall.EAGAIN {
		s.close()
		return nil, 0
	}
	interest := loop.Readable | loop.PeerClosed
	if s.connecting || sent < len(p) {
		interest |= loop.Writable
		s.watching = true
	}
	handle, err := r.loop.Register(fd, interest, s)
	if err != nil {
		s.close()
		return nil, 0
	}
	s.handle = handle
	return s, sent
}

// greet sends the first request, provided that the server said nothing before
// it: that would be no answer.
func (s *loopServer) greet(p []byte) (sent int, errno syscall.Errno) {
	switch _, e := sock.Recv(int(s.fd), s.r.peek[:]); e {
	case syscall.EAGAIN:
		return sock.Send(int(s.fd), p)
	case 0:
		return 0, syscall.EPROTO
	default:
		return 0, e
	}
}

// connected handles events of a connect under way.
func (s *loopServer) connected(ev loop.Events) {
	x := s.x
	if ev&(loop.Writable|loop.Hangup|loop.Failed) == 0 {
		return
	}
	s.readable, s.ending = false, false
	n, errno := s.greet(x.out)
	switch {
	case errno == 0:
		s.connecting = false
		x.ask(s, n)
	case errno == syscall.EAGAIN && ev&(loop.Hangup|loop.Failed) == 0:
	default:
		x.unreachable()
	}
}

// watchWritable has events of being writable told.
func (s *loopServer) watchWritable() {
	if s.watching {
		return
	}
	s.watching = true
	// A failure shows as a request that is never sent to its end.
	_ = s.r.loop.Modify(s.handle, loop.Readable|loop.Writable|loop.PeerClosed)
}

// restful tells whether nothing had come when the loop last looked, the end
// included. It was read empty a moment ago, or its events tell.
func (s *loopServer) restful() bool {
	l := s.r.loop
	return l.Now()-s.since < keptFresh || !l.Due(s.handle)
}

// quiet tells whether nothing has come, the end included.
func (s *loopServer) quiet() bool {
	_, errno := sock.Recv(int(s.fd), s.r.peek[:])
	return errno == syscall.EAGAIN
}

// close closes the connection.
func (s *loopServer) close() {
	if s.fd < 0 {
		return
	}
	if s.lane != nil {
		s.lane.remove(s)
	}
	s.r.loop.Release(s.handle)
	sock.Close(int(s.fd))
	s.r.loop.Budget.Give(1)
	r := s.r
	*s = loopServer{r: r, fd: -1} // Abort may still be called
	r.servers.Put(s)
}

// detach lets go of the descriptor, which somebody else goes on with. It stays
// taken from the budget.
func (s *loopServer) detach() {
	r := s.r
	r.loop.Detach(s.handle)
	*s = loopServer{r: r, fd: -1} // Abort may still be called
	r.servers.Put(s)
}
