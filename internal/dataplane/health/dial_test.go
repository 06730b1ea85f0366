package health

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Probes of every kind come from the source of their family, and those of the
// other family from wherever the system says.
func TestProbesHaveTheirSource(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.77"), netip.MustParseAddr("::1")
	seen := make(chan netip.Addr, 1)
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				seen <- addrOf(c.RemoteAddr()).Addr()
				_, _ = c.Write([]byte("HTTP/1.0 200 OK\r\n\r\n"))
				c.Close()
			}
		}()
		p, err := net.ListenPacket("udp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		go func() {
			for buf := make([]byte, 64); ; {
				_, from, err := p.ReadFrom(buf)
				if err != nil {
					return
				}
				seen <- addrOf(from).Addr()
				_, _ = p.WriteTo([]byte("x"), from)
			}
		}()
		want := four
		if host != "127.0.0.1" {
			want = six
		}
		for kind, at := range map[spec.CheckKind]net.Addr{spec.CheckTCP: l.Addr(), spec.CheckHTTP: l.Addr(), spec.CheckUDP: p.LocalAddr()} {
			checker, err := NewChecker(spec.Check{Kind: kind, Expect: "x"}, four)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			_ = checker.Check(ctx, addrOf(at)) // what it finds is of no interest here
			cancel()
			if got := <-seen; got != want {
				t.Errorf("%s to %s from %s, want %s", kind, host, got, want)
			}
		}
	}
}

// A source that the host has lost says nothing about the servers.
func TestMissingSourceIsNoVerdict(t *testing.T) {
	checker, err := NewChecker(spec.Check{Kind: spec.CheckTCP}, netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	err = checker.Check(t.Context(), closedPort(t))
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || !isLocal(err) {
		t.Errorf("%v counts against the server", err)
	}
}
