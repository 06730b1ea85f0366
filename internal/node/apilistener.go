package node

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// apiListener is the API's port. It can be paused: connections then wait in the
// socket, which another process may have too. It counts those that are open.
type apiListener struct {
	*net.TCPListener
	connections atomic.Int64

	mu     sync.Mutex
	going  chan struct{} // closed while it accepts
	closed chan struct{}
	once   sync.Once
}

func newAPIListener(l *net.TCPListener) *apiListener {
	going := make(chan struct{})
	close(going)
	return &apiListener{TCPListener: l, going: going, closed: make(chan struct{})}
}

// adoptAPIListener makes a listener of a socket from another process, which is
// taken over with the descriptor.
func adoptAPIListener(fd int) (*apiListener, error) {
	f := os.NewFile(uintptr(fd), "API port")
	defer f.Close() // FileListener works on a copy
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, os.ErrInvalid
	}
	return newAPIListener(t), nil
}

// copyFD gives another descriptor of the socket.
func (l *apiListener) copyFD() (fd int, err error) {
	rc, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	if cerr := rc.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// pause stops accepting.
func (l *apiListener) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.going:
		l.going = make(chan struct{})
		_ = l.SetDeadline(time.Unix(1, 0)) // it fails only on a closed listener
	default:
	}
}

// resume goes on accepting.
func (l *apiListener) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.going:
	default:
		_ = l.SetDeadline(time.Time{})
		close(l.going)
	}
}

// wait returns when the listener is not paused, or closed.
func (l *apiListener) wait() {
	l.mu.Lock()
	going := l.going
	l.mu.Unlock()
	select {
	case <-going:
	case <-l.closed:
	}
}

// Accept implements net.Listener.
func (l *apiListener) Accept() (net.Conn, error) {
	for {
		l.wait()
		c, err := l.AcceptTCP()
		if err == nil {
			l.connections.Add(1)
			return &apiConn{TCPConn: c, listener: l}, nil
		}
		if !os.IsTimeout(err) {
			return nil, err
		}
	}
}

// Close implements net.Listener.
func (l *apiListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

// apiConn is a connection that is counted. It is all that a TCP connection is:
// package rpc closes only one side of it where a client still sends.
type apiConn struct {
	*net.TCPConn
	listener *apiListener
	once     sync.Once
}

// Close implements net.Conn.
func (c *apiConn) Close() error {
	c.once.Do(func() { c.listener.connections.Add(-1) })
	return c.TCPConn.Close()
}
