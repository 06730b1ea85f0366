// Package loop runs event loops: one goroutine that waits for many descriptors
// and calls the handler of each that is ready. It knows descriptors, timers,
// buffers and pipes, and no protocol.
//
// A loop is an ordinary goroutine. Its epoll descriptor is itself watched by
// Go's poller, so an idle loop is a parked goroutine and costs no thread; a
// woken one asks its epoll without waiting and works until nothing is left. A
// thread blocked in epoll_wait would lose its place in the scheduler at every
// wait, which was measured to cost a third more at moderate load.
//
// Everything but Post, Close and the constructors must be called on the loop:
// from a handler, a timer or a posted function. Handlers must not block.
package loop

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// BufferSize is the size of the buffer that the handlers of one loop share.
	BufferSize = 64 << 10
	// turnEvents is how many events are taken from the kernel at once.
	turnEvents = 256
	// yieldAfter is how long a busy loop keeps its processor from the other
	// goroutines of the process.
	yieldAfter = int64(time.Millisecond)
)

// Options are the settings of a loop. The zero value works.
type Options struct {
	Logger *slog.Logger // nil: slog.Default
	// Budget limits the descriptors of all loops that share it; nil: the loop
	// gets one of its own.
	Budget *Budget
	// Pipes is the greatest number of splice pipes in use at once. 0: a share of
	// the budget; less: none.
	Pipes int
}

// Loop is one event loop. New starts it, Close ends it.
type Loop struct {
	// Buffer may be used by any handler until it returns.
	Buffer []byte
	// Budget counts the descriptors; handlers take from it what they open.
	Budget *Budget

	log     *slog.Logger
	epoll   *os.File
	epollFD int
	events  [turnEvents]unix.EpollEvent
	ready   int // events[next:ready] are still to be dispatched
	next    int
	slots   []slot
	free    []uint32
	again   []readiness // for the next turn
	running []readiness // of this turn
	ran     int         // running[:ran] are done
	current Handler     // what is called now, for the case of a panic
	now     int64
	yielded int64
	turns   int64 // how many there were
	look    bool  // the kernel must be asked again before the loop sleeps
	slept   int64 // when the loop last went to sleep
	roused  bool  // from that it was woken at once
	wheel   wheel
	timerFD int
	armed   int64 // when timerFD goes off; 0: it does not
	pipes   pipes

	ends []Ender // to be told at the end of this turn

	wakeFD int
	woken  bool
	calls  []func() // taken from posted, of this turn
	called int      // calls[:called] are done

	mu     sync.Mutex
	posted []func() // guarded by mu
	closed bool     // guarded by mu: nothing more can be posted

	done chan struct{} // closed when the goroutine has ended
}

// readiness is a call of a handler that is due.
type readiness struct {
	handle Handle
	events Events
}

// New starts a loop.
func New(o Options) (*Loop, error) {
	l := &Loop{
		Buffer: make([]byte, BufferSize),
		Budget: o.Budget,
		log:    o.Logger,
		done:   make(chan struct{}),
	}
	if l.log == nil {
		l.log = slog.Default()
	}
	if l.Budget == nil {
		b, err := NewBudget()
		if err != nil {
			return nil, err
		}
		l.Budget = b
	}
	l.pipes.limit = o.Pipes
	if o.Pipes == 0 {
		l.pipes.limit = defaultPipes(l.Budget)
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("event loop: %w", err)
	}
	l.now = Clock()
	l.wheel.init(l.now)
	raw, err := l.epoll.SyscallConn()
	if err != nil {
		l.closeAll()
		return nil, fmt.Errorf("event loop: %w", err)
	}
	go func() {
		defer close(l.done)
		if err := raw.Read(func(uintptr) bool { return l.run() }); err != nil {
			l.log.Error("event loop ended", "error", err)
		}
	}()
	return l, nil
}

// open opens the loop's own descriptors.
func (l *Loop) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	// os.NewFile hands a descriptor to Go's poller only if it is non-blocking.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	l.epollFD, l.epoll = fd, os.NewFile(uintptr(fd), "epoll")
	l.wakeFD, l.timerFD = -1, -1
	if l.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		l.closeAll()
		return os.NewSyscallError("eventfd", err)
	}
	if l.timerFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		l.closeAll()
		return os.NewSyscallError("timerfd_create", err)
	}
	if _, err := l.Register(l.wakeFD, Readable, wakeHandler{l}); err != nil {
		l.closeAll()
		return err
	}
	if _, err := l.Register(l.timerFD, Readable, timerHandler{l}); err != nil {
		l.closeAll()
		return err
	}
	return nil
}

func (l *Loop) closeAll() {
	l.pipes.closeAll(l.Budget)
	for _, fd := range []int{l.wakeFD, l.timerFD} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	l.epoll.Close()
}

// Now is the time of the current turn in nanoseconds, on a clock that only
// runs forward and starts at an arbitrary point.
func (l *Loop) Now() int64 { return l.now }

// Turn counts the turns in which there was something to do. A handler that is
// called in one turn and the next had more to do than it did.
func (l *Loop) Turn() int64 { return l.turns }

// Close ends the loop after what was posted so far has run, and waits for it.
// Descriptors still registered are not closed: they belong to their handlers.
func (l *Loop) Close() {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again {
		<-l.done
		return
	}
	l.wake()
	<-l.done
	l.closeAll()
}

// run works until nothing is left to do. True says that the loop is to end,
// false that it is to be called again when the epoll descriptor is ready.
func (l *Loop) run() bool {
	l.yielded = Clock()
	l.roused = l.yielded-l.slept < atOnce
	for {
		l.ready, l.next = l.poll(), 0
		l.now = Clock()
		l.running, l.again, l.ran = l.again, l.running[:0], 0
		if l.ready == 0 && len(l.running) == 0 && l.now < l.wheel.due {
			if l.stopping() {
				return true
			}
			l.armTimer()
			l.slept = l.now
			return false
		}
		l.turns++
		l.look = false
		for !l.turn() {
		}
		if l.calm() {
			l.armTimer()
			l.slept = Clock()
			return false
		}
		if l.now-l.yielded > yieldAfter {
			runtime.Gosched()
			l.yielded = Clock()
		}
	}
}

// few is how many events make a turn of a loop that has little to do.
const few = 2

// atOnce is less than it takes to wake a loop that slept: what roused one sooner
// had been there before.
const atOnce = int64(5 * time.Microsecond)

// calm reports whether the loop may sleep without having found nothing to do:
// after a turn of few events there mostly is nothing, and whatever has come
// since wakes it by way of Go's poller. That way is longer than a look, so that a
// loop which was roused at once the last time looks first.
func (l *Loop) calm() bool {
	return l.ready <= few && !l.roused && !l.look && len(l.again) == 0 && l.now < l.wheel.due
}

// stopping reports whether the loop is closed and everything posted has run.
func (l *Loop) stopping() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed && len(l.posted) == 0
}

// turn dispatches what is due. False says that a handler panicked: the turn
// must be gone on with.
func (l *Loop) turn() (finished bool) {
	defer func() {
		if !finished {
			l.panicked(recover())
		}
	}()
	for l.next < l.ready {
		ev := &l.events[l.next]
		l.next++
		l.dispatch(handleOf(ev), Events(ev.Events))
	}
	for l.ran < len(l.running) {
		r := l.running[l.ran]
		l.ran++
		l.dispatch(r.handle, r.events)
	}
	l.current = nil
	if l.now >= l.wheel.due {
		l.wheel.advance(l.now)
	}
	if l.woken || l.called < len(l.calls) {
		l.runPosted()
	}
	for n := len(l.ends); n > 0; n = len(l.ends) {
		e := l.ends[n-1]
		l.ends = l.ends[:n-1]
		e.TurnEnds()
	}
	return true
}

// Ender is told of the end of a turn.
type Ender interface{ TurnEnds() }

// AtEnd has e told, once, when all that is ready in this turn has been handled:
// for one that gathers what several handlers give it.
func (l *Loop) AtEnd(e Ender) { l.ends = append(l.ends, e) }

func (l *Loop) dispatch(handle Handle, events Events) {
	s := &l.slots[uint32(handle)]
	if s.generation != handle.generation() {
		return // for a descriptor that was released meanwhile
	}
	l.current = s.handler
	l.look = l.look || s.repeats
	s.handler.Ready(events)
}

// panicked contains a panic to the handler it came from, which is told to give
// up; the loop and its other handlers go on.
func (l *Loop) panicked(v any) {
	var h interface{ Abort() }
	if l.current != nil {
		h = l.current
	} else if e := l.wheel.expiring; e != nil {
		h, _ = e.(interface{ Abort() })
		l.wheel.now-- // the slot may hold further timers
	}
	l.current, l.wheel.expiring = nil, nil
	l.log.Error("a connection handler panicked; it is dropped", "panic", v, "stack", string(debug.Stack()))
	if h == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			l.log.Error("a connection handler panicked while it was dropped", "panic", v)
		}
	}()
	h.Abort()
}

// poll fetches events without waiting.
func (l *Loop) poll() int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epollFD), uintptr(unsafe.Pointer(&l.events[0])), turnEvents, 0, 0, 0)
	if e != 0 {
		return 0 // EINTR: the poller wakes the loop again for what is there
	}
	return int(n)
}

var start = time.Now()

// Clock is the time of Now, read anew.
func Clock() int64 { return int64(time.Since(start)) }
