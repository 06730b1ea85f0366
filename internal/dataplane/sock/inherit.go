package sock

import (
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Inherited are the sockets that another process listened on, for those of this
// one that open the same addresses. They are safe for concurrent use. A nil
// *Inherited has none, so that its methods open every address anew.
type Inherited struct {
	mu     sync.Mutex
	groups map[inheritedKey]*Group
}

type inheritedKey struct {
	datagram bool
	addr     netip.AddrPort
}

// Add puts in a group of one socket or more, which then belongs to i.
func (i *Inherited) Add(datagram bool, g *Group) {
	if len(g.FDs) == 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.groups == nil {
		i.groups = make(map[inheritedKey]*Group)
	}
	key := inheritedKey{datagram, g.Addr}
	if old := i.groups[key]; old != nil {
		old.FDs = append(old.FDs, g.FDs...)
		return
	}
	i.groups[key] = g
}

func (i *Inherited) take(datagram bool, addr netip.AddrPort) *Group {
	if i == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	key := inheritedKey{datagram, addr}
	g := i.groups[key]
	delete(i.groups, key)
	return g
}

// Close closes the sockets that nobody wanted.
func (i *Inherited) Close() {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, g := range i.groups {
		g.Close()
	}
	i.groups = nil
}

// ListenTCP is the function of that name, except that an inherited group is taken
// as it is. It may have more than n sockets, and all of them must be served, as
// connections wait in each. If it has fewer, some get further descriptors, so that
// each loop has one: with sockets of its own the group would take connections
// that the other process, as long as it serves, does not see.
func (i *Inherited) ListenTCP(addr netip.AddrPort, n int) (*Group, error) {
	g := i.take(false, addr)
	if g == nil {
		return ListenTCP(addr, n)
	}
	for k := 0; len(g.FDs) < n; k++ {
		fd, err := Copy(g.FDs[k])
		if err != nil {
			g.Close()
			return nil, &BindError{Addr: addr, Err: err}
		}
		g.FDs = append(g.FDs, fd)
	}
	return g, nil
}

// ListenUDP is the function of that name, except that an inherited group is
// taken as it is, whatever n: the kernel spreads clients over its sockets, and
// with another number their flows would come to other sockets.
func (i *Inherited) ListenUDP(addr netip.AddrPort, n int) (*Group, error) {
	if g := i.take(true, addr); g != nil {
		return g, nil
	}
	return ListenUDP(addr, n)
}

// IsSocket reports whether a descriptor from outside is a socket of that kind
// that is bound to the address, and, of TCP, listens.
func IsSocket(fd int, datagram bool, addr netip.AddrPort) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return false
	}
	bound, err := LocalAddr(fd)
	if err != nil || bound != netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port()) {
		return false
	}
	if datagram {
		return kind == unix.SOCK_DGRAM
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && kind == unix.SOCK_STREAM && listening == 1
}

// Copy gives another descriptor of the same socket, closed on exec.
func Copy(fd int) (int, error) {
	c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	return c, nil
}
