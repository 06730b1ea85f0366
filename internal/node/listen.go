package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// listen opens the API's port. It is the first thing that two nodes quarrel
// about, so that it happens before anything slow.
func (n *Node) listen(ctx context.Context) error {
	if n.old != nil && n.old.welcome.Listen == n.cfg.Listen {
		return nil // it is inherited
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Listen)
	if err != nil {
		return listenError(n.cfg.Listen, err)
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return fmt.Errorf("listen for the API on %s: unexpected listener type %T", n.cfg.Listen, l)
	}
	n.useListener(newAPIListener(t))
	return nil
}

func (n *Node) useListener(l *apiListener) {
	n.listener = l
	n.onStop("API port", func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
}

// listenError adds to the system's answer what to do about it.
func listenError(addr string, err error) error {
	advice := "give a host:port with --listen"
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return &ConfigError{"listen", addr, fmt.Errorf("there is no host %q; give an address of this host, or 0.0.0.0 for all", dns.Name)}
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("the API address %s is in use by another program, maybe another openslb: stop that one, or choose another address with --listen (port 0 takes a free one)", addr)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		advice = "take a port above 1023 with --listen, grant the program CAP_NET_BIND_SERVICE, or lower net.ipv4.ip_unprivileged_port_start"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		advice = "this host has no such address: give one that it has, or 0.0.0.0 for all, with --listen"
	}
	return fmt.Errorf("listen for the API on %s: %w; %s", addr, err, advice)
}

// clientHostPort is the host:port by which a client on this machine reaches a
// listening address: one that stands for all addresses becomes the loopback's.
func clientHostPort(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.IsUnspecified() {
		// A wildcard socket of either family takes IPv4, see net.Listen.
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(ip, tcp.AddrPort().Port()).String()
}
