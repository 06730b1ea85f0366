// Package wstest has the two ends of a WebSocket connection, frame by frame.
package wstest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
)

// Opcode is what a frame is (RFC 6455, section 5.2).
type Opcode byte

// The opcodes of messages and of control frames.
const (
	Continue Opcode = 0x0
	Text     Opcode = 0x1
	Binary   Opcode = 0x2
	Close    Opcode = 0x8
	Ping     Opcode = 0x9
	Pong     Opcode = 0xa
)

// Frame is one frame of a WebSocket connection.
type Frame struct {
	Last    bool // of its message
	Op      Opcode
	Payload string
}

// Append encodes a frame; only clients mask theirs.
func (f Frame) Append(b []byte, masked bool) []byte {
	first := byte(f.Op)
	if f.Last {
		first |= 0x80
	}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	b = append(b, first)
	switch n := len(f.Payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	}
	if !masked {
		return append(b, f.Payload...)
	}
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(append(b, key[:]...), f.Payload...)
	xor(b[len(b)-len(f.Payload):], key)
	return b
}

// xor masks or unmasks, by words as far as they go: under the race detector bytes
// are dear.
func xor(b []byte, key [4]byte) {
	word := uint64(binary.NativeEndian.Uint32(key[:]))
	word |= word << 32
	for ; len(b) >= 8; b = b[8:] {
		binary.NativeEndian.PutUint64(b, binary.NativeEndian.Uint64(b)^word)
	}
	for i := range b {
		b[i] ^= key[i%4]
	}
}

// ReadFrame reads a frame, which must be masked or not.
func ReadFrame(br *bufio.Reader, masked bool) (f Frame, err error) {
	var h [2]byte
	if _, err := io.ReadFull(br, h[:]); err != nil {
		return f, err
	}
	f.Last, f.Op = h[0]&0x80 != 0, Opcode(h[0]&0x0f)
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
	if masked {
		xor(payload, key)
	}
	f.Payload = string(payload)
	return f, nil
}

// Key is what clients of tests ask by.
const Key = "dGhlIHNhbXBsZSBub25jZQ=="

// AcceptOf is what a server proves its understanding with (RFC 6455,
// 4.2.2).
func AcceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Echo is a server's side behind the answer: it sends every message back
// in one frame, answers pings, and ends as it is told.
func Echo(w io.Writer, br *bufio.Reader) error {
	var message string
	var kind Opcode
	for {
		f, err := ReadFrame(br, true)
		if err != nil {
			return err
		}
		switch f.Op {
		case Ping:
			f.Op = Pong
		case Pong:
			continue
		case Close:
		default:
			if f.Op != Continue {
				message, kind = "", f.Op
			}
			if message += f.Payload; !f.Last {
				continue
			}
			f = Frame{true, kind, message}
		}
		if _, err := w.Write(f.Append(nil, false)); err != nil || f.Op == Close {
			return err
		}
	}
}

// Answer takes a request of net/http for a WebSocket connection to
// Echo, and returns when the connection has ended.
func Answer(w http.ResponseWriter, r *http.Request) error {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", AcceptOf(r.Header.Get("Sec-WebSocket-Key"))); err != nil {
		return err
	}
	return Echo(c, rw.Reader)
}

// Client is a client's side of a connection to Echo.
type Client struct {
	w  io.Writer
	br *bufio.Reader
}

// Open asks for a WebSocket connection on one of TCP or TLS, which
// remains the caller's to close and to set deadlines of.
func Open(c io.ReadWriter, path string) (*Client, error) {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", path, Key); err != nil {
		return nil, err
	}
	br := bufio.NewReader(c)
	a, err := http.ReadResponse(br, nil)
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusSwitchingProtocols || a.Header.Get("Sec-WebSocket-Accept") != AcceptOf(Key) {
		return nil, fmt.Errorf("answer %s with %v", a.Status, a.Header)
	}
	return &Client{c, br}, nil
}

// Exchange sends a message in two frames with a ping between them, and demands
// the pong and the whole message back.
func (s *Client) Exchange(text string) error {
	half, ping := len(text)/2, "before "+text[:min(len(text), 50)]
	b := Frame{false, Text, text[:half]}.Append(nil, true)
	b = Frame{true, Ping, ping}.Append(b, true)
	b = Frame{true, Continue, text[half:]}.Append(b, true)
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	if err := s.expect(Frame{true, Pong, ping}); err != nil {
		return err
	}
	return s.expect(Frame{true, Text, text})
}

// End closes as RFC 6455, section 7 says, and demands that nothing follows.
func (s *Client) End() error {
	bye := Frame{true, Close, "\x03\xe8bye"}
	if _, err := s.w.Write(bye.Append(nil, true)); err != nil {
		return err
	}
	if err := s.expect(bye); err != nil {
		return err
	}
	if rest, err := io.ReadAll(s.br); len(rest) > 0 || err != nil {
		return fmt.Errorf("%q, %w behind the end", rest, err)
	}
	return nil
}

func (s *Client) expect(want Frame) error {
	got, err := ReadFrame(s.br, false)
	if err == nil && got != want {
		err = fmt.Errorf("frame %+v, not %+v", got, want)
	}
	return err
}
