package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// network says where load, proxies and backends are: all on loopback, or each
// in a namespace of its own, joined by virtual cables.
type network struct {
	client, proxy, server host

	sources        netip.Addr // the first of sourceCount that the load comes from
	haproxy, nginx netip.Addr
	openslb        netip.Prefix // of its instances
	before         netip.Prefix // the same, for another OpenSLB beside it
	backends       []netip.Addr
}

// sourceCount is how many addresses the load comes from.
const sourceCount = 16

// host is a network namespace; an empty one is where this process is.
type host struct{ name string }

// onLoopback has all parts here.
func onLoopback() network {
	return network{
		sources:  netip.MustParseAddr("127.0.3.1"),
		haproxy:  netip.MustParseAddr("127.0.4.1"),
		nginx:    netip.MustParseAddr("127.0.4.2"),
		openslb:  netip.MustParsePrefix("127.5.0.0/24"),
		before:   netip.MustParsePrefix("127.5.1.0/24"),
		backends: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")},
	}
}

// inNamespaces makes three namespaces: client, proxy and servers, as three hosts
// on two cables. It needs root. remove takes them away.
func inNamespaces(ctx context.Context) (n network, remove func(), err error) {
	prefix := fmt.Sprintf("bench%d", os.Getpid())
	n = network{
		client: host{prefix + "c"}, proxy: host{prefix + "p"}, server: host{prefix + "s"},
		sources:  netip.MustParseAddr("10.77.1.200"),
		haproxy:  netip.MustParseAddr("10.77.1.41"),
		nginx:    netip.MustParseAddr("10.77.1.42"),
		openslb:  netip.MustParsePrefix("10.77.1.128/30"),
		before:   netip.MustParsePrefix("10.77.1.132/30"),
		backends: []netip.Addr{netip.MustParseAddr("10.77.2.2"), netip.MustParseAddr("10.77.2.3")},
	}
	hosts := []host{n.client, n.proxy, n.server}
	remove = func() {
		for _, h := range hosts {
			// What could not be made cannot be removed.
			_ = exec.CommandContext(context.WithoutCancel(ctx), "ip", "netns", "del", h.name).Run()
		}
	}
	var errs []error
	ip := func(args ...string) {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out))
		}
	}
	for _, h := range hosts {
		ip("netns", "add", h.name)
		ip("-n", h.name, "link", "set", "lo", "up")
		// As on loopback, where it is the kernel's default: ports towards two servers
		// would run out with thousands of connections a second.
		errs = append(errs, h.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/tcp_tw_reuse", []byte("1"), 0o644) }))
	}
	cable := func(a host, nameA string, b host, nameB string) {
		ip("link", "add", nameA, "netns", a.name, "type", "veth", "peer", "name", nameB, "netns", b.name)
		ip("-n", a.name, "link", "set", nameA, "up")
		ip("-n", b.name, "link", "set", nameB, "up")
	}
	cable(n.client, "proxy", n.proxy, "client")
	cable(n.proxy, "server", n.server, "proxy")
	address := func(h host, link string, addrs ...netip.Addr) {
		for _, a := range addrs {
			ip("-n", h.name, "addr", "add", a.String()+"/24", "dev", link)
		}
	}
	source := n.sources
	for range sourceCount {
		address(n.client, "proxy", source)
		source = source.Next()
	}
	address(n.proxy, "client", n.haproxy, n.nginx)
	for _, pool := range []netip.Prefix{n.openslb, n.before} {
		for a := pool.Addr(); pool.Contains(a); a = a.Next() {
			address(n.proxy, "client", a)
		}
	}
	address(n.proxy, "server", netip.MustParseAddr("10.77.2.1"))
	address(n.server, "proxy", n.backends...)
	if err := errors.Join(errs...); err != nil {
		remove()
		return network{}, nil, err
	}
	return n, remove, nil
}

// do calls fn in the namespace: sockets that it opens and processes that it
// starts are there.
func (h host) do(fn func() error) (err error) {
	if h.name == "" {
		return fn()
	}
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer here.Close()
	there, err := os.Open("/run/netns/" + h.name)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer there.Close()
	defer func() {
		if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("leave %s: %w", h.name, back))
			return // the thread ends with its goroutine
		}
		runtime.UnlockOSThread()
	}()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", h.name, err)
	}
	return fn()
}

// dial connects from the host.
func (h host) dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = h.do(func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, addr)
		return err
	})
	return c, err
}
