package h2

import (
	"errors"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// block is a head being received.
type block struct {
	open   bool
	kind   blockKind
	id     uint32
	stream *Stream // of trailers and answers
	end    bool    // no body follows
	itself bool    // the stream depends on itself
	coded  int     // bytes received

	text      []byte // in the form of HTTP/1.1
	cookies   []byte // crumbs, joined
	begun     bool   // the first line is written
	malformed bool
	full      bool // beyond the limits: the rest is left out
	fields    int
	size      int
	length    int64

	method, scheme, authority, path, status string

	seen pseudo
}

type blockKind uint8

const (
	opening  blockKind = iota // of a new request
	answer                    // client: interim or final
	trailing                  // behind a body
	ignored                   // decoded for the compression's sake alone
)

// pseudo is a set of pseudo-header fields.
type pseudo uint8

const (
	hasMethod pseudo = 1 << iota
	hasScheme
	hasAuthority
	hasPath
	hasStatus
)

// headers begins a head.
func (c *Conn) headers(f *http2.HeadersFrame) error {
	id := f.StreamID
	b := &c.block
	*b = block{open: true, id: id, end: f.StreamEnded(), length: -1, text: c.text[:0], cookies: c.cookies[:0]}
	b.itself = f.HasPriority() && f.Priority.StreamDep == id
	s := c.table.find(id)
	switch {
	case s != nil && c.client && !s.headed:
		b.kind, b.stream = answer, s
	case s != nil:
		b.kind, b.stream = trailing, s
	case id > c.lastID && !c.client:
		if id&1 == 0 {
			return c.fail(http2.ErrCodeProtocol, "a client's streams are odd")
		}
		if c.leaving == final {
			b.kind = ignored
			break
		}
		c.lastID = id
	case c.idle(id):
		return c.fail(http2.ErrCodeProtocol, "HEADERS on an idle stream")
	case c.forgets(id):
		b.kind = ignored
	default:
		return c.fail(http2.ErrCodeStreamClosed, "HEADERS on a closed stream")
	}
	c.dec.SetEmitEnabled(b.kind != ignored)
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// fragment takes a part of a head.
func (c *Conn) fragment(p []byte, last bool) error {
	b := &c.block
	if b.coded += len(p); b.coded > maxBlock {
		return c.fail(http2.ErrCodeEnhanceYourCalm, "head too large")
	}
	// The decoder is given all at once: what it keeps of a part, it keeps for ever.
	if !last || len(c.coded) > 0 {
		c.coded = append(c.coded, p...)
		if p = c.coded; !last {
			return nil
		}
	}
	_, err := c.dec.Write(p)
	if err == nil {
		err = c.dec.Close()
	}
	c.coded = spare(c.coded)
	if err != nil {
		if errors.Is(err, hpack.ErrStringLength) {
			return c.fail(http2.ErrCodeEnhanceYourCalm, "head too large")
		}
		return c.fail(http2.ErrCodeCompression, "malformed head")
	}
	err = c.headComplete()
	c.text, c.cookies = spare(b.text), spare(b.cookies) // as they have grown
	*b = block{}
	return err
}

// spare is a buffer to be used again, unless it has become large.
func spare(b []byte) []byte {
	if cap(b) > 2*FrameSize {
		return nil
	}
	return b[:0]
}

// headComplete acts on a head that has come whole.
func (c *Conn) headComplete() error {
	b := &c.block
	switch b.kind {
	case ignored:
		return c.charge()
	case opening:
		return c.request()
	case answer:
		return c.response()
	}
	s := b.stream
	switch {
	case s.recvEnd:
		return c.ruin(s, http2.ErrCodeStreamClosed)
	case !b.end || b.malformed || b.itself || s.length > 0 || b.seen != 0:
		return c.ruin(s, http2.ErrCodeProtocol)
	}
	if b.full {
		b.text = b.text[:0] // nobody needs half of them
	}
	c.endReceiving(s, b.text)
	return nil
}

// request begins a stream, or answers that it cannot.
func (c *Conn) request() error {
	b := &c.block
	b.complete()
	c.frames.spent = max(0, c.frames.spent-earnedHead)
	switch {
	case b.malformed || b.itself || b.end && b.length > 0:
		c.remember(b.id)
		c.writeReset(b.id, http2.ErrCodeProtocol)
		return c.chargeReset()
	case len(c.table.ids) >= MaxStreams || len(c.table.ids)+c.zombies >= maxBusy:
		return c.refuse(b.id, BoundStreams)
	case c.heads+len(b.text) > maxHeads:
		return c.refuse(b.id, BoundHeads)
	}
	s := c.ev.New()
	if s == nil {
		return c.refuse(b.id, BoundOwner)
	}
	*s = Stream{Owner: s.Owner, id: b.id, sendWindow: c.sendFirst, recvWindow: streamWindow, length: b.length, recvEnd: b.end, head: len(b.text)}
	c.heads += s.head
	c.table.add(s)
	c.ev.Head(s, b.text)
	return nil
}

// refuse answers a request that may be sent again when others have ended.
func (c *Conn) refuse(id uint32, by Bound) error {
	c.remember(id)
	c.writeReset(id, http2.ErrCodeRefusedStream)
	c.ev.Refused(by)
	return c.chargeReset()
}

// response passes on a server's head.
func (c *Conn) response() error {
	b, s := &c.block, c.block.stream
	b.completeAnswer()
	interim := len(b.status) == 3 && b.status[0] == '1'
	switch {
	case b.malformed || interim && b.end || s.toHead && !interim && !b.end:
		return c.ruin(s, http2.ErrCodeProtocol)
	case interim:
		c.ev.Head(s, b.text)
		return c.charge()
	}
	s.headed = true
	if s.length = b.length; s.toHead || b.status == "304" {
		s.length = -1
	} else if b.end && b.length > 0 {
		return c.ruin(s, http2.ErrCodeProtocol)
	}
	c.ev.Head(s, b.text)
	if b.end && !s.dead {
		c.endReceiving(s, nil)
	}
	return nil
}

// emit takes one field.
func (c *Conn) emit(f hpack.HeaderField) {
	b := &c.block
	if len(f.Value) > maxURI && f.Name == ":path" {
		f.Value = f.Value[:maxURI+1] // enough to refuse it for its length
	}
	b.fields++
	if b.size += len(f.Name) + len(f.Value) + 4; b.fields > maxFields+8 || b.size > maxURI+maxHeader+1024 {
		b.full = true
		c.dec.SetEmitEnabled(false)
		return
	}
	if len(f.Name) > 0 && f.Name[0] == ':' {
		b.pseudo(f.Name, f.Value)
		return
	}
	if !isName(f.Name) || !isValue(f.Value) {
		b.malformed = true
		return
	}
	if b.kind == trailing {
		b.field(f.Name, f.Value)
		return
	}
	b.begin()
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		b.malformed = true
		return
	case "te":
		if f.Value != "trailers" {
			b.malformed = true
		}
	case "content-length":
		n, ok := parseLength(f.Value)
		if !ok || b.length >= 0 {
			b.malformed = true
			return
		}
		b.length = n
	case "cookie":
		if b.kind == opening {
			if len(b.cookies) > 0 {
				b.cookies = append(b.cookies, "; "...)
			}
			b.cookies = append(b.cookies, f.Value...)
			return
		}
	case "host":
		// A different one is left for package h1 to refuse.
		if b.seen&hasAuthority != 0 && sameFold(f.Value, b.authority) {
			return
		}
	}
	b.field(f.Name, f.Value)
}

func (b *block) field(name, value string) {
	b.text = append(b.text, name...)
	b.text = append(b.text, ": "...)
	b.text = append(b.text, value...)
	b.text = append(b.text, "\r\n"...)
}

// pseudo takes a pseudo-header field (RFC 9113 8.3).
func (b *block) pseudo(name, value string) {
	var which pseudo
	var to *string
	switch name {
	case ":method":
		which, to = hasMethod, &b.method
	case ":scheme":
		which, to = hasScheme, &b.scheme
	case ":authority":
		which, to = hasAuthority, &b.authority
	case ":path":
		which, to = hasPath, &b.path
	case ":status":
		which, to = hasStatus, &b.status
	}
	if to == nil || (which == hasStatus) != (b.kind == answer) || b.kind == trailing || b.begun || b.seen&which != 0 || !isVisible(value) {
		b.malformed = true
		return
	}
	b.seen |= which
	*to = value
}

// begin writes the first line, when the pseudo-header fields are over.
func (b *block) begin() {
	if b.begun {
		return
	}
	b.begun = true
	if b.kind == answer {
		if len(b.status) != 3 || !isDigits(b.status) || b.status[0] == '0' || b.status == "101" {
			b.malformed = true
			return
		}
		b.text = append(b.text, "HTTP/1.1 "...)
		b.text = append(b.text, b.status...)
		b.text = append(b.text, " \r\n"...)
		return
	}
	target := b.path
	if b.method == "CONNECT" {
		// Refused like in HTTP/1.1, whatever it asks for.
		if b.seen != hasMethod|hasAuthority || b.authority == "" {
			b.malformed = true
			return
		}
		target = b.authority
	} else if b.seen&(hasMethod|hasScheme|hasPath) != hasMethod|hasScheme|hasPath || b.method == "" ||
		b.scheme != "http" && b.scheme != "https" || target == "" || target[0] != '/' && (target != "*" || b.method != "OPTIONS") {
		b.malformed = true
		return
	}
	b.text = append(b.text, b.method...)
	b.text = append(b.text, ' ')
	b.text = append(b.text, target...)
	b.text = append(b.text, " HTTP/1.1\r\n"...)
	if b.authority != "" {
		b.field("host", b.authority)
	}
}

func isDigits(s string) bool {
	_, ok := parseLength(s)
	return ok
}

// complete ends the text of a request.
func (b *block) complete() {
	b.begin()
	if b.full {
		return // unfinished: it is refused
	}
	if len(b.cookies) > 0 {
		b.text = append(b.text, "cookie: "...)
		b.text = append(b.text, b.cookies...)
		b.text = append(b.text, "\r\n"...)
	}
	b.text = append(b.text, "\r\n"...)
}

// completeAnswer ends the text of an answer.
func (b *block) completeAnswer() {
	b.begin()
	if b.full {
		b.malformed = true
	}
	b.text = append(b.text, "\r\n"...)
}
