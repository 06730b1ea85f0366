package rpc

import (
	"net"
	"syscall"
	"time"
)

// Bounds of what is read of a request that has been refused.
const (
	lingerBytes = 64 << 20
	lingerTime  = 5 * time.Second
	lingerQuiet = time.Second // without a byte
)

// linger reads on where a connection is to be closed whose client still sends, as
// with a body that is too large: closing it would reset it, and most clients look
// for the answer only when all is sent. It ends when the client has closed, falls
// silent or goes beyond the bounds, or when ending says so.
func linger(c net.Conn, ending func() bool) {
	if ending() || !pending(c) {
		return
	}
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		if w.CloseWrite() != nil { // the answer is complete
			return
		}
	}
	buf := make([]byte, 64<<10)
	end := time.Now().Add(lingerTime)
	for left := lingerBytes; left > 0 && !ending(); {
		until := time.Now().Add(lingerQuiet)
		if until.After(end) {
			until = end
		}
		if c.SetReadDeadline(until) != nil {
			return
		}
		n, err := c.Read(buf)
		if left -= n; err != nil {
			return
		}
	}
}

// pending reports whether something has come that nobody has read. It does not
// wait, not even for a Read that another goroutine is in.
func pending(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}
