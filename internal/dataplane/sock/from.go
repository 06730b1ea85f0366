package sock

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ConnectFrom is Connect with an address and port of the caller's choice at this
// end, which need not be this host's (IP_TRANSPARENT). Both addresses are of one
// family. See Taken for the errors that are about that choice.
func ConnectFrom(source, addr netip.AddrPort) (fd int, errno syscall.Errno) {
	return connect(unix.SOCK_STREAM, &source, addr)
}

// DatagramFrom opens a UDP socket that sends to addr and gets what addr answers,
// with an address and port of the caller's choice at this end, as ConnectFrom.
func DatagramFrom(source, addr netip.AddrPort) (fd int, errno syscall.Errno) {
	return connect(unix.SOCK_DGRAM, &source, addr)
}

// Taken reports whether ConnectFrom or DatagramFrom failed because somebody on
// this host uses the source: for the same server, or with the port to himself.
func Taken(errno syscall.Errno) bool {
	return errno == unix.EADDRINUSE || errno == unix.EADDRNOTAVAIL
}

// connect opens a socket, binds it to a source if there is one, and starts to
// connect it.
func connect(kind uintptr, source *netip.AddrPort, addr netip.AddrPort) (fd int, errno syscall.Errno) {
	to := NameOf(addr)
	s, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(to.raw.Family), kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	if source != nil {
		e = bindTransparent(s, kind, *source)
	}
	if e == 0 {
		_, _, e = syscall.RawSyscall(unix.SYS_CONNECT, s, uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	}
	if e != 0 && e != unix.EINPROGRESS && e != unix.EINTR { // interrupted: it goes on all the same
		Close(int(s))
		return -1, e
	}
	return int(s), 0
}

// bindTransparent gives a socket an address that may be another host's. Of TCP
// several may have it, as long as their servers differ. With UDP the kernel
// would let two have the same server too, and give the answers to one of them.
func bindTransparent(fd, kind uintptr, source netip.AddrPort) syscall.Errno {
	from := NameOf(source)
	level, option := uintptr(unix.IPPROTO_IP), uintptr(unix.IP_TRANSPARENT)
	if from.raw.Family == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
	}
	on := int32(1)
	if _, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, level, option, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0); e != 0 {
		return e
	}
	if kind == unix.SOCK_STREAM {
		if _, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0); e != 0 {
			return e
		}
	}
	_, _, e := syscall.RawSyscall(unix.SYS_BIND, fd, uintptr(unsafe.Pointer(&from.raw)), uintptr(from.len))
	return e
}
