package rpc

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
)

// NoParams is the parameter struct of an action that takes none of its own.
type NoParams struct{}

// Empty is the result of an action that answers with RequestId only.
type Empty struct{}

// Action is one row of a product: a name, what goes in, what comes out, and the
// function between. Make it with NewAction.
type Action struct {
	// Name is the value of the parameter Action, and with Response appended the
	// root of the answer in XML.
	Name string

	params *paramSet
	result *outSet
	// run decodes and calls; the value is the result struct.
	run func(ctx context.Context, f form) (reflect.Value, error)
}

var actionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// NewAction makes a row from a function. It panics on malformed tags, so that a
// mistake fails the first test that builds the table.
//
// Tags on the fields of P, where absent and empty are the same unless said
// otherwise:
//
//	param:"Name,required"     name on the wire, by case; "-": not a parameter
//	alias:"name,NAME"         further spellings; the first non-empty value counts
//	default:"wrr"             text used when absent
//	range:"-1|1..5120"        of integers and durations
//	minlen:"1" maxlen:"80"    characters of a text
//	pattern:"[a-z]+"          regular expression that a text must match as a whole
//	form:"small letters"      the pattern in words, for errors: "it must be ..."
//	lines:"true"              a text that may hold line breaks and other control characters
//	secret:"true"             errors never repeat the value
//	enum:"on|off"             of plain strings: any case is taken, this one is stored
//	unit:"s"                  of time.Duration; also "ms"
//	allowempty:"true"         on *string: present and empty gives a pointer to ""
//	jsonparam:"true"          the value is JSON text for a slice or a struct
//	listmax:"20"              elements of a list or of a JSON array; default 1000
//	err:"Code|400|Text"       instead of InvalidParameter
//	missing:"Code|400|Text"   instead of MissingParameter
//
// A slice with param:"Name.N" reads Name.1, Name.2 and so on; if its elements
// are structs, Name.1.Key and so on. A pointer is nil when the parameter is
// absent. In JSON, keys are compared without case, numbers may be strings,
// null and unknown keys are ignored; a bare string in an array of structs
// fills the field marked param:"X,scalar", or else the one named ServerId. An
// absent slice is nil, and "[]" gives a slice of length 0.
//
// If *P has a method Validate() error, it is called after decoding.
//
// Tags on the fields of R:
//
//	out:"Name"            always sent
//	out:"Name,omitempty"  not sent when zero; a nil pointer never is
//	out:"Outer>Inner"     a slice inside an object of its own
//	unit:"s"              of time.Duration
//
// Embedded structs are flattened in both. RequestId is added by the package.
func NewAction[P, R any](name string, fn func(ctx context.Context, p *P) (*R, error)) Action {
	if !actionName.MatchString(name) {
		panic(fmt.Sprintf("rpc: %q is no name of an action", name))
	}
	params, err := compiledParams.of(reflect.TypeFor[P](), compileParams)
	if err != nil {
		panic(fmt.Sprintf("rpc: action %s: %v", name, err))
	}
	result, err := compiledResults.of(reflect.TypeFor[R](), func(t reflect.Type) (*outSet, error) { return compileResult(t, true) })
	if err != nil {
		panic(fmt.Sprintf("rpc: action %s: %v", name, err))
	}
	return Action{Name: name, params: params, result: result,
		run: func(ctx context.Context, f form) (reflect.Value, error) {
			p := new(P)
			if err := params.decode(reflect.ValueOf(p).Elem(), f); err != nil {
				return reflect.Value{}, err
			}
			if v, ok := any(p).(interface{ Validate() error }); ok {
				if err := v.Validate(); err != nil {
					return reflect.Value{}, err
				}
			}
			r, err := fn(ctx, p)
			if err != nil {
				return reflect.Value{}, err
			}
			if r == nil {
				r = new(R)
			}
			return reflect.ValueOf(r).Elem(), nil
		}}
}
