package l7

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/sock"
)

// socket is a connected socket. Reading and writing are tried on the descriptor
// directly and wait in the runtime's poller. One goroutine may read and one may
// write at a time; close is for the owner, when neither goes on. Others may only
// interrupt, by deadlines.
//
// With tls set, recv and send and their like are about the bytes inside of TLS;
// waiting, timers and deadlines are the same.
type socket struct {
	fd     int
	file   *os.File // keeps the descriptor in the poller
	rc     syscall.RawConn
	tls    *secure // nil: plain
	wheel  *wheel
	budget *loop.Budget // that the descriptor was taken from
	client *conn        // whose socket it is; nil: a server's
	expiry sync.Mutex   // orders timers going off with acknowledging them

	rtimer, wtimer timer
	progress       progress     // of sending; the wheel's alone
	taking         taking       // of a server, whose answer is waited for
	riders         atomic.Int32 // requests that wait for what is being sent; 0: one

	// Operands of the poller's callbacks, which are made once, as a closure for
	// each call would be an allocation.

	recvFn, sendFn func(uintptr) bool
	room           []byte  // to read into; nil: take a block when there is data
	limit          int     // bytes to read at most into a block
	sharer         *stream // whose share in its connection they must be, of HTTP/2; nil: nobody's
	block          *block
	n              int
	rerr, werr     syscall.Errno
	out            []byte
}

// init takes over a connected, non-blocking descriptor that was taken from the
// budget.
func (s *socket) init(fd int, w *wheel, b *loop.Budget) error {
	s.fd, s.wheel, s.budget = fd, w, b
	s.rtimer.s, s.wtimer.s, s.wtimer.write = s, s, true
	s.file = os.NewFile(uintptr(fd), "tcp")
	rc, err := s.file.SyscallConn()
	if err != nil {
		s.closeFile()
		return err
	}
	s.rc, s.recvFn, s.sendFn = rc, s.tryRecv, s.trySend
	return nil
}

// close ends the connection. With TLS the other side is told that the end is
// meant.
func (s *socket) close() {
	if s.tls != nil {
		s.tls.end(false)
	}
	s.free()
}

func (s *socket) free() {
	s.wheel.remove(&s.rtimer)
	s.wheel.remove(&s.wtimer)
	s.closeFile()
}

func (s *socket) closeFile() {
	if s.file.Close() == nil { // else it has been closed before
		s.budget.Give(1)
	}
}

// abort ends the connection by a reset.
func (s *socket) abort() {
	syscall.SetsockoptLinger(s.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	s.free()
}

// endWrite ends our direction. With TLS and wait set it makes sure to say so.
func (s *socket) endWrite(wait bool) {
	if s.tls != nil {
		s.tls.end(wait)
	}
	sock.ShutdownWrite(s.fd)
}

// interruptRead ends the waiting of who reads, for good.
func (s *socket) interruptRead() {
	s.file.SetReadDeadline(past)
	if s.client != nil {
		s.client.recall()
	}
}

// visit begins a visit to the poller: from here on it announces what arrives.
func (s *socket) visit() {
	if s.tls != nil {
		s.tls.short = false
	}
}

// recvNow reads what is there, without waiting.
func (s *socket) recvNow(p []byte) (int, syscall.Errno) {
	if s.tls != nil {
		return s.tls.recv(p)
	}
	return sock.Recv(s.fd, p)
}

// recv reads into p, waiting as the timer allows. The end of the stream is
// io.EOF, a timer going off os.ErrDeadlineExceeded.
func (s *socket) recv(p []byte) (int, error) {
	s.room = p
	err := s.rc.Read(s.recvFn)
	s.room = nil
	return s.received(err)
}

// recvBlock reads up to limit bytes into a block that is taken only when there
// is something to read. The data begins at headRoom. The caller puts the block
// back; after an error there is none.
func (s *socket) recvBlock(limit int) (*block, int, error) {
	s.limit = limit
	n, err := s.received(s.rc.Read(s.recvFn))
	b := s.block
	s.block = nil
	if err != nil && b != nil {
		putBlock(b)
		b = nil
	}
	return b, n, err
}

func (s *socket) received(err error) (int, error) {
	switch {
	case err != nil:
		return 0, err
	case s.rerr != 0:
		return 0, s.rerr
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

func (s *socket) tryRecv(uintptr) bool {
	s.visit()
	p := s.room
	if p == nil {
		s.block = getBlock()
		p = s.block[headRoom:]
		p = p[:min(len(p)-tailRoom, s.limit)]
		if s.sharer != nil {
			p = p[:s.sharer.share(len(p))]
		}
	}
	s.n, s.rerr = s.recvNow(p)
	if s.rerr != syscall.EAGAIN {
		return true
	}
	if s.room == nil {
		putBlock(s.block)
		s.block = nil
	}
	if s.sharer != nil {
		s.sharer.unshare()
	}
	return false
}

// send writes all of p.
func (s *socket) send(p []byte) error {
	if s.tls != nil {
		return s.tls.send(p)
	}
	return s.sendPlain(p)
}

// sendPlain writes all of p to the descriptor.
func (s *socket) sendPlain(p []byte) error {
	n, e := sock.Send(s.fd, p)
	if e == 0 && n == len(p) {
		return nil
	}
	if e != 0 && e != syscall.EAGAIN {
		return e
	}
	return s.sendSlowly(p[n:])
}

// sendSlowly goes on when the socket's buffer was full, as long as the other side
// takes something: the wheel sees to that, see takes.
func (s *socket) sendSlowly(p []byte) error {
	defer s.wtimer.disarm()
	for len(p) > 0 {
		if !s.wtimer.armTaking(s.sendTime()) {
			return os.ErrDeadlineExceeded
		}
		s.awaitServer()
		s.out, s.werr = p, 0
		err := s.rc.Write(s.sendFn)
		p, s.out = s.out, nil
		if err != nil {
			return err
		}
		if s.werr != 0 {
			return s.werr
		}
	}
	return nil
}

// sendWhen is sendSlowly for what try sends whenever there may be room; true ends
// the waiting.
func (s *socket) sendWhen(try func(uintptr) bool) error {
	if try(0) {
		return nil
	}
	defer s.wtimer.disarm()
	if !s.wtimer.armTaking(s.sendTime()) {
		return os.ErrDeadlineExceeded
	}
	s.awaitServer()
	return s.rc.Write(try)
}

// takes gives the time that a timer which was to go off has to wait on, since the
// other side takes something; 0: it does not.
func (t *timer) takes() (longer time.Duration) {
	s := t.s
	err := s.rc.Control(func(fd uintptr) {
		switch {
		case !t.write && s.client == nil:
			if s.taking.goesOn(int(fd)) {
				longer = time.Duration(s.taking.patience.Load())
			}
		case t.write && s.progress.made(int(fd), int(s.riders.Load())):
			longer = s.sendTime()
		}
	})
	if err != nil {
		return 0
	}
	return longer
}

// sendTime is how long the other side may take nothing. Of a server whose answer
// is waited for that is what its read timer sees to.
func (s *socket) sendTime() time.Duration {
	return max(s.wheel.waits.slow/2, time.Duration(s.taking.patience.Load()))
}

// awaitServer has a server whose answer is waited for give it, or take something of
// what it is sent, within the time of the request from now.
func (s *socket) awaitServer() {
	if patience := s.taking.patience.Load(); patience > 0 {
		s.taking.mark(s.fd)
		s.rtimer.armTaking(time.Duration(patience))
	}
}

// trySend writes as much as there is room for; true ends one wait.
func (s *socket) trySend(uintptr) bool {
	n, e := sock.Send(s.fd, s.out)
	if e == syscall.EAGAIN {
		return false
	}
	s.werr, s.out = e, s.out[n:]
	return true
}
