package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// tlsHandshake is the first byte of every TLS connection: the record type of
// ClientHello. No method of HTTP begins with it.
const tlsHandshake = 0x16

// A connection has to say something soon. When many wait, it has to hurry.
const (
	firstByteTimeout = 5 * time.Second
	hurriedTimeout   = 500 * time.Millisecond
	maxSilent        = 2048 // connections that have said nothing yet
)

// splitter takes the connections of one listener and hands each to the plain or
// to the TLS side by its first byte. A connection costs a small goroutine and
// no buffers until that byte has come.
type splitter struct {
	ln         net.Listener
	logger     *slog.Logger
	maxConns   int
	plain, tls *side

	mu     sync.Mutex
	open   int                   // handed out or waiting
	silent map[net.Conn]struct{} // waiting for their first byte
	closed bool

	wg sync.WaitGroup // the waiting goroutines
}

func newSplitter(ln net.Listener, maxConns int, logger *slog.Logger) *splitter {
	s := &splitter{ln: ln, logger: logger, maxConns: maxConns, silent: map[net.Conn]struct{}{}}
	s.plain, s.tls = newSide(ln.Addr()), newSide(ln.Addr())
	return s
}

// run accepts until the listener is closed, and returns when every goroutine it
// started has ended. The error is nil if stop was called.
func (s *splitter) run(ctx context.Context) error {
	defer s.wg.Wait()
	defer s.stop()
	var pause time.Duration
	for {
		c, err := s.ln.Accept()
		if err != nil {
			if s.stopped() || errors.Is(err, net.ErrClosed) {
				return nil
			}
			var temporary interface{ Temporary() bool }
			if !errors.As(err, &temporary) || !temporary.Temporary() {
				return err
			}
			// Mostly a lack of descriptors, which passes when others close.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.logger.WarnContext(ctx, "accept failed, trying again", "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			continue
		}
		pause = 0
		timeout, ok := s.admit(c)
		if !ok {
			c.Close()
			continue
		}
		s.wg.Go(func() { s.sniff(c, timeout) })
	}
}

// admit counts a new connection in, or refuses it.
func (s *splitter) admit(c net.Conn) (timeout time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.open >= s.maxConns || len(s.silent) >= maxSilent {
		return 0, false
	}
	s.open++
	s.silent[c] = struct{}{}
	if len(s.silent) > maxSilent/2 {
		return hurriedTimeout, true
	}
	return firstByteTimeout, true
}

// sniff waits for the first byte and hands the connection on.
func (s *splitter) sniff(c net.Conn, timeout time.Duration) {
	counted := &sniffed{Conn: c, owner: s}
	c.SetReadDeadline(time.Now().Add(timeout))
	n, err := c.Read(counted.first[:])
	s.mu.Lock()
	delete(s.silent, c)
	s.mu.Unlock()
	if n == 0 || err != nil {
		counted.Close()
		return
	}
	c.SetReadDeadline(time.Time{})
	to := s.plain
	if counted.first[0] == tlsHandshake {
		to = s.tls
	}
	select {
	case to.conns <- counted:
	case <-to.done:
		counted.Close()
	}
}

// stop closes the listener, both sides and all that still wait.
func (s *splitter) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.ln.Close()
	for c := range s.silent {
		c.Close()
	}
	s.plain.Close()
	s.tls.Close()
}

func (s *splitter) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// sniffed is a connection whose first byte has been read already.
type sniffed struct {
	net.Conn
	owner *splitter
	first [1]byte
	given bool // first has been read again; only the reader touches it

	closed atomic.Bool
}

// Read returns the byte that was taken, alone, and then what follows.
func (c *sniffed) Read(b []byte) (int, error) {
	if !c.given && len(b) > 0 {
		c.given = true
		b[0] = c.first[0]
		return 1, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite tells the client that the answer is complete; net/http looks for it.
func (c *sniffed) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection, as soon as its client has had a chance to read the
// answer, and makes room for another. Closing it once more ends that wait.
func (c *sniffed) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return c.Conn.Close()
	}
	linger(c.Conn, c.owner.stopped)
	err := c.Conn.Close()
	c.owner.mu.Lock()
	c.owner.open--
	c.owner.mu.Unlock()
	return err
}

// side is the listener that one protocol's server sees.
type side struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newSide(addr net.Addr) *side {
	return &side{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept returns the next connection of this protocol.
func (s *side) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (s *side) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

// Addr is the address of the shared listener.
func (s *side) Addr() net.Addr { return s.addr }
