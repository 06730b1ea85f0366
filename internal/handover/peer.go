package handover

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Process is the process at the other end, held by a descriptor, so that its
// number cannot come to mean another.
type Process struct {
	pid int
	fd  int // -1: this process itself
}

// Process takes hold of the process at the other end.
func (k *Conn) Process() (*Process, error) {
	if k.pid == os.Getpid() { // in tests both sides are one process
		return &Process{k.pid, -1}, nil
	}
	fd, err := unix.PidfdOpen(k.pid, 0)
	if err != nil {
		return nil, fmt.Errorf("handover: hold process %d: %w", k.pid, err)
	}
	return &Process{k.pid, fd}, nil
}

// Close lets go of the process.
func (p *Process) Close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}

// Ended waits up to limit for the end of the process, and reports whether it has
// ended. This process itself counts as one that has.
func (p *Process) Ended(limit time.Duration) bool {
	if p.fd < 0 {
		return true
	}
	until := time.Now().Add(limit)
	for {
		ms := max(time.Until(until).Milliseconds(), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(ms))
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// Kill ends the process by SIGKILL and waits for its end.
func (p *Process) Kill() {
	if p.fd < 0 {
		return
	}
	// It fails only if the process has ended.
	_ = unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0)
	p.Ended(time.Minute)
}
