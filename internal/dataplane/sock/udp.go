package sock

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// receiveBuffer is asked for on sockets that clients send to: some thousand
// datagrams may wait while a loop is busy. Without CAP_NET_ADMIN the kernel
// clamps it to net.core.rmem_max.
const receiveBuffer = 4 << 20

// ListenUDP binds n sockets to addr between which the kernel spreads clients by
// address and port (SO_REUSEPORT): one client always comes to the same socket.
// The address must be a definite one, since answers leave from it. A failure is
// a *BindError.
//
// As with TCP the first socket is bound without SO_REUSEPORT, so that an address
// in use is refused.
func ListenUDP(addr netip.AddrPort, n int) (*Group, error) {
	g := &Group{Addr: addr}
	fail := func(err error) (*Group, error) {
		g.Close()
		return nil, &BindError{Addr: addr, Datagram: true, Err: err}
	}
	for i := range max(n, 1) {
		fd, err := boundDatagramSocket(g.Addr, i > 0)
		if err != nil {
			return fail(err)
		}
		g.FDs = append(g.FDs, fd)
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			// At worst it stays what it was.
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
		if i > 0 {
			continue
		}
		if g.Addr, err = LocalAddr(fd); err != nil {
			return fail(err)
		}
		if n > 1 {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				return fail(os.NewSyscallError("setsockopt SO_REUSEPORT", err))
			}
		}
	}
	return g, nil
}

// CanBindUDP reports whether datagrams to addr could be received now, as nil or
// a *BindError. An address a frontend of this process listens on is in use.
func CanBindUDP(addr netip.AddrPort) error {
	fd, err := boundDatagramSocket(addr, false)
	if err != nil {
		return &BindError{Addr: addr, Datagram: true, Err: err}
	}
	unix.Close(fd)
	return nil
}

// DatagramSocket opens a UDP socket for one family of addresses. The kernel
// gives it a port of its own when it first sends.
func DatagramSocket(ipv6 bool) (int, error) {
	family := unix.AF_INET
	if ipv6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

// boundDatagramSocket does not set SO_REUSEADDR: with UDP it would let others
// have the same address in silence.
func boundDatagramSocket(addr netip.AddrPort, reusePort bool) (int, error) {
	switch {
	case !addr.Addr().IsValid():
		return -1, errors.New("no address given")
	case addr.Addr().IsUnspecified():
		return -1, errors.New("a UDP listener needs an address of its own, as its answers must come from it")
	}
	sa, family := sockaddr(addr)
	fd, err := DatagramSocket(family == unix.AF_INET6)
	if err != nil {
		return -1, err
	}
	if reusePort {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt SO_REUSEPORT", err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}
