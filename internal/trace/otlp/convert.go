package otlp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/openslb/openslb/internal/trace"
)

// schema is the version of the semantic conventions that the attributes follow.
// Those of HTTP have been stable since 1.23.
const schema = "https://opentelemetry.io/schemas/1.43.0"

// convert turns each request into a span of kind server, and each server that was
// asked into one of kind client under it.
func convert(spans []*trace.Span) []*wire.Span {
	var out []*wire.Span
	for _, s := range spans {
		r := newRequest(s)
		out = append(out, r.server())
		for i := range s.Attempts {
			out = append(out, r.client(i))
		}
	}
	return out
}

// request is a span with what its parts have in common.
type request struct {
	*trace.Span
	name        string
	method      []*common.KeyValue
	path, query string
	traceID     []byte
	state       string
}

func newRequest(s *trace.Span) *request {
	r := &request{Span: s, traceID: bytes.Clone(s.Trace[:])}
	if utf8.Valid(s.State) {
		r.state = string(s.State)
	}
	switch m := string(s.Method); m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY", "CONNECT", "TRACE":
		r.name, r.method = m, []*common.KeyValue{text("http.request.method", m)}
	default: // anybody can invent one: it must not become a name
		r.name, r.method = "HTTP", []*common.KeyValue{text("http.request.method", "_OTHER")}
		if m != "" {
			r.method = append(r.method, text("http.request.method_original", m))
		}
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

// server is the request as the client sees it.
func (r *request) server() *wire.Span {
	span := &wire.Span{
		TraceId: r.traceID, SpanId: id(r.Context.Span), TraceState: r.state, Flags: uint32(r.Flags) | knowsRemote, Name: r.name, Kind: wire.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: uint64(r.Start), EndTimeUnixNano: uint64(max(r.Start, r.End)),
	}
	if r.Parent != 0 {
		span.ParentSpanId = id(r.Parent)
		span.Flags |= isRemote
	}
	a := append(slices.Clip(r.method), text("url.scheme", r.Scheme))
	a = appendText(a, "url.path", r.path)
	a = appendText(a, "url.query", r.query)
	host, port := r.host()
	a = append(a, text("server.address", host), number("server.port", int64(port)))
	a = append(a, text("client.address", r.Client.Addr().Unmap().String()), number("client.port", int64(r.Client.Port())))
	a = appendText(a, "network.protocol.version", version(r.Protocol))
	a = appendText(a, "user_agent.original", string(r.UserAgent))
	a = append(a, text("openslb.instance.id", r.Instance), number("openslb.listener.port", int64(r.Port)), number("openslb.attempts", int64(len(r.Attempts))))
	a = appendText(a, "openslb.rule.id", r.Rule)
	if n := len(r.Attempts); n > 0 {
		a = append(a, text("openslb.backend.address", r.Attempts[n-1].Server.String()))
	}
	span.Attributes, span.Status = outcome(a, r.Status, 500, r.incomplete())
	return span
}

// incomplete says why the answer counts as failed whatever its status, if it
// does.
func (r *request) incomplete() string {
	if r.Whole {
		return ""
	}
	return "incomplete"
}

// client is one server's part of the request.
func (r *request) client(i int) *wire.Span {
	t := &r.Attempts[i]
	span := &wire.Span{
		TraceId: r.traceID, SpanId: id(r.AttemptID(i)), ParentSpanId: id(r.Context.Span), TraceState: r.state, Flags: uint32(r.Flags) | knowsRemote, Name: r.name, Kind: wire.Span_SPAN_KIND_CLIENT,
		StartTimeUnixNano: uint64(t.Start), EndTimeUnixNano: uint64(max(t.Start, t.End)),
	}
	full := "http://" + t.Server.String() + r.path
	if r.query != "" {
		full += "?" + r.query
	}
	a := append(slices.Clip(r.method), text("url.full", full), text("server.address", t.Server.Addr().Unmap().String()), number("server.port", int64(t.Server.Port())))
	if r.HTTP2 {
		a = append(a, text("network.protocol.version", "2"))
	} else {
		a = append(a, text("network.protocol.version", "1.1"))
	}
	if i > 0 {
		a = append(a, number("http.request.resend_count", int64(i)))
	}
	failure := ""
	switch {
	case t.Status != 0:
	case r.Status == 504 && i == len(r.Attempts)-1:
		failure = "timeout"
	default:
		failure = "no_answer"
	}
	span.Attributes, span.Status = outcome(a, t.Status, 400, failure)
	return span
}

// outcome adds what came of a request: its status, and an error if the status is
// at least that of the first error, or for another reason.
func outcome(a []*common.KeyValue, status, firstError int, failure string) ([]*common.KeyValue, *wire.Status) {
	if status != 0 {
		a = append(a, number("http.response.status_code", int64(status)))
	}
	if status >= firstError {
		failure = strconv.Itoa(status)
	}
	if failure == "" {
		return a, nil
	}
	return append(a, text("error.type", failure)), &wire.Status{Code: wire.Status_STATUS_CODE_ERROR}
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

func id(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// text makes an attribute. Bytes that are no UTF-8, which the wire does not
// carry, become U+FFFD.
func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.ToValidUTF8(value, "\uFFFD")}}}
}

// appendText adds what is not empty.
func appendText(a []*common.KeyValue, key, value string) []*common.KeyValue {
	if value == "" {
		return a
	}
	return append(a, text(key, value))
}

func number(key string, value int64) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: value}}}
}
