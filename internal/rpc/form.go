package rpc

import (
	"cmp"
	"slices"
	"strings"
)

// pair is one parameter, decoded.
type pair struct{ name, value string }

// form holds the parameters of one request, sorted bytewise by name as the
// signatures want it. Equal names keep the order in which they came, query
// before body; the first counts, and an action refuses a parameter of its own that
// has two values. As that order is part of the signed text, nobody on the way can
// swap two values.
type form []pair

// parseForm appends the parameters in raw, the text of a query or of a form
// body. Only & separates. A parameter without a name is kept: one client sends
// such a thing and signs it.
func parseForm(dst form, raw string, limit int) (form, error) {
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		if len(dst) >= limit {
			return dst, errTooManyParameters
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, ok := unescape(rawName)
		if !ok {
			return dst, &Error{400, "InvalidParameter", "The name of a parameter is not valid."}
		}
		value, ok := unescape(rawValue)
		if !ok {
			return dst, InvalidParameterBecause(name, "Its percent-encoding is broken.")
		}
		dst = append(dst, pair{name, value})
	}
	return dst, nil
}

// sort brings the parameters into the order of the signature.
func (f form) sort() {
	slices.SortStableFunc(f, func(a, b pair) int { return cmp.Compare(a.name, b.name) })
}

// find returns the position of the first parameter whose name is not below name.
func (f form) find(name string) int {
	lo, hi := 0, len(f)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if f[mid].name < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// lookup returns the first value of name; f must be sorted.
func (f form) lookup(name string) (string, bool) {
	if i := f.find(name); i < len(f) && f[i].name == name {
		return f[i].value, true
	}
	return "", false
}

// contradicts reports whether name was sent more than once with different values.
// Which of them is meant nobody can say.
func (f form) contradicts(name string) bool {
	i := f.find(name)
	for j := i + 1; j < len(f) && f[j].name == name; j++ {
		if f[j].value != f[i].value {
			return true
		}
	}
	return false
}

// get is lookup with "" for absent.
func (f form) get(name string) string {
	v, _ := f.lookup(name)
	return v
}

// unescape decodes percent escapes and plus signs; text without either is
// returned as it is.
func unescape(s string) (string, bool) {
	escapes, plus := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return "", false
			}
			escapes++
			i += 2
		case '+':
			plus = true
		}
	}
	if escapes == 0 && !plus {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s) - 2*escapes)
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '%':
			b.WriteByte(byte(unhex(s[i+1])<<4 | unhex(s[i+2])))
			i += 2
		case '+':
			b.WriteByte(' ')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
