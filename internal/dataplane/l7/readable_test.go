package l7

import "golang.org/x/sys/unix"

// readable tells whether a descriptor has something to read, the end included.
func readable(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1
}
