package loop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is asked for: 64 slots, so that a pipe filled with single packets
	// still carries some 90 kB at once.
	pipeSize = 256 << 10
	// spliceMost is the most that one Fill moves. Data in large pieces fills few
	// slots, so a pipe holds far more than its size says.
	spliceMost = 512 << 10
	// pipeLimit bounds the pipes of a loop: without privilege a user has 16,384
	// pages of pipes by default, and what exceeds them gets tiny ones.
	pipeLimit = 64
	// pipesIdle are kept open for the next transfer.
	pipesIdle = 16
)

// Pipe moves data from socket to socket within the kernel.
type Pipe struct {
	// Held is the number of bytes that were filled in and not yet drained.
	Held int

	r, w int
}

// Fill moves what src has, up to an inner limit, into the pipe. n is 0 with
// errno 0 at end of stream. EAGAIN says that src has nothing now, or that the
// pipe is full if it holds anything.
func (p *Pipe) Fill(src int) (n int, errno syscall.Errno) { return p.FillUpTo(src, spliceMost) }

// FillUpTo is Fill for at most so many bytes, which must be more than none.
func (p *Pipe) FillUpTo(src int, most int64) (n int, errno syscall.Errno) {
	n, errno = splice(src, p.w, int(min(most, spliceMost)))
	p.Held += n
	return n, errno
}

// Drain moves what the pipe holds to dst as far as dst takes it.
func (p *Pipe) Drain(dst int) (n int, errno syscall.Errno) {
	n, errno = splice(p.r, dst, p.Held)
	p.Held -= n
	return n, errno
}

// splice may move half a megabyte and so is a call the scheduler knows of.
func splice(from, to, most int) (int, syscall.Errno) {
	for {
		n, _, e := syscall.Syscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// pipes is a loop's store of pipes.
type pipes struct {
	idle  []*Pipe
	open  int // idle ones included
	limit int
}

func defaultPipes(b *Budget) int { return min(pipeLimit, b.Limit()/32) }

// TakePipe gives an empty pipe, or nil if too many are in use.
func (l *Loop) TakePipe() *Pipe {
	if n := len(l.pipes.idle); n > 0 {
		p := l.pipes.idle[n-1]
		l.pipes.idle = l.pipes.idle[:n-1]
		return p
	}
	if l.pipes.open >= l.pipes.limit || !l.Budget.Take(2) {
		return nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		l.Budget.Give(2)
		return nil
	}
	// Refused beyond the user's share of pages; the usual size works too.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	l.pipes.open++
	return &Pipe{r: fds[0], w: fds[1]}
}

// IdlePipes is how many pipes are kept open for the next transfer; each holds
// two descriptors of the budget. On a closed loop there are none.
func (l *Loop) IdlePipes() int { return len(l.pipes.idle) }

// PutPipe takes a pipe back. One that still holds data is closed, since its
// data must not reach another connection.
func (l *Loop) PutPipe(p *Pipe) {
	if p.Held == 0 && len(l.pipes.idle) < pipesIdle {
		l.pipes.idle = append(l.pipes.idle, p)
		return
	}
	p.close()
	l.pipes.open--
	l.Budget.Give(2)
}

func (p *Pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

func (p *pipes) closeAll(b *Budget) {
	for _, one := range p.idle {
		one.close()
		b.Give(2)
	}
	p.idle = nil
}
