package loop

import (
	"os"

	"golang.org/x/sys/unix"
)

// Events is a set of things that happened to a descriptor, or that are waited
// for.
type Events uint32

// The events. Hangup and Failed are always waited for.
const (
	Readable   = Events(unix.EPOLLIN)
	Writable   = Events(unix.EPOLLOUT)
	PeerClosed = Events(unix.EPOLLRDHUP) // the other side sends no more
	Hangup     = Events(unix.EPOLLHUP)   // both directions are closed
	Failed     = Events(unix.EPOLLERR)
	// Repeat, among the events waited for, has an event told again at each turn
	// while it lasts; without it an event is told once when it comes up.
	Repeat = repeat

	repeat = Events(1 << 25) // not a bit of epoll
)

// Handler is what a loop calls for one descriptor.
type Handler interface {
	// Ready tells of events. Events may be told that are no longer true.
	Ready(Events)
	// Abort is called after Ready has panicked: the handler must release its
	// descriptors and trust nothing else of its state.
	Abort()
}

// Handle names a registration. Once released, a handle stays invalid for ever;
// events that were on their way are dropped. The zero Handle is never valid.
type Handle uint64

func (h Handle) generation() uint32 { return uint32(h >> 32) }

// slot is the place of a registration. generation is odd while it is taken.
type slot struct {
	handler    Handler
	generation uint32
	fd         int32
	repeats    bool // its events last, which the kernel tells only who asks
}

// Register has h called for events of fd, edge-triggered: h must read or write
// until the descriptor gives no more, or ask for another call by Again.
func (l *Loop) Register(fd int, interest Events, h Handler) (Handle, error) {
	var i uint32
	if n := len(l.free); n > 0 {
		i, l.free = l.free[n-1], l.free[:n-1]
	} else {
		i = uint32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	s := &l.slots[i]
	s.generation++
	s.handler, s.fd, s.repeats = h, int32(fd), interest&repeat != 0
	handle := Handle(uint64(s.generation)<<32 | uint64(i))
	if err := l.control(unix.EPOLL_CTL_ADD, fd, interest, handle); err != nil {
		l.Release(handle)
		return 0, err
	}
	return handle, nil
}

// Modify changes what is waited for. An event that lasts already is told again.
func (l *Loop) Modify(handle Handle, interest Events) error {
	s := l.slot(handle)
	if s == nil {
		return os.ErrClosed
	}
	s.repeats = interest&repeat != 0
	return l.control(unix.EPOLL_CTL_MOD, int(s.fd), interest, handle)
}

// Release forgets a registration. The caller closes the descriptor at once,
// which ends the kernel's part of it; to keep it open use Detach.
func (l *Loop) Release(handle Handle) {
	s := l.slot(handle)
	if s == nil {
		return
	}
	s.generation++
	s.handler = nil
	s.fd = -1
	l.free = append(l.free, uint32(handle))
}

// Detach ends a registration whose descriptor lives on elsewhere.
func (l *Loop) Detach(handle Handle) {
	s := l.slot(handle)
	if s == nil {
		return
	}
	fd := int(s.fd)
	l.Release(handle)
	// It fails only if the descriptor is closed already.
	_ = l.control(unix.EPOLL_CTL_DEL, fd, 0, handle)
}

// Again has the handler called once more with events in the next turn, after
// the other handlers that are ready now: for one that used up its share.
func (l *Loop) Again(handle Handle, events Events) {
	l.again = append(l.again, readiness{handle, events})
}

// Due reports whether an event of a descriptor is still to be told in this turn.
// If not, nothing had happened to it when the turn began.
func (l *Loop) Due(handle Handle) bool {
	for i := l.next; i < l.ready; i++ {
		if ev := &l.events[i]; handleOf(ev) == handle {
			return true
		}
	}
	return false
}

// handleOf finds out whose event it is.
func handleOf(ev *unix.EpollEvent) Handle {
	return Handle(uint64(uint32(ev.Pad))<<32 | uint64(uint32(ev.Fd)))
}

// slot finds the place of a valid handle; nil for any other.
func (l *Loop) slot(handle Handle) *slot {
	i := uint32(handle)
	if int(i) >= len(l.slots) || l.slots[i].generation != handle.generation() || l.slots[i].generation&1 == 0 {
		return nil
	}
	return &l.slots[i]
}

func (l *Loop) control(op, fd int, interest Events, handle Handle) error {
	ev := unix.EpollEvent{
		Events: uint32(interest&^repeat) | unix.EPOLLET,
		Fd:     int32(uint32(handle)),
		Pad:    int32(handle.generation()),
	}
	if interest&repeat != 0 {
		ev.Events &^= unix.EPOLLET
	}
	if errno := epollCtl(fd, l.epollFD, op, &ev); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}
