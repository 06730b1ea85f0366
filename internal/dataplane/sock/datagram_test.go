package sock

import (
	"bytes"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T, addr string) (a, b int, to netip.AddrPort) {
	t.Helper()
	g, err := ListenUDP(netip.MustParseAddrPort(addr), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	fd, err := DatagramSocket(g.Addr.Addr().Is6())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(fd) })
	return fd, g.FDs[0], g.Addr
}

func TestBatches(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			from, to, name := pair(t, addr)
			out, in := NewOutgoing(8), NewBatch(4)
			if _, errno := in.Receive(to, 0); errno != unix.EAGAIN {
				t.Fatalf("an empty socket gives %v", errno)
			}
			dst := NameOf(name)
			if dst.AddrPort() != name {
				t.Errorf("NameOf(%v) is %v", name, dst.AddrPort())
			}
			bodies := []string{"one", "", strings.Repeat("x", 65000), "four"}
			size := 0
			for i, body := range bodies {
				head := ""
				if i == 3 {
					head = "head of "
				}
				out.Add(&dst, []byte(head), []byte(body))
				size += len(head) + len(body)
			}
			if out.Len() != 4 || out.Bytes() != size || out.Size(3) != 12 {
				t.Errorf("%d datagrams, %d bytes", out.Len(), out.Bytes())
			}
			out.Send(from, func(i int, errno syscall.Errno) { t.Errorf("datagram %d: %v", i, errno) })
			bodies[3] = "head of four"
			// Into places from 1 on; the fourth waits for another call.
			n, errno := in.Receive(to, 1)
			if n != 3 || errno != 0 {
				t.Fatalf("%d, %v", n, errno)
			}
			for i := range 3 {
				if got := string(in.Data(1 + i)); got != bodies[i] {
					t.Errorf("datagram %d is %.20q", i, got)
				}
			}
			if n, errno = in.Receive(to, 0); n != 1 || errno != 0 || string(in.Data(0)) != bodies[3] {
				t.Errorf("%d, %v, %.20q", n, errno, in.Data(0))
			}
			// And back to where they came from.
			if local, err := LocalAddr(from); err != nil || in.From(0).AddrPort().Port() != local.Port() {
				t.Errorf("from %v, the sender is at %v", in.From(0).AddrPort(), local)
			}
			out.Add(in.From(0), nil, []byte("back"))
			out.Send(to, func(i int, errno syscall.Errno) { t.Error(errno) })
			if n, _ := in.Receive(from, 0); n != 1 || !bytes.Equal(in.Data(0), []byte("back")) {
				t.Errorf("%d, %.20q", n, in.Data(0))
			}
		})
	}
}

// What cannot be sent does not hold up the rest.
func TestSendSkipsWhatFails(t *testing.T) {
	from, to, name := pair(t, "127.0.0.1:0")
	good, bad := NameOf(name), NameOf(netip.MustParseAddrPort("127.0.0.1:0"))
	out := NewOutgoing(8)
	for i, dst := range []*Name{&bad, &good, &bad, &bad, &good, &good, &bad} {
		out.Add(dst, nil, []byte{byte(i)})
	}
	var failed []int
	out.Send(from, func(i int, errno syscall.Errno) {
		failed = append(failed, i)
		if errno != unix.EINVAL {
			t.Errorf("datagram %d: %v", i, errno)
		}
	})
	if len(failed) != 4 || failed[0] != 0 || failed[1] != 2 || failed[2] != 3 || failed[3] != 6 {
		t.Errorf("failed: %v", failed)
	}
	in := NewBatch(8)
	if n, _ := in.Receive(to, 0); n != 3 || in.Data(0)[0] != 1 || in.Data(1)[0] != 4 || in.Data(2)[0] != 5 {
		t.Errorf("%d arrived", n)
	}
	if out.Len() != 0 {
		t.Error("the batch is not empty afterwards")
	}
}

// Datagrams that are joined on their way arrive as they were, and in order.
func TestSendJoinsAndCuts(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		from, to, name := pair(t, addr)
		_, other, second := pair(t, addr)
		a, b := NameOf(name), NameOf(second)
		out, in := NewOutgoing(32), NewBatch(32)
		var want, wantOther []string
		add := func(dst *Name, head, body string) {
			out.Add(dst, []byte(head), []byte(body))
			if dst == &a {
				want = append(want, head+body)
			} else {
				wantOther = append(wantOther, head+body)
			}
		}
		full := strings.Repeat("f", 1200)
		for i := range 5 {
			add(&a, "head", strings.Repeat(string(rune('a'+i)), 1200))
		}
		add(&a, "", "the short last one")
		add(&a, "", "a short one of its own")
		add(&a, "", full)
		add(&b, "", full)
		add(&a, "", full)
		add(&a, "", "")
		add(&a, "", strings.Repeat("l", 9000))
		add(&a, "", strings.Repeat("l", 9000))
		if n := out.pack(0); n != 8 {
			t.Errorf("%d messages", n)
		}
		out.Send(from, func(i int, errno syscall.Errno) { t.Errorf("datagram %d: %v", i, errno) })
		for _, at := range []struct {
			fd   int
			want []string
		}{{to, want}, {other, wantOther}} {
			n, errno := in.Receive(at.fd, 0)
			if n != len(at.want) || errno != 0 {
				t.Fatalf("%s: %d arrived, %v", addr, n, errno)
			}
			for i := range n {
				if got := string(in.Data(i)); got != at.want[i] {
					t.Errorf("%s: datagram %d is %.30q of %d bytes", addr, i, got, len(got))
				}
			}
		}
	}
}

// Where the kernel will not cut, the datagrams go one by one.
func TestSendWithoutJoining(t *testing.T) {
	from, to, name := pair(t, "127.0.0.1:0")
	// Without checksums a socket cannot cut.
	if err := unix.SetsockoptInt(from, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
		t.Fatal(err)
	}
	dst, out, in := NameOf(name), NewOutgoing(8), NewBatch(16)
	for round := range 2 {
		for range 8 {
			out.Add(&dst, nil, []byte("eight bytes"))
		}
		out.Send(from, func(i int, errno syscall.Errno) { t.Errorf("datagram %d: %v", i, errno) })
		if n, _ := in.Receive(to, 0); n != 8 {
			t.Errorf("%d arrived", n)
		}
		if want := joinRest - round; out.resting != want {
			t.Errorf("resting for %d calls, want %d", out.resting, want)
		}
	}
}

func TestUDPErrorsSayWhatToDo(t *testing.T) {
	_, _, name := pair(t, "127.0.0.1:0")
	if _, err := ListenUDP(name, 2); err == nil || !strings.Contains(err.Error(), "ss -lunp") {
		t.Errorf("a port in use: %v", err)
	}
	if _, err := ListenUDP(netip.MustParseAddrPort("[::]:0"), 2); err == nil || !strings.Contains(err.Error(), "address of its own") {
		t.Errorf("no definite address: %v", err)
	}
	if err := CanBindUDP(netip.MustParseAddrPort("192.0.2.1:53")); err == nil || !strings.Contains(err.Error(), "not on this host") {
		t.Errorf("another host's address: %v", err)
	}
}

// The kernel keeps one client at one of several sockets.
func TestUDPSocketsShareClients(t *testing.T) {
	g, err := ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	dst, out, in := NameOf(g.Addr), NewOutgoing(1), NewBatch(8)
	seen := map[netip.AddrPort]int{}
	used := map[int]bool{}
	for range 30 {
		fd, err := DatagramSocket(false)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			out.Add(&dst, nil, []byte("x"))
			out.Send(fd, func(_ int, errno syscall.Errno) { t.Error(errno) })
		}
		Close(fd)
		for k, one := range g.FDs {
			n, _ := in.Receive(one, 0)
			for i := range n {
				from := in.From(i).AddrPort()
				if last, ok := seen[from]; ok && last != k {
					t.Errorf("%v came to socket %d and to %d", from, last, k)
				}
				seen[from] = k
				used[k] = true
			}
		}
	}
	if len(seen) != 30 || len(used) != 3 {
		t.Errorf("%d clients at %d sockets", len(seen), len(used))
	}
}
