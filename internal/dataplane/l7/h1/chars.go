package h1

import (
	"encoding/binary"
	"math/bits"
)

// tchar marks the bytes of a token (RFC 9110 5.6.2).
var tchar = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// hostChar marks the bytes of a registered name or IPv4 address. It is RFC
// 3986's reg-name without the comma, which list-minded readers split at, and
// without percent-encoding, which some decode before they compare.
var hostChar = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = true, true
	}
	for _, c := range "-._~!$&'()*+;=" {
		t[c] = true
	}
	return t
}()

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// firstBelow returns the index from i on of the first byte that is less than
// limit (at most 0x80) or DEL; len(b) if there is none. Eight bytes a step: a
// borrow can only invent hits above a true one, so the lowest hit is exact.
func firstBelow(b []byte, i int, limit byte) int {
	lim := ones * uint64(limit)
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ (ones * 0x7f)
		m := ((x - lim) & ^x & highs) | ((del - ones) & ^del & highs)
		if m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) && b[i] >= limit && b[i] != 0x7f {
		i++
	}
	return i
}

// endOfText returns the index from i on of the first byte that may not stand
// in a field value; the tab may.
func endOfText(b []byte, i int) int {
	for {
		i = firstBelow(b, i, 0x20)
		if i >= len(b) || b[i] != '\t' {
			return i
		}
		i++
	}
}

// equalFold compares b with lower, which is lower case and made of letters,
// digits, '-', ':' and '/' only. b may hold any bytes.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := 0; i < len(b); i++ {
		if fold(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

// equalDash is equalFold with '_' taken for '-'.
func equalDash(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c == '_' {
			c = '-'
		}
		if fold(c) != lower[i] {
			return false
		}
	}
	return true
}

// fold gives a letter in lower case and any other byte as it is.
func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// IsNamed tells whether a header name is the given one, without regard to case.
func IsNamed(name []byte, lower string) bool { return equalFold(name, lower) }

// sameFold compares two byte strings without regard to ASCII case.
func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

// nextToken takes the next element off a comma-separated list, without the
// white space around it. more is false when the list is used up.
func nextToken(list []byte) (token, rest []byte, more bool) {
	if list == nil {
		return nil, nil, false
	}
	i := 0
	for i < len(list) && list[i] != ',' {
		i++
	}
	token = list[:i]
	if i < len(list) {
		rest = list[i+1:]
	}
	for len(token) > 0 && (token[0] == ' ' || token[0] == '\t') {
		token = token[1:]
	}
	for len(token) > 0 && (token[len(token)-1] == ' ' || token[len(token)-1] == '\t') {
		token = token[:len(token)-1]
	}
	return token, rest, true
}

func isToken(b []byte) bool {
	for _, c := range b {
		if !tchar[c] {
			return false
		}
	}
	return len(b) > 0
}

// parseLength reads a Content-Length. Eighteen digits always fit an int64.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
