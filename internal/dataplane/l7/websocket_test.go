package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil/wstest"
)

func frame(last bool, op wstest.Opcode, payload string) wstest.Frame {
	return wstest.Frame{Last: last, Op: op, Payload: payload}
}

// wsServer greets with a text, then sends every message back in one frame,
// answers pings, and ends as it is told.
func wsServer(t testing.TB) *backend {
	return newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		m, err := readMessage(br, false)
		if err != nil {
			return
		}
		b.record(m.head)
		if !strings.Contains(m.line, " /ws") { // the refusals
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
			return
		}
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wstest.AcceptOf(strings.Join(m.header("Sec-WebSocket-Key"), "")) + "\r\n"
		if strings.Contains(strings.Join(m.header("Sec-WebSocket-Protocol"), ","), "chat.v2") {
			answer += "Sec-WebSocket-Protocol: chat.v2\r\n"
		}
		// The first frame comes in one piece with the answer.
		c.Write(frame(true, wstest.Text, "hello").Append([]byte(answer+"\r\n"), false))
		wstest.Echo(c, br)
	})
}

// wsDial opens a WebSocket connection; early is sent behind the request at once.
func wsDial(t *testing.T, p *proxy, early []byte, lines ...string) *client {
	t.Helper()
	c := p.dial()
	request := "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wstest.Key + "\r\n"
	for _, l := range lines {
		request += l + "\r\n"
	}
	c.send(request + "\r\n" + string(early))
	got, err := readHead(c.br)
	m := message{head: got}
	if err != nil || !strings.HasPrefix(got, "HTTP/1.1 101 ") || strings.Join(m.header("Sec-WebSocket-Accept"), "") != wstest.AcceptOf(wstest.Key) {
		t.Fatalf("answer %q, %v", got, err)
	}
	if want := strings.Contains(request, "chat.v2"); (strings.Join(m.header("Sec-WebSocket-Protocol"), "") == "chat.v2") != want {
		t.Errorf("protocol in %q", got)
	}
	c.wantFrame(frame(true, wstest.Text, "hello"))
	return c
}

func (c *client) wantFrame(want wstest.Frame) {
	c.t.Helper()
	got, err := wstest.ReadFrame(c.br, false)
	if err != nil || got != want {
		c.t.Fatalf("frame %v %x %.40q of %d bytes, %v; want %x %.40q", got.Last, got.Op, got.Payload, len(got.Payload), err, want.Op, want.Payload)
	}
}

func (c *client) sendFrames(frames ...wstest.Frame) {
	c.t.Helper()
	var b []byte
	for _, f := range frames {
		b = f.Append(b, true)
	}
	c.send(string(b))
}

// TestWebSocketFrames: fragments, control frames among them, every kind of
// length, subprotocols, and both ways to end reach the other side as they are.
func TestWebSocketFrames(t *testing.T) {
	b := wsServer(t)
	p := newProxy(t, spec.HTTPOptions{}, target(b))

	c := wsDial(t, p, frame(true, wstest.Text, "early").Append(nil, true), "Sec-WebSocket-Protocol: chat.v1, chat.v2", "Sec-WebSocket-Extensions: permessage-deflate")
	c.wantFrame(frame(true, wstest.Text, "early"))
	c.sendFrames(frame(true, wstest.Ping, "are you there?"))
	c.wantFrame(frame(true, wstest.Pong, "are you there?"))
	c.sendFrames(frame(false, wstest.Text, "one "), frame(true, wstest.Ping, "amid"), frame(false, wstest.Continue, "two "), frame(true, wstest.Pong, ""), frame(true, wstest.Continue, "three"))
	c.wantFrame(frame(true, wstest.Pong, "amid"))
	c.wantFrame(frame(true, wstest.Text, "one two three"))
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 3 << 20} {
		payload := string(pattern(n))
		go c.sendFrames(frame(true, wstest.Binary, payload)) // more than all buffers hold
		c.wantFrame(frame(true, wstest.Binary, payload))
	}
	for _, piece := range bytes.Split(frame(true, wstest.Text, "torn").Append(nil, true), nil) { // byte by byte
		c.send(string(piece))
	}
	c.wantFrame(frame(true, wstest.Text, "torn"))
	c.sendFrames(frame(true, wstest.Close, "\x03\xe8bye"))
	c.wantFrame(frame(true, wstest.Close, "\x03\xe8bye"))
	c.wantClosed()
	c.Close()

	for _, want := range []string{"Sec-WebSocket-Extensions: permessage-deflate\r\n", "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n", "Sec-WebSocket-Version: 13\r\n"} {
		if !strings.Contains(b.seen()[0], want) {
			t.Errorf("server saw %q without %q", b.seen()[0], want)
		}
	}
	// A client that goes away without a word takes the server's side along.
	c = wsDial(t, p, nil)
	c.tcp.SetLinger(0)
	c.tcp.Close()
	eventually(t, "both connections ended", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.open) == 0 && p.Facts().ActiveConnections == 0
	})
}

// TestManyWebSockets: they do not know of each other.
func TestManyWebSockets(t *testing.T) {
	b := wsServer(t)
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	var all sync.WaitGroup
	for i := range 50 {
		c := wsDial(t, p, nil)
		all.Go(func() {
			for n := range 20 {
				text := fmt.Sprintf("%d of connection %d", n, i)
				c.sendFrames(frame(true, wstest.Text, text))
				if got, err := wstest.ReadFrame(c.br, false); err != nil || got.Payload != text {
					t.Errorf("got %q, %v; want %q", got.Payload, err, text)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestWebSocketIdle: without a byte either way a connection ends after its time;
// bytes of one side alone keep it.
func TestWebSocketIdle(t *testing.T) {
	if tunnelIdle != 60*time.Second {
		t.Errorf("ends after %v, the vendor documents 60 s", tunnelIdle)
	}
	b := wsServer(t)
	const idle = time.Second
	p := hasty(func(w *waits) { w.tunnel = idle }, func() *proxy { return newProxy(t, spec.HTTPOptions{}, target(b)) })
	c := wsDial(t, p, nil)
	for began, last := time.Now(), time.Now(); time.Since(began) < idle*3/2; last = time.Now() {
		time.Sleep(idle / 10) // the passing of time is what is tested
		if time.Since(last) > idle/2 {
			t.Log("the machine stands still: not tested")
			return
		}
		c.sendFrames(frame(true, wstest.Pong, ""))
	}
	c.sendFrames(frame(true, wstest.Text, "still there"))
	c.wantFrame(frame(true, wstest.Text, "still there"))
	began := time.Now()
	if _, err := wstest.ReadFrame(c.br, false); err == nil || isTimeout(err) {
		t.Errorf("not ended: %v", err)
	}
	if took := time.Since(began); took < idle*3/4 {
		t.Errorf("ended after %v", took)
	}
	eventually(t, "the server's side ended", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.open) == 0 && p.Facts().ActiveConnections == 0
	})
}

// TestNoWebSocket: what asks for an upgrade and gets none is a request like
// others, and so are those behind it.
func TestNoWebSocket(t *testing.T) {
	b := answering(t, func(m *message) string {
		if m.header("Upgrade") != nil && !strings.Contains(m.line, "/ws") {
			return "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
		}
		return ok(string(m.body))
	})
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	const ask = "Connection: Upgrade\r\nUpgrade: "
	c := p.dial()
	for _, r := range []struct{ name, request, body string }{
		{"declined", "GET /ws HTTP/1.1\r\nHost: a\r\n" + ask + "websocket\r\n\r\n", ""},
		{"h2c", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + "h2c\r\nHTTP2-Settings: AA\r\n\r\n", ""},
		{"two", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + "websocket, h2c\r\n\r\n", ""},
		{"with a body", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + "websocket\r\nContent-Length: 3\r\n\r\nabc", "abc"},
		{"with chunks", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + "websocket\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc"},
		{"by POST", "POST / HTTP/1.1\r\nHost: a\r\n" + ask + "websocket\r\nContent-Length: 3\r\n\r\nabc", "abc"},
	} {
		c.send(r.request)
		if m := c.want(200, r.body); m.header("Upgrade") != nil {
			t.Errorf("%s: answer %q", r.name, m.head)
		}
	}
	c.send(simple)
	c.want(200, "")
}

// TestSwitchToAnother: a 101 answer that is none to what was asked is refused.
func TestSwitchToAnother(t *testing.T) {
	for name, answer := range map[string]string{
		"h2c":        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"two":        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
		"none":       "HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n",
		"unannonced": "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.0":   "HTTP/1.0 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		b := answering(t, func(*message) string { return answer + "frames" })
		p := newProxy(t, spec.HTTPOptions{}, target(b))
		c := p.dial()
		c.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		got, err := readHead(c.br)
		if err != nil || !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestWebSocketServerGone: a server that dies shows at the client.
func TestWebSocketServerGone(t *testing.T) {
	b := wsServer(t)
	p := newProxy(t, spec.HTTPOptions{}, target(b))
	c := wsDial(t, p, nil)
	b.mu.Lock()
	for conn := range b.open {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	b.mu.Unlock()
	if _, err := wstest.ReadFrame(c.br, false); err == nil || isTimeout(err) {
		t.Errorf("%v", err)
	}
	eventually(t, "ended", func() bool { return p.Facts().ActiveConnections == 0 })
}
