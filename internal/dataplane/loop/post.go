package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Post has fn called on the loop, after what was posted before. It may be called
// from anywhere. False says that the loop is closed and fn will not be called.
func (l *Loop) Post(fn func()) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.posted = append(l.posted, fn)
	first := len(l.posted) == 1
	l.mu.Unlock()
	if first {
		l.wake()
	}
	return true
}

// Do posts fn and waits until it has run. It must not be called on the loop.
// False says that the loop is closed and fn was not called.
func (l *Loop) Do(fn func()) bool {
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); fn() }) {
		return false
	}
	<-done
	return true
}

func (l *Loop) wake() {
	one := uint64(1)
	for {
		_, _, e := syscall.RawSyscall(unix.SYS_WRITE, uintptr(l.wakeFD), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
		if e != unix.EINTR {
			return
		}
	}
}

// runPosted calls what other goroutines posted. Functions posted meanwhile wait
// for the next turn.
func (l *Loop) runPosted() {
	if l.called == len(l.calls) {
		l.woken = false
		clear(l.calls)
		l.mu.Lock()
		l.calls, l.posted = l.posted, l.calls[:0]
		l.mu.Unlock()
		l.called = 0
	}
	for l.called < len(l.calls) {
		fn := l.calls[l.called]
		l.called++
		fn()
	}
}

// wakeHandler takes note of a wake-up by Post.
type wakeHandler struct{ l *Loop }

func (h wakeHandler) Ready(Events) {
	drain(h.l.wakeFD)
	h.l.woken, h.l.look = true, true // the loop may be closed
}

func (wakeHandler) Abort() {}

// drain reads the counter of an eventfd or timerfd.
func drain(fd int) {
	var n uint64
	syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&n)), unsafe.Sizeof(n))
}
