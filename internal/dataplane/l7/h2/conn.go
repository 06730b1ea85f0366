package h2

import (
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Events are told by Receive. What they are given is valid during the call.
type Events interface {
	// New gives a stream for a request; nil refuses it.
	New() *Stream
	// Refused says that a request was refused, and which bound it was beyond.
	Refused(by Bound)
	// Head is a request's head, or the head of an answer, in the form of
	// HTTP/1.1: a first line, lines with lower-case names, an empty line. What is
	// larger than the limits is cut off where it exceeds them.
	Head(s *Stream, head []byte)
	// Data are bytes of a body. Consumed gives their room back.
	Data(s *Stream, p []byte)
	// End says that the other side has sent all it will. trailers are lines, or
	// nil.
	End(s *Stream, trailers []byte)
	// Reset says that a stream is over: nothing can be sent on it.
	Reset(s *Stream, code Code)
	// Window says that more may be sent on a stream; on all, if s is nil.
	Window(s *Stream)
}

// Conn is a connection. Make it ready with Serve or Connect.
type Conn struct {
	ev     Events
	client bool
	err    error
	now    time.Duration

	// Input.

	*codec                // nil while at rest
	preface int           // bytes of the client's preface still to come
	settled bool          // the other side's first SETTINGS have come
	begun   time.Duration // when what has not come whole had begun
	open    bool          // there is such a thing, see Begun
	fh      http2.FrameHeader
	headed  bool // fh is read, its payload has not come
	dec     *hpack.Decoder
	block   block

	// Streams.

	table      table
	lastID     uint32
	heads      int // bytes of those of all requests
	zombies    int
	ended      [forgotten]uint32 // that we ended, see forgotten
	endedNext  int
	recvWindow int64
	recvOwed   int // consumed and not yet given back

	// Output.

	out        []byte
	early      []uint32 // streams whose answers are whole in out while clients still send
	enc        *hpack.Encoder
	encoded    sink
	bare       bool // leave the length out of the head being encoded
	sendWindow int64
	sendFirst  int64 // window of a new stream
	reserved   int   // of all streams

	// The end.

	leaving  leaving
	finalID  uint32 // no later request is answered
	peerGone bool

	resets, frames budget
	earned         int // bytes sent towards the next frame earned
}

// leaving is how far a graceful end has come.
type leaving uint8

const (
	staying leaving = iota
	announced
	final
)

const preface = http2.ClientPreface

// Serve makes c the server's side of a new connection.
func (c *Conn) Serve(ev Events) {
	c.begin(ev)
	c.preface = len(preface)
	c.writeSettings(
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: MaxStreams},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxURI + maxHeader},
	)
	c.widen(0, connWindow-65535)
}

// Connect makes c the client's side of a new connection.
func (c *Conn) Connect(ev Events) {
	c.begin(ev)
	c.client = true
	c.out = append(c.out, preface...)
	c.writeSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxURI + maxHeader},
	)
	c.widen(0, connWindow-65535)
}

func (c *Conn) begin(ev Events) {
	*c = Conn{ev: ev, recvWindow: connWindow, sendWindow: 65535, sendFirst: 65535}
	c.dec = hpack.NewDecoder(tableSize, nil)
	c.dec.SetEmitFunc(c.emit)
	c.dec.SetMaxStringLength(maxString)
	c.enc = hpack.NewEncoder(&c.encoded)
}

// reader gives the framer what has come.
type reader struct{ p []byte }

func (r *reader) Read(p []byte) (int, error) {
	if len(r.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.p)
	r.p = r.p[n:]
	return n, nil
}

// sink is a growing buffer.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// codec is what reading and writing frames takes. The buffers in it are for the
// largest frame, so that idle connections have none.
type codec struct {
	c       *Conn
	rd      reader
	fr      *http2.Framer
	coded   []byte // of a head in several frames
	text    []byte // for block
	cookies []byte
	lower   []byte // scratch for names
	part    []byte // an incomplete frame
	encoded []byte // for Conn.encoded
}

var codecs = sync.Pool{New: func() any {
	k := new(codec)
	k.fr = http2.NewFramer(k, &k.rd)
	k.fr.SetReuseFrames()
	k.fr.SetMaxReadFrameSize(FrameSize)
	return k
}}

// Write appends what the framer writes to the output.
func (k *codec) Write(p []byte) (int, error) {
	k.c.out = append(k.c.out, p...)
	return len(p), nil
}

// writing gives the framer.
func (c *Conn) writing() *http2.Framer {
	if c.codec == nil {
		c.codec = codecs.Get().(*codec)
		c.codec.c, c.encoded.b = c, c.codec.encoded
	}
	return c.fr
}

// Rest lets buffers go while nothing goes on.
func (c *Conn) Rest() {
	if c.codec == nil || len(c.part) > 0 || c.headed || c.block.open {
		return
	}
	k := c.codec
	k.encoded = spare(c.encoded.b)
	c.codec, c.encoded.b = nil, nil
	k.c, k.rd.p = nil, nil
	// A framer that met an error may wait for the rest of a head.
	if c.err == nil {
		codecs.Put(k)
	}
}

// Pending is how many bytes of output there are.
func (c *Conn) Pending() int { return len(c.out) }

// TakeOutput returns the output and goes on with buf, which is empty. What stays
// behind is for the next time.
func (c *Conn) TakeOutput(buf []byte) []byte {
	out := c.out
	c.out = buf
	for _, id := range c.early {
		if c.err == nil {
			c.writeReset(id, http2.ErrCodeNo)
		}
	}
	c.early = c.early[:0]
	return out
}

// Room is how many bytes of bodies the output takes.
func (c *Conn) Room() int { return OutLimit - len(c.out) }

// Open is how many streams are open.
func (c *Conn) Open() int { return len(c.table.ids) }

// Err is what ended the connection, or nil.
func (c *Conn) Err() error { return c.err }

// Receive takes bytes that have come. now is any clock's time. An error is an
// *Error and final.
func (c *Conn) Receive(now time.Duration, p []byte) error {
	if c.err != nil {
		return c.err
	}
	c.now = now
	c.writing()
	if c.preface > 0 {
		n := min(c.preface, len(p))
		if string(p[:n]) != preface[len(preface)-c.preface:][:n] {
			return c.fail(http2.ErrCodeProtocol, "no preface")
		}
		c.preface -= n
		p = p[n:]
	}
	for len(c.part) > 0 { // once for the header, once for the payload
		missing := frameHead - len(c.part)
		if c.headed {
			missing = int(c.fh.Length) - len(c.part)
		}
		if missing > len(p) {
			break
		}
		whole := append(c.part, p[:missing]...)
		c.part, p = whole[:0], p[missing:]
		if _, err := c.receive(whole); err != nil {
			return err
		}
	}
	if len(c.part) == 0 {
		rest, err := c.receive(p)
		if err != nil {
			return err
		}
		p = rest
	}
	c.part = append(c.part, p...)
	if open := c.isOpen(); open != c.open || open && c.begun < 0 {
		c.open, c.begun = open, now
	}
	if len(c.out) > maxOut {
		return c.fail(http2.ErrCodeEnhanceYourCalm, "answers are not read")
	}
	return nil
}

const frameHead = 9

// receive handles the frames that are whole and returns what follows them.
func (c *Conn) receive(p []byte) ([]byte, error) {
	for {
		if !c.headed {
			if len(p) < frameHead {
				return p, nil
			}
			c.rd.p = p
			fh, err := c.fr.ReadFrameHeader()
			if err != nil {
				return nil, c.failRead(err)
			}
			p = c.rd.p
			c.fh, c.headed = fh, true
			if fh.Type != http2.FrameSettings && !c.settled {
				return nil, c.fail(http2.ErrCodeProtocol, "the first frame is not SETTINGS")
			}
		}
		if len(p) < int(c.fh.Length) {
			return p, nil
		}
		payload := p[:c.fh.Length]
		p = p[c.fh.Length:]
		c.headed = false
		if err := c.payload(payload); err != nil {
			return nil, err
		}
		if !c.block.open {
			c.begun = -1 // what is open behind it begins anew
		}
	}
}

// payload handles the frame whose header is fh.
func (c *Conn) payload(p []byte) error {
	if c.fh.Type == http2.FrameData && !c.fh.Flags.Has(http2.FlagDataPadded) && !c.block.open {
		return c.data(&c.fh, p) // without the copy that the framer would make
	}
	c.rd.p = p
	f, err := c.fr.ReadFrameForHeader(c.fh)
	if err != nil {
		return c.failFrame(err)
	}
	return c.frame(f)
}

// failRead ends the connection for a frame header that cannot be.
func (c *Conn) failRead(err error) error {
	if errors.Is(err, http2.ErrFrameTooLarge) {
		return c.fail(http2.ErrCodeFrameSize, "frame too large")
	}
	return c.failFrame(err)
}

// failFrame judges what the framer found wrong with the current frame.
func (c *Conn) failFrame(err error) error {
	var stream http2.StreamError
	var conn http2.ConnectionError
	switch {
	case errors.As(err, &conn):
		return c.fail(http2.ErrCode(conn), "malformed "+c.fh.Type.String())
	case errors.As(err, &stream) && c.fh.Type == http2.FrameWindowUpdate:
		if s := c.table.find(stream.StreamID); s != nil {
			return c.ruin(s, stream.Code)
		}
		return c.charge() // of a stream that is over
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return c.fail(http2.ErrCodeFrameSize, "frame too short")
	}
	// A head that was not decoded among them: the compression's state is lost.
	return c.fail(http2.ErrCodeProtocol, "malformed "+c.fh.Type.String())
}

// Begun tells since when, on the caller's clock, something has begun that has not
// come whole: the preface with its settings, a head with all its frames, or a
// frame of another kind. Parts of bodies do not count, since there are windows to
// bound them and streams to ask for them.
func (c *Conn) Begun() (since time.Duration, open bool) { return c.begun, c.open }

// Settled tells whether the other side has said what a connection begins with.
func (c *Conn) Settled() bool { return c.settled }

func (c *Conn) isOpen() bool {
	switch {
	case !c.settled || c.block.open:
		return true
	case c.headed:
		return c.fh.Type != http2.FrameData
	}
	return len(c.part) > 0
}

// Fail ends the connection for a reason that the caller has.
func (c *Conn) Fail(code Code, reason string) {
	if c.err == nil {
		_ = c.fail(code, reason)
	}
}

// fail ends the connection.
func (c *Conn) fail(code http2.ErrCode, reason string) error {
	c.err = &Error{Code: code, Reason: reason}
	c.writeGoAway(c.lastID, code, reason)
	return c.err
}

// charge takes a frame off the budget.
func (c *Conn) charge() error {
	c.frames.spent++
	if c.frames.spent > frameBudget {
		c.frames.refill(c.now, frameRefill)
		if c.frames.spent > frameBudget {
			return c.fail(http2.ErrCodeEnhanceYourCalm, "too many frames without use")
		}
	}
	return nil
}

// earn counts bytes sent, which have to be acknowledged.
func (c *Conn) earn(n int) {
	c.earned += n
	if c.earned >= earnedPer {
		c.frames.spent = max(0, c.frames.spent-c.earned/earnedPer)
		c.earned %= earnedPer
	}
}

// chargeReset takes a failed request off the budget.
func (c *Conn) chargeReset() error {
	if c.client {
		return nil
	}
	c.resets.spent++
	if c.resets.spent > resetBudget {
		c.resets.refill(c.now, resetRefill)
		if c.resets.spent > resetBudget {
			return c.fail(http2.ErrCodeEnhanceYourCalm, "too many requests given up")
		}
	}
	return nil
}
