package rpc

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// outField is one field of a result, compiled from its tag.
type outField struct {
	index     []int
	wrapper   string // outer name of a wrapped list, else ""
	name      string
	omitEmpty bool
	pointer   bool // nil: left out
	isSlice   bool
	elemPtr   bool // elements of the slice are pointers
	value     outValue
	// What stands in front of a value, made once.
	jsonKey, jsonInner      string
	xmlOpen, xmlClose       string
	xmlWrapOpen, xmlWrapEnd string
}

// outValue is the form of a single value.
type outValue struct {
	kind   outKind
	unit   time.Duration
	fields *outSet // of an object
}

type outKind uint8

const (
	outString outKind = iota
	outInt
	outUint
	outBool
	outFloat
	outText     // by encoding.TextMarshaler
	outDuration // as a number in its unit
	outObject
)

// outSet is a struct type as the fields of an answer.
type outSet struct{ fields []outField }

var outName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// compileResult reads the out tags of struct type t.
func compileResult(t reflect.Type, top bool) (*outSet, error) {
	return compileOut(t, top, nil)
}

func compileOut(t reflect.Type, top bool, above []reflect.Type) (*outSet, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	for _, a := range above {
		if a == t {
			return nil, fmt.Errorf("%s contains itself", t)
		}
	}
	set := &outSet{}
	if err := set.add(t, nil, append(above, t)); err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	seen := map[string]bool{}
	for i := range set.fields {
		name := set.fields[i].outer()
		// Clients take a top-level Code for a failure, even with status 200.
		if seen[name] || top && (name == "RequestId" || strings.EqualFold(name, "Code") && !hasVerdict(t)) {
			return nil, fmt.Errorf("%s: result field %s stands twice or is reserved", t, name)
		}
		seen[name] = true
	}
	return set, nil
}

// Verdict is embedded in the results of a product whose clients expect Code and
// Success in good answers too. Those of others take a Code for a failure.
type Verdict struct {
	Code    string `out:"Code"`
	Success bool   `out:"Success"`
}

// Good is the verdict of a good answer.
var Good = Verdict{Code: "200", Success: true}

func hasVerdict(t reflect.Type) bool {
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && f.Type == reflect.TypeFor[Verdict]() {
			return true
		}
	}
	return false
}

func (s *outSet) add(t reflect.Type, index []int, above []reflect.Type) error {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), index...), i)
		tag, tagged := f.Tag.Lookup("out")
		switch {
		case f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct:
			if err := s.add(f.Type, at, above); err != nil {
				return err
			}
			continue
		case tag == "-", !tagged && !f.IsExported():
			continue
		case !tagged:
			return fmt.Errorf("field %s has no out tag", f.Name)
		case !f.IsExported():
			return fmt.Errorf("field %s has an out tag but is not exported", f.Name)
		}
		o, err := compileOutField(f, tag, above)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		o.index = at
		s.fields = append(s.fields, o)
	}
	return nil
}

func compileOutField(f reflect.StructField, tag string, above []reflect.Type) (outField, error) {
	var o outField
	name, option, _ := strings.Cut(tag, ",")
	switch option {
	case "":
	case "omitempty":
		o.omitEmpty = true
	default:
		return o, fmt.Errorf("unknown option %q", option)
	}
	if outer, inner, ok := strings.Cut(name, ">"); ok {
		o.wrapper, name = outer, inner
		if !outName.MatchString(outer) {
			return o, fmt.Errorf("%q is no name", outer)
		}
	}
	if o.name = name; !outName.MatchString(name) {
		return o, fmt.Errorf("%q is no name", name)
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		o.pointer, t = true, t.Elem()
	}
	if t.Kind() == reflect.Slice && !t.Implements(textMarshalerType) {
		o.isSlice, t = true, t.Elem()
		if t.Kind() == reflect.Pointer {
			o.elemPtr, t = true, t.Elem()
		}
	}
	if o.wrapper != "" && !o.isSlice {
		return o, fmt.Errorf("a wrapper needs a slice, not %s", f.Type)
	}
	var err error
	if o.value, err = compileOutValue(t, f.Tag.Get("unit"), above); err != nil {
		return o, err
	}
	o.jsonKey = `"` + o.outer() + `":`
	o.xmlOpen, o.xmlClose = "<"+o.name+">", "</"+o.name+">"
	if o.wrapper != "" {
		o.jsonInner = `{"` + o.name + `":`
		o.xmlWrapOpen, o.xmlWrapEnd = "<"+o.wrapper+">", "</"+o.wrapper+">"
	}
	return o, nil
}

// outer is the name that the enclosing object sees.
func (o *outField) outer() string {
	if o.wrapper != "" {
		return o.wrapper
	}
	return o.name
}

func compileOutValue(t reflect.Type, unit string, above []reflect.Type) (v outValue, err error) {
	switch {
	case t == timeType:
		return v, fmt.Errorf("the API has several forms of time: give a formatted string")
	case t == durationType:
		switch v.kind = outDuration; unit {
		case "s":
			v.unit = time.Second
		case "ms":
			v.unit = time.Millisecond
		default:
			return v, fmt.Errorf(`time.Duration needs unit:"s" or unit:"ms"`)
		}
	case t.Kind() == reflect.String:
		v.kind = outString
	case t.Implements(textMarshalerType):
		v.kind = outText
	case t.Kind() == reflect.Bool:
		v.kind = outBool
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		v.kind = outInt
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		v.kind = outUint
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		v.kind = outFloat
	case t.Kind() == reflect.Struct:
		v.kind = outObject
		v.fields, err = compileOut(t, false, above)
	default:
		err = fmt.Errorf("type %s has no form in an answer", t)
	}
	return v, err
}

// skip reports whether the field is left out of the answer, and otherwise
// follows its pointer.
func (o *outField) skip(v reflect.Value) (reflect.Value, bool) {
	if o.pointer {
		if v.IsNil() {
			return v, true
		}
		return v.Elem(), false
	}
	if o.omitEmpty {
		if o.isSlice {
			return v, v.Len() == 0
		}
		return v, v.IsZero()
	}
	return v, false
}
