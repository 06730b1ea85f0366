package testutil

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The process of a crowd is one thread that works through an epoll: the race
// detector allows some eight thousand goroutines, and a crowd is larger.

type crowdCommand struct {
	Do   string
	N    int
	Addr netip.AddrPort
}

type crowdServers struct{ Echo, Flood []netip.AddrPort }

type crowdRole uint8

const (
	crowdFree crowdRole = iota
	crowdEchoListener
	crowdFloodListener
	crowdEchoServer
	crowdFloodServer
	crowdClient  // exchanges
	crowdStalled // reads nothing
)

type crowdConn struct {
	role crowdRole
	busy bool   // a connect or an exchange is under way
	sent bool   // the message is out
	want uint64 // the message
}

const (
	crowdMost    = 32768 // descriptors
	crowdWindow  = 200   // connections being opened at once
	crowdPatient = 90 * time.Second
)

type crowd struct {
	epoll  int
	conns  [crowdMost]crowdConn
	events [512]unix.EpollEvent
	buf    [64 << 10]byte
	next   uint64
	busy   int // clients that are
	report CrowdReport
}

func runCrowd(in io.Reader, out io.Writer) error {
	c := &crowd{}
	var err error
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	// Commands are read beside the events: what is idle may end meanwhile.
	commands, failed := make(chan crowdCommand), make(chan error, 1)
	go func() {
		defer close(commands)
		for d := json.NewDecoder(bufio.NewReader(in)); ; {
			var cmd crowdCommand
			if err := d.Decode(&cmd); err != nil {
				if !errors.Is(err, io.EOF) {
					failed <- err
				}
				return
			}
			commands <- cmd
		}
	}()
	answers := json.NewEncoder(out)
	for {
		select {
		case err := <-failed:
			return err
		case cmd, ok := <-commands:
			if !ok {
				return nil
			}
			answer, err := c.do(cmd)
			if err != nil {
				return err
			}
			if err := answers.Encode(answer); err != nil {
				return err
			}
		default:
			c.turn(10)
		}
	}
}

// do obeys a command and returns what to answer.
func (c *crowd) do(cmd crowdCommand) (any, error) {
	c.report.Good = 0
	switch cmd.Do {
	case "serve":
		return c.serve(cmd.N)
	case "connect", "stall":
		for n := 0; n < cmd.N || c.busy > 0; {
			if n < cmd.N && c.busy < crowdWindow {
				c.open(cmd.Addr, cmd.Do == "stall")
				n++
				continue
			}
			if !c.await() {
				break
			}
		}
	case "exchange":
		for fd := range c.conns {
			if k := &c.conns[fd]; k.role == crowdClient && !k.busy {
				k.busy = true
				c.busy++
				c.send(fd)
			}
		}
		for c.busy > 0 && c.await() {
		}
	case "close":
		for fd, left := 0, cmd.N; fd < crowdMost && left > 0; fd++ {
			if c.conns[fd].role == crowdClient {
				c.close(fd)
				c.report.Open--
				c.report.Good++
				left--
			}
		}
	default:
		return nil, fmt.Errorf("unknown command %q", cmd.Do)
	}
	r := c.report
	c.report.Faults, c.report.First = 0, ""
	return r, nil
}

// await handles events for as long as some come; false says that those who are
// busy have been so for too long, which is a fault of each.
func (c *crowd) await() bool {
	if c.turn(int(crowdPatient.Milliseconds())) {
		return true
	}
	for fd := range c.conns {
		if c.conns[fd].busy {
			c.fault(fd, errors.New("no answer"))
		}
	}
	return false
}

// turn handles one batch of events; false says that none came in time.
func (c *crowd) turn(milliseconds int) bool {
	n, err := unix.EpollWait(c.epoll, c.events[:], milliseconds)
	if err != nil {
		return err == unix.EINTR
	}
	for _, ev := range c.events[:n] {
		c.event(int(ev.Fd), ev.Events)
	}
	return n > 0
}

func (c *crowd) event(fd int, events uint32) {
	k := &c.conns[fd]
	switch k.role {
	case crowdEchoListener, crowdFloodListener:
		c.accept(fd, k.role+crowdEchoServer-crowdEchoListener)
	case crowdEchoServer:
		n, err := unix.Read(fd, c.buf[:])
		if n > 0 {
			_, err = unix.Write(fd, c.buf[:n])
		}
		if err != nil && err != unix.EAGAIN || n == 0 {
			c.close(fd)
		}
	case crowdFloodServer:
		if events&(unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 {
			c.close(fd)
			return
		}
		if !k.sent { // begins when the client has sent something
			k.sent = true
			_, _ = unix.Read(fd, c.buf[:])
			c.watch(fd, unix.EPOLL_CTL_MOD, unix.EPOLLOUT|unix.EPOLLRDHUP)
			return
		}
		_, _ = unix.Write(fd, c.buf[:])
	case crowdStalled:
		if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.fault(fd, errors.New("a stalled connection ended"))
			return
		}
		if k.busy {
			c.done(fd)
			_, _ = unix.Write(fd, []byte{1})
			c.report.Stalls++
			c.watch(fd, unix.EPOLL_CTL_MOD, 0)
		}
	case crowdClient:
		if !k.sent && k.busy {
			c.send(fd)
			return
		}
		c.answer(fd)
	}
}

// answer takes the answer of an exchange.
func (c *crowd) answer(fd int) {
	k := &c.conns[fd]
	n, err := unix.Read(fd, c.buf[:])
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		c.fault(fd, err)
	case n == 0:
		c.fault(fd, io.EOF)
	case n != 8 || !k.busy || binary.NativeEndian.Uint64(c.buf[:]) != k.want:
		c.fault(fd, fmt.Errorf("%d bytes that are not the answer", n))
	default:
		if k.want>>63 == 0 { // its first exchange
			c.report.Open++
		}
		c.done(fd)
	}
}

func (c *crowd) done(fd int) {
	c.conns[fd].busy = false
	c.conns[fd].want |= 1 << 63
	c.busy--
	c.report.Good++
}

// send sends the message of an exchange as soon as the connection stands.
func (c *crowd) send(fd int) {
	k := &c.conns[fd]
	c.next++
	first := k.want & (1 << 63)
	k.want = c.next | first
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], k.want)
	switch _, err := unix.Write(fd, b[:]); {
	case err == unix.EAGAIN:
		k.sent = false
		c.watch(fd, unix.EPOLL_CTL_MOD, unix.EPOLLOUT)
	case err != nil:
		c.fault(fd, err)
	default:
		k.sent = true
		c.watch(fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLRDHUP)
	}
}

// fault ends a connection and, if it is a client's, counts that as a failure.
func (c *crowd) fault(fd int, err error) {
	k := &c.conns[fd]
	if k.role == crowdClient || k.role == crowdStalled {
		if c.report.Faults++; c.report.Faults == 1 {
			c.report.First = err.Error()
		}
		switch {
		case k.want>>63 == 0: // never was counted
		case k.role == crowdStalled:
			c.report.Stalls--
		default:
			c.report.Open--
		}
	}
	c.close(fd)
}

func (c *crowd) close(fd int) {
	if c.conns[fd].busy {
		c.busy--
	}
	unix.Close(fd)
	c.conns[fd] = crowdConn{}
}

// open begins a client's connection.
func (c *crowd) open(addr netip.AddrPort, stalled bool) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil || fd >= crowdMost {
		c.report.Faults++
		c.report.First = fmt.Sprintf("socket %d: %v", fd, err)
		return
	}
	role := crowdClient
	if stalled {
		role = crowdStalled
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
	}
	c.conns[fd] = crowdConn{role: role, busy: true}
	c.busy++
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())})
	if err != nil && err != unix.EINPROGRESS {
		c.fault(fd, err)
		return
	}
	c.watch(fd, unix.EPOLL_CTL_ADD, unix.EPOLLOUT)
}

func (c *crowd) watch(fd, op int, events uint32) {
	if err := unix.EpollCtl(c.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		c.fault(fd, err)
	}
}

func (c *crowd) accept(listener int, role crowdRole) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if fd >= crowdMost {
			unix.Close(fd)
			continue
		}
		if role == crowdFloodServer {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 8192)
		}
		c.conns[fd] = crowdConn{role: role}
		c.watch(fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN|unix.EPOLLRDHUP)
	}
}

// serve listens at n addresses, on one port for echo and one for floods.
func (c *crowd) serve(n int) (s crowdServers, err error) {
	for range 50 {
		base := [4]byte{127, 0, byte(1 + rand.IntN(250)), byte(1 + rand.IntN(254-n))}
		var fds [2][]int
		if fds[0], s.Echo, err = crowdListen(base, n); err != nil {
			continue
		}
		if fds[1], s.Flood, err = crowdListen(base, n); err != nil {
			crowdClose(fds[0])
			continue
		}
		for i := range n {
			c.conns[fds[0][i]].role = crowdEchoListener
			c.conns[fds[1][i]].role = crowdFloodListener
			c.watch(fds[0][i], unix.EPOLL_CTL_ADD, unix.EPOLLIN)
			c.watch(fds[1][i], unix.EPOLL_CTL_ADD, unix.EPOLLIN)
		}
		return s, nil
	}
	return s, err
}

func crowdListen(ip [4]byte, n int) (fds []int, addrs []netip.AddrPort, err error) {
	port := 0
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			crowdClose(fds)
			return nil, nil, err
		}
		fds = append(fds, fd)
		if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: ip, Port: port}); err == nil {
			err = unix.Listen(fd, 4096)
		}
		if err != nil {
			crowdClose(fds)
			return nil, nil, err
		}
		if port == 0 {
			at, err := unix.Getsockname(fd)
			if err != nil {
				crowdClose(fds)
				return nil, nil, err
			}
			port = at.(*unix.SockaddrInet4).Port
		}
		addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(port)))
		ip[3]++
	}
	return fds, addrs, nil
}

func crowdClose(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
