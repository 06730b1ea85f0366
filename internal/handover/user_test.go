package handover

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// lockedAs calls fn on a thread whose user is another one, and ends the thread.
func lockedAs(t *testing.T, uid int, fn func()) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
		t.Errorf("become user %d: %v", uid, errno)
		return
	}
	fn()
}
