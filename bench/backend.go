package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// role of a backend's socket.
type role uint8

const (
	roleHTTP role = iota + 1
	roleEcho
	roleBulk
	roleDatagram // echo over UDP
)

// backend is the process behind the proxies.
type backend struct {
	poller  *poller
	listens map[int]role
	conns   []backendConn // by descriptor
	buf     []byte
	bulk    []byte
}

type backendConn struct {
	role      role
	streaming bool
	held      []byte // an incomplete request head
	left      []byte // of an answer that did not fit
}

var (
	answer     = answerOf(100)
	headAnswer = answer[:len(answer)-100]
	// sized are the answers to those who ask for a size by their path.
	sized   = map[string][]byte{"/1024": answerOf(1 << 10), "/16384": answerOf(16 << 10), "/1048576": answerOf(1 << 20)}
	headEnd = []byte("\r\n\r\n")
)

func answerOf(size int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
}

// runBackend serves on the hosts until its parent ends it, after printing its
// addresses. In between it runs jobs that come on its standard input: a load on
// the thread that serves what it asks for needs less of the core that both have
// than two processes would, which wake each other.
func runBackend(hosts []netip.Addr) error {
	runtime.LockOSThread()
	p, err := newPoller()
	if err != nil {
		return err
	}
	b := &backend{
		poller: p, listens: map[int]role{}, conns: make([]backendConn, 65536),
		buf: make([]byte, 64<<10), bulk: bytes.Repeat([]byte("b"), 256<<10),
	}
	addrs := backendAddrs{Hosts: hosts}
	for _, r := range []struct {
		role role
		port *uint16
	}{{roleHTTP, &addrs.HTTP}, {roleEcho, &addrs.Echo}, {roleBulk, &addrs.Bulk}} {
		for _, h := range addrs.Hosts {
			fd, port, err := listen(netip.AddrPortFrom(h, *r.port))
			if err != nil {
				return err
			}
			*r.port = port
			b.listens[fd] = r.role
			if err := p.add(fd, unix.EPOLLIN); err != nil {
				return err
			}
		}
	}
	for _, h := range addrs.Hosts {
		fd, err := receive(netip.AddrPortFrom(h, addrs.Echo))
		if err != nil {
			return err
		}
		b.listens[fd] = roleDatagram
		if err := p.add(fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
	text, err := json.Marshal(addrs)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, string(text))
	if err := p.add(standardInput, unix.EPOLLIN); err != nil {
		return err
	}
	jobs := json.NewDecoder(os.Stdin)
	for {
		events, err := p.wait(-1)
		if err != nil {
			return err
		}
		for i := range events {
			if events[i].Fd == standardInput {
				var job loadJob
				if err := jobs.Decode(&job); err != nil {
					return err
				}
				if err := (&load{job: job, poller: p, backend: b}).run(); err != nil {
					fmt.Println(err)
				}
				break // what was ready is so no longer, or still is
			}
			b.ready(int(events[i].Fd), events[i].Events)
		}
	}
}

const standardInput = 0

// ready handles one ready socket.
func (b *backend) ready(fd int, events uint32) {
	if r, ok := b.listens[fd]; ok {
		b.accept(fd, r)
		return
	}
	if !b.event(fd, events) {
		unix.Close(fd)
		b.conns[fd] = backendConn{}
	}
}

func (b *backend) accept(listener int, r role) {
	if r == roleDatagram {
		b.echo(listener)
		return
	}
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if fd >= len(b.conns) || b.poller.add(fd, unix.EPOLLIN) != nil {
			unix.Close(fd)
			continue
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		b.conns[fd] = backendConn{role: r}
	}
}

// echo sends datagrams back where they came from.
func (b *backend) echo(fd int) {
	for {
		n, from, err := unix.Recvfrom(fd, b.buf, 0)
		if err != nil {
			return
		}
		_ = unix.Sendto(fd, b.buf[:n], 0, from) // one that is lost shows in the load
	}
}

// event handles one ready connection; false closes it.
func (b *backend) event(fd int, events uint32) bool {
	c := &b.conns[fd]
	if c.streaming && events&unix.EPOLLOUT != 0 {
		return b.stream(fd)
	}
	if len(c.left) > 0 {
		return b.goOn(fd, c)
	}
	n, err := recv(fd, b.buf)
	if n <= 0 {
		return err == unix.EAGAIN || err == unix.EINTR
	}
	switch c.role {
	case roleEcho:
		m, err := send(fd, b.buf[:n])
		return err == nil && m == n
	case roleBulk:
		c.streaming = true
		return b.poller.change(fd, unix.EPOLLOUT) == nil
	default:
		return b.answer(fd, c, b.buf[:n])
	}
}

// stream writes a turn's worth of bulk data.
func (b *backend) stream(fd int) bool {
	_, err := send(fd, b.bulk)
	return err == nil || err == unix.EAGAIN
}

// goOn writes more of a long answer.
func (b *backend) goOn(fd int, c *backendConn) bool {
	n, err := send(fd, c.left)
	if err != nil {
		return err == unix.EAGAIN
	}
	if c.left = c.left[n:]; len(c.left) > 0 {
		return true
	}
	return b.poller.change(fd, unix.EPOLLIN) == nil
}

// answer handles one or more request heads; requests here have no body.
func (b *backend) answer(fd int, c *backendConn, in []byte) bool {
	if len(c.held) > 0 {
		c.held = append(c.held, in...)
		in = c.held
	}
	for {
		i := bytes.Index(in, headEnd)
		if i < 0 {
			break
		}
		head := in[:i+2]
		in = in[i+4:]
		out := answer
		if bytes.HasPrefix(head, []byte("HEAD ")) {
			out = headAnswer
		}
		first, _, _ := bytes.Cut(head, []byte("\r\n"))
		if path := bytes.Fields(first); len(path) > 1 && sized[string(path[1])] != nil {
			out = sized[string(path[1])]
		}
		n, err := send(fd, out)
		if err != nil {
			return false
		}
		if n < len(out) { // nobody asks again before it has all
			c.left = out[n:]
			return b.poller.change(fd, unix.EPOLLOUT) == nil
		}
		if bytes.HasSuffix(first, []byte("HTTP/1.0")) || bytes.Contains(head, []byte("onnection: close")) {
			return false
		}
	}
	if len(in) > 0 {
		c.held = append([]byte(nil), in...)
	} else {
		c.held = nil
	}
	return true
}
