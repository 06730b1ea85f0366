package system

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// beat is how often a stream carries something.
const beat = 50 * time.Millisecond

// streamServer is a server of what lasts: /stream counts without an end, /ws
// switches to WebSocket and sends everything back, all else is a short answer.
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
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				context.AfterFunc(ctx, func() { c.Close() })
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				io.Copy(c, rw)
			})
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

// live is traffic that lasts, and remembers every fault.
type live struct {
	ctx  context.Context
	end  context.CancelFunc
	all  sync.WaitGroup
	open sync.WaitGroup // until each has begun

	beats  atomic.Int64
	mu     sync.Mutex
	faults []string // guarded by mu
}

func startLive(t testing.TB) *live {
	l := &live{}
	l.ctx, l.end = context.WithCancel(context.Background())
	t.Cleanup(l.stop)
	return l
}

func (l *live) stop() {
	l.end()
	l.all.Wait()
}

func (l *live) seen() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.faults...)
}

// run starts n clients of a kind. Each calls beat once for everything that went
// well and returns what ended it, unless the end was ours.
func (l *live) run(kind string, n int, client func(beat func()) error) {
	for i := range n {
		l.open.Add(1)
		l.all.Go(func() {
			var once sync.Once
			err := client(func() {
				l.beats.Add(1)
				once.Do(l.open.Done)
			})
			once.Do(l.open.Done)
			if l.ctx.Err() == nil {
				l.mu.Lock()
				l.faults = append(l.faults, fmt.Sprintf("%s %d: %v", kind, i, err))
				l.mu.Unlock()
			}
		})
	}
	l.open.Wait()
}

// dial connects, over TLS or not, until the end.
func (l *live) dial(addr netip.AddrPort, secure bool) (net.Conn, error) {
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		return nil, err
	}
	context.AfterFunc(l.ctx, func() { c.Close() })
	if secure {
		return tls.Client(c, &tls.Config{InsecureSkipVerify: true}), nil
	}
	return c, nil
}

// count reads the numbers of /stream.
func count(r io.Reader, beat func()) error {
	lines := bufio.NewScanner(r)
	for n := 0; lines.Scan(); n++ {
		if lines.Text() != strconv.Itoa(n) {
			return fmt.Errorf("%q after %d", lines.Text(), n-1)
		}
		beat()
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
		io.WriteString(c, "GET /stream HTTP/1.1\r\nHost: a.test\r\n\r\n")
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		return count(a.Body, beat)
	}
}

// socket sends lines over a WebSocket connection and gets them back.
func (l *live) socket(addr netip.AddrPort, secure bool) func(func()) error {
	return func(beat func()) error {
		c, err := l.dial(addr, secure)
		if err != nil {
			return err
		}
		br := bufio.NewReader(c)
		io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if a, err := http.ReadResponse(br, nil); err != nil || a.StatusCode != 101 {
			return fmt.Errorf("answer %v, %w", a, err)
		}
		for n := 0; ; n++ {
			line := fmt.Sprintf("line %d\n", n)
			io.WriteString(c, line)
			if got, err := br.ReadString('\n'); err != nil || got != line {
				return fmt.Errorf("%q for %q: %w", got, line, err)
			}
			beat()
			l.pause()
		}
	}
}

// keepAlive sends requests over connections that end when an answer says so.
func (l *live) keepAlive(addr netip.AddrPort, secure bool) func(func()) error {
	return func(beat func()) error {
		for {
			c, err := l.dial(addr, secure)
			if err != nil {
				return err
			}
			br := bufio.NewReader(c)
			for last := false; !last; {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
				a, err := http.ReadResponse(br, nil)
				if err != nil {
					return err
				}
				body, err := io.ReadAll(a.Body)
				if err != nil || a.StatusCode != 200 || string(body) != "short" {
					return fmt.Errorf("status %d, body %q: %w", a.StatusCode, body, err)
				}
				last = a.Close
				beat()
				l.pause()
			}
			c.Close()
		}
	}
}

// http2 follows an endless answer and sends requests beside it on one connection.
func (l *live) http2(addr netip.AddrPort) func(func()) error {
	return func(beat func()) error {
		dials := 0
		tr := &http.Transport{Protocols: new(http.Protocols), DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			if dials++; dials > 1 {
				return nil, fmt.Errorf("the connection of HTTP/2 is gone")
			}
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				return nil, err
			}
			s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			return s, s.Handshake()
		}}
		tr.Protocols.SetHTTP2(true)
		defer tr.CloseIdleConnections()
		get := func(path string) (*http.Response, error) {
			r, err := http.NewRequestWithContext(l.ctx, "GET", "https://a.test"+path, nil)
			if err != nil {
				return nil, err
			}
			a, err := tr.RoundTrip(r)
			if err == nil && (a.StatusCode != 200 || a.ProtoMajor != 2) {
				a.Body.Close()
				return nil, fmt.Errorf("answer %s %s", a.Proto, a.Status)
			}
			return a, err
		}
		a, err := get("/stream")
		if err != nil {
			return err
		}
		defer a.Body.Close()
		l.all.Go(func() {
			for l.ctx.Err() == nil {
				l.pause()
				short, err := get("/")
				if err != nil {
					a.Body.Close() // which the other one tells
					return
				}
				body, err := io.ReadAll(short.Body)
				short.Body.Close()
				if err != nil || string(body) != "short" {
					a.Body.Close()
					return
				}
				beat()
			}
		})
		return count(a.Body, beat)
	}
}

// pause is the time between two beats.
func (l *live) pause() {
	select {
	case <-l.ctx.Done():
	case <-time.After(beat):
	}
}
