package trace

import "encoding/binary"

// Context is the place of a request within a trace, which the header
// traceparent carries (W3C Trace Context).
type Context struct {
	Trace [16]byte
	Span  uint64 // of whoever sends the request; never 0
	Flags byte   // Sampled and Random; others are unknown here
}

// The flags of a Context.
const (
	// Sampled says that whoever sends the request records its part of the trace.
	Sampled = 1 << iota
	// Random says that the trace's id was made at random. It is passed on, and not
	// set for traces that begin here: not every receiver knows it yet.
	Random
)

// Size is the length of a traceparent.
const Size = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// Parse reads a traceparent. Of versions to come it reads what this one has, as
// the standard asks. It is false for what is malformed.
func Parse(b []byte) (c Context, ok bool) {
	if len(b) < Size || b[2] != '-' || b[35] != '-' || b[52] != '-' {
		return c, false
	}
	var version, flags [1]byte
	var span [8]byte
	if !unhex(version[:], b[:2]) || !unhex(c.Trace[:], b[3:35]) || !unhex(span[:], b[36:52]) || !unhex(flags[:], b[53:55]) {
		return c, false
	}
	switch version[0] {
	case 0xff:
		return c, false
	case 0:
		if len(b) > Size {
			return c, false
		}
	default:
		if len(b) > Size && b[Size] != '-' {
			return c, false
		}
	}
	c.Span = binary.BigEndian.Uint64(span[:])
	c.Flags = flags[0] & (Sampled | Random)
	return c, c.Span != 0 && c.Trace != [16]byte{}
}

// Append appends the traceparent of c.
func (c *Context) Append(dst []byte) []byte {
	dst = append(dst, "00-"...)
	for _, b := range c.Trace {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	dst = append(dst, '-')
	dst = appendID(dst, c.Span)
	return append(dst, '-', '0', digits[c.Flags&15])
}

// idAt is where the id of the span stands in a traceparent.
const idAt = len("00-0af7651916cd43dd8448eb211c80319c-")

func appendID(dst []byte, id uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[id>>shift&15])
	}
	return dst
}

// SetSpan makes a traceparent that Append wrote name another span.
func SetSpan(parent []byte, id uint64) { appendID(parent[idAt:idAt], id) }

const digits = "0123456789abcdef"

// unhex reads lower-case hexadecimal digits, which the standard asks for, into
// dst: two for each byte.
func unhex(dst, text []byte) bool {
	for i := range dst {
		high, low := value[text[2*i]], value[text[2*i+1]]
		if high|low > 15 {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

// value is that of a lower-case hexadecimal digit, 0xff for all else.
var value = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range digits {
		v[digits[i]] = byte(i)
	}
	return v
}()
