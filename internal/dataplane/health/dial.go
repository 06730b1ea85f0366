package health

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// dialFunc opens the connection of a probe; network is tcp or udp.
type dialFunc func(ctx context.Context, network string, target netip.AddrPort) (net.Conn, error)

// dialFrom gives probes the source of their family. Their connections are too
// short for keep-alives.
func dialFrom(sources []netip.Addr) dialFunc {
	return func(ctx context.Context, network string, target netip.AddrPort) (net.Conn, error) {
		d := net.Dialer{KeepAlive: -1}
		for _, source := range sources {
			if source.Unmap().Is4() != target.Addr().Unmap().Is4() {
				continue
			}
			from := netip.AddrPortFrom(source, 0)
			if network == "udp" {
				d.LocalAddr = net.UDPAddrFromAddrPort(from)
			} else {
				d.LocalAddr = net.TCPAddrFromAddrPort(from)
				d.Control = choosePortLate
			}
		}
		return d.DialContext(ctx, network, target.String())
	}
}

// choosePortLate leaves the port of a bound socket open until it connects, when
// any that is not used towards the same server will do.
func choosePortLate(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// Without it the choice is smaller, that is all.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
