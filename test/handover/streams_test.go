package handover

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/openslb/openslb/internal/testutil/grpctest"
	"github.com/openslb/openslb/internal/testutil/wstest"
)

// talk is a conversation with a server that lasts.
type talk struct {
	conn *halting
	say  func(text string) error // and get the same back
	end  func() error            // as the protocol wants it
	n    int
}

// work says something else every time.
func (s *talk) work() error {
	s.n++
	text := fmt.Sprintf("message %d", s.n)
	if s.n%10 == 0 {
		text += strings.Repeat(" and more", 5000)
	}
	_ = s.conn.SetDeadline(time.Now().Add(patience))
	return s.say(text)
}

// socket opens a WebSocket connection, over TLS or not.
func socket(at netip.AddrPort, secure bool) (*talk, error) {
	conn, err := dial(at)
	if err != nil {
		return nil, err
	}
	c := net.Conn(conn)
	if secure {
		c = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	s, err := wstest.Open(c, "/socket")
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &talk{conn: conn, say: s.Exchange, end: func() error {
		defer conn.Close()
		return s.End()
	}}, nil
}

// callers is a client of gRPC with its connections.
type callers struct {
	*grpc.ClientConn

	mu    sync.Mutex
	conns []*halting // guarded by mu
}

func newCallers(at netip.AddrPort) (*callers, error) {
	c := new(callers)
	var err error
	c.ClientConn, err = grpctest.NewClient(at.String(), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		conn, err := dial(at)
		if err == nil {
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
		}
		return conn, err
	}))
	return c, err
}

// last is the connection that calls go over now.
func (c *callers) last() *halting {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns[len(c.conns)-1]
}

// call begins a stream of gRPC in both directions.
func (c *callers) call() (*talk, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := grpctest.Open(ctx, c.ClientConn, "/test.Echo/Talk")
	if err == nil {
		err = grpctest.Exchange(s, "hello") // from here on it is known which connection has the stream
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &talk{
		conn: c.last(),
		say: func(text string) error {
			defer time.AfterFunc(patience, cancel).Stop()
			return grpctest.Exchange(s, text)
		},
		end: func() error {
			defer cancel()
			return grpctest.End(s)
		},
	}, nil
}

// streamed follows an answer that does not end.
func streamed(t *testing.T, c *http.Client, url string, major int) (func() error, func() error) {
	t.Helper()
	answer, err := c.Get(url)
	if err != nil || answer.StatusCode != http.StatusOK || answer.ProtoMajor != major {
		t.Fatalf("begin a stream: %+v, %v", answer, err)
	}
	r := bufio.NewReader(answer.Body)
	n := 0
	return func() error {
		line, err := r.ReadString('\n')
		if err != nil || line != fmt.Sprintln(n) {
			return fmt.Errorf("%q instead of %d, %w", line, n, err)
		}
		n++
		return nil
	}, func() error { answer.Body.Close(); c.CloseIdleConnections(); return nil }
}

// halting is a connection whose writes can be made to stop in the middle.
type halting struct {
	net.Conn

	mu     sync.Mutex
	halted chan struct{} // closed when a write has stopped; nil: none is to. Guarded by mu
	goOn   chan struct{} // closed when it may go on. Guarded by mu
}

func dial(at netip.AddrPort) (*halting, error) {
	c, err := net.DialTimeout("tcp", at.String(), patience)
	if err != nil {
		return nil, err
	}
	return &halting{Conn: c}, nil
}

// Write writes half of b and waits, if it is told to.
func (h *halting) Write(b []byte) (int, error) {
	h.mu.Lock()
	halted, goOn := h.halted, h.goOn
	h.halted = nil
	h.mu.Unlock()
	if halted == nil {
		return h.Conn.Write(b)
	}
	n, err := h.Conn.Write(b[:len(b)/2])
	close(halted)
	<-goOn
	if err != nil {
		return n, err
	}
	k, err := h.Conn.Write(b[n:])
	return n + k, err
}

// halt has the next write stop, and gives what is closed when it has, and what
// lets it go on.
func (h *halting) halt() (halted chan struct{}, goOn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.halted, h.goOn = make(chan struct{}), make(chan struct{})
	return h.halted, sync.OnceFunc(func() { close(h.goOn) })
}

// holder is the process that has the balancer's end of a connection, of those
// that have served.
func (w *world) holder(c net.Conn) int {
	w.t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		w.t.Fatal(err)
	}
	ends := spelled(c.RemoteAddr()) + " " + spelled(c.LocalAddr()) + " 01 " // established
	inode := ""
	for line := range strings.Lines(string(table)) {
		if _, rest, ok := strings.Cut(line, ends); ok {
			inode = strings.Fields(rest)[5]
		}
	}
	if inode == "" {
		w.t.Fatalf("no connection %v to %v", c.LocalAddr(), c.RemoteAddr())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pid := range w.processes {
		all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if slices.ContainsFunc(all, func(fd string) bool { to, _ := os.Readlink(fd); return to == "socket:["+inode+"]" }) {
			return pid
		}
	}
	return 0
}

// spelled is an address as in /proc/net/tcp.
func spelled(a net.Addr) string {
	at := a.(*net.TCPAddr).AddrPort()
	ip := at.Addr().Unmap().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), at.Port())
}

// generation is conversations that began with one process.
type generation struct {
	process int
	talks   map[string]*talk
	calls   *callers
}

func (w *world) generation(ip netip.Addr) *generation {
	w.t.Helper()
	g := &generation{process: w.owner(), talks: map[string]*talk{}}
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(ip, port) }
	var err [4]error
	g.talks["WebSocket"], err[0] = socket(at(socketPort), false)
	g.talks["WebSocket over TLS"], err[1] = socket(at(streamPort), true)
	if g.calls, err[2] = newCallers(at(grpcPort)); err[2] == nil {
		w.t.Cleanup(func() { g.calls.Close() })
		g.talks["gRPC"], err[3] = g.calls.call()
	}
	if err := errors.Join(err[:]...); err != nil {
		w.t.Fatal(err)
	}
	return g
}

// each does something with every conversation, at the same time.
func (g *generation) each(t *testing.T, do func(s *talk) error) {
	t.Helper()
	var all sync.WaitGroup
	for name, s := range g.talks {
		all.Go(func() {
			if err := do(s); err != nil {
				t.Errorf("%s of process %d: %v", name, g.process, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// goesOn has every conversation go on, with the process that it began with.
func (g *generation) goesOn(w *world) {
	w.t.Helper()
	g.each(w.t, func(s *talk) error {
		for range 12 {
			if err := s.work(); err != nil {
				return err
			}
		}
		return nil
	})
	for name, s := range g.talks {
		if got := w.holder(s.conn); got != g.process {
			w.t.Errorf("%s is with process %d, and began with %d", name, got, g.process)
		}
	}
}

// interrupted replaces the process while every conversation, and what it says in
// TLS, is in the middle of a message.
func (g *generation) interrupted(w *world, replace func()) {
	w.t.Helper()
	var ready, all sync.WaitGroup
	goOn := make(chan struct{})
	ready.Add(len(g.talks))
	all.Go(func() {
		g.each(w.t, func(s *talk) error {
			halted, release := s.conn.halt()
			said := make(chan error, 1)
			go func() { said <- s.work() }()
			select {
			case <-halted:
			case err := <-said:
				ready.Done()
				return fmt.Errorf("it was not interrupted: %w", err)
			}
			ready.Done()
			<-goOn
			release()
			return <-said
		})
	})
	ready.Wait()
	replace()
	close(goOn)
	all.Wait()
}

// TestStreamsEndWhereTheyBegan replaces the process twice, each time in the
// middle of messages of WebSocket and gRPC. What has begun goes on and ends with
// the process that it began with, what begins anew does so with the next one, and
// a process is gone when the last has ended.
func TestStreamsEndWhereTheyBegan(t *testing.T) {
	t.Parallel() // most of it is waiting
	w := newWorld(t)
	ip, _ := w.balance()
	first := w.generation(ip)
	first.goesOn(w)
	first.interrupted(w, func() { w.takeOver() })
	second := w.generation(ip)
	if second.process == first.process {
		t.Fatal("nobody has taken over")
	}
	first.goesOn(w)
	second.goesOn(w)

	// The client of gRPC begins another call: the old process does not want it.
	more, err := first.calls.call()
	if err != nil {
		t.Fatal(err)
	}
	if got := w.holder(more.conn); got != second.process {
		t.Errorf("a new call is with process %d, want %d", got, second.process)
	}
	second.talks["gRPC of an old client"] = more

	second.interrupted(w, w.signalled)
	third := w.generation(ip)
	for _, g := range []*generation{first, second, third} {
		g.goesOn(w)
	}
	for _, g := range []*generation{first, second} {
		g.each(t, func(s *talk) error { return s.end() })
	}
	third.goesOn(w)
	w.api.HTTP.CloseIdleConnections()
	for _, c := range []*callers{first.calls, second.calls} {
		c.Close()
	}
	w.gone()
	third.goesOn(w)
	third.each(t, func(s *talk) error { return s.end() })
}
