package sock

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are for event loops. They work on non-blocking sockets, do
// not allocate, and enter the kernel without telling the scheduler: none of
// them can wait, and the hand-shake with the scheduler would cost as much as
// the shorter ones do.

// Recv reads from a socket into p, which must not be empty. n is 0 with errno 0
// at end of stream; EAGAIN says that there is nothing now.
func Recv(fd int, p []byte) (n int, errno syscall.Errno) {
	for {
		r, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// Send writes p to a socket and reports how much the kernel took. EAGAIN says
// that there is no room now, or that the connection is not established yet.
func Send(fd int, p []byte) (n int, errno syscall.Errno) { return send(fd, p, 0) }

// SendLast is Send for the end of a stream: the last segment waits for
// ShutdownWrite or another Send, which must follow at once, and carries the
// stream's end along. That saves both sides a segment.
func SendLast(fd int, p []byte) (n int, errno syscall.Errno) { return send(fd, p, unix.MSG_MORE) }

func send(fd int, p []byte, flags uintptr) (n int, errno syscall.Errno) {
	for {
		r, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|flags, 0, 0)
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// Accept takes one connection from a listening socket, non-blocking and closed
// on exec. Failures of a connection that died in the queue are skipped.
func Accept(fd int) (conn int, remote netip.AddrPort, errno syscall.Errno) {
	for {
		var rsa unix.RawSockaddrInet6 // the longest that TCP uses
		size := uint32(unsafe.Sizeof(rsa))
		r, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&rsa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return int(r), addrPort(&rsa), 0
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENOPROTOOPT, unix.ENONET, unix.EOPNOTSUPP:
			continue // accept(2) asks to treat these like a connection that went away
		}
		return -1, netip.AddrPort{}, e
	}
}

// Connect opens a non-blocking socket and starts to connect it. An errno other
// than 0 means that there is no socket; with 0 the outcome shows when the socket
// turns writable (see Error).
func Connect(addr netip.AddrPort) (fd int, errno syscall.Errno) {
	return connect(unix.SOCK_STREAM, nil, addr)
}

// Error takes the pending error off a socket: the outcome of Connect.
func Error(fd int) syscall.Errno {
	var value int32
	size := uint32(unsafe.Sizeof(value))
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR, uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return e
	}
	return syscall.Errno(value)
}

// Close closes a descriptor without waiting.
func Close(fd int) {
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// Reset closes a connection by a reset: what was not sent yet is dropped and the
// other side sees ECONNRESET.
func Reset(fd int) {
	linger := unix.Linger{Onoff: 1}
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
	Close(fd)
}

// Finish ends the stream that is sent and closes the descriptor. Close alone
// would drop what SendLast left behind if there is something unread.
func Finish(fd int) {
	_ = ShutdownWrite(fd) // it fails if the other side has broken off
	Close(fd)
}

// ShutdownWrite ends the stream that is sent; reading goes on.
func ShutdownWrite(fd int) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return e
}

// Tune sets TCP_NODELAY. Accepted connections have it from their listening
// socket. A failure is harmless and not reported.
func Tune(fd int) {
	on := int32(1)
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
}

// Unsent gives the number of bytes that the other side has not acknowledged.
func Unsent(fd int) int {
	var n int32
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	if e != 0 {
		return 0
	}
	return int(n)
}

// LocalAddr gives the address a socket is bound to.
func LocalAddr(fd int) (netip.AddrPort, error) {
	var rsa unix.RawSockaddrInet6
	size := uint32(unsafe.Sizeof(rsa))
	_, _, e := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&rsa)), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", e)
	}
	return addrPort(&rsa), nil
}

// addrPort reads an address of either family as the kernel wrote it.
func addrPort(rsa *unix.RawSockaddrInet6) netip.AddrPort {
	switch rsa.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(rsa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), networkOrder(sa.Port))
	case unix.AF_INET6:
		// No zone: it would have to be looked up and allocated, and nothing that
		// is done with a client's address depends on it.
		return netip.AddrPortFrom(netip.AddrFrom16(rsa.Addr).Unmap(), networkOrder(rsa.Port))
	}
	return netip.AddrPort{}
}

// networkOrder turns a port from the order of this machine to that of the
// network, and back.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}
