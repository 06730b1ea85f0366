package sock

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	any4 = netip.MustParseAddrPort("127.0.0.1:0")
	any6 = netip.MustParseAddrPort("[::1]:0")
)

// open opens a group and closes it with the test.
func open(t *testing.T, addr netip.AddrPort, n int) *Group {
	t.Helper()
	g, err := ListenTCP(addr, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestGroupSharesItsAddress(t *testing.T) {
	for _, addr := range []netip.AddrPort{any4, any6} {
		t.Run(addr.Addr().String(), func(t *testing.T) {
			g := open(t, addr, 4)
			if len(g.FDs) != 4 || g.Addr.Port() == 0 || g.Addr.Addr() != addr.Addr() {
				t.Fatalf("group = %+v", g)
			}
			const dials = 64
			for range dials {
				c, err := net.Dial("tcp", g.Addr.String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			total, used := 0, 0
			for _, fd := range g.FDs {
				got := 0
				for {
					c, remote, errno := Accept(fd)
					if errno == unix.EAGAIN {
						break
					}
					if errno != 0 {
						t.Fatal(errno)
					}
					if remote.Addr() != addr.Addr() || remote.Port() == 0 {
						t.Errorf("remote = %s", remote)
					}
					Close(c)
					got++
				}
				total += got
				if got > 0 {
					used++
				}
			}
			if total != dials || used < 2 {
				t.Errorf("%d connections on %d sockets, want %d on several", total, used, dials)
			}
		})
	}
}

func TestAddressInUse(t *testing.T) {
	foreign := func(reusePort bool) netip.AddrPort {
		fd, err := listenOne(any4, reusePort)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		addr, err := LocalAddr(fd)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	for name, addr := range map[string]netip.AddrPort{
		"a plain socket":               foreign(false),
		"a sharing socket of our user": foreign(true),
		"a group":                      open(t, any4, 3).Addr,
	} {
		t.Run(name, func(t *testing.T) {
			_, errGroup := ListenTCP(addr, 2)
			for call, err := range map[string]error{"ListenTCP": errGroup, "CanBind": CanBind(addr)} {
				var be *BindError
				if !errors.As(err, &be) || be.Addr != addr || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "in use") {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
}

func TestOnlyOneOfManyGetsTheAddress(t *testing.T) {
	g, err := ListenTCP(any4, 1)
	if err != nil {
		t.Fatal(err)
	}
	addr := g.Addr
	g.Close()
	var (
		mu   sync.Mutex
		won  []*Group
		wg   sync.WaitGroup
		gate = make(chan struct{})
	)
	for range 16 {
		wg.Go(func() {
			<-gate
			g, err := ListenTCP(addr, 2)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			won = append(won, g)
		})
	}
	close(gate)
	wg.Wait()
	for _, g := range won {
		g.Close()
	}
	if len(won) > 1 {
		t.Errorf("%d groups listen on %s at once", len(won), addr)
	}
}

func TestRestartWithTimeWait(t *testing.T) {
	g := open(t, any4, 2)
	c, err := net.Dial("tcp", g.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	// The server side closes first, so that it is the one in TIME_WAIT.
	for _, fd := range g.FDs {
		if s, _, errno := Accept(fd); errno == 0 {
			Close(s)
		}
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	c.Close()
	g.Close()
	if err := CanBind(g.Addr); err != nil {
		t.Fatal(err)
	}
	open(t, g.Addr, 2)
}

func TestAddressNotHere(t *testing.T) {
	addr := netip.MustParseAddrPort("192.0.2.1:8080")
	for call, err := range map[string]error{"CanBind": CanBind(addr), "ListenTCP": func() error { _, err := ListenTCP(addr, 2); return err }()} {
		if !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "not on this host") {
			t.Errorf("%s: %v", call, err)
		}
	}
	if err := CanBind(netip.AddrPort{}); err == nil {
		t.Error("the zero address can be bound")
	}
}

func TestErrorTextsSayWhatToDo(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:80")
	for errno, want := range map[syscall.Errno]string{
		syscall.EADDRINUSE:    "ss -ltnp 'sport = :80'",
		syscall.EACCES:        "ip_unprivileged_port_start=80",
		syscall.EADDRNOTAVAIL: "ip address add 127.0.0.1/32",
		syscall.EMFILE:        "LimitNOFILE",
		syscall.ENFILE:        "fs.file-max",
		syscall.EAFNOSUPPORT:  "IPv6",
		syscall.EINVAL:        "invalid argument",
	} {
		if got := (&BindError{Addr: addr, Err: errno}).Error(); !strings.Contains(got, want) || !strings.Contains(got, addr.String()) {
			t.Errorf("%v: %s", errno, got)
		}
	}
}

// wait polls one socket for events.
func wait(t *testing.T, fd int, events int16) int16 {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(p, 5000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("poll: %d, %v", n, err)
		}
		return p[0].Revents
	}
}

func TestRawCalls(t *testing.T) {
	for _, addr := range []netip.AddrPort{any4, any6} {
		g := open(t, addr, 1)
		c, errno := Connect(g.Addr)
		if errno != 0 {
			t.Fatal(errno)
		}
		wait(t, c, unix.POLLOUT)
		if errno := Error(c); errno != 0 {
			t.Fatal(errno)
		}
		Tune(c)
		s, _, errno := Accept(g.FDs[0])
		if errno != 0 {
			t.Fatal(errno)
		}
		for _, fd := range []int{c, s} {
			if v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); v != 1 || err != nil {
				t.Errorf("TCP_NODELAY = %d, %v", v, err)
			}
			if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); v != 0 || err != nil {
				t.Errorf("SO_KEEPALIVE = %d, %v", v, err)
			}
			if n := SegmentsIn(fd); n == 0 || n > 4 {
				t.Errorf("%d segments of a hand-shake", n)
			}
		}
		buf := make([]byte, 16)
		if _, errno := Recv(s, buf); errno != unix.EAGAIN {
			t.Error(errno)
		}
		if n, errno := Send(c, []byte("ping")); n != 4 || errno != 0 {
			t.Error(n, errno)
		}
		wait(t, s, unix.POLLIN)
		if n, errno := Recv(s, buf); errno != 0 || string(buf[:n]) != "ping" {
			t.Error(n, errno)
		}
		ShutdownWrite(c)
		wait(t, s, unix.POLLIN)
		if n, errno := Recv(s, buf); n != 0 || errno != 0 {
			t.Error(n, errno)
		}
		Reset(s)
		wait(t, c, unix.POLLIN)
		if _, errno := Recv(c, buf); errno != unix.ECONNRESET {
			t.Error(errno)
		}
		Close(c)
	}
}

func TestConnectRefused(t *testing.T) {
	g, err := ListenTCP(any4, 1)
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	c, errno := Connect(g.Addr)
	if errno == 0 {
		wait(t, c, unix.POLLOUT)
		errno = Error(c)
		Close(c)
	}
	if errno != unix.ECONNREFUSED {
		t.Error(errno)
	}
}

func TestRawCallsDoNotAllocate(t *testing.T) {
	g := open(t, any4, 1)
	buf := make([]byte, 16)
	if n := testing.AllocsPerRun(50, func() {
		c, errno := Connect(g.Addr)
		if errno != 0 {
			t.Fatal(errno)
		}
		s, _, errno := Accept(g.FDs[0])
		if errno != 0 {
			t.Fatal(errno)
		}
		Send(c, buf)
		Recv(s, buf)
		Unsent(c)
		Error(c)
		Reset(c)
		Close(s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The end of a stream leaves with the last bytes, and they leave whatever the
// other side has sent meanwhile.
func TestLastBytesLeaveWithTheEnd(t *testing.T) {
	for _, unread := range []bool{false, true} {
		g := open(t, any4, 1)
		c, err := net.Dial("tcp", g.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fd, _, errno := Accept(g.FDs[0])
		if errno != 0 {
			t.Fatal(errno)
		}
		if unread {
			if _, err := io.WriteString(c, "nobody reads this"); err != nil {
				t.Fatal(err)
			}
		}
		if n, errno := SendLast(fd, []byte("the last")); n != 8 || errno != 0 {
			t.Fatal(n, errno)
		}
		if n := Unsent(fd); n != 8 {
			t.Errorf("%d bytes wait for the end", n)
		}
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var early error
		if err := raw.Control(func(fd uintptr) {
			_, _, early = unix.Recvfrom(int(fd), make([]byte, 8), unix.MSG_DONTWAIT|unix.MSG_PEEK)
		}); err != nil || early != unix.EAGAIN {
			t.Errorf("before the end: %v, %v", early, err)
		}
		Finish(fd)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		got := make([]byte, 16)
		if n, err := io.ReadFull(c, got[:8]); err != nil || string(got[:n]) != "the last" {
			t.Errorf("unread %v: %q, %v", unread, got[:n], err)
		}
	}
}
