package rpc

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of a JSON parameter, far above anything a client sends.
const (
	maxJSONDepth = 16
	maxJSONNodes = 20000
)

var errJSON = errors.New("not JSON")

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonText          // a string, a number or a boolean: their text
	jsonArray
	jsonObject
)

// jsonValue is a node of parsed JSON. keys and items of an object run parallel.
type jsonValue struct {
	kind  jsonKind
	text  string
	keys  []string
	items []jsonValue
}

// parseLenient reads JSON the way the vendor's service does: strings in double
// or in single quotes, and a comma may stand before a closing bracket. The
// Terraform provider sends single quotes in all its server lists.
func parseLenient(text string) (jsonValue, error) {
	p := lenientParser{rest: text}
	v, err := p.value(0)
	if err != nil {
		return v, err
	}
	if p.space(); p.rest != "" {
		return v, errJSON
	}
	return v, nil
}

type lenientParser struct {
	rest  string
	nodes int
}

func (p *lenientParser) space() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
}

// take consumes c, after blanks, if it comes next.
func (p *lenientParser) take(c byte) bool {
	p.space()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *lenientParser) value(depth int) (v jsonValue, err error) {
	p.space()
	if p.nodes++; p.rest == "" || depth > maxJSONDepth || p.nodes > maxJSONNodes {
		return v, errJSON
	}
	switch p.rest[0] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"', '\'':
		v.kind = jsonText
		v.text, err = p.quoted()
		return v, err
	}
	end := strings.IndexAny(p.rest, " \t\r\n,:]}")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	switch {
	case word == "null":
		return v, nil
	case word == "true", word == "false":
		return jsonValue{kind: jsonText, text: word}, nil
	case isJSONNumber(word):
		return jsonValue{kind: jsonText, text: trimFraction(word)}, nil
	}
	return v, errJSON
}

func (p *lenientParser) object(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonObject}
	p.take('{')
	for !p.take('}') {
		p.space()
		if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\'' {
			return v, errJSON
		}
		key, err := p.quoted()
		if err != nil {
			return v, err
		}
		if !p.take(':') {
			return v, errJSON
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.keys, v.items = append(v.keys, key), append(v.items, item)
		if !p.take(',') {
			if !p.take('}') {
				return v, errJSON
			}
			return v, nil
		}
	}
	return v, nil
}

func (p *lenientParser) array(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonArray}
	p.take('[')
	for !p.take(']') {
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
		if !p.take(',') {
			if !p.take(']') {
				return v, errJSON
			}
			return v, nil
		}
	}
	return v, nil
}

// quoted reads a string that ends at the quote it began with.
func (p *lenientParser) quoted() (string, error) {
	quote := p.rest[0]
	s := p.rest[1:]
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case quote:
			p.rest = s[i+1:]
			return s[:i], nil
		case '\\':
			return p.escaped(s, i, quote)
		}
	}
	return "", errJSON
}

// escaped goes on with a string whose first backslash stands at s[i].
func (p *lenientParser) escaped(s string, i int, quote byte) (string, error) {
	var b strings.Builder
	b.WriteString(s[:i])
	for i < len(s) {
		c := s[i]
		if c == quote {
			p.rest = s[i+1:]
			return b.String(), nil
		}
		if c != '\\' {
			b.WriteByte(c)
			i++
			continue
		}
		if i+1 >= len(s) {
			break
		}
		c = s[i+1]
		i += 2
		switch c {
		case '"', '\'', '\\', '/':
			b.WriteByte(c)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, ok := hex4(s, i)
			if !ok {
				return "", errJSON
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if strings.HasPrefix(s[i:], `\u`) {
					low, ok = hex4(s, i+2)
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			b.WriteRune(r)
		default:
			return "", errJSON
		}
	}
	return "", errJSON
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i:i+4], 16, 16)
	return rune(n), err == nil
}

// isJSONNumber reports whether word is a number by JSON's grammar.
func isJSONNumber(word string) bool {
	s := strings.TrimPrefix(word, "-")
	n := digits(s)
	if n == 0 || n > 1 && s[0] == '0' {
		return false
	}
	s = s[n:]
	if strings.HasPrefix(s, ".") {
		if n = digits(s[1:]); n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		if s = s[1:]; s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n = digits(s)
		return n > 0 && n == len(s)
	}
	return s == ""
}

// digits counts the decimal digits at the start of s.
func digits(s string) (n int) {
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// trimFraction turns 80.0, which clients with only floating numbers send, into 80.
func trimFraction(number string) string {
	whole, fraction, _ := strings.Cut(number, ".")
	if fraction != "" && strings.Trim(fraction, "0") == "" {
		return whole
	}
	return number
}
