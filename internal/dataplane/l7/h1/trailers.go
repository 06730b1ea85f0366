package h1

import "bytes"

// AppendTrailers appends the lines of a trailer section that may be passed on:
// those of headers that neither the proxy nor a server acts on when it meets
// them in a head, where some readers merge them into. drop are further ones to
// leave out, as in RequestEdits.DropNames. lines were checked for form.
func AppendTrailers(dst, lines []byte, drop []string) []byte {
	for len(lines) > 0 {
		n := bytes.IndexByte(lines, '\n') + 1
		if n == 0 {
			break
		}
		line := lines[:n]
		lines = lines[n:]
		if colon := bytes.IndexByte(line, ':'); colon > 0 && lookup(line[:colon]) == Other && !isOneOf(line[:colon], drop) {
			dst = append(dst, line...)
		}
	}
	return dst
}
