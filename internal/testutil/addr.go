package testutil

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// poolLockPort is bound on the last address of a pool for as long as a test
// uses it.
const poolLockPort = 40404

// AddressPool returns a /24 of 127.0.0.0/8 that no other test uses at this
// time, in this process or another. It matters because listening sockets that
// share a port deliberately (SO_REUSEPORT) would share it with a stranger too.
func AddressPool(t testing.TB) netip.Prefix {
	t.Helper()
	for range 100 {
		base := netip.AddrFrom4([4]byte{127, byte(16 + rand.IntN(200)), byte(rand.IntN(256)), 0})
		a := base.As4()
		a[3] = 255
		lock, err := net.Listen("tcp", netip.AddrPortFrom(netip.AddrFrom4(a), poolLockPort).String())
		if err != nil {
			continue
		}
		t.Cleanup(func() { lock.Close() })
		return netip.PrefixFrom(base, 24)
	}
	t.Fatal("no free address pool on loopback")
	return netip.Prefix{}
}

// FreePort returns a TCP port that was free on the address a moment ago. Prefer
// port 0 wherever the program under test can tell the port it got.
func FreePort(t testing.TB, ip netip.Addr) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return addrPort(l.Addr()).Port()
}

// listenGroup listens on n addresses of 127.0.0.0/8 with one port for all, as
// the servers of a default group need it. With kinds of 2 there are two such
// ports on the same addresses; group[k][i] is kind k on address i.
func listenGroup(n, kinds int) (group [][]net.Listener, err error) {
	for range 50 {
		host := [4]byte{127, 0, byte(1 + rand.IntN(250)), byte(1 + rand.IntN(254-n))}
		if group, err = listenAt(host, n, kinds); err == nil {
			return group, nil
		}
	}
	return nil, fmt.Errorf("listen on %d addresses with one port: %w", n, err)
}

func listenAt(host [4]byte, n, kinds int) ([][]net.Listener, error) {
	var group [][]net.Listener
	for k := range kinds {
		group = append(group, nil)
		port := uint16(0)
		for i := range n {
			at := host
			at[3] += byte(i)
			l, err := net.Listen("tcp", netip.AddrPortFrom(netip.AddrFrom4(at), port).String())
			if err != nil {
				for _, part := range group {
					for _, l := range part {
						l.Close()
					}
				}
				return nil, err
			}
			group[k] = append(group[k], l)
			port = addrPort(l.Addr()).Port()
		}
	}
	return group, nil
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }
