package l4

import (
	"io"
	"net"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// The figures include the clients and servers, which are Go's own and dearer
// than the relay: they serve to compare two versions of it, no more.

func BenchmarkTCPRelaySmall(b *testing.B) {
	f := listen(b, newEngine(b, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", server(b, echo))))
	c := dial(b, f)
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTCPNewConnection(b *testing.B) {
	f := listen(b, newEngine(b, Options{}), spec.TCPOptions{}, pool.NewStatic(target("a", server(b, echo))))
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		c, err := net.Dial("tcp", f.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		c.Write(buf)
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
		c.(*net.TCPConn).SetLinger(0) // or the ports run out
		c.Close()
	}
}

func BenchmarkTCPBulk(b *testing.B) {
	const chunk = 1 << 20
	for name, o := range engines {
		b.Run(name, func(b *testing.B) {
			addr := server(b, func(c *net.TCPConn) {
				buf := make([]byte, chunk)
				for {
					if _, err := c.Write(buf); err != nil {
						return
					}
				}
			})
			f := listen(b, newEngine(b, o), spec.TCPOptions{}, pool.NewStatic(target("a", addr)))
			c := dial(b, f)
			buf := make([]byte, chunk)
			b.SetBytes(chunk)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
