package system

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/openslb/openslb/internal/testutil"
	"github.com/openslb/openslb/internal/testutil/grpctest"
	"github.com/openslb/openslb/internal/testutil/wstest"
)

// beat is how often a stream carries something.
const beat = 50 * time.Millisecond

// streamServer is a server of what lasts: /stream counts without an end, /ws
// switches to WebSocket and sends every message back, all else is a short answer.
func streamServer(t testing.TB) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	ctx, end := context.WithCancel(context.Background())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stream":
			for n := 0; ; n++ {
				if _, err := fmt.Fprintf(w, "%d\n", n); err != nil {
					return
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-r.Context().Done():
					return
				case <-time.After(beat):
				}
			}
		case "/ws":
			_ = wstest.Answer(w, r)
		default:
			io.WriteString(w, "short")
		}
	})}
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		end()
		server.Close()
		serving.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// grpcServer is a server of gRPC that sends every message back.
func grpcServer(t testing.TB) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	grpctest.Serve(t, l, grpctest.Echo)
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// live is traffic that lasts, and remembers every fault. Its clients see
// everything through: when they are told to stop they finish the exchange that
// they are in, and end their connections as their protocols want it. Those that
// follow an answer without an end leave in the midst of it.
type live struct {
	ctx   context.Context // ends when clients have to stop
	end   context.CancelFunc
	limit context.Context // ends what does not stop
	cut   context.CancelFunc
	all   sync.WaitGroup

	mu      sync.Mutex
	clients []*liveClient              // guarded by mu
	faults  []string                   // guarded by mu
	made    map[netip.AddrPort]*volume // guarded by mu
}

// liveClient is one client. Each beat is something that went well.
type liveClient struct {
	name  string
	beats atomic.Int64
}

// volume is what clients have asked of one listener: requests, and those of them
// for WebSocket connections.
type volume struct{ connections, requests, sockets atomic.Int64 }

func startLive(t testing.TB) *live {
	l := &live{made: map[netip.AddrPort]*volume{}}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.limit, l.cut = context.WithCancel(context.Background())
	t.Cleanup(l.stop)
	return l
}

// stop ends all clients. It may be called again.
func (l *live) stop() {
	l.end()
	late := time.AfterFunc(30*time.Second, l.cut)
	defer late.Stop()
	l.all.Wait()
	l.cut()
}

func (l *live) seen() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.faults...)
}

func (l *live) fault(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf("%s: %v", name, err))
}

// volume of a listener, so far.
func (l *live) volume(addr netip.AddrPort) *volume {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made[addr] == nil {
		l.made[addr] = new(volume)
	}
	return l.made[addr]
}

// account sums up what has been asked of a listener with one server.
func (l *live) account(addr netip.AddrPort, protocol, server string) account {
	v := l.volume(addr)
	n, sockets := v.requests.Load(), v.sockets.Load()
	return account{
		protocol: protocol, connections: v.connections.Load(), requests: n,
		statuses: map[string]int64{"101": sockets, "200": n - sockets}, served: map[string]int64{server: n},
	}
}

// run starts n clients of a kind and returns when each has begun. Each calls beat
// once for everything that went well, and returns what was not as it should be.
func (l *live) run(kind string, n int, client func(beat func()) error) {
	var open sync.WaitGroup
	for i := range n {
		c := &liveClient{name: fmt.Sprintf("%s %d", kind, i)}
		l.mu.Lock()
		l.clients = append(l.clients, c)
		l.mu.Unlock()
		open.Add(1)
		l.all.Go(func() {
			begun := sync.OnceFunc(open.Done)
			defer begun()
			err := client(func() {
				c.beats.Add(1)
				begun()
			})
			if err == nil && l.ctx.Err() == nil {
				err = errors.New("ends too early")
			}
			if err != nil {
				l.fault(c.name, err)
			}
		})
	}
	open.Wait()
}

// goesOn waits until each client has done some more.
func (l *live) goesOn(t testing.TB) {
	t.Helper()
	before := map[*liveClient]int64{}
	for _, c := range l.clients {
		before[c] = c.beats.Load()
	}
	for _, c := range l.clients {
		testutil.Eventually(t, 30*time.Second, c.name+" goes on", func() bool { return c.beats.Load() >= before[c]+4 || len(l.seen()) > 0 })
	}
}

func (l *live) beats() (n int64) {
	for _, c := range l.clients {
		n += c.beats.Load()
	}
	return n
}

// dial connects, over TLS or not. The connection does not outlast the test.
func (l *live) dial(addr netip.AddrPort, secure bool, protocols ...string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		return nil, err
	}
	l.volume(addr).connections.Add(1)
	context.AfterFunc(l.limit, func() { c.Close() })
	if secure {
		return tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}), nil
	}
	return c, nil
}

// count reads the numbers of /stream until the clients have to stop.
func (l *live) count(body io.ReadCloser, beat func()) error {
	defer context.AfterFunc(l.ctx, func() { body.Close() })()
	lines := bufio.NewScanner(body)
	for n := 0; lines.Scan(); n++ {
		if lines.Text() != strconv.Itoa(n) {
			return fmt.Errorf("%q after %d", lines.Text(), n-1)
		}
		beat()
	}
	if l.ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the stream ends: %w", lines.Err())
}

// chunked follows an endless answer of HTTP/1.1.
func (l *live) chunked(addr netip.AddrPort, secure bool) func(func()) error {
	return func(beat func()) error {
		c, err := l.dial(addr, secure)
		if err != nil {
			return err
		}
		defer c.Close()
		l.volume(addr).requests.Add(1)
		io.WriteString(c, "GET /stream HTTP/1.1\r\nHost: a.test\r\n\r\n")
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		return l.count(struct {
			io.Reader
			io.Closer
		}{a.Body, c}, beat)
	}
}

// message is the nth that goes back and forth; some are long.
func message(n int) string {
	text := fmt.Sprintf("message %d", n)
	if n%10 == 9 {
		text += strings.Repeat(" and more", 5000)
	}
	return text
}

// socket sends messages over a WebSocket connection and gets them back.
func (l *live) socket(addr netip.AddrPort, secure bool) func(func()) error {
	return func(beat func()) error {
		c, err := l.dial(addr, secure)
		if err != nil {
			return err
		}
		defer c.Close()
		l.volume(addr).requests.Add(1)
		l.volume(addr).sockets.Add(1)
		s, err := wstest.Open(c, "/ws")
		if err != nil {
			return err
		}
		for n := 0; ; n++ {
			if err := s.Exchange(message(n)); err != nil {
				return fmt.Errorf("message %d: %w", n, err)
			}
			beat()
			if !l.pause() {
				return s.End()
			}
		}
	}
}

// keepAlive sends requests over connections that end when an answer says so.
func (l *live) keepAlive(addr netip.AddrPort, secure bool) func(func()) error {
	return func(beat func()) error {
		for goOn := true; goOn; {
			c, err := l.dial(addr, secure)
			if err != nil {
				return err
			}
			defer c.Close()
			br := bufio.NewReader(c)
			for last := false; goOn && !last; goOn = l.pause() {
				l.volume(addr).requests.Add(1)
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
				a, err := http.ReadResponse(br, nil)
				if err != nil {
					return err
				}
				if err := short(a); err != nil {
					return err
				}
				last = a.Close
				beat()
			}
			c.Close()
		}
		return nil
	}
}

// short reads the short answer.
func short(a *http.Response) error {
	body, err := io.ReadAll(a.Body)
	a.Body.Close()
	if err != nil || a.StatusCode != 200 || string(body) != "short" {
		return fmt.Errorf("status %d, body %q: %w", a.StatusCode, body, err)
	}
	return nil
}

// once gives a dialler of HTTP/2 for a client that must never need another
// connection.
func (l *live) once(addr netip.AddrPort) func(secure bool) (net.Conn, error) {
	var dialled atomic.Bool
	return func(secure bool) (net.Conn, error) {
		if dialled.Swap(true) {
			l.fault("HTTP/2", errors.New("the connection is gone"))
			return nil, errors.New("the connection is gone")
		}
		return l.dial(addr, secure, "h2")
	}
}

// http2 follows an endless answer and sends requests beside it on one connection.
func (l *live) http2(addr netip.AddrPort) func(func()) error {
	return func(beat func()) error {
		dial := l.once(addr)
		tr := &http.Transport{Protocols: new(http.Protocols), DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := dial(true)
			if err != nil {
				return nil, err
			}
			return c, c.(*tls.Conn).HandshakeContext(ctx)
		}}
		tr.Protocols.SetHTTP2(true)
		defer tr.CloseIdleConnections()
		get := func(ctx context.Context, path string) (*http.Response, error) {
			r, err := http.NewRequestWithContext(ctx, "GET", "https://a.test"+path, nil)
			if err != nil {
				return nil, err
			}
			l.volume(addr).requests.Add(1)
			a, err := tr.RoundTrip(r)
			if err == nil && (a.StatusCode != 200 || a.ProtoMajor != 2) {
				a.Body.Close()
				return nil, fmt.Errorf("answer %s %s", a.Proto, a.Status)
			}
			return a, err
		}
		a, err := get(l.limit, "/stream")
		if err != nil {
			return err
		}
		defer a.Body.Close()
		beside := make(chan error, 1)
		go func() {
			defer close(beside)
			for l.pause() {
				r, err := get(l.limit, "/")
				if err == nil {
					err = short(r)
				}
				if err != nil {
					beside <- err
					a.Body.Close()
					return
				}
				beat()
			}
		}()
		err = l.count(a.Body, beat)
		return errors.Join(<-beside, err)
	}
}

// grpcClient is a client of gRPC with one connection for all its calls.
func (l *live) grpcClient(t testing.TB, addr netip.AddrPort) *grpc.ClientConn {
	t.Helper()
	dial := l.once(addr)
	c, err := grpctest.NewClient(addr.String(), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return dial(false) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// grpc sends messages over a stream of gRPC and gets them back.
func (l *live) grpc(c *grpc.ClientConn, addr netip.AddrPort) func(func()) error {
	return func(beat func()) error {
		ctx, cancel := context.WithCancel(l.limit)
		defer cancel()
		l.volume(addr).requests.Add(1)
		s, err := grpctest.Open(ctx, c, "/test.Echo/Talk")
		if err != nil {
			return err
		}
		for n := 0; ; n++ {
			if err := grpctest.Exchange(s, message(n)); err != nil {
				return fmt.Errorf("message %d: %w", n, err)
			}
			beat()
			if !l.pause() {
				return grpctest.End(s)
			}
		}
	}
}

// pause is the time between two beats. It tells whether another may follow.
func (l *live) pause() bool {
	select {
	case <-l.ctx.Done():
		return false
	case <-time.After(beat):
		return true
	}
}
