package rpc

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

type base struct {
	ID string `out:"LoadBalancerId"`
}

type portEntry struct {
	Port uint16  `out:"ListenerPort"`
	Note *string `out:"Note"`
}

type shapes struct {
	base
	Text     string        `out:"Text"`
	Empty    string        `out:"Empty"`
	Omitted  string        `out:"Omitted,omitempty"`
	Int      int           `out:"Int"`
	Neg      int64         `out:"Neg"`
	Uint     uint16        `out:"Uint"`
	Float    float64       `out:"Float"`
	Bool     bool          `out:"Bool"`
	Color    color         `out:"Color"`
	Addr     netip.Addr    `out:"Addr"`
	Timeout  time.Duration `out:"Timeout" unit:"s"`
	PtrInt   *int          `out:"PtrInt"`
	PtrNil   *int          `out:"PtrNil"`
	Object   portEntry     `out:"Object"`
	ObjPtr   *portEntry    `out:"ObjPtr"`
	ObjNil   *portEntry    `out:"ObjNil"`
	Wrapped  []portEntry   `out:"Ports>Port"`
	Nothing  []portEntry   `out:"Nothings>Nothing"`
	Numbers  []uint16      `out:"ListenerPorts>ListenerPort"`
	Bare     []string      `out:"TLSCipherPolicies"`
	BareNil  []string      `out:"BareNil"`
	BareGone []string      `out:"BareGone,omitempty"`
	WrapGone []string      `out:"WrapGone>W,omitempty"`
	Ptrs     []*portEntry  `out:"Ptrs"`
	skipped  int
	Hidden   int `out:"-"`
}

func encode[R any](t testing.TB, v *R, action string) (jsonText, xmlText string) {
	t.Helper()
	set, err := compileResult(reflect.TypeFor[R](), true)
	if err != nil {
		t.Fatal(err)
	}
	value := reflect.ValueOf(v).Elem()
	return string(appendJSONResult(nil, set, value, "ID")), string(appendXMLResult(nil, action, set, value, "ID"))
}

// golden lays out an answer one field a line, so that a failure can be read.
func golden(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "") }

func TestEncode(t *testing.T) {
	v := &shapes{base: base{"lb-1"}, Text: `a"b\c<d>&é`, Int: 5, Neg: -7, Uint: 80, Float: 2.5, Bool: true, Color: "red",
		Addr: netip.MustParseAddr("192.0.2.1"), Timeout: time.Minute, PtrInt: ptr(0), Object: portEntry{80, ptr("n")}, ObjPtr: &portEntry{Port: 81},
		Wrapped: []portEntry{{80, nil}, {81, ptr("")}}, Numbers: []uint16{80, 443}, Bare: []string{"a", "b"}, Ptrs: []*portEntry{{Port: 1}, nil, {Port: 2}}}
	gotJSON, gotXML := encode(t, v, "DescribeShapes")
	wantJSON := golden(`
{"LoadBalancerId":"lb-1",
"Text":"a\"b\\c<d>&é",
"Empty":"",
"Int":5,
"Neg":-7,
"Uint":80,
"Float":2.5,
"Bool":true,
"Color":"red",
"Addr":"192.0.2.1",
"Timeout":60,
"PtrInt":0,
"Object":{"ListenerPort":80,"Note":"n"},
"ObjPtr":{"ListenerPort":81},
"Ports":{"Port":[{"ListenerPort":80},{"ListenerPort":81,"Note":""}]},
"Nothings":{"Nothing":[]},
"ListenerPorts":{"ListenerPort":[80,443]},
"TLSCipherPolicies":["a","b"],
"BareNil":[],
"Ptrs":[{"ListenerPort":1},{"ListenerPort":2}],
"RequestId":"ID"}`)
	if gotJSON != wantJSON {
		t.Errorf("JSON\n%s\nwant\n%s", gotJSON, wantJSON)
	}
	wantXML := golden(`
<?xml version="1.0" encoding="UTF-8"?>
<DescribeShapesResponse>
<LoadBalancerId>lb-1</LoadBalancerId>
<Text>a&quot;b\c&lt;d&gt;&amp;é</Text>
<Empty></Empty>
<Int>5</Int>
<Neg>-7</Neg>
<Uint>80</Uint>
<Float>2.5</Float>
<Bool>true</Bool>
<Color>red</Color>
<Addr>192.0.2.1</Addr>
<Timeout>60</Timeout>
<PtrInt>0</PtrInt>
<Object><ListenerPort>80</ListenerPort><Note>n</Note></Object>
<ObjPtr><ListenerPort>81</ListenerPort></ObjPtr>
<Ports><Port><ListenerPort>80</ListenerPort></Port><Port><ListenerPort>81</ListenerPort><Note></Note></Port></Ports>
<Nothings></Nothings>
<ListenerPorts><ListenerPort>80</ListenerPort><ListenerPort>443</ListenerPort></ListenerPorts>
<TLSCipherPolicies>a</TLSCipherPolicies>
<TLSCipherPolicies>b</TLSCipherPolicies>
<Ptrs><ListenerPort>1</ListenerPort></Ptrs>
<Ptrs><ListenerPort>2</ListenerPort></Ptrs>
<RequestId>ID</RequestId>
</DescribeShapesResponse>`)
	if gotXML != wantXML {
		t.Errorf("XML\n%s\nwant\n%s", gotXML, wantXML)
	}
	gotJSON, gotXML = encode(t, &Empty{}, "X")
	if gotJSON != `{"RequestId":"ID"}` || gotXML != xmlDeclaration+`<XResponse><RequestId>ID</RequestId></XResponse>` {
		t.Errorf("%s\n%s", gotJSON, gotXML)
	}
	gotJSON, _ = encode(t, &struct {
		F float64 `out:"F"`
	}{math.NaN()}, "X")
	if gotJSON != `{"F":0,"RequestId":"ID"}` {
		t.Error(gotJSON)
	}
	gotJSON, _ = encode(t, &struct {
		A string `out:"A,omitempty"`
		B int    `out:"B,omitempty"`
		C string `out:"C"`
	}{}, "X")
	if gotJSON != `{"C":"","RequestId":"ID"}` {
		t.Error(gotJSON)
	}
}

func TestTextInAnswers(t *testing.T) {
	for in, want := range map[string]struct{ json, xml string }{
		"plain":            {`"plain"`, "plain"},
		"\x00\x01\x1f":     {`"\u0000\u0001\u001f"`, "\ufffd\ufffd\ufffd"},
		"a\tb\nc\rd":       {`"a\tb\nc\rd"`, "a\tb\nc&#13;d"},
		"\xff\xc3(":        {"\"\ufffd\ufffd(\"", "\ufffd\ufffd("},
		"\ufffe\uffff":     {"\"\ufffe\uffff\"", "\ufffd\ufffd"},
		"]]>":              {`"]]>"`, "]]&gt;"},
		"日本\U0001F600":     {"\"日本\U0001F600\"", "日本\U0001F600"},
		"\u2028 \x7f \x85": {"\"\u2028 \x7f \ufffd\"", "\u2028 \x7f \ufffd"},
		"\ufffd":           {"\"\ufffd\"", "\ufffd"},
	} {
		if got := string(appendJSONString(nil, in)); got != want.json {
			t.Errorf("%q: JSON %s, want %s", in, got, want.json)
		}
		if got := string(appendXMLText(nil, in)); got != want.xml {
			t.Errorf("%q: XML %q, want %q", in, got, want.xml)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a<b>&\"'", "\x00\x0b\xff\xed\xa0\x80", "\r\n", "\u2028\ufffe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.ToValidUTF8(strings.Map(func(r rune) rune { return r }, s), "\ufffd")
		var got string
		if err := json.Unmarshal(appendJSONString(nil, s), &got); err != nil || got != want {
			t.Errorf("JSON of %q reads back as %q, %v", s, got, err)
		}
		d := xml.NewDecoder(strings.NewReader("<a>" + string(appendXMLText(nil, s)) + "</a>"))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("XML of %q: %v", s, err)
			}
		}
	})
}
