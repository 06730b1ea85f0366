package rpc

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMalformedTags checks that mistakes in declarations do not wait for a
// request to be found.
func TestMalformedTags(t *testing.T) {
	for name, tc := range map[string]struct {
		v    any
		want string
	}{
		"no struct": {1, "is no struct"},
		"no tag":    {struct{ A int }{}, "no param tag"},
		"not exported": {struct {
			a int `param:"A"`
		}{}, "not exported"},
		"no name": {struct {
			A int `param:""`
		}{}, "no parameter name"},
		"odd name": {struct {
			A int `param:"A B"`
		}{}, "no parameter name"},
		"unknown option": {struct {
			A int `param:"A,mandatory"`
		}{}, "unknown option"},
		"misspelled tag": {struct {
			A int `param:"A" rnage:"1..2"`
		}{}, `unknown tag "rnage"`},
		"tag without quotes": {reflect.New(reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.TypeFor[int](), Tag: `param:"A" range=1`}})).Elem().Interface(), "malformed tag"},
		"twice": {struct {
			A, B int `param:"A"`
		}{}, "stands twice"},
		"twice by alias": {struct {
			A int `param:"A"`
			B int `param:"B" alias:"A"`
		}{}, "stands twice"},
		"range text": {struct {
			A int `param:"A" range:"x"`
		}{}, "range"},
		"range empty": {struct {
			A int `param:"A" range:"5..1"`
		}{}, "is empty"},
		"range on text": {struct {
			A string `param:"A" range:"1..2"`
		}{}, "range on type"},
		"length on number": {struct {
			A int `param:"A" maxlen:"2"`
		}{}, "maxlen"},
		"length": {struct {
			A string `param:"A" maxlen:"-2"`
		}{}, "no length"},
		"pattern": {struct {
			A string `param:"A" pattern:"("`
		}{}, "missing closing"},
		"pattern without words": {struct {
			A string `param:"A" pattern:"a"`
		}{}, "in words"},
		"words without a pattern": {struct {
			A string `param:"A" form:"a"`
		}{}, "in words"},
		"enum on number": {struct {
			A int `param:"A" enum:"1|2"`
		}{}, "enum on type"},
		"enum on a type with its own": {struct {
			A color `param:"A" enum:"red"`
		}{}, "enum on type"},
		"default out of range": {struct {
			A int `param:"A" default:"9" range:"1..2"`
		}{}, "default"},
		"default and required": {struct {
			A int `param:"A,required" default:"1"`
		}{}, "default"},
		"duration without unit": {struct {
			A time.Duration `param:"A"`
		}{}, "needs unit"},
		"unit on number": {struct {
			A int `param:"A" unit:"s"`
		}{}, "unit on type"},
		"unit unknown": {struct {
			A time.Duration `param:"A" unit:"h"`
		}{}, "neither s nor ms"},
		"allowempty on value": {struct {
			A string `param:"A" allowempty:"true"`
		}{}, "allowempty"},
		"error tag": {struct {
			A int `param:"A" err:"Code"`
		}{}, "not Code|Status|Message"},
		"error status": {struct {
			A int `param:"A" err:"Code|200|Fine."`
		}{}, "HTTP status"},
		"list without slice": {struct {
			A int `param:"A.N"`
		}{}, "needs a slice"},
		"slice without list": {struct {
			A []string `param:"A"`
		}{}, "cannot hold"},
		"list and JSON": {struct {
			A []string `param:"A.N" jsonparam:"true"`
		}{}, "both"},
		"JSON number": {struct {
			A int `param:"A" jsonparam:"true"`
		}{}, "slice or a struct"},
		"listmax": {struct {
			A []string `param:"A.N" listmax:"0"`
		}{}, "listmax"},
		"listmax on text": {struct {
			A string `param:"A" listmax:"2"`
		}{}, "listmax"},
		"list in list": {struct {
			A []struct {
				B []string `param:"B.N"`
			} `param:"A.N"`
		}{}, "inside a list"},
		"type": {struct {
			A map[string]string `param:"A"`
		}{}, "cannot hold"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := compileParams(reflect.TypeOf(tc.v)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
	type loop struct {
		Next []*loop `out:"Next"`
	}
	for name, tc := range map[string]struct {
		v    any
		want string
	}{
		"no tag": {struct{ A int }{}, "no out tag"},
		"not exported": {struct {
			a int `out:"A"`
		}{}, "not exported"},
		"odd name": {struct {
			A int `out:"A.B"`
		}{}, "no name"},
		"odd wrapper": {struct {
			A []int `out:">B"`
		}{}, "no name"},
		"option": {struct {
			A int `out:"A,omitzero"`
		}{}, "unknown option"},
		"wrapper": {struct {
			A int `out:"A>B"`
		}{}, "needs a slice"},
		"twice": {struct {
			A, B int `out:"A"`
		}{}, "twice"},
		"reserved": {struct {
			A int `out:"RequestId"`
		}{}, "reserved"},
		"Code on top": {struct {
			A int `out:"code"`
		}{}, "reserved"},
		"time": {struct {
			A time.Time `out:"A"`
		}{}, "formatted string"},
		"duration": {struct {
			A time.Duration `out:"A"`
		}{}, "needs unit"},
		"map": {struct {
			A map[string]int `out:"A"`
		}{}, "no form"},
		"loop": {loop{}, "contains itself"},
	} {
		t.Run("result "+name, func(t *testing.T) {
			if _, err := compileResult(reflect.TypeOf(tc.v), true); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func panicText(f func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	f()
	return "no panic"
}

func TestMuxPanics(t *testing.T) {
	action := func(name string) Action {
		return NewAction(name, func(context.Context, *NoParams) (*Empty, error) { return nil, nil })
	}
	for want, f := range map[string]func(){
		"is no name":         func() { action("Describe Regions") },
		"no param tag":       func() { NewAction("X", func(context.Context, *struct{ A int }) (*Empty, error) { return nil, nil }) },
		"no out tag":         func() { NewAction("X", func(context.Context, *NoParams) (*struct{ A int }, error) { return nil, nil }) },
		"stands in A alread": func() { NewMux(Product{"A", "1", []Action{action("X")}}, Product{"B", "1", []Action{action("X")}}) },
		"without name":       func() { NewMux(Product{"", "1", nil}) },
		"not made by":        func() { NewMux(Product{"A", "1", []Action{{Name: "X"}}}) },
	} {
		if got := panicText(f); !strings.Contains(got, want) {
			t.Errorf("panic %q, want one with %q", got, want)
		}
	}
	m := NewMux(Product{"A", "1", []Action{action("X")}}, Product{"B", "1", []Action{action("Y")}})
	if e, err := m.find("1", "Y"); err != nil || e.product != "B" {
		t.Errorf("two products of one version: %v, %v", e, err)
	}
}

func TestActionTable(t *testing.T) {
	m := NewMux(testProduct())
	all := m.Actions()
	if all[0].Name != "AddBackendServers" || all[0].Product != "Slb" || all[0].Version != "2014-05-15" || len(all) != 7 {
		t.Fatalf("%d actions, first %+v", len(all), all[0])
	}
	entry := []ParamInfo{
		{Name: "ServerId", Type: "string"},
		{Name: "Weight", Type: "integer", Default: "100", Range: "0..100"},
		{Name: "Type", Type: "string", Default: "ecs"},
		{Name: "Description", Type: "string"},
	}
	wantParams := []ParamInfo{
		{Name: "LoadBalancerId", Type: "string", Required: true},
		{Name: "BackendServers", Type: "JSON array of object", Required: true, Fields: entry},
	}
	if diff := cmp.Diff(wantParams, all[0].Params); diff != "" {
		t.Error(diff)
	}
	wantResult := []ResultInfo{
		{Path: "LoadBalancerId", Type: "string"},
		{Path: "BackendServers.BackendServer", Type: "object", List: true, Fields: []ResultInfo{
			{Path: "ServerId", Type: "string"}, {Path: "Weight", Type: "integer"},
			{Path: "Type", Type: "string", Optional: true}, {Path: "Description", Type: "string", Optional: true}}},
	}
	if diff := cmp.Diff(wantResult, all[0].Result); diff != "" {
		t.Error(diff)
	}
	set, err := compileParams(reflect.TypeFor[everything]())
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, p := range set.params {
		types[p.name] = p.info.Type
	}
	for name, want := range map[string]string{"Duration": "integer", "Bool": "boolean", "ResourceId": "repeated string", "Port": "repeated integer",
		"Tag": "repeated object", "Names": "JSON array of string", "One": "JSON object", "PtrColor": "string"} {
		if types[name] != want {
			t.Errorf("%s: type %q, want %q", name, types[name], want)
		}
	}
}
