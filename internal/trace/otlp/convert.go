package otlp

import (
	"net/netip"
	"strconv"
	"strings"

	wire "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/openslb/openslb/internal/trace"
)

// schema is the version of the semantic conventions that the attributes follow.
// Those of HTTP have been stable since 1.23.
const schema = "https://opentelemetry.io/schemas/1.43.0"

// add writes a request as a span of kind server, and each server that was asked
// as one of kind client under it.
func (e *encoder) add(s *trace.Span) {
	r := newRequest(s)
	e.server(&r)
	for i := range s.Attempts {
		e.client(&r, i)
	}
}

// request is a span with what its parts have in common.
type request struct {
	*trace.Span
	name, method, original string // original is what an unknown method was
	path, query            string
}

func newRequest(s *trace.Span) request {
	r := request{Span: s, method: string(s.Method)}
	switch r.method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY", "CONNECT", "TRACE":
		r.name = r.method
	default: // anybody can invent one: it must not become a name
		r.name, r.method, r.original = "HTTP", "_OTHER", r.method
	}
	target := string(s.Target)
	if _, rest, absolute := strings.Cut(target, "://"); absolute && target[0] != '/' {
		target = strings.TrimLeftFunc(rest, func(c rune) bool { return c != '/' && c != '?' })
	}
	r.path, r.query, _ = strings.Cut(target, "?")
	if r.path == "" && len(s.Target) > 0 {
		r.path = "/"
	}
	r.query = redact(r.query)
	return r
}

// Whether a span's parent is somebody else's.
const (
	knowsRemote = uint32(wire.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	isRemote    = uint32(wire.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
)

// server writes the request as the client sees it.
func (e *encoder) server(r *request) {
	f := fields{trace: &r.Trace, id: r.Context.Span, parent: r.Parent, state: r.State, flags: uint32(r.Flags) | knowsRemote,
		name: r.name, kind: wire.Span_SPAN_KIND_SERVER, start: r.Start, end: r.End}
	if r.Parent != 0 {
		f.flags |= isRemote
	}
	e.begin(&f)
	e.text("http.request.method", r.method)
	e.text("http.request.method_original", r.original)
	e.text("url.scheme", r.Scheme)
	e.text("url.path", r.path)
	e.text("url.query", r.query)
	host, port := r.host()
	e.text("server.address", host)
	e.number("server.port", int(port))
	e.text("client.address", r.Client.Addr().Unmap().String())
	e.number("client.port", int(r.Client.Port()))
	e.text("network.protocol.version", version(r.Protocol))
	e.text("user_agent.original", string(r.UserAgent))
	e.text("openslb.instance.id", r.Instance)
	e.number("openslb.listener.port", int(r.Port))
	e.text("openslb.rule.id", r.Rule)
	e.number("openslb.attempts", len(r.Attempts))
	if n := len(r.Attempts); n > 0 {
		e.text("openslb.backend.address", r.Attempts[n-1].Server.String())
	}
	failure := ""
	if !r.Whole {
		failure = "incomplete"
	}
	e.outcome(r.Status, 500, failure)
	e.end()
}

// client writes one server's part of the request.
func (e *encoder) client(r *request, i int) {
	t := &r.Attempts[i]
	e.begin(&fields{trace: &r.Trace, id: r.AttemptID(i), parent: r.Context.Span, state: r.State, flags: uint32(r.Flags) | knowsRemote,
		name: r.name, kind: wire.Span_SPAN_KIND_CLIENT, start: t.Start, end: t.End})
	e.text("http.request.method", r.method)
	e.text("http.request.method_original", r.original)
	full := "http://" + t.Server.String() + r.path
	if r.query != "" {
		full += "?" + r.query
	}
	e.text("url.full", full)
	e.text("server.address", t.Server.Addr().Unmap().String())
	e.number("server.port", int(t.Server.Port()))
	if r.HTTP2 {
		e.text("network.protocol.version", "2")
	} else {
		e.text("network.protocol.version", "1.1")
	}
	if i > 0 {
		e.number("http.request.resend_count", i)
	}
	failure := ""
	switch {
	case t.Broken:
		failure = "incomplete"
	case t.Status != 0:
	case r.Status == 504 && i == len(r.Attempts)-1:
		failure = "timeout"
	default:
		failure = "no_answer"
	}
	e.outcome(t.Status, 400, failure)
	e.end()
}

// outcome adds what came of a request: its status, and an error if the status is
// at least that of the first error, or for another reason.
func (e *encoder) outcome(status, firstError int, failure string) {
	if status != 0 {
		e.number("http.response.status_code", status)
	}
	if status >= firstError {
		failure = strconv.Itoa(status)
	}
	if failure != "" {
		e.text("error.type", failure)
		e.failed()
	}
}

// host is the name and port that the client asked for.
func (r *request) host() (string, uint16) {
	if len(r.Host) == 0 {
		return r.Listen.Addr().String(), r.Port
	}
	host := string(r.Host)
	if addr, err := netip.ParseAddrPort(host); err == nil {
		return addr.Addr().String(), addr.Port()
	}
	name, digits, _ := strings.Cut(host, ":")
	if digits == "" {
		return name, r.Port
	}
	if port, err := strconv.ParseUint(digits, 10, 16); err == nil {
		return name, uint16(port)
	}
	return strings.Trim(host, "[]"), r.Port // an IPv6 address without a port, for one
}

// version is that of a protocol as written in a request line.
func version(protocol []byte) string {
	_, v, _ := strings.Cut(string(protocol), "/")
	if v == "2.0" {
		return "2"
	}
	return v
}

// redact hides the values of a query that the conventions name as secrets.
func redact(query string) string {
	if !strings.Contains(query, "ig") && !strings.Contains(query, "AWS") {
		return query
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		switch name, _, ok := strings.Cut(part, "="); name {
		case "AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature":
			if ok {
				parts[i] = name + "=REDACTED"
			}
		}
	}
	return strings.Join(parts, "&")
}
