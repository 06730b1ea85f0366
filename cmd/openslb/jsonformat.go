package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// formatJSON lays JSON text out for reading: whatever fits into width stays on
// one line, the rest is broken and indented. Keys keep their order. Text that
// is no JSON is returned as it is.
func formatJSON(text []byte, width int) []byte {
	var b strings.Builder
	dec := json.NewDecoder(bytes.NewReader(text))
	var v json.RawMessage
	if err := dec.Decode(&v); err != nil {
		return text
	}
	if err := layOut(&b, v, width, ""); err != nil {
		return text
	}
	return []byte(b.String())
}

// layOut writes v, whose first line begins after indent and maybe a key.
func layOut(b *strings.Builder, v json.RawMessage, width int, indent string) error {
	var flat bytes.Buffer
	if err := json.Compact(&flat, v); err != nil {
		return err
	}
	text := flat.Bytes()
	open := text[0]
	if len(indent)+len(text) <= width && depth(text) <= 1 || open != '{' && open != '[' {
		b.WriteString(spaced(text))
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return err
	}
	b.WriteByte(open)
	inner := indent + "  "
	for first := true; dec.More(); first = false {
		if !first {
			b.WriteByte(',')
		}
		b.WriteString("\n" + inner)
		if open == '{' {
			begin := dec.InputOffset()
			if _, err := dec.Token(); err != nil {
				return err
			}
			// As it was written, not as the token reads.
			b.Write(bytes.TrimLeft(text[begin:dec.InputOffset()], ","))
			b.WriteString(": ")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if err := layOut(b, value, width, inner); err != nil {
			return err
		}
	}
	b.WriteString("\n" + indent)
	b.WriteByte(open + 2) // in ASCII } follows { and ] follows [ at this distance
	return nil
}

// depth is how many levels of objects and arrays compact JSON has.
func depth(text []byte) int {
	deepest, now := 0, 0
	outsideStrings(text, func(c byte) {
		switch c {
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	})
	return deepest
}

// spaced is compact JSON with a blank after every colon and comma.
func spaced(text []byte) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		b.WriteByte(c)
		switch {
		case inString && c == '\\':
			i++
			b.WriteByte(text[i])
		case c == '"':
			inString = !inString
		case !inString && (c == ':' || c == ','):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// outsideStrings calls f for every byte that is not inside a string.
func outsideStrings(text []byte, f func(byte)) {
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString:
			f(c)
		}
	}
}
