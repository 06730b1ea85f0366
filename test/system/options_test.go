package system

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// proxySignature begins a PROXY header of version 2.
var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// option is one listener of layer 4 with one setting, in front of two servers of
// weights 75 and 25.
type option struct {
	*balancer
	t       *testing.T
	addr    netip.AddrPort
	servers []string
}

// TestOptionsOfLayer4 sets each option of TCP and UDP listeners through the API
// and looks for its effect in the traffic. Checks, groups, access control and
// half-closed streams have tests of their own.
func TestOptionsOfLayer4(t *testing.T) {
	testutil.NoLeaks(t)
	echo := testutil.EchoServers(t, ids("i-opt", 2)...)
	datagrams := namedDatagrams(t, echo)
	c := startNode(t)
	c.register(echo...)
	t.Run("all", func(t *testing.T) { // ends when all of the parallel ones have
		for i, row := range []struct {
			name, kind string
			args       []any
			check      func(o *option)
		}{
			{"Scheduler wrr", "TCP", []any{"Scheduler", "wrr"}, func(o *option) { o.shares(o.tcp, 15, 5) }},
			{"Scheduler rr", "TCP", []any{"Scheduler", "rr"}, func(o *option) { o.shares(o.tcp, 10, 10) }},
			{"Scheduler wlc", "TCP", []any{"Scheduler", "wlc"}, (*option).leastLoaded},
			{"Scheduler sch", "TCP", []any{"Scheduler", "sch"}, func(o *option) { o.oneEach(o.tcp) }},
			{"Scheduler tch", "TCP", []any{"Scheduler", "tch"}, func(o *option) { o.both(o.tcp) }},
			{"PersistenceTimeout", "TCP", []any{"PersistenceTimeout", 60}, func(o *option) { o.oneEach(o.tcp) }},
			{"ProxyProtocolV2Enabled", "TCP", []any{"ProxyProtocolV2Enabled", true}, (*option).header},
			{"EstablishedTimeout", "TCP", []any{"EstablishedTimeout", 10}, func(o *option) { o.ends(false, 9*time.Second) }},
			{"ConnectionDrain", "TCP", []any{"ConnectionDrain", "on", "ConnectionDrainTimeout", 10}, func(o *option) { o.ends(true, 9*time.Second) }},
			{"MaxConnection", "TCP", []any{"MaxConnection", 2}, (*option).atMostTwo},
			{"Bandwidth", "TCP", []any{"Bandwidth", 2}, (*option).slow},

			{"Scheduler wrr", "UDP", []any{"Scheduler", "wrr"}, func(o *option) { o.shares(o.udp, 15, 5) }},
			{"Scheduler rr", "UDP", []any{"Scheduler", "rr"}, func(o *option) { o.shares(o.udp, 10, 10) }},
			{"Scheduler sch", "UDP", []any{"Scheduler", "sch"}, func(o *option) { o.oneEach(o.udp) }},
			{"Scheduler tch", "UDP", []any{"Scheduler", "tch"}, func(o *option) { o.both(o.udp) }},
			{"Scheduler qch", "UDP", []any{"Scheduler", "qch"}, (*option).connectionIDs},
			{"PersistenceTimeout", "UDP", []any{"PersistenceTimeout", 60}, func(o *option) { o.oneEach(o.udp) }},
			{"ProxyProtocolV2Enabled", "UDP", []any{"ProxyProtocolV2Enabled", true}, (*option).datagramHeader},
		} {
			t.Run(row.kind+" "+row.name, func(t *testing.T) {
				t.Parallel()
				b := c.balancer(fmt.Sprintf("option-%d", i))
				b.add(entry{echo[0].ID, 75}, entry{echo[1].ID, 25})
				port := echo[0].Addr().Port()
				if row.kind == "UDP" {
					port = datagrams
				}
				args := []any{"LoadBalancerId", b.id, "ListenerPort", 7000, "BackendServerPort", port, "HealthCheckSwitch", "off"}
				b.call("CreateLoadBalancer"+row.kind+"Listener", append(args, row.args...)...)
				b.call("StartLoadBalancerListener", "LoadBalancerId", b.id, "ListenerPort", 7000)
				row.check(&option{b, t, b.address(7000), []string{echo[0].ID, echo[1].ID}})
			})
		}
	})
}

// namedDatagrams has the hosts answer datagrams by their ID, a line feed and what
// came, on one port for all.
func namedDatagrams(t *testing.T, hosts []*testutil.Server) (port uint16) {
	t.Helper()
	for _, h := range hosts {
		pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.Addr().Addr(), port)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
		port = pc.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		go func() {
			buf := make([]byte, 2048)
			for {
				n, from, err := pc.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				_, _ = pc.WriteToUDPAddrPort(append([]byte(h.ID+"\n"), buf[:n]...), from) // a lost answer shows at the client
			}
		}()
	}
	return port
}

// connect opens a connection from an address and tells the server that greets.
func (o *option) connect(from string) (*net.TCPConn, string) {
	o.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 20 * time.Second}
	c, err := d.Dial("tcp", o.addr.String())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	var name []byte
	for one := make([]byte, 1); ; name = append(name, one[0]) {
		if _, err := io.ReadFull(c, one); err != nil {
			o.t.Fatalf("greeting: %v", err)
		}
		if one[0] == '\n' {
			return c.(*net.TCPConn), string(name)
		}
	}
}

func (o *option) tcp(from string) string {
	o.t.Helper()
	c, server := o.connect(from)
	c.Close()
	return server
}

// ask sends a datagram from a new port and gives the answer's two parts. The port
// stays taken: one that is given out again would belong to a flow that has its
// server.
func (o *option) ask(from, text string) (server, echoed string) {
	o.t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("udp", o.addr.String())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		o.t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil {
		o.t.Fatal(err)
	}
	server, echoed, _ = strings.Cut(string(buf[:n]), "\n")
	return server, echoed
}

func (o *option) udp(from string) string {
	o.t.Helper()
	server, _ := o.ask(from, "x")
	return server
}

// shares wants so many of twenty for each server.
func (o *option) shares(try func(from string) string, want ...int) {
	o.t.Helper()
	got := map[string]int{}
	for range 20 {
		got[try("127.0.0.1")]++
	}
	// Each loop walks the same sequence, so that there is no rounding.
	if got[o.servers[0]] != want[0] || got[o.servers[1]] != want[1] {
		o.t.Errorf("shares %v, want %v", got, want)
	}
}

// oneEach wants that a client stays with its server and that not all have one.
func (o *option) oneEach(try func(from string) string) {
	o.t.Helper()
	seen := map[string]bool{}
	for i := 0; i < few || i < many && len(seen) < 2; i++ {
		from := fmt.Sprintf("127.0.0.%d", i+1)
		first := try(from)
		seen[first] = true
		for range 3 {
			if next := try(from); next != first {
				o.t.Errorf("%s comes to %s, then to %s", from, first, next)
			}
		}
	}
	if len(seen) != 2 {
		o.t.Errorf("all clients came to %v", seen)
	}
}

// A hash sends a few clients to one server of two at times, a quarter of them
// being the share of the other, and many never.
const few, many = 16, 100

// both wants that one client's flows come to both servers.
func (o *option) both(try func(from string) string) {
	o.t.Helper()
	seen := map[string]bool{}
	for range 64 {
		seen[try("127.0.0.1")] = true
	}
	if len(seen) != 2 {
		o.t.Errorf("flows of one client came to %v", seen)
	}
}

// leastLoaded wants open connections in proportion to the weights, however
// unevenly they were closed.
func (o *option) leastLoaded() {
	open := map[string]int{}
	for range 20 {
		_, server := o.connect("127.0.0.1")
		open[server]++
	}
	if open[o.servers[0]] != 15 {
		o.t.Errorf("open %v, want 15 and 5", open)
	}
}

func (o *option) header() {
	c, _ := o.connect("127.0.0.1")
	got := make([]byte, 28)
	if _, err := io.ReadFull(c, got); err != nil {
		o.t.Fatal(err)
	}
	o.checkHeader(got)
}

func (o *option) datagramHeader() {
	for range 2 {
		if _, echoed := o.ask("127.0.0.1", "text"); len(echoed) != 32 || echoed[28:] != "text" {
			o.t.Errorf("the server got %q", echoed)
		} else {
			o.checkHeader([]byte(echoed[:28]))
		}
	}
}

func (o *option) checkHeader(h []byte) {
	o.t.Helper()
	client, front := [4]byte{127, 0, 0, 1}, o.addr.Addr().As4()
	if !bytes.HasPrefix(h, proxySignature) || !bytes.Equal(h[16:20], client[:]) || !bytes.Equal(h[20:24], front[:]) {
		o.t.Errorf("header %x", h)
	}
}

// ends wants a quiet connection to be reset after some time, but for drain only
// once its server has left.
func (o *option) ends(drain bool, least time.Duration) {
	c, server := o.connect("127.0.0.1")
	if drain {
		o.call("RemoveBackendServers", "LoadBalancerId", o.id, "BackendServers", list(entry{server, 0}))
	}
	began := time.Now()
	c.SetReadDeadline(began.Add(60 * time.Second))
	_, err := c.Read(make([]byte, 1))
	if took := time.Since(began); !errors.Is(err, syscall.ECONNRESET) || took < least {
		o.t.Errorf("%v after %v", err, took)
	}
}

func (o *option) atMostTwo() {
	o.connect("127.0.0.1")
	o.connect("127.0.0.1")
	c, err := net.Dial("tcp", o.addr.String())
	if err != nil {
		return // a reset may be as quick as that
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, syscall.ECONNRESET) {
		o.t.Errorf("the third of two: %d bytes, %v", n, err)
	}
}

// slow wants what comes back to take its time: 2 Mbit/s are 250 kB a second.
func (o *option) slow() {
	c, _ := o.connect("127.0.0.1")
	const size = 600 << 10
	go func() { _, _ = c.Write(make([]byte, size)) }()
	began := time.Now()
	if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
		o.t.Fatal(err)
	}
	if took := time.Since(began); took < 1500*time.Millisecond {
		o.t.Errorf("%d bytes in %v", size, took)
	}
}

// connectionIDs wants that a QUIC connection ID alone decides.
func (o *option) connectionIDs() {
	seen := map[string]bool{}
	for id := 0; id < few || id < many && len(seen) < 2; id++ {
		packet := fmt.Sprintf("\x40%08dpayload", id)
		first, _ := o.ask("127.0.0.1", packet)
		seen[first] = true
		for i := range 3 { // the client moves
			if next, _ := o.ask(fmt.Sprintf("127.0.0.%d", i+2), packet); next != first {
				o.t.Errorf("connection %d comes to %s, then to %s", id, first, next)
			}
		}
	}
	if len(seen) != 2 {
		o.t.Errorf("all connections came to %v", seen)
	}
}
