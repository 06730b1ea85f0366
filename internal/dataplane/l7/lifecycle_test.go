package l7

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

func TestCloseDrains(t *testing.T) {
	asked, release := make(chan bool, 1), make(chan bool)
	b := answering(t, func(m *message) string {
		if strings.Contains(m.line, "/slow") {
			asked <- true
			<-release
		}
		return ok("x")
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	idle, busy := p.dial(), p.dial()
	idle.send(simple)
	idle.want(200, "x")
	busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	closed := make(chan error)
	go func() { closed <- p.Close(context.Background()) }()
	idle.wantClosed()
	if c, err := net.Dial("tcp", p.Addr().String()); err == nil {
		c.Close()
		t.Error("still accepting")
	}
	select {
	case err := <-closed:
		t.Fatalf("closed with a request in progress: %v", err)
	default:
	}
	close(release)
	if m := busy.want(200, "x"); strings.Join(m.header("Connection"), "") != "close" {
		t.Errorf("head %q", m.head)
	}
	busy.wantClosed()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if f := p.Facts(); f.ActiveConnections != 0 || f.Listening {
		t.Errorf("facts %+v", f)
	}
}

func TestCloseCutsOff(t *testing.T) {
	asked, release := make(chan bool, 2), make(chan bool)
	b := answering(t, func(m *message) string { asked <- true; <-release; return "" })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	waiting, uploading := p.dial(), p.dial()
	waiting.send(simple)
	<-asked
	uploading.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
	eventually(t, "both under way", func() bool { return b.connections() == 2 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	close(release)
}

// TestUpdateUnderLoad changes settings and servers while requests run. None may
// fail, and each answer is from a server that was in force at some time.
func TestUpdateUnderLoad(t *testing.T) {
	b1 := answering(t, func(m *message) string { return ok("1" + strings.Join(m.header("SLB-ID"), "")) })
	b2 := answering(t, func(m *message) string { return ok("2" + strings.Join(m.header("SLB-ID"), "")) })
	p := newProxy(t, spec.HTTPOptions{}, target(b1))
	other := pool.NewStatic(target(b2))
	defer other.Close()
	stop := make(chan bool)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				c := p.dial()
				for range 50 {
					select {
					case <-stop:
						return
					default:
					}
					c.send(simple)
					m, err := readMessage(c.br, false)
					if err != nil || !strings.Contains(m.line, "200") {
						t.Errorf("answer %q, %v", m.head, err)
						return
					}
				}
				c.Close()
			}
		})
	}
	for i := range 300 {
		f := p.f
		f.HTTP = &spec.HTTPOptions{SLBID: i%2 == 0}
		if i%3 == 0 {
			p.Update(f, other)
		} else {
			p.Update(f, p.pool)
		}
		if i%10 == 0 {
			p.pool.Update(spec.Pool{ID: "p", Scheduler: spec.WRR, Targets: []spec.Target{target(b1), target(b2)}[:1+i/10%2]})
		}
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	f := p.f
	f.HTTP = &spec.HTTPOptions{SLBID: true}
	p.Update(f, other)
	c := p.dial()
	c.send(simple)
	c.want(200, "2lb-1") // the update counts from the next request on
}

func TestBindError(t *testing.T) {
	p := newProxy(t, spec.HTTPOptions{})
	f := p.f
	f.Listen = p.Addr()
	_, err := p.e.NewHTTP(f, p.pool, nil)
	var bind *sock.BindError
	if !errors.As(err, &bind) {
		t.Errorf("error %v", err)
	}
}

func TestWebSocket(t *testing.T) {
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		head, err := readHead(br)
		if err != nil {
			return
		}
		b.record(head)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: k\r\n\r\nhello")
		io.Copy(c, br) // echo until the client's end
		io.WriteString(c, "bye")
	})
	p := newProxy(t, spec.HTTPOptions{XForwardedFor: true}, target(b))
	c := p.dial()
	c.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: q\r\n\r\nearly")
	head, err := readHead(c.br)
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "Upgrade: websocket\r\n") || !strings.Contains(head, "Sec-WebSocket-Accept: k") {
		t.Fatalf("answer %q, %v", head, err)
	}
	data := string(pattern(300 << 10))
	go func() {
		io.WriteString(c, data)
		c.CloseWrite()
	}()
	all, err := io.ReadAll(c.br)
	if got := string(all); err != nil || got != "helloearly"+data+"bye" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	eventually(t, "tunnel ended", func() bool { return p.Facts().ActiveConnections == 0 })
	if !strings.Contains(b.seen()[0], "Connection: Upgrade\r\nUpgrade: websocket\r\n") {
		t.Errorf("server saw %q", b.seen())
	}
}

// TestWebSocketRefused: a server may decline, and the connection goes on.
func TestWebSocketRefused(t *testing.T) {
	b := answering(t, func(m *message) string { return "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno" })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := p.dial()
	for range 2 {
		c.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		c.want(403, "no")
	}
}

// TestPanic: a panic ends one connection only, and is logged.
func TestPanic(t *testing.T) {
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	log := p.expectLog()
	other := p.dial()
	other.send(simple)
	other.want(200, "x")
	bad := p.dial()
	bad.send(simple)
	bad.want(200, "x")
	good := p.snap.Swap(nil) // the next request trips over it
	bad.send(simple)
	if _, err := readHead(bad.br); err == nil {
		t.Error("an answer in spite of the panic")
	}
	p.snap.Store(good)
	eventually(t, "panicked connection forgotten", func() bool { return p.Facts().ActiveConnections == 1 })
	other.send(simple)
	other.want(200, "x")
	if !strings.Contains(log.String(), "panic") {
		t.Error("not logged")
	}
}
