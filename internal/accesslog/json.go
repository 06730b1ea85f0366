package accesslog

import (
	"encoding/binary"
	"slices"
	"time"
	"unicode/utf8"
)

// MaxText is how much of a text is written, in bytes. Longer ones are cut and
// end in "...".
const MaxText = 8 << 10

// AppendText appends a JSON string. Empty is "-". Whatever the bytes, the
// result is one valid string on one line: controls are escaped as JSON does,
// bytes that are no UTF-8 as \xNN with the backslash itself escaped.
func AppendText(dst, text []byte) []byte {
	if len(text) == 0 {
		return append(dst, `"-"`...)
	}
	cut := len(text) > MaxText
	if cut {
		text = text[:MaxText]
	}
	dst = append(dst, '"')
	dst, n := appendPlain(dst, text)
	if n < len(text) {
		dst = appendOdd(dst, text[n:])
	}
	if cut {
		dst = append(dst, "..."...)
	}
	return append(dst, '"')
}

// appendPlain appends what of text stands for itself up to the first that may
// not, and tells how much that is. Most texts it takes whole.
func appendPlain(dst, text []byte) ([]byte, int) {
	at, n := len(dst), 0
	dst = slices.Grow(dst, len(text))
	to := dst[at : at+len(text)]
	for len(text)-n >= 8 {
		x := binary.LittleEndian.Uint64(text[n:])
		if !allPlain(x) {
			return dst[:at+n], n
		}
		binary.LittleEndian.PutUint64(to[n:], x)
		n += 8
	}
	for ; n < len(text) && plain[text[n]]; n++ {
		to[n] = text[n]
	}
	return dst[:at+n], n
}

// appendOdd appends text with the escapes that it needs.
func appendOdd(dst, text []byte) []byte {
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRune(text[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, text[from:i]...)
		dst = appendEscaped(dst, c)
		i++
		from = i
	}
	return append(dst, text[from:]...)
}

// allPlain tells whether eight bytes stand for themselves.
func allPlain(x uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, slash, del := x^(ones*'"'), x^(ones*'\\'), x^(ones*0x7f)
	return ((x-ones*' ')|(quote-ones)&^quote|(slash-ones)&^slash|(del-ones)&^del|x)&high == 0
}

func appendEscaped(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c < ' ' || c == 0x7f:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	return append(dst, '\\', '\\', 'x', hex[c>>4], hex[c&15])
}

// plain are the bytes that stand for themselves.
var plain = func() (t [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendSeconds appends a duration in seconds with milliseconds.
func AppendSeconds(dst []byte, nanoseconds int64) []byte {
	ms := max(nanoseconds, 0) / int64(time.Millisecond)
	dst = AppendInt(dst, ms/1000)
	return append(dst, '.', '0'+byte(ms/100%10), '0'+byte(ms/10%10), '0'+byte(ms%10))
}

// AppendInt appends a number.
func AppendInt(dst []byte, n int64) []byte {
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	var digits [20]byte
	i := len(digits)
	for {
		i--
		digits[i] = '0' + byte(n%10)
		if n /= 10; n == 0 {
			return append(dst, digits[i:]...)
		}
	}
}
