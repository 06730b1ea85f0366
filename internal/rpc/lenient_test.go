package rpc

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// dump writes a value on one line: 'text', [..], {key:..}, null.
func dump(v jsonValue) string {
	switch v.kind {
	case jsonText:
		return "'" + v.text + "'"
	case jsonArray, jsonObject:
		parts := make([]string, len(v.items))
		for i := range v.items {
			if parts[i] = dump(v.items[i]); v.kind == jsonObject {
				parts[i] = v.keys[i] + ":" + parts[i]
			}
		}
		if v.kind == jsonObject {
			return "{" + strings.Join(parts, ",") + "}"
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return "null"
}

func TestLenientJSON(t *testing.T) {
	for in, want := range map[string]string{
		`[{"a":"b"}]`:                   `[{a:'b'}]`,
		` [ { 'a' : "b" , "c":'d' } ] `: `[{a:'b',c:'d'}]`,
		`['it\'s',"say \"x\"",'"',"'"]`: `['it's','say "x"','"',''']`,
		`[1,-2,0,1.5,80.0,1e3,1.50]`:    `['1','-2','0','1.5','80','1e3','1.50']`,
		`[true,false,null]`:             `['true','false',null]`,
		`{"a":{"b":[[],{}]}}`:           `{a:{b:[[],{}]}}`,
		`[1,2,]`:                        `['1','2']`,
		`{"a":1,}`:                      `{a:'1'}`,
		`"\u00fc\uD83D\uDE00\n\t\/\b"`:  "'ü😀\n\t/\b'",
		`"\ud83d x"`:                    "'\ufffd x'",
		`"\ud83d\u0041"`:                "'\ufffdA'",
		"\"a\nb\"":                      "'a\nb'",
		`null`:                          "null",
		"":                              "error", " ": "error", "[": "error", "]": "error", "[,]": "error", "[1 2]": "error",
		`{"a"}`: "error", `{"a":}`: "error", `{a:1}`: "error", `{1:1}`: "error", `"a`: "error", `'a"`: "error", `"\x"`: "error",
		`"\u12"`: "error", `"\u12g4"`: "error", "01": "error", "1.": "error", ".5": "error", "+1": "error", "-": "error", "1e": "error",
		"NaN": "error", "nul": "error", "True": "error", `[1]x`: "error", `"a"b`: "error", "\"\\": "error",
	} {
		got := "error"
		if v, err := parseLenient(in); err == nil {
			got = dump(v)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestLenientJSONLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		ok   bool
	}{
		"deep":     {strings.Repeat("[", 17) + strings.Repeat("]", 17), true},
		"too deep": {strings.Repeat("[", 18) + strings.Repeat("]", 18), false},
		"abyss":    {strings.Repeat(`{"a":`, 100000), false},
		"many":     {"[" + strings.Repeat("1,", maxJSONNodes-1) + "]", true},
		"too many": {"[" + strings.Repeat("1,", maxJSONNodes) + "]", false},
	} {
		if _, err := parseLenient(tc.text); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLenientJSON compares with encoding/json: whatever that accepts must be
// accepted with the same meaning.
func FuzzLenientJSON(f *testing.F) {
	for _, s := range []string{`[{"ServerId":"i-1","Weight":"100"}]`, `[{'ServerId':'i-1','Weight':100, 'Type': 'ecs'}]`, `["a",null,1.0,true]`,
		`{"a":{"b":[]},}`, `"\ud83d\ude00\u0000"`, "[[[[[[", `'\''`, "-0.0e+10", vectorServers} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseLenient(s)
		var want any
		if json.Unmarshal([]byte(s), &want) != nil {
			return
		}
		if err != nil {
			if strings.Count(s, "[")+strings.Count(s, "{") > maxJSONDepth || len(s) > maxJSONNodes {
				return
			}
			t.Fatalf("%q is JSON but was refused", s)
		}
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if err := same(v, want); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func same(v jsonValue, want any) error {
	switch w := want.(type) {
	case nil:
		if v.kind == jsonNull {
			return nil
		}
	case string:
		if v.kind == jsonText && strings.ToValidUTF8(v.text, "\ufffd") == strings.ToValidUTF8(w, "\ufffd") || strings.Contains(w, "\ufffd") {
			return nil
		}
	case bool:
		if v.text == fmt.Sprint(w) {
			return nil
		}
	case json.Number:
		if v.text == trimFraction(w.String()) {
			return nil
		}
	case []any:
		if v.kind != jsonArray || len(v.items) != len(w) {
			return fmt.Errorf("%s is not %v", dump(v), w)
		}
		for i := range w {
			if err := same(v.items[i], w[i]); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		if v.kind != jsonObject || len(v.items) < len(w) {
			return fmt.Errorf("%s is not %v", dump(v), w)
		}
		for i := len(v.keys) - 1; i >= 0; i-- {
			item, ok := w[v.keys[i]]
			if !ok {
				continue // an invalid key, or one compared already
			}
			delete(w, v.keys[i])
			if err := same(v.items[i], item); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%s is not %#v", dump(v), want)
}
