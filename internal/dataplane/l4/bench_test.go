package l4

import (
	"cmp"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
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

// BenchmarkUDP moves datagrams there and back in windows, of one flow or of
// many; the other ends are raw sockets that receive and send in batches, so that
// most of the time is the relay's. The processor's time is that of all three.
func BenchmarkUDP(b *testing.B) {
	for _, c := range []struct {
		name    string
		flows   int
		window  int
		proxied bool
		limited bool
		size    int // of a datagram; 0: 64
	}{
		{"one flow, one at a time", 1, 1, false, false, 0},
		{"one flow, 32 at a time", 1, 32, false, false, 0},
		{"one flow, 32 of 1200 bytes at a time", 1, 32, false, false, 1200},
		{"1000 flows, 32 at a time", 1000, 32, false, false, 0},
		{"1000 flows, 32 at a time, PROXY header", 1000, 32, true, false, 0},
		{"1000 flows, 32 at a time, bandwidth", 1000, 32, false, true, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			back, err := sock.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"), 1)
			if err != nil {
				b.Fatal(err)
			}
			defer back.Close()
			f := udpFrontend(spec.UDPOptions{ProxyProtocol: c.proxied})
			i := limitsOf(spec.Limits{}, f)
			if c.limited {
				f.Bandwidth = 1 << 40
				i.Update(&spec.Instance{Limits: spec.Limits{Bandwidth: 1 << 41}, Frontends: []spec.Frontend{f}})
			}
			u, err := newEngine(b, Options{Loops: 1}).NewUDP(f, pool.NewStatic(target("a", back.Addr)), i.Frontend(f.ID))
			if err != nil {
				b.Fatal(err)
			}
			clients := make([]int, c.flows)
			for i := range clients {
				if clients[i], err = sock.DatagramSocket(false); err != nil {
					b.Fatal(err)
				}
				defer sock.Close(clients[i])
			}
			in, out := sock.NewBatch(32), sock.NewOutgoing(32)
			to, body := sock.NameOf(u.Addr()), make([]byte, cmp.Or(c.size, 64))
			failed := func(_ int, errno syscall.Errno) { b.Error(errno) }
			wait := func(fd int) {
				p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
				if n, err := unix.Poll(p[:], 5000); n == 0 && err == nil {
					b.Fatal("lost")
				}
			}
			next := 0
			round := func() {
				first := next
				for range c.window {
					out.Add(&to, nil, body)
					if c.flows > 1 {
						out.Send(clients[next%c.flows], failed)
					}
					next++
				}
				out.Send(clients[first%c.flows], failed)
				for got := 0; got < c.window; {
					n, errno := in.Receive(back.FDs[0], 0)
					if errno != 0 {
						wait(back.FDs[0])
						continue
					}
					for i := range n {
						out.Add(in.From(i), nil, body)
					}
					out.Send(back.FDs[0], failed)
					got += n
				}
				for got := 0; got < c.window; {
					fd := clients[(first+got)%c.flows]
					n, errno := in.Receive(fd, 0)
					if errno != 0 {
						wait(fd)
						continue
					}
					got += n
				}
			}
			for next < c.flows {
				round()
			}
			b.ReportAllocs()
			b.ResetTimer()
			done, used := 0, cpuTime()
			for ; done < b.N; done += c.window {
				round()
			}
			b.ReportMetric(float64((cpuTime()-used).Nanoseconds())/float64(done), "cpu-ns/op")
		})
	}
}

// cpuTime is that of the process: on a busy machine it says more than the clock.
func cpuTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkUDPNewFlow is the cost of a flow's beginning and end with one
// exchange.
func BenchmarkUDPNewFlow(b *testing.B) {
	u := listenUDP(b, newEngine(b, Options{Loops: 1}), spec.UDPOptions{}, pool.NewStatic())
	p := u.ports[0]
	s := u.now.Load()
	one := pool.NewStatic(target("a", netip.MustParseAddrPort("127.0.0.1:9")), target("b", netip.MustParseAddrPort("127.0.0.1:10")))
	s = &settings{pool: one, listen: s.listen, idle: s.idle}
	name := sock.NameOf(netip.MustParseAddrPort("127.0.0.1:1"))
	b.ReportAllocs()
	p.worker.loop.Do(func() {
		n := 0
		for b.Loop() {
			n++
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 16), byte(n >> 8)}), uint16(n))
			if f := p.begin(s, client, &name, nil, int64(n)*int64(time.Second)); f != nil {
				f.end()
			}
		}
	})
}
