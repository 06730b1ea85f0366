package sock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RoundTrip tells the smoothed round trip time of a TCP connection in
// microseconds, and whether it is open in both directions: false once the other
// side has ended its own or broken off. Without an answer of the system it is 0
// and open.
func RoundTrip(fd int) (microseconds uint32, open bool) {
	// As much of struct tcp_info as is of interest.
	var info struct {
		state uint8
		_     [67]byte
		rtt   uint32
	}
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, true
	}
	const established = 1
	return info.rtt, info.state == established
}

// Acknowledged counts the bytes of a TCP connection that the other side has
// acknowledged. Without an answer of the system it is 0.
func Acknowledged(fd int) uint64 {
	info := infoOf(fd)
	return info.Bytes_acked
}

// SegmentsIn counts the segments that a connection has received, those without
// data included. Without an answer of the system it is 0.
func SegmentsIn(fd int) uint32 {
	info := infoOf(fd)
	return info.Segs_in
}

// infoOf asks for all that the system tells of a TCP connection.
func infoOf(fd int) (info unix.TCPInfo) {
	size := uint32(unsafe.Sizeof(info))
	syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info
}
