package testutil

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Server is a backend on a raw socket. It speaks HTTP/1 or, as an echo server,
// plain TCP, and tells its ID in every answer:
//
//   - HTTP: the body is the ID; a request body is read and thrown away.
//   - Echo: the ID and a line feed once at the start, then every byte comes back.
type Server struct {
	ID   string
	addr netip.AddrPort
	echo bool

	requests atomic.Int64
	probes   atomic.Int64
	failing  atomic.Bool

	mu      sync.Mutex // guards the two below
	ln      net.Listener
	open    map[net.Conn]struct{}
	running sync.WaitGroup
}

// HTTPServers starts one HTTP server for each ID, on addresses of their own with
// one port for all.
func HTTPServers(t testing.TB, ids ...string) []*Server { return start(t, ids, false)[0] }

// EchoServers starts one echo server for each ID, on addresses of their own with
// one port for all.
func EchoServers(t testing.TB, ids ...string) []*Server { return start(t, ids, true)[0] }

// Hosts starts an HTTP server and an echo server for each ID; both have the
// address of that ID and ports that are the same for all.
func Hosts(t testing.TB, ids ...string) (web, echo []*Server) {
	both := start(t, ids, false, true)
	return both[0], both[1]
}

func start(t testing.TB, ids []string, echo ...bool) [][]*Server {
	t.Helper()
	group, err := listenGroup(len(ids), len(echo))
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]*Server, len(echo))
	for k := range echo {
		for i, id := range ids {
			s := &Server{ID: id, addr: addrPort(group[k][i].Addr()), echo: echo[k], open: map[net.Conn]struct{}{}}
			s.serve(group[k][i])
			t.Cleanup(s.Kill)
			out[k] = append(out[k], s)
		}
	}
	return out
}

// Fail makes an HTTP server answer every HEAD request, which only probes send,
// with 500, and all others as before. So a test sees whether traffic avoids a
// server for its health alone.
func (s *Server) Fail(on bool) { s.failing.Store(on) }

// Probes counts HEAD requests.
func (s *Server) Probes() int64 { return s.probes.Load() }

// Addr is where the server listens, or listened before Kill.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Requests counts what clients asked: HTTP requests other than HEAD, which only
// probes send, or chunks echoed.
func (s *Server) Requests() int64 { return s.requests.Load() }

// Kill ends the server as a crash does: the port is closed and every connection
// is reset. It may be called again.
func (s *Server) Kill() {
	s.mu.Lock()
	if s.ln != nil {
		s.ln.Close()
		s.ln = nil
	}
	for c := range s.open {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Revive lets a killed server listen on its address again.
func (s *Server) Revive(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", s.addr.String())
	if err != nil {
		t.Fatalf("revive server %s: %v", s.ID, err)
	}
	s.serve(ln)
}

func (s *Server) serve(ln net.Listener) {
	s.mu.Lock()
	s.ln = ln
	s.mu.Unlock()
	s.running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			s.mu.Lock()
			if s.ln != ln { // killed meanwhile
				c.Close()
			} else {
				s.open[c] = struct{}{}
				s.running.Go(func() { s.connection(c) })
			}
			s.mu.Unlock()
		}
	})
}

func (s *Server) connection(c net.Conn) {
	defer func() {
		s.mu.Lock()
		delete(s.open, c)
		s.mu.Unlock()
		c.Close()
	}()
	if s.echo {
		s.echoLoop(c)
		return
	}
	r := bufio.NewReaderSize(c, 2048)
	for s.exchange(c, r) {
	}
}

func (s *Server) echoLoop(c net.Conn) {
	if _, err := io.WriteString(c, s.ID+"\n"); err != nil {
		return
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		s.requests.Add(1)
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// exchange answers one request and reports whether the connection stays open.
func (s *Server) exchange(c net.Conn, r *bufio.Reader) bool {
	line, err := r.ReadString('\n')
	if err != nil {
		return false
	}
	method, _, _ := strings.Cut(line, " ")
	keep := strings.HasSuffix(strings.TrimRight(line, "\r\n"), "HTTP/1.1")
	length := 0
	for {
		field, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		field = strings.TrimRight(field, "\r\n")
		if field == "" {
			break
		}
		name, value, _ := strings.Cut(field, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			length, _ = strconv.Atoi(value)
		case "connection":
			keep = keep && !strings.EqualFold(value, "close")
		}
	}
	if _, err := r.Discard(length); err != nil {
		return false
	}
	status := "200 OK"
	if method == "HEAD" && s.failing.Load() {
		status = "500 Failing"
	}
	head := "HTTP/1.1 " + status + "\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(s.ID)) + "\r\n"
	if !keep {
		head += "Connection: close\r\n"
	}
	head += "\r\n"
	if method == "HEAD" {
		s.probes.Add(1)
	} else {
		s.requests.Add(1)
		head += s.ID
	}
	_, err = io.WriteString(c, head)
	return err == nil && keep
}
