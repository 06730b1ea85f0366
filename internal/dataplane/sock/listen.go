// Package sock opens the sockets of the data plane: listening sockets with
// errors an operator can act on, and the few raw socket calls that event loops
// need and that must not allocate.
//
// A listening socket belongs to a frontend and lives as long as the frontend:
// reconfiguring swaps what stands behind the socket and never reopens it.
package sock

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// backlog is asked for on every listening socket. The kernel clamps it to
// net.core.somaxconn.
const backlog = 65535

// Group is a set of sockets that listen on one address and share its
// connections, one socket for each event loop.
type Group struct {
	// Addr is the address bound: the one asked for, with a real port where
	// port 0 was asked for.
	Addr netip.AddrPort
	// FDs are non-blocking listening sockets. They belong to the caller, who
	// may close them one by one or all at once by Close.
	FDs []int
}

// Close closes all sockets of the group.
func (g *Group) Close() {
	for _, fd := range g.FDs {
		unix.Close(fd)
	}
	g.FDs = nil
}

// ListenTCP opens n sockets on addr between which the kernel spreads new
// connections (SO_REUSEPORT). Connections inherit TCP_NODELAY from them; they
// send no keep-alive probes, as every connection has an idle time. A failure to
// bind is a *BindError.
//
// The first socket is bound and set listening without SO_REUSEPORT and given
// the option only then. So an address that anybody listens on already, another
// openslb or another frontend of this one included, is refused as in use, and
// two that start at the same moment cannot both have it; with the option set
// from the start the kernel would let any two processes of one user share the
// port in silence.
func ListenTCP(addr netip.AddrPort, n int) (*Group, error) {
	g := &Group{Addr: addr}
	for i := range max(n, 1) {
		fd, err := listenOne(g.Addr, i > 0)
		if err != nil {
			g.Close()
			return nil, &BindError{Addr: addr, Err: err}
		}
		g.FDs = append(g.FDs, fd)
		if i > 0 {
			continue
		}
		if g.Addr.Port() == 0 {
			if g.Addr, err = LocalAddr(fd); err != nil {
				g.Close()
				return nil, &BindError{Addr: addr, Err: err}
			}
		}
		if n > 1 {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				g.Close()
				return nil, &BindError{Addr: addr, Err: os.NewSyscallError("setsockopt SO_REUSEPORT", err)}
			}
		}
	}
	return g, nil
}

// CanBind reports whether addr could be listened on now, as nil or a
// *BindError. It opens the socket, binds and closes it, so nothing is ever
// accepted on it. An address a frontend of this process listens on is in use.
func CanBind(addr netip.AddrPort) error {
	fd, err := boundSocket(addr, false)
	if err != nil {
		return &BindError{Addr: addr, Err: err}
	}
	unix.Close(fd)
	return nil
}

func listenOne(addr netip.AddrPort, reusePort bool) (int, error) {
	fd, err := boundSocket(addr, reusePort)
	if err != nil {
		return -1, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

func boundSocket(addr netip.AddrPort, reusePort bool) (int, error) {
	if !addr.Addr().IsValid() {
		return -1, errors.New("no address given")
	}
	sa, family := sockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	type option struct {
		level, name int
		text        string
	}
	// SO_REUSEADDR lets a restart bind while old connections are in TIME_WAIT;
	// Linux still refuses two listeners.
	options := []option{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, "SO_REUSEADDR"},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, "TCP_NODELAY"},
	}
	if family == unix.AF_INET6 {
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, "IPV6_V6ONLY"})
	}
	if reusePort {
		options = append(options, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, "SO_REUSEPORT"})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt "+o.text, err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

// sockaddr gives addr in the form of package unix, with its address family. An
// IPv4 address in IPv6 form counts as IPv4.
func sockaddr(addr netip.AddrPort) (unix.Sockaddr, int) {
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}, unix.AF_INET
	}
	sa := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		sa.ZoneId = zoneID(zone)
	}
	return sa, unix.AF_INET6
}

// zoneID finds the index of an interface by name; 0 where there is none.
func zoneID(zone string) uint32 {
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(ifi.Index)
}
