package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

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
// what it was sent by the server; one that takes a little every now and then is
// not.
func TestStalledReader(t *testing.T) {
	if sendTimeout != 60*time.Second {
		t.Errorf("it is waited for %v", sendTimeout)
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
	p := hasty(func(w *waits) { w.send = time.Second }, func() *proxy { return newProxy(t, spec.HTTPOptions{}, target(b)) })
	c := p.dial()
	c.send(simple)
	if err := <-ended; err == nil {
		t.Error("the server could send it all")
	}
	eventually(t, "client forgotten", func() bool { return p.Facts().ActiveConnections == 0 })
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Error("the client takes the answer for whole")
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
