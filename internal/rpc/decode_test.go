package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// color parses itself, like the enumerations of package slb.
type color string

// noColor tells the colors there are.
type noColor struct{}

func (*noColor) Error() string          { return "no color" }
func (*noColor) AllowedTexts() []string { return []string{"red", "blue"} }

func (c *color) UnmarshalText(b []byte) error {
	switch v := strings.ToLower(string(b)); v {
	case "red", "blue":
		*c = color(v)
		return nil
	case "green":
		return &Error{403, "Color.Forbidden", "Green is not for you."}
	}
	return &noColor{}
}

type common struct {
	Region string `param:"RegionId"`
}

type tag struct {
	Key   string `param:"Key,required" maxlen:"5"`
	Value string `param:"Value"`
	Scope string `param:"Scope" alias:"scope" default:"user"`
}

type member struct {
	ID     string  `param:"ServerId,required"`
	Port   *uint16 `param:"Port" range:"1..65535"`
	Weight int     `param:"Weight" default:"100" range:"0..100" err:"Weight.Bad|400|Bad weight."`
	Color  color   `param:"Color"`
	On     bool    `param:"On"`
	Note   *string `param:"Note" allowempty:"true"`
	Tags   []tag   `param:"Tags" jsonparam:"true"`
	Extra  string  `param:"Extra" alias:"Other"`
}

type everything struct {
	common
	Text     string        `param:"Text" minlen:"2" maxlen:"4"`
	Pattern  string        `param:"Pattern" pattern:"[a-z]+|[0-9]+" form:"small letters, or digits"`
	Enum     string        `param:"Enum" enum:"on|off|PayBySpec"`
	Int      int           `param:"Int" range:"-1|1..5120"`
	Small    int8          `param:"Small"`
	Uint     uint16        `param:"Uint" range:"1..65535"`
	Big      uint64        `param:"Big" range:"5.."`
	Bool     bool          `param:"Bool"`
	Addr     netip.Addr    `param:"Addr"`
	Prefix   netip.Prefix  `param:"Prefix"`
	Duration time.Duration `param:"Duration" unit:"s" range:"1..3600"`
	Millis   time.Duration `param:"Millis" unit:"ms"`
	Color    color         `param:"Color" err:"Color.Bad|409|No color."`
	Default  string        `param:"Default" default:"wrr"`
	Lines    string        `param:"Lines" lines:"true"`
	Secret   string        `param:"Secret" maxlen:"3" secret:"true"`
	Interval *int          `param:"healthCheckInterval" alias:"HealthCheckInterval,HCI" range:"1..50"`
	PtrText  *string       `param:"PtrText"`
	Empty    *string       `param:"Empty" allowempty:"true" maxlen:"3"`
	PtrColor *color        `param:"PtrColor"`
	PtrBool  *bool         `param:"PtrBool"`
	PtrDef   *int          `param:"PtrDef" default:"7"`
	IDs      []string      `param:"ResourceId.N" alias:"Resource.N" listmax:"3" maxlen:"6"`
	Ports    []uint16      `param:"Port.N" range:"1..100"`
	TagList  []tag         `param:"Tag.N" listmax:"3"`
	Members  []member      `param:"Members" jsonparam:"true" listmax:"3" alias:"members"`
	Names    []string      `param:"Names" jsonparam:"true" err:"Names.Bad|400|Bad names."`
	One      struct {
		A int `param:"A"`
	} `param:"One" jsonparam:"true"`
	Marked []struct {
		ServerID string `param:"ServerId"`
		Name     string `param:"Name,scalar"`
	} `param:"Marked" jsonparam:"true" err:"Marked.Bad|400|Bad marks."`
	Plain []struct {
		A string `param:"A"`
	} `param:"Plain" jsonparam:"true"`
	hidden  int
	Ignored int `param:"-"`
}

func ptr[T any](v T) *T { return &v }

func decodeQuery[P any](query string) (*P, error) {
	set, err := compileParams(reflect.TypeFor[P]())
	if err != nil {
		return nil, err
	}
	f, err := parseForm(nil, query, 5000)
	if err != nil {
		return nil, err
	}
	f.sort()
	p := new(P)
	return p, set.decode(reflect.ValueOf(p).Elem(), f)
}

// jsonParam quotes a JSON parameter for a query.
func jsonParam(name, text string) string { return name + "=" + url.QueryEscape(text) }

func TestDecode(t *testing.T) {
	for _, tc := range []struct {
		name, query string
		want        func(*everything) // on top of the defaults
		err         string            // status code message
	}{
		{"nothing", "", func(e *everything) {}, ""},
		{"unknown and empty names", "Foo=1&=80&text=x&Ignored=5&hidden=5", func(e *everything) {}, ""},
		{"empty means absent", "Text=&Int=&Bool=&Addr=&Color=&Default=&PtrText=&healthCheckInterval=&ResourceId.1=&Enum=", func(e *everything) {}, ""},
		{"embedded", "RegionId=r", func(e *everything) { e.Region = "r" }, ""},
		{"one value twice", "RegionId=r&RegionId=r&Tag.1.Key=k&Tag.1.Key=k", func(e *everything) { e.Region = "r"; e.TagList = []tag{{"k", "", "user"}} }, ""},
		{"two values", "RegionId=r&RegionId=s", nil, `400 InvalidParameter The specified parameter "RegionId" is not valid. RegionId was sent more than once, with different values.`},
		{"two values, one empty", "RegionId=&RegionId=s", nil, `400 InvalidParameter The specified parameter "RegionId" is not valid. RegionId was sent more than once, with different values.`},
		{"two values of an alias", "HCI=5&HCI=6", nil, `400 InvalidParameter The specified parameter "HCI" is not valid. HCI was sent more than once, with different values.`},
		{"two values of an unknown parameter", "Foo=1&Foo=2", func(e *everything) {}, ""},
		{"two values in a list", "ResourceId.3=y&ResourceId.3=z", nil, `400 InvalidParameter The specified parameter "ResourceId.3" is not valid. ResourceId.3 was sent more than once, with different values.`},
		{"two values in an object", "Tag.1.Key=k&Tag.1.Key=l", nil, `400 InvalidParameter The specified parameter "Tag.1.Key" is not valid. Tag.1.Key was sent more than once, with different values.`},
		{"control characters are shown as escapes", "Pattern=%1b%5b2J%0d%0a%e2%80%ae", nil, `400 InvalidParameter The specified parameter "Pattern" is not valid. Pattern is "\x1b[2J\r\n\u202e"; it must be small letters, or digits.`},
		{"a long value is cut between characters", "Int=x" + strings.Repeat("%c3%bc", 100), nil, `400 InvalidParameter The specified parameter "Int" is not valid. Int is "x` + strings.Repeat("ü", 31) + `"... of 201 bytes; it must be -1 or a whole number from 1 to 5120.`},
		{"a secret is not shown", "Secret=hush", nil, `400 InvalidParameter The specified parameter "Secret" is not valid. Secret must be at most 3 characters of UTF-8 text without control characters.`},

		{"text", "Text=%C3%BC%C3%BC%C3%BC%C3%BC", func(e *everything) { e.Text = "üüüü" }, ""},
		{"text too short", "Text=a", nil, `400 InvalidParameter The specified parameter "Text" is not valid. Text is "a"; it must be 2 to 4 characters of UTF-8 text without control characters.`},
		{"text too long", "Text=abcde", nil, `400 InvalidParameter The specified parameter "Text" is not valid. Text is "abcde"; it must be 2 to 4 characters of UTF-8 text without control characters.`},
		{"text not UTF-8", "Text=%ff%ff", nil, `400 InvalidParameter The specified parameter "Text" is not valid. Text is "\xff\xff"; it must be 2 to 4 characters of UTF-8 text without control characters.`},
		{"text with a control character", "Text=a%0ab", nil, `400 InvalidParameter The specified parameter "Text" is not valid. Text is "a\nb"; it must be 2 to 4 characters of UTF-8 text without control characters.`},
		{"text of lines", "Lines=a%0d%0ab%09c", func(e *everything) { e.Lines = "a\r\nb\tc" }, ""},
		{"pattern", "Pattern=abc", func(e *everything) { e.Pattern = "abc" }, ""},
		{"pattern is for the whole", "Pattern=abc1", nil, `400 InvalidParameter The specified parameter "Pattern" is not valid. Pattern is "abc1"; it must be small letters, or digits.`},
		{"enum in another case", "Enum=paybyspec", func(e *everything) { e.Enum = "PayBySpec" }, ""},
		{"enum unknown", "Enum=of", nil, `400 InvalidParameter The specified parameter "Enum" is not valid. Enum is "of"; it must be on, off or PayBySpec.`},

		{"int alone", "Int=-1", func(e *everything) { e.Int = -1 }, ""},
		{"int low", "Int=1", func(e *everything) { e.Int = 1 }, ""},
		{"int high", "Int=5120", func(e *everything) { e.Int = 5120 }, ""},
		{"int between", "Int=0", nil, `400 InvalidParameter The specified parameter "Int" is not valid. Int is "0"; it must be -1 or a whole number from 1 to 5120.`},
		{"int above", "Int=5121", nil, `400 InvalidParameter The specified parameter "Int" is not valid. Int is "5121"; it must be -1 or a whole number from 1 to 5120.`},
		{"int text", "Int=1a", nil, `400 InvalidParameter The specified parameter "Int" is not valid. Int is "1a"; it must be -1 or a whole number from 1 to 5120.`},
		{"int plus", "Int=%2B5", nil, `400 InvalidParameter The specified parameter "Int" is not valid. Int is "+5"; it must be -1 or a whole number from 1 to 5120.`},
		{"int blank", "Int=+5", nil, `400 InvalidParameter The specified parameter "Int" is not valid. Int is " 5"; it must be -1 or a whole number from 1 to 5120.`},
		{"int8", "Small=-128", func(e *everything) { e.Small = -128 }, ""},
		{"int8 overflow", "Small=128", nil, `400 InvalidParameter The specified parameter "Small" is not valid. Small is "128"; it must be a whole number from -128 to 127.`},
		{"uint", "Uint=65535", func(e *everything) { e.Uint = 65535 }, ""},
		{"uint negative", "Uint=-1", nil, `400 InvalidParameter The specified parameter "Uint" is not valid. Uint is "-1"; it must be a whole number from 1 to 65535.`},
		{"uint zero", "Uint=0", nil, `400 InvalidParameter The specified parameter "Uint" is not valid. Uint is "0"; it must be a whole number from 1 to 65535.`},
		{"open range", "Big=5", func(e *everything) { e.Big = 5 }, ""},
		{"open range below", "Big=4", nil, `400 InvalidParameter The specified parameter "Big" is not valid. Big is "4"; it must be a whole number of at least 5.`},
		{"bool", "Bool=True&PtrBool=false", func(e *everything) { e.Bool = true; e.PtrBool = ptr(false) }, ""},
		{"bool number", "Bool=1", nil, `400 InvalidParameter The specified parameter "Bool" is not valid. Bool is "1"; it must be true or false.`},
		{"address", "Addr=2001:db8::1&Prefix=10.0.0.0/8", func(e *everything) {
			e.Addr = netip.MustParseAddr("2001:db8::1")
			e.Prefix = netip.MustParsePrefix("10.0.0.0/8")
		}, ""},
		{"address with zone", "Addr=fe80::1%25eth0", nil, `400 InvalidParameter The specified parameter "Addr" is not valid. Addr is "fe80::1%eth0"; it must be an IPv4 or IPv6 address.`},
		{"duration", "Duration=3600&Millis=-20", func(e *everything) { e.Duration = time.Hour; e.Millis = -20 * time.Millisecond }, ""},
		{"duration range", "Duration=3601", nil, `400 InvalidParameter The specified parameter "Duration" is not valid. Duration is "3601"; it must be a whole number from 1 to 3600.`},
		{"duration overflow", "Millis=9223372036854775807", nil, `400 InvalidParameter The specified parameter "Millis" is not valid. Millis is "9223372036854775807"; it must be a whole number of 64 bits.`},
		{"self-parsing", "Color=RED&PtrColor=blue", func(e *everything) { e.Color = "red"; e.PtrColor = ptr(color("blue")) }, ""},
		{"self-parsing, error by tag", "Color=pink", nil, `409 Color.Bad No color. Color is "pink"; it must be red or blue.`},
		{"self-parsing, error of its own", "Color=green", nil, "403 Color.Forbidden Green is not for you."},
		{"default overridden", "Default=rr&PtrDef=8", func(e *everything) { e.Default = "rr"; e.PtrDef = ptr(8) }, ""},
		{"alias", "HealthCheckInterval=5", func(e *everything) { e.Interval = ptr(5) }, ""},
		{"alias, first empty", "healthCheckInterval=&HCI=6", func(e *everything) { e.Interval = ptr(6) }, ""},
		{"name before alias", "healthCheckInterval=5&HealthCheckInterval=6", func(e *everything) { e.Interval = ptr(5) }, ""},
		{"alias is checked", "HealthCheckInterval=51", nil, `400 InvalidParameter The specified parameter "HealthCheckInterval" is not valid. HealthCheckInterval is "51"; it must be a whole number from 1 to 50.`},
		{"pointer", "PtrText=x&Empty=abc", func(e *everything) { e.PtrText = ptr("x"); e.Empty = ptr("abc") }, ""},
		{"empty allowed", "Empty=", func(e *everything) { e.Empty = ptr("") }, ""},

		{"list by number", "ResourceId.10=c&ResourceId.2=b&ResourceId.1=a", func(e *everything) { e.IDs = []string{"a", "b", "c"} }, ""},
		{"list, odd names", "ResourceId=x&ResourceId.=x&ResourceId.x=x&ResourceId.1x=x&ResourceId.1.Key=x&ResourceId.0.Key=x&ResourceId.3=y", func(e *everything) { e.IDs = []string{"y"} }, ""},
		{"list from 0", "ResourceId.0=a&ResourceId.1=b", nil, `400 InvalidParameter The specified parameter "ResourceId.0" is not valid. The numbers in names like ResourceId.0 count from 1.`},
		{"list, leading zero", "ResourceId.01=a", nil, `400 InvalidParameter The specified parameter "ResourceId.01" is not valid. The numbers in names like ResourceId.01 count from 1.`},
		{"list, no such number", "Tag.99999999999999999999.Key=a", nil, `400 InvalidParameter The specified parameter "Tag.99999999999999999999.Key" is not valid. The numbers in names like Tag.99999999999999999999.Key count from 1.`},
		{"list, below", "Tag.-1.Key=a", nil, `400 InvalidParameter The specified parameter "Tag.-1.Key" is not valid. The numbers in names like Tag.-1.Key count from 1.`},
		{"list, far away", "Tag.999999.Key=a", func(e *everything) { e.TagList = []tag{{"a", "", "user"}} }, ""},
		{"list by alias", "Resource.1=a", func(e *everything) { e.IDs = []string{"a"} }, ""},
		{"list too long", "ResourceId.1=a&ResourceId.2=a&ResourceId.3=a&ResourceId.4=a", nil, `400 InvalidParameter The specified parameter "ResourceId" is not valid. ResourceId may have at most 3 elements.`},
		{"list element malformed", "ResourceId.1=a&ResourceId.2=abcdefg", nil, `400 InvalidParameter The specified parameter "ResourceId.2" is not valid. ResourceId.2 is "abcdefg"; it must be at most 6 characters of UTF-8 text without control characters.`},
		{"list of numbers", "Port.1=80&Port.2=81", func(e *everything) { e.Ports = []uint16{80, 81} }, ""},
		{"objects", "Tag.1.Key=k&Tag.1.Value=v&Tag.10.Key=x&Tag.2.Key=l&Tag.2.scope=s", func(e *everything) {
			e.TagList = []tag{{"k", "v", "user"}, {"l", "", "s"}, {"x", "", "user"}}
		}, ""},
		{"object without key", "Tag.1.Value=v", nil, `400 MissingParameter The input parameter "Tag.1.Key" that is mandatory for processing this request is not supplied.`},
		{"object malformed", "Tag.3.Key=toolong", nil, `400 InvalidParameter The specified parameter "Tag.3.Key" is not valid. Tag.3.Key is "toolong"; it must be at most 5 characters of UTF-8 text without control characters.`},
		{"object of nothing", "Tag.1.Key=&Tag.1.Foo=x", func(e *everything) {}, ""},
		{"missing is told before malformed", "Int=x&Tag.1.Key=a", nil, `400 InvalidParameter The specified parameter "Int" is not valid. Int is "x"; it must be -1 or a whole number from 1 to 5120.`},

		{"JSON", jsonParam("Members", `[{"ServerId":"a","Weight":"50","Port":80,"On":true,"Color":"Red","Note":""}]`), func(e *everything) {
			e.Members = []member{{ID: "a", Weight: 50, Port: ptr(uint16(80)), On: true, Color: "red", Note: ptr("")}}
		}, ""},
		{"JSON of Terraform", jsonParam("Members", `[{'ServerId':'a','Port':'80','Weight':'100', 'On': 'true'}]`), func(e *everything) {
			e.Members = []member{{ID: "a", Weight: 100, Port: ptr(uint16(80)), On: true}}
		}, ""},
		{"JSON of the controller", jsonParam("Members", `[{"IsUserManaged":false,"NodeName":null,"serverId":"a","color":"","weight":0,"port":1,"On":null,"Target":{"a":[1]},"Note":null}]`), func(e *everything) {
			e.Members = []member{{ID: "a", Weight: 0, Port: ptr(uint16(1))}}
		}, ""},
		{"JSON strings", jsonParam("Members", `['a', "b",7]`), func(e *everything) {
			e.Members = []member{{ID: "a", Weight: 100}, {ID: "b", Weight: 100}, {ID: "7", Weight: 100}}
		}, ""},
		{"JSON nested", jsonParam("Members", `[{"ServerId":"a","Tags":[{"key":"k"},null]}]`), func(e *everything) {
			e.Members = []member{{ID: "a", Weight: 100, Tags: []tag{{"k", "", "user"}}}}
		}, ""},
		{"JSON, last of equal keys", jsonParam("Members", `[{"ServerId":"a","serverid":"b","SERVERID":null}]`), func(e *everything) {
			e.Members = []member{{ID: "b", Weight: 100}}
		}, ""},
		{"JSON alias of a key and of the name", jsonParam("members", `[{"ServerId":"a","other":"o"}]`), func(e *everything) {
			e.Members = []member{{ID: "a", Weight: 100, Extra: "o"}}
		}, ""},
		{"JSON empty", "Members=", func(e *everything) { e.Members = []member{} }, ""},
		{"JSON empty array", jsonParam("Members", " [ ] "), func(e *everything) { e.Members = []member{} }, ""},
		{"JSON null", "Members=null", func(e *everything) { e.Members = []member{} }, ""},
		{"JSON array of null", jsonParam("Members", "[null]"), func(e *everything) { e.Members = []member{} }, ""},
		{"JSON key missing", jsonParam("Members", `[{"ServerId":"a"},{"Weight":1}]`), nil, `400 MissingParameter The input parameter "Members.2.ServerId" that is mandatory for processing this request is not supplied.`},
		{"JSON error by tag of the key", jsonParam("Members", `[{"ServerId":"a","Weight":101}]`), nil, `400 Weight.Bad Bad weight. Members.1.Weight is "101"; it must be a whole number from 0 to 100.`},
		{"JSON error of the type", jsonParam("Members", `[{"ServerId":"a","Color":"green"}]`), nil, "403 Color.Forbidden Green is not for you."},
		{"JSON malformed key", jsonParam("Members", `[{"ServerId":"a","Port":0}]`), nil, `400 InvalidParameter The specified parameter "Members.1.Port" is not valid. Members.1.Port is "0"; it must be a whole number from 1 to 65535.`},
		{"JSON object for a text", jsonParam("Members", `[{"ServerId":{}}]`), nil, `400 InvalidParameter The specified parameter "Members.1.ServerId" is not valid. Members.1.ServerId is a JSON object; it must be a single value.`},
		{"JSON too many", jsonParam("Members", `["a","b","c","d"]`), nil, `400 InvalidParameter The specified parameter "Members" is not valid. Members may have at most 3 elements.`},
		{"JSON no array", jsonParam("Members", `{"ServerId":"a"}`), nil, `400 InvalidParameter The specified parameter "Members" is not valid. Members is a JSON object; it must be a JSON array.`},
		{"JSON rubbish", "Members=i-1", nil, `400 InvalidParameter The specified parameter "Members" is not valid. Members is "i-1"; it must be a JSON array.`},
		{"JSON array in array", jsonParam("Members", `[["a"]]`), nil, `400 InvalidParameter The specified parameter "Members.1" is not valid. Members.1 is a JSON array; it must be a JSON object.`},
		{"names", jsonParam("Names", `['a',"b",1]`), func(e *everything) { e.Names = []string{"a", "b", "1"} }, ""},
		{"names, error by tag", jsonParam("Names", `[{}]`), nil, `400 Names.Bad Bad names. Names.1 is a JSON object; it must be a single value.`},
		{"struct", jsonParam("One", `{"a":"5"}`), func(e *everything) { e.One.A = 5 }, ""},
		{"struct from a text", jsonParam("One", `"a"`), nil, `400 InvalidParameter The specified parameter "One" is not valid. One is "a"; it must be a JSON object.`},
		{"marked for bare strings", jsonParam("Marked", `["n"]`), func(e *everything) {
			e.Marked = append(e.Marked, struct {
				ServerID string `param:"ServerId"`
				Name     string `param:"Name,scalar"`
			}{Name: "n"})
		}, ""},
		{"error of the whole for its parts", jsonParam("Marked", `[{"Name":[]}]`), nil, `400 Marked.Bad Bad marks. Marked.1.Name is a JSON array; it must be a single value.`},
		{"no field for bare strings", jsonParam("Plain", `["n"]`), nil, `400 InvalidParameter The specified parameter "Plain.1" is not valid. Plain.1 is "n"; it must be a JSON object.`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decodeQuery[everything](tc.query)
			if tc.err != "" || err != nil {
				if text := errorText(err); text != tc.err {
					t.Errorf("error %q\nwant  %q", text, tc.err)
				}
				return
			}
			want := &everything{Default: "wrr", PtrDef: ptr(7)}
			tc.want(want)
			opts := cmp.Options{cmp.AllowUnexported(everything{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
			if diff := cmp.Diff(want, got, opts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func errorText(err error) string {
	e, ok := errors.AsType[apiError](err)
	if !ok {
		return fmt.Sprint(err)
	}
	return fmt.Sprint(e.HTTPStatus(), " ", e.APICode(), " ", e.APIMessage())
}

func TestRequired(t *testing.T) {
	type params struct {
		A int      `param:"A"`
		B []string `param:"B.N,required" missing:"B.Gone|404|No B."`
		C string   `param:"C,required"`
		D []string `param:"D,required" jsonparam:"true"`
		E []string `param:"E.N,required"`
	}
	for query, want := range map[string]string{
		"A=x":                      "404 B.Gone No B.",
		"A=x&B.1=b&C=":             `400 MissingParameter The input parameter "C" that is mandatory for processing this request is not supplied.`,
		"A=x&B.1=b&C=c&D=":         `400 MissingParameter The input parameter "D" that is mandatory for processing this request is not supplied.`,
		"A=x&B.1=b&C=c&D=[]":       `400 MissingParameter The input parameter "E.1" that is mandatory for processing this request is not supplied.`,
		"A=x&B.1=b&C=c&D=[]&E.1=e": `400 InvalidParameter The specified parameter "A" is not valid. A is "x"; it must be a whole number of 64 bits.`,
		"A=1&B.1=b&C=c&D=[]&E.1=e": "<nil>",
	} {
		if _, err := decodeQuery[params](query); errorText(err) != want {
			t.Errorf("%s: %s\nwant %s", query, errorText(err), want)
		}
	}
}

type validated struct {
	A int `param:"A"`
}

func (v *validated) Validate() error {
	if v.A != 1 {
		return &Error{400, "A.Odd", "A is odd."}
	}
	return nil
}

func TestValidate(t *testing.T) {
	called := 0
	a := NewAction("X", func(context.Context, *validated) (*Empty, error) { called++; return nil, nil })
	for value, want := range map[string]string{"1": "<nil>", "2": "400 A.Odd A is odd."} {
		if _, err := a.run(t.Context(), form{{"A", value}}); errorText(err) != want {
			t.Errorf("A=%s: %v", value, err)
		}
	}
	if called != 1 {
		t.Errorf("called %d times", called)
	}
}
