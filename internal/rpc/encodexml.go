package rpc

import (
	"reflect"
	"unicode/utf8"
)

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>`

// appendXMLResult appends the answer of an action as an XML document.
func appendXMLResult(b []byte, action string, s *outSet, v reflect.Value, requestID string) []byte {
	b = append(b, xmlDeclaration...)
	b = append(b, '<')
	b = append(b, action...)
	b = append(b, "Response>"...)
	b = s.appendXML(b, v)
	b = appendXMLElement(b, "RequestId", requestID)
	b = append(b, "</"...)
	b = append(b, action...)
	return append(b, "Response>"...)
}

// appendXML appends the fields of v. A list repeats its element; an empty list
// without a wrapper leaves no trace, as XML has no form for it.
func (s *outSet) appendXML(b []byte, v reflect.Value) []byte {
	for i := range s.fields {
		o := &s.fields[i]
		f, skip := o.skip(v.FieldByIndex(o.index))
		if skip {
			continue
		}
		if !o.isSlice {
			b = o.appendXML(b, f)
			continue
		}
		b = append(b, o.xmlWrapOpen...)
		for j := range f.Len() {
			if e, ok := o.element(f, j); ok {
				b = o.appendXML(b, e)
			}
		}
		b = append(b, o.xmlWrapEnd...)
	}
	return b
}

func (o *outField) appendXML(b []byte, v reflect.Value) []byte {
	b = append(b, o.xmlOpen...)
	switch o.value.kind {
	case outString, outText:
		b = appendXMLText(b, o.value.text(v))
	case outObject:
		b = o.value.fields.appendXML(b, v)
	default:
		b = o.value.appendPlain(b, v)
	}
	return append(b, o.xmlClose...)
}

func appendXMLElement(b []byte, name, text string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, '>')
	b = appendXMLText(b, text)
	b = append(b, "</"...)
	b = append(b, name...)
	return append(b, '>')
}

// appendXMLText appends s as character data. Characters that XML 1.0 cannot
// hold, not even as a reference, become U+FFFD; so do bytes that are no UTF-8.
// A carriage return is written as a reference, since a parser would turn it
// into a line feed.
func appendXMLText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		size, replacement := 1, ""
		switch c := s[i]; {
		case c == '&':
			replacement = "&amp;"
		case c == '<':
			replacement = "&lt;"
		case c == '>':
			replacement = "&gt;"
		case c == '"':
			replacement = "&quot;"
		case c == '\r':
			replacement = "&#13;"
		case c < ' ' && c != '\t' && c != '\n':
			replacement = "\ufffd"
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
				replacement = "\ufffd"
			}
		}
		if replacement != "" {
			b = append(b, s[start:i]...)
			b = append(b, replacement...)
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}
