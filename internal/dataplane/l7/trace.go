package l7

import (
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/trace"
)

// outgoing is what a server is told of the trace that a request belongs to,
// until its head is written. The zero value leaves alone what the client said.
type outgoing struct {
	drop h1.Mask
	line [len(parentName) + trace.Size + 2]byte // for the header that replaces the client's
	own  bool                                   // there is one
}

const parentName = "traceparent: "

// begin decides whether the request is recorded, and begins its span if so. A
// request of a trace that is not recorded passes with its headers as they are,
// if its sender is believed: who sent it stays the one that the server's part is
// under.
func (o *outgoing) begin(t *trace.Tracer, s *snapshot, r *record, req *h1.Request, in []byte, peer netip.AddrPort) {
	o.own = false
	parent, joined := trace.Context{}, false
	if t.Believes(s.internet()) {
		parent, joined = parentOf(req, in)
	}
	c := parent
	switch {
	case !joined:
		// By the standard a trace begins anew, and a state that belongs to another
		// one goes.
		o.drop = h1.Of(h1.TraceParent, h1.TraceState)
		c = t.Begin()
	case parent.Flags&trace.Sampled == 0:
		return
	default:
		o.drop = h1.Of(h1.TraceParent)
		c = trace.Join(parent)
	}
	o.own = true
	b := append(o.line[:0], parentName...)
	b = c.Append(b)
	_ = append(b, "\r\n"...)
	if c.Flags&trace.Sampled == 0 {
		return
	}
	r.span = t.NewSpan()
	describeSpan(r.span, s, req, in, peer)
	r.span.Context, r.span.Parent = c, parent.Span
	if joined {
		r.span.State = appendState(r.span.State, req, in)
	}
}

// parentOf reads the traceparent of a request. It is false without exactly one
// that is well formed.
func parentOf(req *h1.Request, in []byte) (c trace.Context, ok bool) {
	first := req.Find(h1.TraceParent)
	if first == nil {
		return c, false
	}
	if c, ok = trace.Parse(first.Text(in)); !ok {
		return trace.Context{}, false
	}
	for i := range req.Fields {
		if f := &req.Fields[i]; f.ID == h1.TraceParent && f != first {
			return trace.Context{}, false
		}
	}
	return c, true
}

// appendState appends the tracestate of a request, which may come in several
// lines. One that is longer than what is kept is left out of the span: a part of
// it would be malformed.
func appendState(dst []byte, req *h1.Request, in []byte) []byte {
	for i := range req.Fields {
		f := &req.Fields[i]
		if f.ID != h1.TraceState {
			continue
		}
		text := f.Text(in)
		if len(dst)+1+len(text) > trace.MaxText {
			return dst[:0]
		}
		if len(dst) > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, text...)
	}
	return dst
}

// describeSpan notes what is known of a request when it is there.
func describeSpan(span *trace.Span, s *snapshot, req *h1.Request, in []byte, peer netip.AddrPort) {
	var q logged
	describe(&q, req, in)
	span.Method, span.Target, span.Protocol = trace.Keep(span.Method, q.method), trace.Keep(span.Target, q.uri), trace.Keep(span.Protocol, q.protocol)
	span.Host, span.UserAgent = trace.Keep(span.Host, q.host), trace.Keep(span.UserAgent, q.userAgent)
	f := &s.Frontend
	span.Scheme, span.Client, span.Listen = string(f.ID.Protocol), peer, f.Listen
	span.Instance, span.Port = f.ID.Instance, f.ID.Port
	span.HTTP2 = s.toHTTP2()
}

// edit has the request's head say what begin found.
func (o *outgoing) edit(e *h1.RequestEdits) {
	if o.own {
		e.Drop |= o.drop
		e.LastLine = o.line[:]
	}
}

// forwards notes that the head to the server is written, with the given size.
func (r *record) forwards(plan *policy.Plan, size int) {
	if r.span != nil {
		r.span.Rule = plan.Rule
		r.parentAt = size - len("\r\n") - (trace.Size + len("\r\n"))
	}
}

// finishSpan completes the span and hands it over.
func (r *record) finishSpan(now int64) {
	span := r.span
	r.span = nil
	wall := time.Now().UnixNano() - now // of the clock's beginning
	span.Start, span.End = wall+r.began, wall+now
	if r.out > 0 {
		span.Status, span.Whole = r.status, r.whole
	}
	for i := range r.tries[:r.n] {
		t := &r.tries[i]
		span.Attempts = append(span.Attempts, trace.Attempt{Server: t.addr, Start: wall + t.begun, End: wall + t.ended, Status: t.status, Broken: t.broken})
	}
	span.Finish()
}
