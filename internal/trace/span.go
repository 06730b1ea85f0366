package trace

import (
	"net/netip"
	"sync"
)

// Span is a request that is recorded: what a proxy did between its first byte
// and the last one of the answer. Times are Unix nanoseconds. What is empty was
// not there.
type Span struct {
	Context
	// Parent is the span that the request comes from; 0: the trace begins here.
	Parent uint64
	// State is the tracestate that came with the request.
	State      []byte
	Start, End int64

	// The request, as the client wrote it; texts are cut at MaxText.
	Method, Target, Protocol, Host, UserAgent []byte
	Scheme                                    string
	Client                                    netip.AddrPort

	// Where it came in and what it was for.
	Listen         netip.AddrPort
	Instance, Rule string
	Port           uint16

	Status int  // of the answer; 0: none
	Whole  bool // the client got all of the answer

	// Attempts are the connections to servers that the request went over, or was to
	// go over, in their order.
	Attempts []Attempt
	// HTTP2 says that servers were asked by it.
	HTTP2 bool

	tracer *Tracer
}

// Attempt is a part of a Span: one server that was asked.
type Attempt struct {
	Server     netip.AddrPort
	Start, End int64
	Status     int  // of its answer; 0: none
	Broken     bool // the answer ended before its end
}

// AttemptID is the span id of the i-th attempt. They follow that of the request,
// which leaves room for them, so that nothing has to be kept of them.
func (s *Span) AttemptID(i int) uint64 { return s.Context.Span + 1 + uint64(i) }

// MaxText is how much is kept of a text that came from a client, in bytes.
const MaxText = 1024

// Keep copies a text into memory that is used again.
func Keep(dst, text []byte) []byte { return append(dst[:0], text[:min(len(text), MaxText)]...) }

var spans = sync.Pool{New: func() any { return new(Span) }}

// NewSpan gives an empty span, whose slices have what room they had before.
func (t *Tracer) NewSpan() *Span {
	s := spans.Get().(*Span)
	s.tracer = t
	return s
}

// free makes the memory ready for another request.
func (s *Span) free() {
	*s = Span{State: s.State[:0], Method: s.Method[:0], Target: s.Target[:0], Protocol: s.Protocol[:0], Host: s.Host[:0],
		UserAgent: s.UserAgent[:0], Attempts: s.Attempts[:0]}
	spans.Put(s)
}
