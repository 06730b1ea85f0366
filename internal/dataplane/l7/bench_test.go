package l7

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// echoServer answers every read by one fixed answer, without allocating.
func echoServer(t testing.TB, answer string) spec.Target {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				buf, out := make([]byte, 64<<10), []byte(answer)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) || bytes.HasSuffix(buf[:n], []byte("body")) {
						c.Write(out)
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	return spec.Target{ID: "a", Addr: netip.AddrPortFrom(addr.Addr(), addr.Port()), Weight: 1}
}

// exchanges sends request n times and reads answers of the given size.
func exchanges(t testing.TB, c net.Conn, request []byte, buf []byte, n int) {
	for range n {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		for got := 0; got == 0 || !bytes.HasSuffix(buf[:got], []byte("end")); {
			k, err := c.Read(buf[got:])
			if err != nil {
				t.Fatal(err)
			}
			got += k
		}
	}
}

// allocsPerRequest is what requests on a connection that is warm allocate.
func allocsPerRequest(p *proxy, request string) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	c := p.dial()
	buf := make([]byte, 64<<10)
	exchanges(p.t, c, []byte(request), buf, 10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	exchanges(p.t, c, []byte(request), buf, 80)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / 80
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget on purpose")
	}
	for _, c := range []struct{ name, request, answer string }{
		{"get", simple, ok("end")},
		{"gzip offered", "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n", page200("Content-Type: image/png\r\nCache-Control: public\r\n", "end")},
		{"post", "POST /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nContent-Length: 4\r\n\r\nbody", ok("end")},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := 0.1
			if overTLS {
				limit = 6 // of crypto/tls, the client's included
			}
			for _, logged := range []bool{false, true} {
				most := limit
				if logged {
					most += 0.5 // for opening the file and writing to it, which is not done per request
				}
				o := spec.HTTPOptions{XForwardedFor: true, SLBID: true, ClientSrcPort: true, Gzip: true}
				var p *proxy
				if logged {
					p = newLoggedProxy(t, o, echoServer(t, c.answer)).proxy
				} else {
					p = newProxy(t, o, echoServer(t, c.answer))
				}
				if n := allocsPerRequest(p, c.request); n > most {
					t.Errorf("%.2f allocations per request, logged: %v", n, logged)
				}
			}
		})
	}
}

func BenchmarkProxyKeepAlive(b *testing.B) {
	benchmarkKeepAlive(b, newProxy(b, spec.HTTPOptions{XForwardedFor: true, Gzip: true}, echoServer(b, ok("end"))))
}

// BenchmarkProxyLogged is BenchmarkProxyKeepAlive with the access log on.
func BenchmarkProxyLogged(b *testing.B) {
	benchmarkKeepAlive(b, newLoggedProxy(b, spec.HTTPOptions{XForwardedFor: true, Gzip: true}, echoServer(b, ok("end"))).proxy)
}

func benchmarkKeepAlive(b *testing.B, p *proxy) {
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	for left := b.N; left > 0; left -= maxRequests {
		c := p.dial()
		exchanges(b, c, []byte(simple), buf, min(left, maxRequests))
		c.Close()
	}
}
