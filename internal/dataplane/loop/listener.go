package loop

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptMost is how many connections are accepted before others get a turn.
	acceptMost = 64
	// acceptPause is how long accepting rests when descriptors have run out.
	acceptPause = 50 * time.Millisecond
)

// Taker takes the connections of a Listener.
type Taker interface {
	// Take accepts one connection and begins with it. An errno says why there was
	// none: EAGAIN that nobody waits, any other that the listener should rest.
	Take(fd int) syscall.Errno
	// Short tells why the listener rests for a moment.
	Short(syscall.Errno)
	// Abort is called after Take has panicked; accepting goes on.
	Abort()
}

// Listener has connections taken from a listening socket, which it owns and for
// which a descriptor was taken from the loop's budget. It is used on the loop.
type Listener struct {
	loop   *Loop
	taker  Taker
	fd     int // -1: closed
	handle Handle
	pause  Timer
	batch  int   // how many connections to accept at one event
	turn   int64 // of the loop, when connections were last accepted
}

// Init makes l listen on fd, for t, once it is opened.
func (l *Listener) Init(on *Loop, fd int, t Taker) {
	*l = Listener{loop: on, taker: t, fd: fd, batch: 1}
	l.pause.Expirer = l
}

// Open begins to accept, or goes on with it after Hold.
func (l *Listener) Open() (err error) {
	l.handle, err = l.loop.Register(l.fd, Readable|Repeat, l)
	return err
}

// Hold stops accepting. Connections wait in the socket.
func (l *Listener) Hold() {
	l.loop.Disarm(&l.pause)
	l.loop.Detach(l.handle)
	l.handle = 0
}

// Close stops accepting and closes the socket, which may live on in another
// process.
func (l *Listener) Close() {
	if l.fd < 0 {
		return
	}
	l.Hold()
	unix.Close(l.fd)
	l.fd = -1
	l.loop.Budget.Give(1)
}

// Ready accepts connections. While the socket is ready in turn after turn the
// batches grow; otherwise one accept is enough and saves the one that would find
// nothing.
func (l *Listener) Ready(Events) {
	if turn := l.loop.Turn(); turn == l.turn+1 {
		l.batch = min(2*l.batch, acceptMost)
	} else {
		l.batch = 1
	}
	l.turn = l.loop.Turn()
	for range l.batch {
		if errno := l.taker.Take(l.fd); errno != 0 {
			l.turn = 0
			if errno != syscall.EAGAIN {
				l.rest(errno)
			}
			return
		}
	}
}

// Abort passes on that beginning a connection panicked.
func (l *Listener) Abort() { l.taker.Abort() }

// rest stops accepting for a moment: descriptors or memory ran out, and the
// connections that wait would wake the loop without end.
func (l *Listener) rest(errno syscall.Errno) {
	l.taker.Short(errno)
	if l.loop.Modify(l.handle, Repeat) == nil {
		l.loop.Arm(&l.pause, acceptPause)
	}
}

// Expired ends a rest.
func (l *Listener) Expired() {
	// A failure shows again at the next connection.
	_ = l.loop.Modify(l.handle, Readable|Repeat)
}
