package l7

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/sock"
)

// acceptor takes connections for the goroutine driver, by one goroutine for each
// listening socket. It can be held and resumed.
type acceptor struct {
	h     *HTTP
	files []*os.File
	raw   []syscall.RawConn
	fds   []int
	held  atomic.Bool
	ended sync.WaitGroup // the goroutines
}

// newAcceptor is held. It owns the sockets, whose descriptors were taken from the
// budget.
func newAcceptor(h *HTTP, fds []int) (*acceptor, error) {
	a := &acceptor{h: h, fds: fds}
	a.held.Store(true)
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "http "+h.addr.String())
		a.files = append(a.files, f)
		rc, err := f.SyscallConn()
		if err != nil {
			a.close()
			for _, fd := range fds[len(a.files):] {
				sock.Close(fd)
				h.budget.Give(1)
			}
			return nil, err
		}
		a.raw = append(a.raw, rc)
	}
	return a, nil
}

// resume begins to accept.
func (a *acceptor) resume() {
	if !a.held.Swap(false) {
		return
	}
	for i := range a.files {
		a.files[i].SetReadDeadline(time.Time{})
		a.ended.Go(func() { a.accept(i) })
	}
}

// hold stops accepting.
func (a *acceptor) hold() {
	if a.held.Swap(true) {
		return
	}
	for _, f := range a.files {
		f.SetReadDeadline(past)
	}
	a.ended.Wait()
}

// close stops accepting for good. The sockets may live on in another process.
func (a *acceptor) close() {
	a.hold()
	for _, f := range a.files {
		if f.Close() == nil { // else it has been closed before
			a.h.budget.Give(1)
		}
	}
}

// accept takes connections from one socket until the acceptor is held.
func (a *acceptor) accept(i int) {
	fd := a.fds[i]
	var failed syscall.Errno
	one := func(uintptr) bool {
		for !a.held.Load() {
			c, remote, errno := sock.Accept(fd)
			switch errno {
			case 0:
				a.h.start(c, remote)
			case syscall.EAGAIN:
				return false
			default:
				failed = errno
				return true
			}
		}
		return true
	}
	for !a.held.Load() {
		failed = 0
		if err := a.raw[i].Read(one); err != nil {
			return // held
		}
		if failed != 0 {
			// Out of descriptors or memory: connections wait in the queue.
			a.h.complain("cannot accept connections", failed)
			time.Sleep(50 * time.Millisecond)
		}
	}
}
