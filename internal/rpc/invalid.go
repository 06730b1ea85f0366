package rpc

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxShownBytes bounds how much of a value an error repeats.
const maxShownBytes = 64

// InvalidParameter is the error for a value of a parameter that an action
// refuses. The documented text comes first, since clients look for it; then what
// was given, cut to a length that fits on a screen, and what is allowed: must
// completes the sentence "it must be ...".
func InvalidParameter(name, value, must string) *Error {
	return InvalidParameterBecause(name, given(name, value, must))
}

// InvalidParameterBecause is InvalidParameter with a sentence of the caller's own,
// for values that are wrong in other ways than by themselves.
func InvalidParameterBecause(name, reason string) *Error {
	return invalidParameter(name).because(reason)
}

// invalidParameter is the documented error for a value that is malformed or out
// of range.
func invalidParameter(name string) *Error {
	return &Error{http.StatusBadRequest, "InvalidParameter", fmt.Sprintf(`The specified parameter "%s" is not valid.`, name)}
}

// because returns a copy of e whose text goes on with a reason.
func (e *Error) because(reason string) *Error {
	return &Error{e.Status, e.Code, e.Message + " " + reason}
}

// given says what a parameter was and what it must be.
func given(name, value, must string) string {
	return name + " is " + Shown(value) + "; it must be " + must + "."
}

// Shown is a value as errors repeat it: on one line, of bounded length, and
// without control characters, so that it can do no harm to a terminal. A private
// key that stands in a wrong place is not repeated.
func Shown(value string) string {
	if strings.Contains(value, "PRIVATE KEY") {
		return "a private key"
	}
	if len(value) <= maxShownBytes {
		return strconv.Quote(value)
	}
	cut := maxShownBytes
	for cut > maxShownBytes-utf8.UTFMax && !utf8.RuneStart(value[cut]) {
		cut--
	}
	return strconv.Quote(value[:cut]) + "... of " + strconv.Itoa(len(value)) + " bytes"
}

// malformed says that a value does not fit its field, and what would; decode
// turns it into the field's own error.
type malformed struct {
	must string // completes "it must be ..."
}

// Error is for those who meet it outside of a call, such as a malformed default.
func (m *malformed) Error() string { return "malformed value: it must be " + m.must }

// mustSpans is the sentence about an integer.
func mustSpans(spans []span) string {
	if len(spans) == 0 {
		return "a whole number of 64 bits"
	}
	var parts []string
	for _, s := range spans {
		parts = append(parts, s.String())
	}
	return orList(parts)
}

// mustText is the sentence about a text.
func (c *checks) mustText() string {
	var length string
	switch {
	case c.minLen > 0 && c.maxLen > 0:
		length = fmt.Sprintf("%d to %d characters", c.minLen, c.maxLen)
	case c.maxLen > 0:
		length = fmt.Sprintf("at most %d characters", c.maxLen)
	case c.minLen > 0:
		length = fmt.Sprintf("at least %d characters", c.minLen)
	}
	switch {
	case c.enum != nil:
		return orList(c.enum)
	case c.form != "" && length != "":
		return c.form + ", " + length
	case c.form != "":
		return c.form
	case length != "":
		return length + " of " + c.mustUTF8()
	}
	return c.mustUTF8()
}

func (c *checks) mustUTF8() string {
	if c.lines {
		return "UTF-8 text"
	}
	return "UTF-8 text without control characters"
}

// orList joins words as in "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
