package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestSlowReader: what a client does not take is not read from the server, and
// nothing of it is lost.
func TestSlowReader(t *testing.T) {
	body := bytes.Repeat(pattern(1<<20+7), 32)
	stuck := make(chan int, 1)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := c.Write(body)
		stuck <- n
		c.SetWriteDeadline(time.Time{})
		if err != nil {
			c.Write(body[n:])
		}
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	c.SetDeadline(time.Now().Add(3 * patience)) // much to read for a busy machine
	c.send(simple)
	// The buffers of three sockets and one of ours lie between the two.
	if n := <-stuck; n > 28<<20 {
		t.Errorf("%d bytes were taken from the server", n)
	}
	if m := c.want(200, "*"); !bytes.Equal(m.body, body) {
		t.Errorf("%d other bytes", len(m.body))
	}
}

// TestStalledReader: a client that takes nothing is cut off in the end, and so is
// what it was sent by the server.
func TestStalledReader(t *testing.T) {
	if slowTime != 60*time.Second {
		t.Errorf("it is waited for %v", slowTime)
	}
	ended := make(chan error, 2)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err != nil {
			return
		}
		const size = 24 << 20
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		_, err := c.Write(make([]byte, size))
		ended <- err
	})
	p := hasty(func(w *waits) { w.slow = 600 * time.Millisecond }, func() *proxy { return newProxy(t, spec.HTTPOptions{}, target(b)) })
	c := p.dial()
	c.send(simple)
	if err := <-ended; err == nil {
		t.Error("the server could send it all")
	}
	eventually(t, "client forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Error("the client takes the answer for whole")
	}
	if n := p.Facts().SlowReads; n != 1 {
		t.Errorf("%d counted", n)
	}
}

// TestSteadyReader: a client that takes an answer slowly gets all of it, although
// the system tells of no room for longer than a client may be silent.
func TestSteadyReader(t *testing.T) {
	if driver == Goroutines && !overTLS {
		return // as over TLS
	}
	const size = 16 << 20
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		c.Write(make([]byte, size))
	})
	// Room shows after a third of 4 MB.
	p := hasty(func(w *waits) { w.slow = time.Second }, func() *proxy { return newProxy(t, spec.HTTPOptions{}, target(b)) })
	c := p.dial()
	c.SetDeadline(time.Now().Add(3 * patience))
	c.send(simple)
	// Quickly at first, so that the buffers grow to their full size.
	got, err := io.CopyN(io.Discard, c, 8<<20)
	for began := time.Now(); err == nil && time.Since(began) < 1200*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		var n int64
		n, err = io.CopyN(io.Discard, c, 16<<10)
		got += n
	}
	if err == nil {
		var n int64
		n, err = io.Copy(io.Discard, io.LimitReader(c, size-got))
		got += n
	}
	if err != nil || got < size {
		t.Errorf("%d bytes, %v", got, err)
	}
	if f := p.Facts(); f.SlowReads != 0 {
		t.Errorf("%d counted", f.SlowReads)
	}
}

// slowBodies are the ways to send a body, as a head and what is to stand around
// each piece of n bytes.
var slowBodies = []struct {
	name, head string
	piece      func(p []byte) string
	end        string
}{
	{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n", func(p []byte) string { return string(p) }, ""},
	{"chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", func(p []byte) string { return fmt.Sprintf("%x\r\n%s\r\n", len(p), p) }, "0\r\n\r\n"},
}

// TestSlowBody: a client that never pauses for long, and yet sends next to
// nothing, is told so and counted, and the server is let go.
func TestSlowBody(t *testing.T) {
	ended := make(chan error, 2)
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err == nil {
			err = m.err
		}
		ended <- err
	})
	p := hasty(func(w *waits) { w.slow = 300 * time.Millisecond }, func() *proxy { return newProxy(t, spec.HTTPOptions{RequestTimeout: patience}, target(b)) })
	t.Run("bodies", func(t *testing.T) { sendSlowBodies(t, p) })
	for range slowBodies {
		if err := <-ended; err == nil {
			t.Error("the server sees no end")
		}
	}
	if f := p.Facts(); f.SlowBodies != 2 || f.Status[4] != 2 || f.SlowHeads+f.SlowReads != 0 {
		t.Errorf("counted %+v", f)
	}
}

func sendSlowBodies(t *testing.T, p *proxy) {
	for _, row := range slowBodies {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := p.dial()
			c.t = t
			c.send(row.head)
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				c.want(408, "*")
			}()
			for sent := 0; ; sent++ {
				select {
				case <-answered:
				case <-time.After(20 * time.Millisecond):
					if sent < slowBytes-1 { // far more than there is time for
						io.WriteString(c, row.piece([]byte{'x'}))
						continue
					}
					t.Error("no answer")
				}
				break
			}
		})
	}
}

// TestSteadyBody: a body takes as long as it takes, if it keeps coming.
func TestSteadyBody(t *testing.T) {
	b := answering(t, func(m *message) string { return ok(fmt.Sprint(len(m.body))) })
	p := hasty(func(w *waits) { w.slow = 150 * time.Millisecond }, func() *proxy { return newProxy(t, spec.HTTPOptions{RequestTimeout: patience}, target(b)) })
	t.Run("bodies", func(t *testing.T) { sendSteadyBodies(t, p) })
	if n := p.Facts().SlowBodies; n != 0 {
		t.Errorf("%d counted", n)
	}
}

func sendSteadyBodies(t *testing.T, p *proxy) {
	for _, row := range slowBodies {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := p.dial()
			c.t = t
			c.send(row.head)
			for range 32 {
				time.Sleep(15 * time.Millisecond)
				c.send(row.piece(make([]byte, 2048)))
			}
			c.send(row.end)
			c.want(200, "65536")
		})
	}
}

// TestBodyMemory: a client that is waited for in the middle of a body holds no
// buffer of any size.
func TestBodyMemory(t *testing.T) {
	const n = 100
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) { io.Copy(io.Discard, c) })
	for _, row := range slowBodies {
		p := newProxy(t, spec.HTTPOptions{}, target(b))
		before, was := used(), b.connections()
		for range n {
			p.dial().send(row.head + row.piece([]byte("begun")))
		}
		eventually(t, "all have begun", func() bool { return b.connections() == was+n })
		each := (used() - before) / n
		t.Logf("%s: %d bytes each, with client and server", row.name, each)
		if !raceEnabled && each > 64<<10 {
			t.Errorf("%s: %d bytes each", row.name, each)
		}
	}
}

// TestPace: what is slow, by the numbers.
func TestPace(t *testing.T) {
	const window = time.Minute
	for _, row := range []struct {
		name  string
		every time.Duration
		n     int64
		slow  time.Duration // when it is found out; 0: never
	}{
		{"a byte now and then", 50 * time.Second, 1, 150 * time.Second},
		{"a byte a second", time.Second, 1, 64 * time.Second},
		{"almost enough", time.Second, slowBytes/60 - 3, 64 * time.Second},
		{"enough", time.Second, slowBytes/60 + 1, 0},
		{"enough at once", 59 * time.Second, slowBytes, 0},
	} {
		var p pace
		at := time.Duration(0)
		for at < time.Hour {
			at += row.every
			if !p.keeps(int64(row.every), row.n, window) {
				break
			}
		}
		if at >= time.Hour {
			at = 0
		}
		if at != row.slow {
			t.Errorf("%s: after %v, want %v", row.name, at, row.slow)
		}
	}
	// What follows a long silence at once counts.
	var p pace
	if !p.keeps(int64(time.Hour), 6, window) || !p.keeps(int64(time.Millisecond), slowBytes, window) || !p.keeps(int64(30*time.Second), 1, window) {
		t.Error("a burst after a pause is not enough")
	}
}

// TestProgress: what counts is what the other side has acknowledged since it was
// asked, and several requests ask for more.
func TestProgress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	rc, err := near.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var q progress
	var sent uint64
	for _, row := range []struct {
		n, requests int
		made        bool
	}{{0, 1, true}, {0, 1, false}, {slowBytes, 1, true}, {slowBytes / 2, 0, true}, {slowBytes/2 - 1, 1, false}, {slowBytes, 2, true}, {slowBytes, 3, false}} {
		near.Write(make([]byte, row.n))
		sent += uint64(row.n)
		io.CopyN(io.Discard, far, int64(row.n))
		made := false
		rc.Control(func(fd uintptr) {
			eventually(t, "acknowledged", func() bool { return sock.Acknowledged(int(fd)) >= sent })
			made = q.made(int(fd), row.requests)
		})
		if made != row.made {
			t.Errorf("%d bytes for %d: %v", row.n, row.requests, made)
		}
	}
}

// TestConnectTime: a server that does not even refuse is given up after its time,
// and another answers.
func TestConnectTime(t *testing.T) {
	if connectTimeout != 5*time.Second {
		t.Errorf("it is waited for %v, the vendor documents 5 s", connectTimeout)
	}
	b := answering(t, func(m *message) string { return ok(string(m.body) + "!") })
	hole := spec.Target{ID: "hole", Addr: blackHole(t), Weight: 100}
	p := hasty(func(w *waits) { w.connect = 300 * time.Millisecond }, func() *proxy { return newProxy(t, spec.HTTPOptions{}, hole, target(b)) })
	c := p.dial()
	for range 4 { // the turn is the hole's every other time
		began := time.Now()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
		c.want(200, "hi!")
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
		c.send("hi")
		c.want(200, "hi!")
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("after %v: was it asked at all?", took)
		}
	}
}

// blackHole is an address that does not answer connects: its queue is full and
// nobody accepts.
func blackHole(t testing.TB) netip.AddrPort {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
	for {
		c, err := net.DialTimeout("tcp", addr.String(), 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
}

// TestPausedReader: a client that takes nothing for longer than a server may be
// silent gets the whole answer all the same.
func TestPausedReader(t *testing.T) {
	const size = 16 << 20
	answer := ok(string(make([]byte, size)))
	p := newProxy(t, spec.HTTPOptions{RequestTimeout: 500 * time.Millisecond}, target(answering(t, func(*message) string { return answer })))
	c := p.dial()
	c.tcp.SetReadBuffer(64 << 10)
	io.WriteString(c, simple)
	if head, err := readHead(c.br); err != nil || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Fatal(head, err)
	}
	time.Sleep(1200 * time.Millisecond)
	if n, err := io.CopyN(io.Discard, c.br, size); err != nil {
		t.Errorf("%v after %d bytes", err, n)
	}
}
