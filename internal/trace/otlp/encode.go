package otlp

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// encoder writes spans in the form of the wire, since a message for each of
// their attributes would cost several times what it costs to serve the request.
// The zero value is ready, and its memory is used again.
type encoder struct {
	out  []byte // whole spans, as fields of wire.ScopeSpans
	span []byte // the one under way
}

// Numbers of fields, by their names in the protocol's definition.
const (
	scopeSpansSpans = 2

	spanTraceID    = 1
	spanID         = 2
	spanTraceState = 3
	spanParentID   = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanStatus     = 15
	spanFlags      = 16

	statusCode = 3

	keyValueKey   = 1
	keyValueValue = 2

	anyValueString = 1
	anyValueInt    = 3
)

// fields are those of a span but for its attributes and status.
type fields struct {
	trace      *[16]byte
	id, parent uint64 // parent 0: none
	state      []byte
	flags      uint32
	name       string
	kind       wire.Span_SpanKind
	start, end int64
}

// begin begins a span.
func (e *encoder) begin(f *fields) {
	b := bytesField(e.span[:0], spanTraceID, f.trace[:])
	b = idField(b, spanID, f.id)
	if len(f.state) > 0 && utf8.Valid(f.state) {
		b = bytesField(b, spanTraceState, f.state)
	}
	if f.parent != 0 {
		b = idField(b, spanParentID, f.parent)
	}
	b = bytesField(b, spanName, []byte(f.name))
	b = protowire.AppendVarint(protowire.AppendTag(b, spanKind, protowire.VarintType), uint64(f.kind))
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanStart, protowire.Fixed64Type), uint64(f.start))
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanEnd, protowire.Fixed64Type), uint64(max(f.start, f.end)))
	e.span = protowire.AppendFixed32(protowire.AppendTag(b, spanFlags, protowire.Fixed32Type), f.flags)
}

// end ends the span.
func (e *encoder) end() { e.out = bytesField(e.out, scopeSpansSpans, e.span) }

// failed gives the span the status of an error.
func (e *encoder) failed() {
	code := protowire.AppendVarint(protowire.AppendTag(nil, statusCode, protowire.VarintType), uint64(wire.Status_STATUS_CODE_ERROR))
	e.span = bytesField(e.span, spanStatus, code)
}

// text adds an attribute unless it is empty. Bytes that are no UTF-8, which the
// wire does not carry, become U+FFFD.
func (e *encoder) text(key, value string) {
	if value == "" {
		return
	}
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, "\uFFFD")
	}
	e.attribute(key, 1+protowire.SizeBytes(len(value)))
	e.span = protowire.AppendString(protowire.AppendTag(e.span, anyValueString, protowire.BytesType), value)
}

// number adds an attribute.
func (e *encoder) number(key string, value int) {
	e.attribute(key, 1+protowire.SizeVarint(uint64(value)))
	e.span = protowire.AppendVarint(protowire.AppendTag(e.span, anyValueInt, protowire.VarintType), uint64(value))
}

// attribute begins one whose value is of the given size.
func (e *encoder) attribute(key string, size int) {
	b := protowire.AppendTag(e.span, spanAttributes, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(key))+1+protowire.SizeBytes(size)))
	b = protowire.AppendString(protowire.AppendTag(b, keyValueKey, protowire.BytesType), key)
	b = protowire.AppendTag(b, keyValueValue, protowire.BytesType)
	e.span = protowire.AppendVarint(b, uint64(size))
}

func bytesField(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

func idField(b []byte, number protowire.Number, id uint64) []byte {
	b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), 8)
	return binary.BigEndian.AppendUint64(b, id)
}
