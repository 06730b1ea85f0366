package netns

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// The windows of the checks below, short so that the tests are. By the vendor's
// rule a silent server is down after timeout × unhealthy + interval × (unhealthy-1),
// and one that refuses after interval × (unhealthy-1).
const (
	checkInterval = 100 * time.Millisecond
	checkTimeout  = 400 * time.Millisecond
	unhealthy     = 2
	refusedWindow = checkInterval * (unhealthy - 1)
	silentWindow  = checkTimeout*unhealthy + refusedWindow
)

func check(kind spec.CheckKind) *spec.Check {
	return &spec.Check{Kind: kind, Interval: checkInterval, Timeout: checkTimeout, Healthy: 2, Unhealthy: unhealthy}
}

// answerHTTP answers each connection's first request after a while.
func answerHTTP(after *atomic.Int64) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 512)); err != nil {
			return
		}
		time.Sleep(time.Duration(after.Load()))
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
	}
}

// fillBacklog makes a listening socket that nobody accepts from and that has no
// room left, so that the kernel drops what would connect.
func (w *world) fillBacklog(h *host, port uint16) {
	w.t.Helper()
	var fd int
	var err error
	h.Do(func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(port), Addr: h.v4.As4()}); err == nil {
			err = unix.Listen(fd, 0)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { unix.Close(fd) })
	for range 4 { // one fits
		d := net.Dialer{Timeout: 50 * time.Millisecond}
		if c, err := d.Dial("tcp", netip.AddrPortFrom(h.v4, port).String()); err == nil {
			w.t.Cleanup(func() { c.Close() })
		}
	}
}

// TestFaultsOfServers watches the verdicts on one server through each fault and
// back. Who connects while it is down is reset, as there is no other.
func TestFaultsOfServers(t *testing.T) {
	w := newWorld(t, spec.SourceProxy)
	var pause atomic.Int64 // of the HTTP server's answers
	var port uint16        // of the row under way, on both servers
	up := func(h *host, handle func(net.Conn)) func() { return h.serve(t, h.v4, port, handle) }
	greet := func(name string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, name); _, _ = io.Copy(io.Discard, c) }
	}
	reset := func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }
	for i, row := range []struct {
		name    string
		kind    spec.CheckKind
		healthy func(net.Conn)
		fault   func(kill func()) (end func())
		window  time.Duration
		cause   string // in the log; empty: the fault is none by the kind of check
	}{
		{"killed", spec.CheckTCP, greet("a"), func(kill func()) func() { kill(); return func() { up(w.a, greet("a")) } }, refusedWindow, "connection refused"},
		{"killed, HTTP", spec.CheckHTTP, answerHTTP(&pause), func(kill func()) func() { kill(); return func() { up(w.a, answerHTTP(&pause)) } }, refusedWindow, "connection refused"},
		{"black hole", spec.CheckTCP, greet("a"), func(func()) func() { return w.a.BlackHole() }, silentWindow, "no answer in time"},
		{"link down", spec.CheckTCP, greet("a"), func(func()) func() {
			w.a.Down("eth0")
			return func() { w.a.Up("eth0"); w.a.Default("10.2.0.1") }
		}, refusedWindow, "connect"},
		{"slow", spec.CheckHTTP, answerHTTP(&pause), func(func()) func() {
			pause.Store(int64(3 * checkTimeout))
			return func() { pause.Store(0) }
		}, silentWindow, "no answer in time"},
		{"a little slow", spec.CheckHTTP, answerHTTP(&pause), func(func()) func() {
			pause.Store(int64(checkTimeout / 4))
			return func() { pause.Store(0) }
		}, 0, ""},
		{"resetting, HTTP", spec.CheckHTTP, answerHTTP(&pause), func(kill func()) func() {
			kill()
			end := up(w.a, reset)
			return func() { end(); up(w.a, answerHTTP(&pause)) }
		}, refusedWindow, "reset"},
		{"resetting", spec.CheckTCP, greet("a"), func(kill func()) func() {
			kill()
			end := up(w.a, reset)
			return func() { end(); up(w.a, greet("a")) }
		}, 0, ""}, // the port answers, which is all that the check asks for
		{"backlog full", spec.CheckTCP, greet("a"), func(kill func()) func() {
			kill()
			w.fillBacklog(w.a, port)
			return nil
		}, silentWindow, "no answer in time"},
	} {
		t.Run(row.name, func(t *testing.T) {
			outer := w.t
			w.t = t
			defer func() { w.t = outer }()
			port = uint16(7000 + i)
			server := netip.AddrPortFrom(w.a.v4, port).String()
			kill := up(w.a, row.healthy)
			pool := spec.Pool{ID: row.name, Scheduler: spec.WRR, Check: check(row.kind), Targets: []spec.Target{target("a", w.a.v4, port)}}
			front := tcpFrontend(front4, uint16(200+i), spec.TCPOptions{})
			w.apply(spec.Instance{Frontends: []spec.Frontend{front}, Pools: []spec.Pool{pool}})
			w.eventually("the server is well", func() bool { return w.health("a") == spec.HealthUp })
			changes := w.log.has("target is", server)
			begun := time.Now()
			end := row.fault(kill)
			if end != nil {
				end = sync.OnceFunc(end)
				defer end()
			}
			if row.cause == "" {
				time.Sleep(2 * silentWindow)
				if h := w.health("a"); h != spec.HealthUp || w.log.has("target is", server) != changes {
					t.Errorf("the verdict changed to %d", h)
				}
				end()
				return
			}
			w.eventually("the server is down", func() bool { return w.health("a") == spec.HealthDown })
			// A probe may have been under way when the fault began.
			if took := time.Since(begun); took < row.window-checkInterval-checkTimeout/2 {
				t.Errorf("down after %v, before the window of %v", took, row.window)
			}
			if n := w.log.has("level=WARN", "target is down", server, row.cause); n == 0 {
				t.Errorf("no line about it with %q", row.cause)
			}
			c, err := w.client.dial("tcp", netip.AddrPortFrom(front4, front.ID.Port), 0)
			if err == nil {
				_, err = c.Read(make([]byte, 1))
				c.Close()
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("without a server the client sees %v", err)
			}
			if f := w.facts(front.ID.Port); f.DropConnections != 1 {
				t.Errorf("%d dropped connections", f.DropConnections)
			}
			if end == nil {
				return
			}
			end()
			w.eventually("the server is well again", func() bool { return w.health("a") == spec.HealthUp })
			if n := w.log.has("target is", server); n != changes+2 {
				t.Errorf("%d lines for two changes", n-changes)
			}
		})
	}
}

// A probe of TCP ends by a reset, which the server sees in place of an end.
func TestProbeEndsByReset(t *testing.T) {
	w := newWorld(t, spec.SourceProxy)
	seen := make(chan error, 100)
	w.a.serve(t, w.a.v4, 7000, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		seen <- err
	})
	w.apply(spec.Instance{
		Frontends: []spec.Frontend{tcpFrontend(front4, 101, spec.TCPOptions{})},
		Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Check: check(spec.CheckTCP), Targets: []spec.Target{target("a", w.a.v4, 7000)}}},
	})
	for range 3 {
		if err := <-seen; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server reads %v", err)
		}
	}
}

// UDP checks go by silence: a closed port is told by ICMP, a dead host is not, and
// an expected answer settles both.
func TestSilenceOfUDP(t *testing.T) {
	w := newWorld(t, spec.SourceProxy)
	quiet := func([]byte, netip.AddrPort) []byte { return nil }
	kill := w.a.packets(t, w.a.v4, 7000, quiet)
	w.b.packets(t, w.b.v4, 7000, func(b []byte, _ netip.AddrPort) []byte { return []byte(strings.Replace(string(b), "ping", "pong", 1)) })
	asked := check(spec.CheckUDP)
	asked.Request, asked.Expect = "ping", "pong"
	w.apply(spec.Instance{
		Frontends: []spec.Frontend{udpFrontend(front4, 101, spec.UDPOptions{})},
		Pools: []spec.Pool{
			{ID: "plain", Scheduler: spec.WRR, Check: check(spec.CheckUDP), Targets: []spec.Target{target("a", w.a.v4, 7000), target("c", w.b.v4, 7001)}},
			{ID: "asked", Scheduler: spec.WRR, Check: asked, Targets: []spec.Target{target("b", w.b.v4, 7000), target("d", w.a.v4, 7000)}},
		},
	})
	health := func(id string, h spec.Health) func() bool { return func() bool { return w.health(id) == h } }
	w.eventually("silence is well", health("a", spec.HealthUp))
	w.eventually("a closed port is not", health("c", spec.HealthDown))
	w.eventually("the expected answer is well", health("b", spec.HealthUp))
	w.eventually("silence in place of it is not", health("d", spec.HealthDown))
	end := w.b.BlackHole()
	w.eventually("a dead host gives no expected answer", health("b", spec.HealthDown))
	w.eventually("a dead host is silent, hence well", health("c", spec.HealthUp))
	end()
	kill()
	w.eventually("its port is closed", health("a", spec.HealthDown))
}

// ICMP about the datagrams of a flow says nothing about health, and does not
// end the flow.
func TestUnreachableFlow(t *testing.T) {
	for _, mode := range []spec.SourceMode{spec.SourceProxy, spec.SourceTransparent} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, mode)
			w.a.serve(t, w.a.v4, 7001, func(net.Conn) {})
			c := check(spec.CheckTCP)
			c.Port = 7001
			w.apply(spec.Instance{
				Frontends: []spec.Frontend{udpFrontend(front4, 101, spec.UDPOptions{})},
				Pools:     []spec.Pool{{ID: "p", Scheduler: spec.WRR, Check: c, Targets: []spec.Target{target("a", w.a.v4, 7000)}}},
			})
			w.eventually("the server is well", func() bool { return w.health("a") == spec.HealthUp })
			flow := w.client.mustDial(t, "udp", netip.AddrPortFrom(front4, 101), 0)
			for range 20 {
				if _, err := flow.Write([]byte{'?'}); err != nil {
					t.Fatal(err) // the client is not to be told
				}
				time.Sleep(10 * time.Millisecond)
			}
			if h := w.health("a"); h != spec.HealthUp || w.log.has("target is down") > 0 {
				t.Errorf("the server is %d", h)
			}
			w.a.packets(t, w.a.v4, 7000, tellSender(false))
			source, _ := ask(t, flow)
			if (source == flow.LocalAddr().String()) != (mode == spec.SourceTransparent) {
				t.Errorf("the server sees %s", source)
			}
			if f := w.facts(101); f.NewConnections != 1 || f.ActiveConnections != 1 {
				t.Errorf("%d flows begun, %d there", f.NewConnections, f.ActiveConnections)
			}
		})
	}
}
