package l7

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// The opcodes of RFC 6455, section 5.2.
const (
	wsContinue, wsText, wsBinary = 0x0, 0x1, 0x2
	wsClose, wsPing, wsPong      = 0x8, 0x9, 0xa
)

// frame is one frame of a WebSocket connection.
type frame struct {
	last    bool
	op      byte
	payload string
}

// append encodes a frame; only clients mask theirs.
func (f frame) append(b []byte, masked bool) []byte {
	first := f.op
	if f.last {
		first |= 0x80
	}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	b = append(b, first)
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	}
	if !masked {
		return append(b, f.payload...)
	}
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, key[:]...)
	for i := range len(f.payload) {
		b = append(b, f.payload[i]^key[i%4])
	}
	return b
}

// readFrame reads a frame, which must be masked or not.
func readFrame(br *bufio.Reader, masked bool) (f frame, err error) {
	var h [2]byte
	if _, err := io.ReadFull(br, h[:]); err != nil {
		return f, err
	}
	f.last, f.op = h[0]&0x80 != 0, h[0]&0x0f
	if h[0]&0x70 != 0 || (h[1]&0x80 != 0) != masked {
		return f, fmt.Errorf("frame begins with %x", h)
	}
	n := uint64(h[1] & 0x7f)
	var long [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(br, long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		_, err = io.ReadFull(br, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	var key [4]byte
	if err == nil && masked {
		_, err = io.ReadFull(br, key[:])
	}
	if err != nil {
		return f, err
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(br, payload); err != nil {
		return f, err
	}
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	f.payload = string(payload)
	return f, nil
}

// wsAccept is what a server proves its understanding with (RFC 6455, 4.2.2).
func wsAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const wsKey = "dGhlIHNhbXBsZSBub25jZQ=="

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
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wsAccept(strings.Join(m.header("Sec-WebSocket-Key"), "")) + "\r\n"
		if strings.Contains(strings.Join(m.header("Sec-WebSocket-Protocol"), ","), "chat.v2") {
			answer += "Sec-WebSocket-Protocol: chat.v2\r\n"
		}
		// The first frame comes in one piece with the answer.
		c.Write(frame{true, wsText, "hello"}.append([]byte(answer+"\r\n"), false))
		var message string
		var kind byte
		for {
			f, err := readFrame(br, true)
			if err != nil {
				return
			}
			switch f.op {
			case wsPing:
				f.op = wsPong
				c.Write(f.append(nil, false))
			case wsClose:
				c.Write(f.append(nil, false))
				return
			case wsPong:
			default:
				if f.op != wsContinue {
					message, kind = "", f.op
				}
				if message += f.payload; f.last {
					c.Write(frame{true, kind, message}.append(nil, false))
				}
			}
		}
	})
}

// wsDial opens a WebSocket connection; early is sent behind the request at once.
func wsDial(t *testing.T, p *proxy, early []byte, lines ...string) *client {
	t.Helper()
	c := p.dial()
	request := "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wsKey + "\r\n"
	for _, l := range lines {
		request += l + "\r\n"
	}
	c.send(request + "\r\n" + string(early))
	got, err := readHead(c.br)
	m := message{head: got}
	if err != nil || !strings.HasPrefix(got, "HTTP/1.1 101 ") || strings.Join(m.header("Sec-WebSocket-Accept"), "") != wsAccept(wsKey) {
		t.Fatalf("answer %q, %v", got, err)
	}
	if want := strings.Contains(request, "chat.v2"); (strings.Join(m.header("Sec-WebSocket-Protocol"), "") == "chat.v2") != want {
		t.Errorf("protocol in %q", got)
	}
	c.wantFrame(frame{true, wsText, "hello"})
	return c
}

func (c *client) wantFrame(want frame) {
	c.t.Helper()
	got, err := readFrame(c.br, false)
	if err != nil || got != want {
		c.t.Fatalf("frame %v %x %.40q of %d bytes, %v; want %x %.40q", got.last, got.op, got.payload, len(got.payload), err, want.op, want.payload)
	}
}

func (c *client) sendFrames(frames ...frame) {
	c.t.Helper()
	var b []byte
	for _, f := range frames {
		b = f.append(b, true)
	}
	c.send(string(b))
}

// TestWebSocketFrames: fragments, control frames among them, every kind of
// length, subprotocols, and both ways to end reach the other side as they are.
func TestWebSocketFrames(t *testing.T) {
	b := wsServer(t)
	p := newProxy(t, spec.HTTPOptions{}, target(b))

	c := wsDial(t, p, frame{true, wsText, "early"}.append(nil, true), "Sec-WebSocket-Protocol: chat.v1, chat.v2", "Sec-WebSocket-Extensions: permessage-deflate")
	c.wantFrame(frame{true, wsText, "early"})
	c.sendFrames(frame{true, wsPing, "are you there?"})
	c.wantFrame(frame{true, wsPong, "are you there?"})
	c.sendFrames(frame{false, wsText, "one "}, frame{true, wsPing, "amid"}, frame{false, wsContinue, "two "}, frame{true, wsPong, ""}, frame{true, wsContinue, "three"})
	c.wantFrame(frame{true, wsPong, "amid"})
	c.wantFrame(frame{true, wsText, "one two three"})
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 3 << 20} {
		payload := string(pattern(n))
		go c.sendFrames(frame{true, wsBinary, payload}) // more than all buffers hold
		c.wantFrame(frame{true, wsBinary, payload})
	}
	for _, piece := range bytes.Split(frame{true, wsText, "torn"}.append(nil, true), nil) { // byte by byte
		c.send(string(piece))
	}
	c.wantFrame(frame{true, wsText, "torn"})
	c.sendFrames(frame{true, wsClose, "\x03\xe8bye"})
	c.wantFrame(frame{true, wsClose, "\x03\xe8bye"})
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
				c.sendFrames(frame{true, wsText, text})
				if got, err := readFrame(c.br, false); err != nil || got.payload != text {
					t.Errorf("got %q, %v; want %q", got.payload, err, text)
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
		c.sendFrames(frame{true, wsPong, ""})
	}
	c.sendFrames(frame{true, wsText, "still there"})
	c.wantFrame(frame{true, wsText, "still there"})
	began := time.Now()
	if _, err := readFrame(c.br, false); err == nil || isTimeout(err) {
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
	if _, err := readFrame(c.br, false); err == nil || isTimeout(err) {
		t.Errorf("%v", err)
	}
	eventually(t, "ended", func() bool { return p.Facts().ActiveConnections == 0 })
}
