package h2

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// world is a server's connection and the peer that talks to it.
type world struct {
	t    testing.TB
	c    Conn
	now  time.Duration
	in   bytes.Buffer
	fr   *http2.Framer
	code bytes.Buffer
	enc  *hpack.Encoder

	events  []string
	streams map[uint32]*Stream
	keep    bool // streams are not released when reset
	quiet   bool // nothing is noted
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, streams: map[uint32]*Stream{}}
	w.c.Serve(w)
	w.fr = http2.NewFramer(&w.in, nil)
	w.fr.AllowIllegalWrites = true
	w.enc = hpack.NewEncoder(&w.code)
	w.in.WriteString(http2.ClientPreface)
	w.fr.WriteSettings()
	return w
}

func (w *world) note(format string, args ...any) {
	if !w.quiet {
		w.events = append(w.events, fmt.Sprintf(format, args...))
	}
}

func (w *world) New() *Stream { return new(Stream) }

func (w *world) Refused(by Bound) { w.note("refused %d", by) }

func (w *world) Head(s *Stream, head []byte) {
	w.streams[s.ID()] = s
	w.note("head %d %q end=%v", s.ID(), head, s.Ended())
}

func (w *world) Data(s *Stream, p []byte) { w.note("data %d %d", s.ID(), len(p)) }

func (w *world) End(s *Stream, trailers []byte) { w.note("end %d %q", s.ID(), trailers) }

func (w *world) Reset(s *Stream, code Code) {
	w.note("reset %d %v", s.ID(), code)
	if !w.keep {
		w.c.Release(s)
		delete(w.streams, s.ID())
	}
}

func (w *world) Window(*Stream) {}

// deliver gives the connection what the peer has written.
func (w *world) deliver() error {
	p := append([]byte(nil), w.in.Bytes()...)
	w.in.Reset()
	return w.c.Receive(w.now, p)
}

// fragment compresses fields, given as name and value in turn.
func (w *world) fragment(fields ...string) []byte {
	w.code.Reset()
	for i := 0; i < len(fields); i += 2 {
		w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return append([]byte(nil), w.code.Bytes()...)
}

var get = []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/"}

// request writes a head.
func (w *world) request(id uint32, end bool, more ...string) {
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.fragment(append(append([]string(nil), get...), more...)...), EndStream: end, EndHeaders: true})
}

// said gives the frames that the connection has sent, as text.
func (w *world) said() []string {
	fr := http2.NewFramer(nil, bytes.NewReader(w.c.TakeOutput(nil)))
	var all []string
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return all
		}
		s := f.Header().Type.String() + fmt.Sprintf(" %d", f.Header().StreamID)
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			s += " " + f.ErrCode.String()
		case *http2.GoAwayFrame:
			s += " " + f.ErrCode.String()
		case *http2.WindowUpdateFrame:
			s += fmt.Sprintf(" +%d", f.Increment)
		case *http2.DataFrame:
			s += fmt.Sprintf(" %d", len(f.Data()))
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) && (f.Header().Type == http2.FrameData || f.Header().Type == http2.FrameHeaders) {
			s += " end"
		}
		all = append(all, s)
	}
}

// wantEnd checks that the connection has been ended with a code.
func (w *world) wantEnd(err error, code http2.ErrCode) {
	w.t.Helper()
	var e *Error
	if e, _ = err.(*Error); e == nil || e.Code != code {
		w.t.Fatalf("error %v, want %v", err, code)
	}
	said := w.said()
	if len(said) == 0 || said[len(said)-1] != "GOAWAY 0 "+code.String() {
		w.t.Errorf("said %q", said[max(0, len(said)-3):])
	}
}
