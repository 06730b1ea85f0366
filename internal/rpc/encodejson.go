package rpc

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// appendJSONResult appends the answer of an action as a JSON object.
func appendJSONResult(b []byte, s *outSet, v reflect.Value, requestID string) []byte {
	b = append(b, '{')
	b = s.appendJSON(b, v)
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, `"RequestId":`...)
	b = appendJSONString(b, requestID)
	return append(b, '}')
}

// appendJSON appends the fields of v without braces.
func (s *outSet) appendJSON(b []byte, v reflect.Value) []byte {
	first := true
	for i := range s.fields {
		o := &s.fields[i]
		f, skip := o.skip(v.FieldByIndex(o.index))
		if skip {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, o.jsonKey...)
		if !o.isSlice {
			b = o.value.appendJSON(b, f)
			continue
		}
		b = append(b, o.jsonInner...)
		b = append(b, '[')
		n := 0
		for j := range f.Len() {
			e, ok := o.element(f, j)
			if !ok {
				continue
			}
			if n++; n > 1 {
				b = append(b, ',')
			}
			b = o.value.appendJSON(b, e)
		}
		b = append(b, ']')
		if o.wrapper != "" {
			b = append(b, '}')
		}
	}
	return b
}

// element returns element j of a list; nil pointers are passed over, as null
// must not occur in an answer.
func (o *outField) element(list reflect.Value, j int) (reflect.Value, bool) {
	e := list.Index(j)
	if !o.elemPtr {
		return e, true
	}
	if e.IsNil() {
		return e, false
	}
	return e.Elem(), true
}

func (t *outValue) appendJSON(b []byte, v reflect.Value) []byte {
	switch t.kind {
	case outString, outText:
		return appendJSONString(b, t.text(v))
	case outObject:
		b = append(b, '{')
		b = t.fields.appendJSON(b, v)
		return append(b, '}')
	}
	return t.appendPlain(b, v)
}

// appendPlain appends numbers and booleans, which look the same in both formats.
func (t *outValue) appendPlain(b []byte, v reflect.Value) []byte {
	switch t.kind {
	case outInt:
		return strconv.AppendInt(b, v.Int(), 10)
	case outUint:
		return strconv.AppendUint(b, v.Uint(), 10)
	case outDuration:
		return strconv.AppendInt(b, v.Int()/int64(t.unit), 10)
	case outFloat:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			f = 0 // neither exists in JSON
		}
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	return strconv.AppendBool(b, v.Bool())
}

// text is the value of a string or of a type that writes itself.
func (t *outValue) text(v reflect.Value) string {
	if t.kind == outString {
		return v.String()
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		panic("rpc: result " + v.Type().String() + ": " + err.Error())
	}
	return string(text)
}

const hexDigits = "0123456789abcdef"

// appendJSONString appends s in quotes. Bytes that are no UTF-8 become U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
