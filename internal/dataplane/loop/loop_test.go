package loop

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a loop for one test.
func newLoop(t testing.TB, o Options) *Loop {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// handler calls functions.
type handler struct {
	ready func(Events)
	abort func()
}

func (h *handler) Ready(e Events) { h.ready(e) }
func (h *handler) Abort() {
	if h.abort != nil {
		h.abort()
	}
}

// expirer calls a function.
type expirer func()

func (f expirer) Expired() { f() }

// receive waits for one value.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// pair gives two connected non-blocking sockets.
func pair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func TestPostKeepsOrder(t *testing.T) {
	l := newLoop(t, Options{})
	const producers, each = 4, 1000
	got := make([][]int, producers)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if !l.Post(func() { got[p] = append(got[p], i) }) {
					t.Error("refused")
				}
			}
		})
	}
	wg.Wait()
	l.Do(func() {})
	for p, g := range got {
		if len(g) != each || !slices.IsSorted(g) {
			t.Errorf("producer %d: %d calls, in order: %v", p, len(g), slices.IsSorted(g))
		}
	}
}

func TestCloseRunsWhatWasPostedAndRefusesMore(t *testing.T) {
	l := newLoop(t, Options{})
	ran := 0
	for range 100 {
		l.Post(func() { ran++ })
	}
	l.Close()
	l.Close()
	if ran != 100 {
		t.Errorf("%d of 100 ran", ran)
	}
	if l.Post(func() {}) || l.Do(func() {}) {
		t.Error("a closed loop takes calls")
	}
}

// What lasts is told again without anything new happening, also when it is the
// only event of its turn.
func TestRepeatedEventsNeedNoOther(t *testing.T) {
	l := newLoop(t, Options{})
	a, b := pair(t)
	const size = 20
	calls := make(chan int, 2*size)
	l.Do(func() {
		var handle Handle
		taken := 0
		handle, err := l.Register(a, Readable|Repeat, &handler{ready: func(Events) {
			var one [1]byte
			n, _ := unix.Read(a, one[:])
			if taken += n; taken == size {
				l.Detach(handle)
			}
			calls <- taken
		}})
		if err != nil {
			t.Error(err)
		}
	})
	if _, err := unix.Write(b, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	for i := range size {
		if n := receive(t, calls); n != i+1 {
			t.Fatalf("call %d: %d bytes taken", i+1, n)
		}
	}
}

func TestCloseLeavesNoDescriptor(t *testing.T) {
	before := descriptors(t)
	for range 10 {
		l := newLoop(t, Options{})
		l.Do(func() { l.PutPipe(l.TakePipe()) })
		l.Close()
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func TestEventsAreToldOnceAndByHandle(t *testing.T) {
	l := newLoop(t, Options{})
	a, b := pair(t)
	events := make(chan Events, 16)
	l.Do(func() {
		if _, err := l.Register(a, Readable, &handler{ready: func(e Events) { events <- e }}); err != nil {
			t.Error(err)
		}
	})
	unix.Write(b, []byte("x"))
	if e := receive(t, events); e&Readable == 0 {
		t.Errorf("events = %x", e)
	}
	l.Do(func() {})
	l.Do(func() {})
	if n := len(events); n != 0 {
		t.Errorf("told %d times more without a new byte", n)
	}
	unix.Write(b, []byte("y"))
	receive(t, events)
}

func TestRepeatIsToldUntilRead(t *testing.T) {
	l := newLoop(t, Options{})
	a, b := pair(t)
	told := make(chan int, 1)
	n := 0
	l.Do(func() {
		_, err := l.Register(a, Readable|Repeat, &handler{ready: func(Events) {
			if n++; n == 5 {
				unix.Read(a, make([]byte, 8))
				told <- n
			}
		}})
		if err != nil {
			t.Error(err)
		}
	})
	unix.Write(b, []byte("x"))
	receive(t, told)
	l.Do(func() {})
	l.Do(func() {
		if n != 5 {
			t.Errorf("told %d times", n)
		}
	})
}

// One handler releases the other's registration while both are ready and puts
// a third in its place: the event for the second must not reach the third.
func TestStaleEventsAreDropped(t *testing.T) {
	l := newLoop(t, Options{})
	a1, b1 := pair(t)
	a2, b2 := pair(t)
	a3, _ := pair(t)
	var first, second, third int
	l.Do(func() {
		var h1, h2 Handle
		kill := func(n *int, other *Handle) func(Events) {
			return func(Events) {
				*n++
				if *other == 0 {
					return
				}
				old := *other
				l.Detach(old)
				h1, h2 = 0, 0
				nh, err := l.Register(a3, Readable, &handler{ready: func(Events) { third++ }})
				if err != nil {
					t.Error(err)
				}
				if uint32(nh) != uint32(old) {
					t.Errorf("place %d was not reused (%d)", uint32(old), uint32(nh))
				}
				if l.Modify(old, Readable) == nil {
					t.Error("a released handle can be modified")
				}
				l.Release(old) // no effect
			}
		}
		h1, _ = l.Register(a1, Readable, &handler{ready: kill(&first, &h2)})
		h2, _ = l.Register(a2, Readable, &handler{ready: kill(&second, &h1)})
		unix.Write(b1, []byte("x"))
		unix.Write(b2, []byte("x"))
	})
	for range 3 {
		l.Do(func() {})
	}
	l.Do(func() {
		if first+second != 1 || third != 0 {
			t.Errorf("calls: %d, %d, %d", first, second, third)
		}
	})
}

func TestAgainLetsOthersRun(t *testing.T) {
	l := newLoop(t, Options{})
	a, _ := pair(t)
	greedy := 0
	running := make(chan struct{}, 1)
	l.Do(func() {
		var h Handle
		h, _ = l.Register(a, Writable, &handler{ready: func(e Events) {
			if greedy++; greedy == 1 {
				running <- struct{}{}
			}
			if greedy > 0 {
				l.Again(h, e)
			}
		}})
	})
	receive(t, running)
	if !l.Do(func() { greedy = -1 }) { // it never becomes idle, and still serves this
		t.Error("closed")
	}
	l.Do(func() {})
}

func TestPanicIsContained(t *testing.T) {
	var log bytes.Buffer
	l := newLoop(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	a1, b1 := pair(t)
	a2, b2 := pair(t)
	aborted, served := make(chan bool, 1), make(chan bool, 1)
	l.Do(func() {
		var h Handle
		h, _ = l.Register(a1, Readable, &handler{
			ready: func(Events) { panic("handler") },
			abort: func() { l.Detach(h); aborted <- true; panic("abort") },
		})
		l.Register(a2, Readable, &handler{ready: func(Events) { served <- true }})
		unix.Write(b1, []byte("x"))
		unix.Write(b2, []byte("x"))
	})
	receive(t, aborted)
	receive(t, served)
	l.Post(func() { panic("posted") })
	l.Do(func() {
		l.Arm(&Timer{Expirer: expirer(func() { panic("timer") })}, 0)
		l.Arm(&Timer{Expirer: expirer(func() { served <- true })}, 0)
	})
	receive(t, served)
	l.Close()
	for _, want := range []string{"panic=handler", "panic=abort", "panic=posted", "panic=timer"} {
		if !bytes.Contains(log.Bytes(), []byte(want)) {
			t.Errorf("%q is not in the log", want)
		}
	}
}

func TestIdleLoopDoesNotRun(t *testing.T) {
	l := newLoop(t, Options{})
	far := &Timer{Expirer: expirer(func() { t.Error("expired") })}
	l.Do(func() { l.Arm(far, time.Hour) })
	l.Do(func() {})
	count := func() (n int64) { l.Do(func() { n = l.turns }); return n }
	before := count()
	done := make(chan bool)
	l.Do(func() { l.Arm(&Timer{Expirer: expirer(func() { close(done) })}, 200*time.Millisecond) })
	receive(t, done)
	if n := count() - before; n > 8 {
		t.Errorf("%d turns for one timer", n)
	}
	l.Do(func() { l.Disarm(far) })
}

func TestPipe(t *testing.T) {
	budget := NewBudgetOf(2)
	l := newLoop(t, Options{Budget: budget, Pipes: 4})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	connect := func() (client *net.TCPConn, fd int) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		raw, err := s.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(p uintptr) { fd = int(p) })
		return c.(*net.TCPConn), fd
	}
	in, src := connect()
	out, dst := connect()
	l.Do(func() {
		p := l.TakePipe()
		if p == nil {
			t.Error("no pipe")
			return
		}
		if l.TakePipe() != nil {
			t.Error("a pipe beyond the budget")
		}
		in.Write([]byte("hello"))
		if n, errno := p.Fill(src); n != 5 || errno != 0 || p.Held != 5 {
			t.Error(n, errno, p.Held)
		}
		if _, errno := p.Fill(src); errno != unix.EAGAIN {
			t.Error(errno)
		}
		if n, errno := p.Drain(dst); n != 5 || errno != 0 || p.Held != 0 {
			t.Error(n, errno, p.Held)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(out, got); err != nil || string(got) != "hello" {
			t.Errorf("%q, %v", got, err)
		}
		l.PutPipe(p)
		if q := l.TakePipe(); q != p {
			t.Error("an empty pipe was not kept")
		}
		in.Write([]byte("left over"))
		if _, errno := p.Fill(src); errno != 0 {
			t.Error(errno)
		}
		l.PutPipe(p)
		if budget.Used() != 0 {
			t.Error("a pipe that holds data was kept")
		}
		in.CloseWrite()
		p = l.TakePipe()
		if n, errno := p.Fill(src); n != 0 || errno != 0 {
			t.Error("end of stream:", n, errno)
		}
		l.PutPipe(p)
	})
}

func TestBudget(t *testing.T) {
	b, err := NewBudget()
	if err != nil {
		t.Fatal(err)
	}
	if b.Limit() <= 0 || b.Limit() >= b.System() {
		t.Errorf("limit %d of %d", b.Limit(), b.System())
	}
	b = NewBudgetOf(5)
	for i, want := range []bool{true, true, false} {
		if b.Take(2) != want {
			t.Errorf("take %d: %v", i, !want)
		}
	}
	if n := b.Shortages(); n != 1 {
		t.Errorf("%d shortages", n)
	}
	b.Give(2)
	if !b.Take(3) || b.Used() != 5 {
		t.Errorf("used %d", b.Used())
	}
}

func TestSlabReuses(t *testing.T) {
	var s Slab[int]
	seen := map[*int]bool{}
	for range 3 * slabChunk {
		v := s.Get()
		if seen[v] {
			t.Fatal("one value given twice")
		}
		seen[v] = true
	}
	for v := range seen {
		s.Put(v)
	}
	if n := testing.AllocsPerRun(100, func() { s.Put(s.Get()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkWake measures posting to an idle loop and waiting for the call.
func BenchmarkWake(b *testing.B) {
	l := newLoop(b, Options{})
	b.ReportAllocs()
	done := make(chan struct{})
	fn := func() { done <- struct{}{} }
	for b.Loop() {
		l.Post(fn)
		<-done
	}
}

// dueAsker asks whether another's event is still to be told.
type dueAsker struct {
	l     *Loop
	other Handle
	got   []bool
}

func (d *dueAsker) Ready(Events) { d.got = append(d.got, d.l.Due(d.other)) }
func (*dueAsker) Abort()         {}

// TestDue: of two descriptors that become ready together the one that is told
// first learns that the other's event is due, and the other that none is.
func TestDue(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var fds [2]int
	var writers [2]int
	for i := range fds {
		var pair [2]int
		if err := unix.Pipe2(pair[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		fds[i], writers[i] = pair[0], pair[1]
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
	}
	a, b := &dueAsker{l: l}, &dueAsker{l: l}
	l.Do(func() {
		b.other, _ = l.Register(fds[0], Readable, a)
		a.other, _ = l.Register(fds[1], Readable, b)
		for _, w := range writers { // both are ready before the loop looks again
			if _, err := unix.Write(w, []byte("x")); err != nil {
				t.Error(err)
			}
		}
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		done := false
		l.Do(func() { done = len(a.got) == 1 && len(b.got) == 1 })
		if done {
			break
		}
		if time.Now().After(end) {
			t.Fatal("events are missing")
		}
	}
	l.Do(func() { // closing the descriptors is an event, too
		if !a.got[0] || b.got[0] {
			t.Errorf("the first: %v, the second: %v", a.got, b.got)
		}
		l.Release(b.other)
		l.Release(a.other)
	})
}
