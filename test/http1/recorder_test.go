package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// patience bounds waits for events that are sure to come.
const patience = 20 * time.Second

// recorder is the server behind the proxies. It keeps every byte it gets, by
// connection, and answers what it can make out to be a request.
type recorder struct {
	addr netip.AddrPort
	l    net.Listener
	all  sync.WaitGroup

	mu     sync.Mutex
	keep   bool // let connections be used again
	answer func(r *request) (text string, end bool)
	tapes  []*tape // in the order of their connections
	open   int
	reads  int // so far
	conns  map[net.Conn]bool
}

// tape is what came on one connection.
type tape struct {
	bytes []byte
	taken int // handed out by take
	since int // when the first byte behind taken came, by recorder.reads
}

func newRecorder(t testing.TB) *recorder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{l: l, addr: l.Addr().(*net.TCPAddr).AddrPort(), conns: map[net.Conn]bool{}, answer: welcome}
	r.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tape := new(tape)
			r.mu.Lock()
			r.tapes = append(r.tapes, tape)
			r.open++
			r.conns[c] = true
			r.mu.Unlock()
			r.all.Go(func() { r.record(c, tape) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		for c := range r.conns {
			c.Close()
		}
		r.mu.Unlock()
		r.all.Wait()
	})
	return r
}

// welcome answers a request with what it was.
func welcome(r *request) (string, bool) {
	body := r.method + " " + r.target
	text := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	if r.method != "HEAD" {
		text += body
	}
	return text, false
}

func (r *recorder) record(c net.Conn, tape *tape) {
	defer func() {
		c.Close()
		r.mu.Lock()
		r.open--
		delete(r.conns, c)
		r.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	answered := 0 // bytes of tape
	for {
		n, err := c.Read(buf)
		r.mu.Lock()
		if r.reads++; len(tape.bytes) == tape.taken {
			tape.since = r.reads
		}
		tape.bytes = append(tape.bytes, buf[:n]...)
		answer, keep := r.answer, r.keep
		rest := tape.bytes[answered:]
		r.mu.Unlock()
		for len(rest) > 0 {
			request, size, err := readRequest(rest)
			if errors.Is(err, errShort) {
				break
			}
			if err != nil { // never from OpenSLB: other proxies pass on more
				request, size = &request0, len(rest)
			}
			answered, rest = answered+size, rest[size:]
			text, end := answer(request)
			if !keep {
				text = closing(text)
			}
			if _, err := io.WriteString(c, text); err != nil || end {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// request0 stands for one that the strict reader refuses.
var request0 = request{method: "GET", target: "/?"}

// closing adds to an answer that the connection ends with it.
func closing(text string) string {
	const line = "HTTP/1.1 200 OK\r\n"
	if len(text) > len(line) && text[:len(line)] == line {
		return line + "Connection: close\r\n" + text[len(line):]
	}
	return text
}

// set changes how connections are answered from now on.
func (r *recorder) set(keep bool, answer func(*request) (string, bool)) {
	r.mu.Lock()
	r.keep, r.answer = keep, answer
	r.mu.Unlock()
}

// take returns what came since the last call, by connection, in the order in
// which it began to come. Unless connections are kept it waits until all have
// ended.
func (r *recorder) take(t testing.TB) (all [][]byte) {
	t.Helper()
	r.catchUp(t)
	for end := time.Now().Add(patience); !r.settled(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("the connections to the server do not end")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh []*tape
	for _, tape := range r.tapes {
		if len(tape.bytes) > tape.taken && !bytes.HasPrefix(tape.bytes, []byte("GET /last HTTP/1.0")) {
			fresh = append(fresh, tape)
		}
	}
	slices.SortFunc(fresh, func(a, b *tape) int { return a.since - b.since })
	for _, tape := range fresh {
		all = append(all, tape.bytes[tape.taken:])
		tape.taken = len(tape.bytes)
	}
	if r.open == 0 {
		r.tapes = nil
	}
	return all
}

// catchUp returns when all connections that were made before are known.
func (r *recorder) catchUp(t testing.TB) {
	last, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	last.SetDeadline(time.Now().Add(patience))
	io.WriteString(last, "GET /last HTTP/1.0\r\n\r\n") // what comes of it is left out below
	if _, err := last.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func (r *recorder) settled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keep || r.open == 0
}
