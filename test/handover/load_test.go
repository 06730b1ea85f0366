package handover

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/testutil"
)

// load is clients of every kind. Each fault that one sees fails the test.
type load struct {
	*world
	streams *testutil.Load // keep-alive HTTP and long TCP connections
	stop    chan struct{}
	clients sync.WaitGroup
	kinds   []*kind
}

// kind is clients that do the same.
type kind struct {
	name string
	done atomic.Int64
}

func (w *world) load(ip netip.Addr, id string) *load {
	w.t.Helper()
	l := &load{world: w, streams: testutil.StartLoad(w.t), stop: make(chan struct{})}
	w.t.Cleanup(l.end)
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(ip, port) }
	l.streams.HTTP(at(httpPort), 6, 3*time.Millisecond)
	l.streams.Echo(at(tcpPort), 6, 5*time.Millisecond)
	l.keep("new TCP connections", 3, func() (func() error, func() error) { return newConnections(at(tcpPort)), func() error { return nil } })
	l.keep("persistence", 1, func() (func() error, func() error) { return persistent(at(stickyPort)), func() error { return nil } })
	l.keep("HTTPS", 2, func() (func() error, func() error) { return secure(at(httpsPort)) })
	l.keep("HTTP/2", 2, func() (func() error, func() error) { return multiplexed(at(httpsPort)) })
	l.keep("chunks", 1, func() (func() error, func() error) {
		return streamed(w.t, &http.Client{Transport: new(http.Transport)}, "http://"+at(socketPort).String()+"/stream", 1)
	})
	l.keep("HTTP/2 stream", 1, func() (func() error, func() error) {
		return streamed(w.t, http2Client(), "https://"+at(streamPort).String()+"/stream", 2)
	})
	l.talk("WebSocket", 2, func() (*talk, error) { return socket(at(socketPort), false) })
	l.talk("WebSocket over TLS", 1, func() (*talk, error) { return socket(at(streamPort), true) })
	calls, err := newCallers(at(grpcPort))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { calls.Close() })
	l.talk("gRPC", 2, calls.call)
	l.keep("UDP", 4, func() (func() error, func() error) { return flow(w.t, at(udpPort)) })
	l.keep("API calls on new connections", 1, func() (func() error, func() error) {
		api := w.api
		api.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		return w.calls(api, id), func() error { api.HTTP.CloseIdleConnections(); return nil }
	})
	l.keep("API calls on kept connections", 2, func() (func() error, func() error) {
		api := w.api
		api.HTTP = &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: patience}
		return w.calls(api, id), func() error { api.HTTP.CloseIdleConnections(); return nil }
	})
	return l
}

// talk has n conversations until the end.
func (l *load) talk(name string, n int, begin func() (*talk, error)) {
	l.keep(name, n, func() (func() error, func() error) {
		s, err := begin()
		if err != nil {
			l.t.Fatal(err)
		}
		return s.work, s.end
	})
}

// keep has n clients work until the end.
func (l *load) keep(name string, n int, begin func() (work, end func() error)) {
	k := &kind{name: name}
	l.kinds = append(l.kinds, k)
	for range n {
		work, end := begin()
		l.clients.Go(func() {
			for {
				select {
				case <-l.stop:
					if err := end(); err != nil && !l.t.Failed() {
						l.t.Errorf("%s at the end: %v", name, err)
					}
					return
				case <-time.After(2 * time.Millisecond):
				}
				if err := work(); err != nil {
					_ = end() // it has a fault already
					l.t.Errorf("%s %s: %v", time.Now().Format("15:04:05.000"), name, err)
					return
				}
				k.done.Add(1)
			}
		})
	}
}

// goesOn waits until clients of every kind have done some more, all of which has
// begun after the call.
func (l *load) goesOn() {
	l.t.Helper()
	before, streams := make([]int64, len(l.kinds)), l.streams.Requests()
	for i, k := range l.kinds {
		before[i] = k.done.Load()
	}
	for i, k := range l.kinds {
		testutil.Eventually(l.t, patience, k.name+" to go on", func() bool { return k.done.Load() >= before[i]+12 || l.t.Failed() })
	}
	testutil.Eventually(l.t, patience, "streams to go on", func() bool { return l.streams.Requests() >= streams+100 })
	if n, faults := l.streams.Faults(); n > 0 {
		l.t.Errorf("%d faults: %v", n, faults)
	}
	if l.t.Failed() {
		l.t.FailNow()
	}
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.streams.Stop()
	l.clients.Wait()
}

func newConnections(at netip.AddrPort) func() error {
	return func() error {
		c, err := testutil.DialEcho(at)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Echo("hello")
	}
}

// persistent connects again and again and must come to one server.
func persistent(at netip.AddrPort) func() error {
	server := ""
	return func() error {
		c, err := testutil.DialEcho(at)
		if err != nil {
			return err
		}
		c.Close()
		if server == "" {
			server = c.ServerID
		}
		if server != c.ServerID {
			return fmt.Errorf("moved from %s to %s", server, c.ServerID)
		}
		return nil
	}
}

// secure makes requests on connections that last as long as the balancer lets
// them. All connections but the first resume its session.
func secure(at netip.AddrPort) (func() error, func() error) {
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "test", ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	var c *tls.Conn
	var r *bufio.Reader
	known := false
	work := func() error {
		if c == nil {
			var err error
			if c, err = tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", at.String(), config); err != nil {
				return err
			}
			r = bufio.NewReader(c)
			if known && !c.ConnectionState().DidResume {
				return fmt.Errorf("the session was not resumed")
			}
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
			return err
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		known = true
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", answer.Status)
		}
		if answer.Close {
			c.Close()
			c = nil
		}
		return nil
	}
	return work, func() error {
		if c != nil {
			c.Close()
		}
		return nil
	}
}

func http2Client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "test"}, ForceAttemptHTTP2: true}}
}

// multiplexed makes requests on one connection, or on another when the balancer
// says so. The client sends a request anew if and only if the balancer has said
// that it did not take it up.
func multiplexed(at netip.AddrPort) (func() error, func() error) {
	c := http2Client()
	return func() error {
		r, err := http.NewRequest(http.MethodPost, "https://"+at.String()+"/", strings.NewReader("some text"))
		if err != nil {
			return err
		}
		answer, err := c.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
			return fmt.Errorf("%s %s", answer.Proto, answer.Status)
		}
		return nil
	}, func() error { c.CloseIdleConnections(); return nil }
}

// flow sends datagrams one after the other. Each must be answered, by the server
// that answered the first and on the port that it had there.
func flow(t *testing.T, at netip.AddrPort) (func() error, func() error) {
	t.Helper()
	c, err := net.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 200)
	n, first := 0, ""
	return func() error {
		n++
		if _, err := fmt.Fprint(c, n); err != nil {
			return err
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		k, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("datagram %d is lost: %w", n, err)
		}
		var number int
		var server, port string
		if _, err := fmt.Sscan(string(buf[:k]), &number, &server, &port); err != nil || number != n {
			return fmt.Errorf("%q as answer to %d", buf[:k], n)
		}
		if first == "" {
			first = server + " " + port
		}
		if where := server + " " + port; where != first {
			return fmt.Errorf("the flow moved from %s to %s", first, where)
		}
		return nil
	}, c.Close
}

// calls writes a name and reads it back.
func (w *world) calls(api client.Client, id string) func() error {
	var n atomic.Int64
	var own struct {
		LoadBalancerID string `json:"LoadBalancerId"`
	}
	w.call("CreateLoadBalancer", &own)
	return func() error {
		name := fmt.Sprintf("name-%d", n.Add(1))
		if err := w.try(api, "SetLoadBalancerName", nil, "LoadBalancerId", own.LoadBalancerID, "LoadBalancerName", name); err != nil {
			return err
		}
		var out struct{ LoadBalancerName string }
		if err := w.try(api, "DescribeLoadBalancerAttribute", &out, "LoadBalancerId", own.LoadBalancerID); err != nil {
			return err
		}
		if out.LoadBalancerName != name {
			return fmt.Errorf("the name is %s, and %s was acknowledged", out.LoadBalancerName, name)
		}
		// A change that traffic has to follow.
		return w.try(api, "SetLoadBalancerTCPListenerAttribute", nil, "LoadBalancerId", id, "ListenerPort", tcpPort, "Description", name)
	}
}
