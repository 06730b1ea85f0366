package loop

import (
	"net"
	"syscall"
	"testing"
)

// taker accepts as long as it may.
type taker struct {
	took    chan int
	short   chan syscall.Errno
	aborted chan bool
	panics  bool
	errno   syscall.Errno // instead of a connection
}

func (t *taker) Take(fd int) syscall.Errno {
	if t.errno != 0 {
		return t.errno
	}
	c, _, err := syscall.Accept4(fd, syscall.SOCK_NONBLOCK)
	if err != nil {
		return err.(syscall.Errno)
	}
	syscall.Close(c)
	if t.panics {
		t.panics = false
		panic("while beginning")
	}
	t.took <- c
	return 0
}

func (t *taker) Short(e syscall.Errno) { t.short <- e }
func (t *taker) Abort()                { t.aborted <- true }

// A listener takes all that come, rests when it must, outlives a panic, and
// neither a hold nor a close lets anything pass.
func TestListener(t *testing.T) {
	l := newLoop(t, Options{Budget: NewBudgetOf(10)})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	l.Budget.Take(1)
	to := &taker{took: make(chan int, 200), short: make(chan syscall.Errno, 200), aborted: make(chan bool, 1)}
	var listener Listener
	on := func(fn func()) { t.Helper(); l.Do(fn) }
	on(func() {
		listener.Init(l, fd, to)
		if err := listener.Open(); err != nil {
			t.Error(err)
		}
	})
	dial := func(n int) {
		t.Helper()
		for range n {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	take := func(n int) {
		t.Helper()
		for range n {
			receive(t, to.took)
		}
	}
	dial(100)
	take(100)

	on(func() { to.panics = true })
	dial(2)
	receive(t, to.aborted)
	take(1)

	on(func() { to.errno = syscall.EMFILE })
	dial(1)
	if e := receive(t, to.short); e != syscall.EMFILE {
		t.Error(e)
	}
	on(func() { to.errno = 0 })
	take(1)

	on(listener.Hold)
	dial(3)
	on(func() {})
	if len(to.took) != 0 {
		t.Error("a held listener takes connections")
	}
	on(func() {
		if err := listener.Open(); err != nil {
			t.Error(err)
		}
	})
	take(3)

	on(listener.Close)
	on(listener.Close)
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("somebody listens still")
	}
	if l.Budget.Used() != 0 {
		t.Errorf("%d descriptors are in use", l.Budget.Used())
	}
}
