package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestFormatJSON(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"short", `{"RequestId":"x","N":1}`, `{"RequestId": "x", "N": 1}`},
		{"keeps order and breaks what is nested", `{"Z":{"B":[{"I":"a","W":1},{"I":"b","W":2}]},"A":"x"}`, `
{
  "Z": {
    "B": [
      {"I": "a", "W": 1},
      {"I": "b", "W": 2}
    ]
  },
  "A": "x"
}`},
		{"too wide", `{"Name":"0123456789012345678901234567890123456789","Other":"x"}`, `
{
  "Name": "0123456789012345678901234567890123456789",
  "Other": "x"
}`},
		{"empty ones", `{"A":[],"B":{}}`, `
{
  "A": [],
  "B": {}
}`},
		{"strings are left alone", `{"A":"a,b:\"{[c"}`, `{"A": "a,b:\"{[c"}`},
		{"no JSON", `<Error/>`, `<Error/>`},
		{"scalar", `"x"`, `"x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(formatJSON([]byte(tt.in), 40))
			if got != strings.TrimPrefix(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// FuzzFormatJSON: formatting changes blanks outside strings and nothing else.
func FuzzFormatJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `{"a":[{"b":"c\\\"d"}]}`, `[[[1]],{"x":{"y":{}}}]`, `null`, `{"a":1e5,"b":-0.0}`, `"\u0041"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var want, got bytes.Buffer
		if json.Compact(&want, in) != nil {
			return
		}
		out := formatJSON(in, 30)
		if err := json.Compact(&got, out); err != nil {
			t.Fatalf("%q became %q: %v", in, out, err)
		}
		if got.String() != want.String() {
			t.Fatalf("%q became %q", in, out)
		}
	})
}
