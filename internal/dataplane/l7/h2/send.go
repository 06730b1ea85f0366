package h2

import (
	"bytes"
	"unsafe"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// SendHead sends the head of an answer, interim ones included, given in the
// form of HTTP/1.1. end says that no body follows.
func (c *Conn) SendHead(s *Stream, head []byte, end bool) {
	if s.sendEnd || s.dead || c.err != nil {
		return
	}
	c.writing()
	c.encoded.b = c.encoded.b[:0]
	c.encode(":status", head[9:12])
	_, lines, _ := bytes.Cut(head, crlf)
	// Some clients take a 304 with a length for an answer without its body.
	c.bare = string(head[9:12]) == "304"
	c.encodeLines(lines)
	c.bare = false
	c.sendBlock(s, end)
}

var crlf = []byte("\r\n")

// SendRequest opens a stream with a request, given in the form of HTTP/1.1, with
// its host in the first line but one. s may be used again after Release.
func (c *Conn) SendRequest(s *Stream, head []byte, host []byte, end bool) {
	c.lastID = max(c.lastID+2, 1)
	*s = Stream{Owner: s.Owner, id: c.lastID | 1, sendWindow: c.sendFirst, recvWindow: streamWindow, length: -1}
	c.lastID = s.id
	c.table.add(s)
	c.writing()
	c.encoded.b = c.encoded.b[:0]
	line, lines, _ := bytes.Cut(head, crlf)
	method, rest, _ := bytes.Cut(line, space)
	target, _, _ := bytes.Cut(rest, space)
	s.toHead = string(method) == "HEAD"
	c.encode(":method", method)
	c.encode(":scheme", httpScheme)
	c.encode(":path", target)
	if len(host) > 0 {
		c.encode(":authority", host)
	}
	c.encode("te", trailersOnly)
	c.encodeLines(lines)
	c.sendBlock(s, end)
}

var space, httpScheme, trailersOnly = []byte(" "), []byte("http"), []byte("trailers")

// SendTrailers ends our direction with fields, given as lines.
func (c *Conn) SendTrailers(s *Stream, lines []byte) {
	if s.sendEnd || s.dead || c.err != nil {
		return
	}
	c.writing()
	c.encoded.b = c.encoded.b[:0]
	c.encodeLines(lines)
	if len(c.encoded.b) == 0 {
		c.SendData(s, nil, true)
		return
	}
	c.sendBlock(s, true)
}

// encodeLines compresses header lines. Those that belong to a connection of
// HTTP/1.1 have no place here.
func (c *Conn) encodeLines(lines []byte) {
	for len(lines) > 0 {
		i := bytes.IndexByte(lines, '\n')
		if i < 0 {
			return
		}
		line := lines[:i]
		lines = lines[i+1:]
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			continue
		}
		c.lower = c.lower[:0]
		for _, b := range line[:colon] {
			if 'A' <= b && b <= 'Z' {
				b |= 0x20
			}
			c.lower = append(c.lower, b)
		}
		switch string(c.lower) {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te":
			continue
		case "host":
			if c.client {
				continue // said by :authority
			}
		case "content-length":
			if c.bare {
				continue
			}
		}
		c.encode(intern(c.lower), bytes.Trim(line[colon+1:], " \t\r"))
	}
}

// encode compresses one field.
func (c *Conn) encode(name string, value []byte) {
	f := hpack.HeaderField{Name: name}
	switch name {
	case "content-length", "etag", "last-modified", "set-cookie", "location", "content-range", "expires", "age", "authorization", "cookie", ":path":
		// What hardly comes twice would push out of the table what does; what is
		// secret must not be guessed through it. Such fields are not kept by the
		// compressor, so they need not be copied either.
		f.Sensitive = true
		f.Value = unsafe.String(unsafe.SliceData(value), len(value))
	default:
		f.Value = intern(value)
	}
	_ = c.enc.WriteField(f) // to memory
}

// sendBlock sends what was compressed as a head.
func (c *Conn) sendBlock(s *Stream, end bool) {
	p := c.encoded.b
	c.writeHead(s.id, p, end)
	c.earn(len(p))
	if end {
		c.endSending(s)
	}
}

// SendData sends as much of p as the windows and the output have room for, and
// returns how much that was. end says that p is the end of the body.
func (c *Conn) SendData(s *Stream, p []byte, end bool) int {
	if s.sendEnd || s.dead || c.err != nil {
		return 0
	}
	sent := 0
	for {
		n := min(len(p), FrameSize, c.Sendable(s))
		if n <= 0 && len(p) > 0 {
			break
		}
		last := end && n == len(p)
		if n > 0 || last {
			c.writeData(s.id, last, p[:n])
			s.sendWindow -= int64(n)
			c.sendWindow -= int64(n)
			c.earn(n)
			taken := min(n, s.reserved)
			s.reserved -= taken
			c.reserved -= taken
			sent += n
			p = p[n:]
		}
		if last {
			c.endSending(s)
		}
		if len(p) == 0 {
			break
		}
	}
	return sent
}

// endSending notes that all has been said. A client that is still sending need
// not go on (RFC 9113 8.1). It is told so apart from the answer, as others do by
// chance: curl up to 7.88 forgets an answer that it reads in one go with that.
func (c *Conn) endSending(s *Stream) {
	s.sendEnd = true
	switch {
	case s.recvEnd:
		c.close(s)
	case !c.client:
		c.early = append(c.early, s.id)
		c.remember(s.id)
		s.dead = true
		c.close(s)
		c.ev.Reset(s, http2.ErrCodeNo)
	}
}

// CanSend tells whether a body may be sent on now, as far as the windows go.
func (c *Conn) CanSend(s *Stream) bool { return s.sendWindow > 0 && c.sendWindow > 0 }

// Sendable is how many bytes of a body can be sent on s now, as far as the
// windows and the output go and others have not reserved them.
func (c *Conn) Sendable(s *Stream) int {
	others := int64(c.reserved - s.reserved)
	return int(max(0, min(s.sendWindow, c.sendWindow-others, c.roomFor(s))))
}

// roomFor is how many bytes on s the output takes.
func (c *Conn) roomFor(s *Stream) int64 {
	return int64(max(c.Room()-frameHead-(c.reserved-s.reserved), s.reserved))
}

// Crowded tells whether fewer than n bytes can be sent on s now for want of room
// in the output alone: the windows would let more pass.
func (c *Conn) Crowded(s *Stream, n int) bool {
	return !s.dead && c.err == nil && c.roomFor(s) < min(int64(n), s.sendWindow, c.sendWindow)
}

// Reserve keeps the room for n bytes, or for as many as there is, until they
// are sent on s, and returns how many that are. So what is read for many
// streams at the same time is no more than what can be sent of it. It takes
// the place of what was reserved before.
func (c *Conn) Reserve(s *Stream, n int) int {
	c.Unreserve(s)
	if s.sendEnd || s.dead || s.gone || c.err != nil {
		return 0
	}
	s.reserved = min(n, c.Sendable(s))
	c.reserved += s.reserved
	return s.reserved
}

// Unreserve lets others have what s was promised and does not need. It reports
// whether there was such a thing.
func (c *Conn) Unreserve(s *Stream) bool {
	had := s.reserved > 0
	c.reserved -= s.reserved
	s.reserved = 0
	return had
}

// Reset ends a stream.
func (c *Conn) Reset(s *Stream, code Code) {
	if s.dead || s.gone || c.err != nil {
		return
	}
	c.writeReset(s.id, code)
	c.remember(s.id)
	s.dead = true
	c.close(s)
}

// Release says that the caller has done with a stream. One that is not
// finished is reset.
func (c *Conn) Release(s *Stream) {
	c.Reset(s, InternalError)
	c.close(s)
	if s.unread > 0 && c.err == nil && !s.dead {
		c.giveBack(s.unread)
		s.unread = 0
	}
	c.heads -= s.head
	s.head = 0
	if s.zombie {
		s.zombie = false
		c.zombies--
	}
}
