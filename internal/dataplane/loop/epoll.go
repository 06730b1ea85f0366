package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollCtl never waits, so it enters the kernel without telling the scheduler.
func epollCtl(fd, epoll, op int, ev *unix.EpollEvent) syscall.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}
