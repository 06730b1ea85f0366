package l7

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// A body in chunks brings connections of loops to goroutines: those are parked. It
// comes with its head, so that no answer can be faster than the end of it.
const inChunks = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n0\r\n\r\n"

// newParkingProxy parks connections at the next tick.
func newParkingProxy(t *testing.T, change func(*waits), o spec.HTTPOptions) *proxy {
	b := answering(t, func(m *message) string { return ok("x" + string(m.body)) })
	return hasty(func(w *waits) {
		w.park = time.Millisecond
		if change != nil {
			change(w)
		}
	}, func() *proxy { return newProxy(t, o, target(b)) })
}

// wantParked waits until n connections are.
func (p *proxy) wantParked(n int) {
	p.t.Helper()
	eventually(p.t, "parked", func() bool {
		parked := 0
		p.each(func(c *conn) {
			if c.away.Load() {
				parked++
			}
		})
		return parked == n
	})
	p.eachReactor(func(*reactor) {}) // they are watched now
}

// dialParked gives a connection that has had a request and is parked.
func (p *proxy) dialParked() *client {
	p.t.Helper()
	c := p.dial()
	c.upload()
	p.wantParked(1)
	return c
}

func (c *client) upload() {
	c.t.Helper()
	c.send(inChunks)
	c.want(200, "xy")
}

// closeSoon closes the frontend, which has nothing to wait for.
func (p *proxy) closeSoon() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Close(ctx)
}

func (p *proxy) wantEmpty() {
	p.t.Helper()
	eventually(p.t, "all connections have ended", func() bool { return p.Facts().ActiveConnections == 0 })
}

// TestParkedAgain: a parked connection is like any other to its client.
func TestParkedAgain(t *testing.T) {
	p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: time.Hour})
	c := p.dialParked()
	for i := range 3 {
		c.send(simple + simple)
		c.want(200, "x")
		c.want(200, "x")
		if i > 0 {
			c.upload()
		}
		p.wantParked(1)
	}
	c.send(strings.Replace(simple, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	c.want(200, "x")
	c.wantClosed()
	p.wantEmpty()
}

// TestParkedEnds: whatever ends a parked connection, it is noticed.
func TestParkedEnds(t *testing.T) {
	for name, end := range map[string]func(p *proxy, c *client){
		"closed by the client": func(p *proxy, c *client) { c.Close() },
		"half closed": func(p *proxy, c *client) {
			c.CloseWrite()
			c.wantClosed()
		},
		"reset": func(p *proxy, c *client) {
			c.tcp.SetLinger(0)
			c.tcp.Close()
		},
		"cut off": func(p *proxy, c *client) { p.each((*conn).cutOff) },
		"closed": func(p *proxy, c *client) {
			if err := p.closeSoon(); err != nil {
				p.t.Errorf("close: %v", err)
			}
			c.wantClosed()
		},
		"garbage": func(p *proxy, c *client) {
			io.WriteString(c.tcp, "\x00\r\n\r\n")
			if got, _ := io.ReadAll(c.tcp); !overTLS && !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
				p.t.Errorf("answer %q", got)
			}
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: time.Hour})
			end(p, p.dialParked())
			p.wantEmpty()
		})
	}
}

// TestParkedLate: who wants something of a connection when it is about to be
// parked, and thus does not recall it, is heard.
func TestParkedLate(t *testing.T) {
	for name, want := range map[string]func(c *conn){
		"timer": func(c *conn) {
			c.rtimer.at.Store(fired)
			c.file.SetReadDeadline(past)
		},
		"cut off": func(c *conn) {
			c.cut.Store(true)
			c.file.SetDeadline(past)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: time.Hour})
			p.dialParked()
			p.each(func(c *conn) { watchAgain(c, want) })
			p.wantEmpty()
		})
	}
}

// watchAgain begins anew to watch a connection, of which something is wanted.
func watchAgain(c *conn, want func(c *conn)) {
	c.lot().Do(func() {
		c.lot().Detach(c.spot)
		c.spot = 0
		want(c)
		(*parked)(c).watch()
	})
}

// TestParkedIdle: the idle timeout ends parked connections, counted from their last
// answer.
func TestParkedIdle(t *testing.T) {
	p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: 2 * time.Second})
	c := p.dialParked()
	start := time.Now()
	c.send(simple)
	c.want(200, "x")
	c.wantClosed()
	if took := time.Since(start); took < 1900*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
	p.wantEmpty()
}

// TestParkedFirst: the clock stands still while an engine has no connection, and
// a client that says nothing at all has its time nevertheless.
func TestParkedFirst(t *testing.T) {
	p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: 500 * time.Millisecond})
	time.Sleep(time.Second) // the passing of time is what is tested
	start := time.Now()
	p.dial().wantClosed()
	if took := time.Since(start); took < 400*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
}

// TestParkedLeave: a connection that is parked when other processes take the port
// has one more answer.
func TestParkedLeave(t *testing.T) {
	p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: time.Hour})
	c := p.dialParked()
	p.Leave()
	c.send(simple)
	if m := c.want(200, "x"); strings.Join(m.header("Connection"), "") != "close" {
		t.Errorf("head %q", m.head)
	}
	c.wantClosed()
	c.Close() // which it would wait for
	p.wantEmpty()
}

// TestParkedUnwatched: where the system watches no more descriptors, connections
// stay with their goroutines.
func TestParkedUnwatched(t *testing.T) {
	p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: time.Hour})
	c := p.dial()
	c.upload()
	p.each(func(c *conn) { // a second registration of a descriptor is refused
		c.lot().Do(func() {
			if _, err := c.lot().Register(c.fd, 0, stubborn{}); err != nil {
				t.Error(err)
			}
		})
	})
	for range 3 {
		time.Sleep(2 * tick) // it tries again and again
		c.send(simple)
		c.want(200, "x")
	}
	if err := p.closeSoon(); err != nil {
		t.Error(err)
	}
	c.wantClosed()
}

type stubborn struct{}

func (stubborn) Ready(loop.Events) {}
func (stubborn) Abort()            {}

// TestParkedHalf: half a record wakes a parked connection, which is then parked
// again and waits for the other half.
func TestParkedHalf(t *testing.T) {
	p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: time.Hour})
	if !overTLS {
		return
	}
	tcp := &slicing{TCPConn: p.dialPlain()}
	conn := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true})
	io.WriteString(conn, simple)
	read := make([]byte, 1000)
	if n, err := conn.Read(read); err != nil || !bytes.HasPrefix(read[:n], []byte("HTTP/1.1 200 ")) {
		t.Fatalf("answer %q, %v", read[:n], err)
	}
	p.wantParked(1)
	tcp.pause = func() {
		time.Sleep(3 * tick) // what was sent is looked at meanwhile
		p.wantParked(1)
	}
	io.WriteString(conn, simple)
	if n, err := conn.Read(read); err != nil || !bytes.HasPrefix(read[:n], []byte("HTTP/1.1 200 ")) {
		t.Fatalf("answer %q, %v", read[:n], err)
	}
}

// slicing sends in three parts.
type slicing struct {
	*net.TCPConn
	pause func()
}

func (s *slicing) Write(p []byte) (int, error) {
	if s.pause == nil {
		return s.TCPConn.Write(p)
	}
	for _, part := range [][2]int{{0, 3}, {3, 20}, {20, len(p)}} {
		if _, err := s.TCPConn.Write(p[part[0]:part[1]]); err != nil {
			return part[0], err
		}
		if part[1] < len(p) {
			s.pause()
		}
	}
	return len(p), nil
}

// TestParkedStorm: clients that ask just when they are to be parked get all their
// answers, and the frontend closes without waiting for any of them.
func TestParkedStorm(t *testing.T) {
	p := newParkingProxy(t, nil, spec.HTTPOptions{IdleTimeout: time.Hour})
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			c := p.dial()
			c.SetDeadline(time.Now().Add(3 * patience))
			for range 15 {
				if _, err := io.WriteString(c, inChunks); err != nil {
					t.Errorf("request: %v", err)
					return
				}
				if m, err := readMessage(c.br, false); err != nil || string(m.body) != "xy" {
					t.Errorf("answer %q, %v", m.head, err)
					return
				}
				time.Sleep(rand.N(2*tick + tick/2))
			}
		})
	}
	wg.Wait()
	if err := p.closeSoon(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestParkedHTTP2: HTTP/2 connections are parked between requests and by what is
// none, and leave when they are told to.
func TestParkedHTTP2(t *testing.T) {
	if !overTLS {
		return
	}
	parking := func(t *testing.T, change func(*waits)) (*proxy, *http2Raw) {
		p := newParkingProxy(t, change, spec.HTTPOptions{})
		p.enableHTTP2()
		r := p.dialHTTP2()
		r.head(1, true)
		r.untilEnd(1)
		return p, r
	}
	goAway := func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok }
	wantEnd := func(t *testing.T, r *http2Raw) {
		t.Helper()
		for {
			if _, err := r.fr.ReadFrame(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("again", func(t *testing.T) {
		p, r := parking(t, nil)
		for i := range uint32(3) {
			p.wantParked(1)
			r.fr.WritePing(false, [8]byte{byte(i)})
			r.until("the answer to a ping", func(f http2.Frame) bool {
				ping, ok := f.(*http2.PingFrame)
				return ok && ping.IsAck() && ping.Data[0] == byte(i)
			})
			p.wantParked(1)
			r.head(2*i+3, true)
			r.untilEnd(2*i + 3)
		}
		p.wantParked(1)
		r.conn.Close()
		p.wantEmpty()
	})
	t.Run("left", func(t *testing.T) {
		p, r := parking(t, nil)
		p.wantParked(1)
		p.Leave()
		r.until("GOAWAY", goAway)
		r.fr.WritePing(true, [8]byte{})
		wantEnd(t, r)
		p.wantEmpty()
	})
	t.Run("closed", func(t *testing.T) {
		p, r := parking(t, nil)
		p.wantParked(1)
		if err := p.closeSoon(); err != nil {
			t.Error(err)
		}
		r.until("GOAWAY", goAway)
		wantEnd(t, r)
	})
	t.Run("cut off", func(t *testing.T) {
		p, _ := parking(t, nil)
		p.wantParked(1)
		p.each((*conn).cutOff)
		p.wantEmpty()
	})
	t.Run("idle", func(t *testing.T) {
		start := time.Now()
		p, r := parking(t, func(w *waits) { w.http2 = 2 * time.Second })
		p.wantParked(1)
		r.until("GOAWAY", goAway)
		wantEnd(t, r)
		if took := time.Since(start); took < 1900*time.Millisecond {
			t.Errorf("closed after %v", took)
		}
		p.wantEmpty()
	})
	t.Run("lost late", func(t *testing.T) {
		p, _ := parking(t, nil)
		p.wantParked(1)
		p.each(func(c *conn) {
			watchAgain(c, func(c *conn) {
				c.http2.Load().lost = true
				c.file.SetReadDeadline(past)
			})
		})
		p.wantEmpty()
	})
	t.Run("lost", func(t *testing.T) {
		p, _ := parking(t, nil)
		p.wantParked(1)
		p.each(func(c *conn) {
			hc := c.http2.Load()
			hc.mu.Lock()
			hc.fail()
			hc.mu.Unlock()
		})
		p.wantEmpty()
	})
}

// TestTLSBuffers: crypto/tls has the buffers that are let go, which another
// version of Go may not have.
func TestTLSBuffers(t *testing.T) {
	if len(tlsBuffers) != 2 {
		t.Errorf("%d buffers", len(tlsBuffers))
	}
	for _, name := range []string{"buf", "none"} { // of another type, and not there
		if places := placesOf[bytes.Buffer](reflect.TypeFor[bytes.Buffer](), name); places != nil {
			t.Errorf("%v: %v", name, places)
		}
	}
}
