package netns

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	peer "github.com/pires/go-proxyproto"
	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// reuseAddress lets several connections have one port, towards different servers.
func reuseAddress(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
}

// tellPeer is a server that says whom it sees, by address and, if there is one,
// by a PROXY header.
func tellPeer(proxied bool) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		header := "none"
		if proxied {
			h, err := peer.Read(r)
			if err != nil {
				header = err.Error()
			} else {
				header = h.SourceAddr.String()
			}
		}
		if _, err := r.ReadByte(); err != nil {
			return
		}
		fmt.Fprintf(c, "%s %s\n", c.RemoteAddr(), header)
		_, _ = io.Copy(io.Discard, r)
	}
}

// tellSender is the same for datagrams.
func tellSender(proxied bool) func([]byte, netip.AddrPort) []byte {
	return func(b []byte, from netip.AddrPort) []byte {
		header := "none"
		if proxied {
			h, err := peer.Read(bufio.NewReader(bytes.NewReader(b)))
			if err != nil {
				header = err.Error()
			} else {
				header = h.SourceAddr.String()
			}
		}
		return fmt.Appendf(nil, "%s %s\n", from, header)
	}
}

// ask sends a byte and reads what the server saw.
func ask(t *testing.T, c net.Conn) (source, header string) {
	t.Helper()
	if _, err := c.Write([]byte{'?'}); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("no answer to %s: %v", c.LocalAddr(), err)
	}
	source, header, _ = strings.Cut(strings.TrimSpace(line), " ")
	return source, header
}

func TestWhatServersSee(t *testing.T) {
	const (
		client = "client" // its address and port
		node   = "node"   // the balancer's
	)
	rows := []struct {
		name           string
		mode           spec.SourceMode
		front6, back6  bool // IPv6
		proxied        bool
		source, header string
	}{
		{"proxy mode", spec.SourceProxy, false, false, false, node, "none"},
		{"proxy mode with IPv6", spec.SourceProxy, true, true, false, node, "none"},
		{"proxy mode with PROXY header", spec.SourceProxy, false, false, true, node, client},
		{"transparent", spec.SourceTransparent, false, false, false, client, "none"},
		{"transparent with IPv6", spec.SourceTransparent, true, true, false, client, "none"},
		{"transparent with PROXY header", spec.SourceTransparent, false, false, true, client, client},
		{"transparent from IPv6 to IPv4", spec.SourceTransparent, true, false, false, node, "none"},
		{"transparent from IPv6 to IPv4 with PROXY header", spec.SourceTransparent, true, false, true, node, client},
		{"transparent from IPv4 to IPv6", spec.SourceTransparent, false, true, false, node, "none"},
		{"auto with rights", spec.SourceAuto, false, false, false, client, "none"},
	}
	for _, mode := range []spec.SourceMode{spec.SourceProxy, spec.SourceTransparent, spec.SourceAuto} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, mode)
			const plain, headed = 7000, 7001 // ports of the servers
			for _, ip := range []netip.Addr{w.a.v4, w.a.v6} {
				w.a.serve(t, ip, plain, tellPeer(false))
				w.a.serve(t, ip, headed, tellPeer(true))
				w.a.packets(t, ip, plain, tellSender(false))
				w.a.packets(t, ip, headed, tellSender(true))
			}
			var instance spec.Instance
			for i, row := range rows {
				if row.mode != mode {
					continue
				}
				front, back, port := front4, w.a.v4, uint16(plain)
				if row.front6 {
					front = front6
				}
				if row.back6 {
					back = w.a.v6
				}
				if row.proxied {
					port = headed
				}
				pool := spec.Pool{ID: row.name, Scheduler: spec.WRR, Targets: []spec.Target{target("a", back, port)}}
				tcp := tcpFrontend(front, uint16(100+i), spec.TCPOptions{ProxyProtocol: row.proxied})
				udp := udpFrontend(front, uint16(100+i), spec.UDPOptions{ProxyProtocol: row.proxied})
				tcp.Pool, udp.Pool = pool.ID, pool.ID
				instance.Pools = append(instance.Pools, pool)
				instance.Frontends = append(instance.Frontends, tcp, udp)
			}
			w.apply(instance)
			for i, row := range rows {
				if row.mode != mode {
					continue
				}
				front := netip.AddrPortFrom(front4, uint16(100+i))
				if row.front6 {
					front = netip.AddrPortFrom(front6, uint16(100+i))
				}
				for _, network := range []string{"tcp", "udp"} {
					c := w.client.mustDial(t, network, front, 0)
					source, header := ask(t, c)
					names := map[string]string{c.LocalAddr().String(): client, "none": "none"}
					for _, own := range []string{"10.2.0.1:", "[fd00:2::1]:"} {
						if strings.HasPrefix(source, own) {
							names[source] = node
						}
					}
					if names[source] != row.source || names[header] != row.header {
						t.Errorf("%s, %s: the client is %s, the server sees %s and in the header %s", row.name, network, c.LocalAddr(), source, header)
					}
				}
			}
			for _, f := range w.engine.FrontendFacts() {
				if f.SourceFallbacks != 0 {
					t.Errorf("%s: %d fallbacks", f.ID.Protocol, f.SourceFallbacks)
				}
			}
		})
	}
}

// A client that uses one port towards two listeners, which both send it to one
// server, is served twice: the second time from the node's address.
func TestClientPortInUse(t *testing.T) {
	w := newWorld(t, spec.SourceTransparent)
	w.a.serve(t, w.a.v4, 7000, tellPeer(false))
	w.a.packets(t, w.a.v4, 7000, tellSender(false))
	w.b.serve(t, w.b.v4, 7000, tellPeer(false))
	instance := spec.Instance{Pools: []spec.Pool{
		{ID: "a", Scheduler: spec.WRR, Targets: []spec.Target{target("a", w.a.v4, 7000)}},
		{ID: "b", Scheduler: spec.WRR, Targets: []spec.Target{target("b", w.b.v4, 7000)}},
	}}
	for port, pool := range map[uint16]string{101: "a", 102: "a", 103: "b"} {
		tcp, udp := tcpFrontend(front4, port, spec.TCPOptions{}), udpFrontend(front4, port, spec.UDPOptions{})
		tcp.Pool, udp.Pool = pool, "a"
		instance.Frontends = append(instance.Frontends, tcp, udp)
	}
	w.apply(instance)
	fallbacks := func() (n uint64) {
		for _, f := range w.engine.FrontendFacts() {
			n += f.SourceFallbacks
		}
		return n
	}
	const own = "10.1.0.2:6000"
	for i, want := range []string{own, "10.2.0.1:", own} { // the third is to another server
		if source, _ := ask(t, w.client.mustDial(t, "tcp", netip.AddrPortFrom(front4, uint16(101+i)), 6000)); !strings.HasPrefix(source, want) {
			t.Errorf("connection %d: the server sees %s, want %s", i, source, want)
		}
	}
	if n := fallbacks(); n != 1 {
		t.Errorf("%d fallbacks of TCP, want 1", n)
	}
	var c *net.UDPConn
	var err error
	w.client.Do(func() { c, err = net.ListenUDP("udp", &net.UDPAddr{IP: w.client.v4.AsSlice(), Port: 6000}) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, want := range []string{own, "10.2.0.1:"} {
		to := netip.AddrPortFrom(front4, uint16(101+i))
		if _, err := c.WriteToUDPAddrPort([]byte{'?'}, to); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if from != to || !strings.HasPrefix(string(buf[:n]), want) {
			t.Errorf("flow %d: %s answers %q, want %s", i, from, buf[:n], want)
		}
	}
	if n := fallbacks(); n != 2 {
		t.Errorf("%d fallbacks of both, want 2", n)
	}
}

// Probes come from the node, or from the address it is told, in every mode.
func TestWhereProbesComeFrom(t *testing.T) {
	for source, want := range map[netip.Addr]string{{}: "10.2.0.1", front4: front4.String()} {
		var sources []netip.Addr
		if source.IsValid() {
			sources = append(sources, source)
		}
		t.Run(want, func(t *testing.T) {
			w := newWorld(t, spec.SourceTransparent, sources...)
			seen := make(chan string, 100)
			w.a.serve(t, w.a.v4, 7000, func(c net.Conn) { seen <- c.RemoteAddr().(*net.TCPAddr).IP.String() })
			w.apply(spec.Instance{
				Frontends: []spec.Frontend{tcpFrontend(front4, 101, spec.TCPOptions{})},
				Pools: []spec.Pool{{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{target("a", w.a.v4, 7000)},
					Check: &spec.Check{Kind: spec.CheckTCP, Interval: 50 * time.Millisecond, Timeout: patience}}},
			})
			w.eventually("the server is well", func() bool { return w.health("a") == spec.HealthUp })
			if got := <-seen; got != want {
				t.Errorf("the probe comes from %s, want %s", got, want)
			}
		})
	}
}
