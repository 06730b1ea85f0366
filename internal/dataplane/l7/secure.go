package l7

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/sock"
)

// secure is TLS on a socket. crypto/tls does the work; what it reads and writes
// comes from the descriptor without waiting, so that a connection behaves like
// a plain one: it is read inside the visit to the poller, and says EAGAIN when
// no record is whole. crypto/tls keeps what has come and takes up again where
// it was, as long as the error calls itself temporary.
//
// Only the handshake, whose errors are all final, waits within Read.
type secure struct {
	s    *socket
	e    *Engine
	conn *tls.Conn

	// Read by one goroutine at a time.

	short bool  // the descriptor was read empty in this visit to the poller
	held  bool  // a slot is held for the handshake
	came  int64 // bytes that the handshake has received
	taken int64 // of those, what its budget was charged with

	// mu orders writers: a reader may have to answer a key update while an
	// answer is being sent.
	mu     sync.Mutex
	cork   *block // collects the records of one write
	corked int    // bytes in cork
	failed bool   // a record may be incomplete on the wire: none may follow
	noWait bool   // send what fits and forget the rest
}

// secureServer agrees on TLS with the client of s, in the time of the socket's
// read timer. After an error the socket is as plain as before.
func (s *socket) secureServer(config *tls.Config, e *Engine) error {
	t := &secure{s: s, e: e}
	t.conn = tls.Server(wire{t}, config)
	defer func() {
		t.letGo()
		e.unfinished.give(t.taken)
	}()
	if err := t.conn.Handshake(); err != nil {
		return err
	}
	s.tls = t
	return nil
}

// letGo gives the slot back, if one is held.
func (t *secure) letGo() {
	if t.held {
		t.held = false
		t.e.handshakes.release()
	}
}

// recv is sock.Recv for the bytes inside of TLS. What is wrong with a record is
// EPROTO.
func (t *secure) recv(p []byte) (n int, errno syscall.Errno) {
	n, err := t.conn.Read(p)
	switch {
	case n > 0 || err == io.EOF:
		return n, 0 // an error behind data comes again
	case err == errAgain:
		return 0, syscall.EAGAIN
	case errors.As(err, &errno):
		return 0, errno
	}
	return 0, syscall.EPROTO
}

// send writes all of p. Its records leave in as few system calls as they can.
func (t *secure) send(p []byte) error {
	b := getBlock()
	t.mu.Lock()
	t.cork = b
	t.mu.Unlock()
	_, err := t.conn.Write(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		err = t.flushLocked()
	}
	t.cork, t.corked = nil, 0
	putBlock(b)
	return err
}

// end says that nothing follows. Unless wait is set it gives up when there is
// no room.
func (t *secure) end(wait bool) {
	t.mu.Lock()
	t.noWait = !wait
	t.mu.Unlock()
	_ = t.conn.CloseWrite() // an error means that the connection is of no use anyway
}

func (t *secure) flushLocked() error {
	p := t.cork[:t.corked]
	t.corked = 0
	return t.sendLocked(p)
}

func (t *secure) sendLocked(p []byte) error {
	switch {
	case t.failed:
		return net.ErrClosed
	case t.noWait:
		n, _ := sock.Send(t.s.fd, p)
		t.failed = n < len(p)
		return nil
	}
	if t.held {
		n, errno := sock.Send(t.s.fd, p)
		if p = p[n:]; errno == 0 && len(p) == 0 {
			return nil
		}
		t.letGo() // others need not wait until this client reads
	}
	err := t.s.sendPlain(p)
	t.failed = err != nil
	return err
}

// wire is the descriptor as crypto/tls sees it.
type wire struct{ t *secure }

// errAgain is EAGAIN for crypto/tls.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "nothing to read yet" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

func (w wire) Read(p []byte) (int, error) {
	t := w.t
	if t.s.tls == nil {
		return t.readWaiting(p)
	}
	if t.short {
		return 0, errAgain
	}
	n, errno := sock.Recv(t.s.fd, p)
	t.short = n < len(p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, errAgain
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// readWaiting reads during the handshake. The slot is for what comes between
// two reads, so that a slow client does not keep it. sendLocked gives it back
// when there is no room for what is written.
func (t *secure) readWaiting(p []byte) (int, error) {
	t.letGo()
	n, err := t.s.recv(p) // still that of the plain socket
	if err == nil {
		if !t.charge(int64(n)) {
			return 0, errHandshakeRefused
		}
		t.e.handshakes.acquire()
		t.held = true
		if t.s.rtimer.isFired() { // it stood in the queue too long
			return 0, syscall.ETIMEDOUT
		}
	}
	return n, err
}

// charge counts n bytes more of a handshake. It is false when that is too much.
func (t *secure) charge(n int64) bool {
	t.came += n
	over := max(0, t.came-handshakeFree) - t.taken
	if !t.e.unfinished.take(over) {
		return false
	}
	t.taken += over
	return true
}

func (w wire) Write(p []byte) (int, error) {
	t := w.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cork == nil {
		return len(p), t.sendLocked(p)
	}
	n := len(p)
	for len(p) > 0 {
		if t.corked == len(t.cork) {
			if err := t.flushLocked(); err != nil {
				return 0, err
			}
		}
		k := copy(t.cork[t.corked:], p)
		t.corked += k
		p = p[k:]
	}
	return n, nil
}

// The rest of net.Conn, which crypto/tls calls for others' sake only: time and
// closing are the socket's.

func (w wire) Close() error                     { return nil }
func (w wire) LocalAddr() net.Addr              { return nil }
func (w wire) RemoteAddr() net.Addr             { return nil }
func (w wire) SetDeadline(time.Time) error      { return nil }
func (w wire) SetReadDeadline(time.Time) error  { return nil }
func (w wire) SetWriteDeadline(time.Time) error { return nil }

// turnstile bounds how many handshakes compute at the same time: a crowd of new
// clients must not stand before the requests of those that are there.
type turnstile struct{ free chan struct{} }

func newTurnstile(n int) *turnstile { return &turnstile{make(chan struct{}, n)} }

func (s *turnstile) acquire() { s.free <- struct{}{} }
func (s *turnstile) release() { <-s.free }
