package rpc

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// How a parameter travels.
const (
	wireText = iota // one value
	wireList        // Name.1, Name.2 ... or Name.1.Key, Name.1.Value ...
	wireJSON        // one value that is JSON text
)

// param is what the tags of one field say, compiled.
type param struct {
	name       string
	aliases    []string
	index      []int // for reflect.Value.FieldByIndex
	wire       int
	required   bool
	allowEmpty bool
	scalar     bool // takes the bare string of a JSON array of strings
	def        string
	hasDefault bool
	set        setter // of the value, or of one element of a list of texts
	invalid    *Error // nil: InvalidParameter with the name
	missing    *Error // nil: MissingParameter with the name
	listMax    int    // elements of a list
	elem       *paramSet
	isSlice    bool // wireJSON: array rather than one object
	elemType   reflect.Type
	secret     bool // no error repeats its value
	info       ParamInfo
}

// paramSet is a struct type as a set of parameters.
type paramSet struct {
	params []param
	typ    reflect.Type
}

var (
	paramName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
	knownTags = regexp.MustCompile(`^(param|alias|default|range|minlen|maxlen|pattern|enum|unit|allowempty|form|secret|lines|jsonparam|err|missing|listmax|out|json|doc)$`)
)

// defaultListMax bounds a list whose field sets no listmax.
const defaultListMax = 1000

// compileParams reads the tags of struct type t. Element structs of lists and
// of JSON are read by the same rules.
func compileParams(t reflect.Type) (*paramSet, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	set := &paramSet{typ: t}
	if err := set.add(t, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	seen := map[string]bool{}
	for _, p := range set.params {
		for _, name := range append([]string{p.name}, p.aliases...) {
			if seen[name] {
				return nil, fmt.Errorf("%s: parameter %s stands twice", t, name)
			}
			seen[name] = true
		}
	}
	return set, nil
}

func (s *paramSet) add(t reflect.Type, index []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), index...), i)
		tag, tagged := f.Tag.Lookup("param")
		switch {
		case f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct:
			if err := s.add(f.Type, at); err != nil {
				return err
			}
			continue
		case tag == "-", !tagged && !f.IsExported():
			continue
		case !tagged:
			return fmt.Errorf("field %s has no param tag", f.Name)
		case !f.IsExported():
			return fmt.Errorf("field %s has a param tag but is not exported", f.Name)
		}
		p, err := compileParam(f, tag)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		p.index = at
		s.params = append(s.params, p)
	}
	return nil
}

func compileParam(f reflect.StructField, tag string) (param, error) {
	var p param
	if err := checkTagKeys(string(f.Tag)); err != nil {
		return p, err
	}
	name, options, _ := strings.Cut(tag, ",")
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "required":
			p.required = true
		case "scalar":
			p.scalar = true
		default:
			return p, fmt.Errorf("unknown option %q", option)
		}
	}
	if base, ok := strings.CutSuffix(name, ".N"); ok {
		name, p.wire = base, wireList
	}
	if f.Tag.Get("jsonparam") == "true" {
		if p.wire == wireList {
			return p, fmt.Errorf("both a list and JSON")
		}
		p.wire = wireJSON
	}
	p.name = name
	if alias := f.Tag.Get("alias"); alias != "" {
		for a := range strings.SplitSeq(alias, ",") {
			p.aliases = append(p.aliases, strings.TrimSuffix(a, ".N"))
		}
	}
	for _, n := range append([]string{p.name}, p.aliases...) {
		if !paramName.MatchString(n) {
			return p, fmt.Errorf("%q is no parameter name", n)
		}
	}
	c, err := compileChecks(f.Tag)
	if err != nil {
		return p, err
	}
	if p.invalid, err = errorTag(f.Tag.Get("err")); err != nil {
		return p, err
	}
	if p.missing, err = errorTag(f.Tag.Get("missing")); err != nil {
		return p, err
	}
	p.secret = f.Tag.Get("secret") == "true"
	p.listMax = defaultListMax
	if text, ok := f.Tag.Lookup("listmax"); ok {
		if p.listMax, err = strconv.Atoi(text); err != nil || p.listMax < 1 || p.wire == wireText {
			return p, fmt.Errorf("listmax %q", text)
		}
	}
	p.info = ParamInfo{Name: p.name, Aliases: p.aliases, Required: p.required, Range: f.Tag.Get("range"),
		Enum: c.enum, MinLen: c.minLen, MaxLen: c.maxLen, Pattern: f.Tag.Get("pattern"), Unit: f.Tag.Get("unit")}
	if err := p.compileType(f.Type, c); err != nil {
		return p, err
	}
	if p.info.Enum == nil && p.elem == nil {
		t := f.Type
		if p.elemType != nil {
			t = p.elemType
		}
		p.info.Enum = enumerated(t)
	}
	if p.allowEmpty = f.Tag.Get("allowempty") == "true"; p.allowEmpty {
		if p.wire != wireText || f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() != reflect.String {
			return p, fmt.Errorf("allowempty on %s, which is no pointer to a string", f.Type)
		}
	}
	if p.def, p.hasDefault = f.Tag.Lookup("default"); p.hasDefault {
		if p.wire != wireText || p.required || p.def == "" {
			return p, fmt.Errorf("default %q on a list, on JSON, on a required parameter, or empty", p.def)
		}
		if err := p.set(reflect.New(f.Type).Elem(), p.def); err != nil {
			return p, fmt.Errorf("default %q: %w", p.def, err)
		}
		p.info.Default = p.def
	}
	return p, nil
}

// compileType fits the wire form to the Go type.
func (p *param) compileType(t reflect.Type, c checks) error {
	var err error
	if p.wire == wireText {
		p.set, p.info.Type, err = newSetter(t, c)
		return err
	}
	p.isSlice = t.Kind() == reflect.Slice
	if !p.isSlice && p.wire == wireList {
		return fmt.Errorf("a list needs a slice, not %s", t)
	}
	p.elemType = t
	if p.isSlice {
		p.elemType = t.Elem()
	}
	if p.elemType.Kind() == reflect.Struct && !reflect.PointerTo(p.elemType).Implements(textUnmarshalerType) {
		if p.elem, err = compileParams(p.elemType); err != nil {
			return err
		}
		for _, sub := range p.elem.params {
			if sub.wire != wireText && p.wire == wireList {
				return fmt.Errorf("%s: only single values inside a list", sub.name)
			}
			p.info.Fields = append(p.info.Fields, sub.info)
		}
		p.info.Type = "object"
	} else {
		if !p.isSlice {
			return fmt.Errorf("JSON needs a slice or a struct, not %s", t)
		}
		if p.set, p.info.Type, err = newSetter(p.elemType, c); err != nil {
			return err
		}
	}
	switch {
	case p.wire == wireList:
		p.info.Type = "repeated " + p.info.Type
	case p.isSlice:
		p.info.Type = "JSON array of " + p.info.Type
	default:
		p.info.Type = "JSON " + p.info.Type
	}
	return nil
}

func compileChecks(tag reflect.StructTag) (c checks, err error) {
	if text, ok := tag.Lookup("range"); ok {
		if c.spans, err = parseSpans(text); err != nil {
			return c, err
		}
	}
	for name, into := range map[string]*int{"minlen": &c.minLen, "maxlen": &c.maxLen} {
		if text, ok := tag.Lookup(name); ok {
			if *into, err = strconv.Atoi(text); err != nil || *into < 1 {
				return c, fmt.Errorf("%s %q is no length", name, text)
			}
		}
	}
	if text, ok := tag.Lookup("pattern"); ok {
		if c.pattern, err = regexp.Compile(`^(?:` + text + `)$`); err != nil {
			return c, err
		}
	}
	c.lines = tag.Get("lines") == "true"
	if c.form = tag.Get("form"); (c.form == "") != (c.pattern == nil) {
		return c, errors.New("a pattern needs its form in words, and a form its pattern")
	}
	if text, ok := tag.Lookup("enum"); ok {
		c.enum = strings.Split(text, "|")
	}
	switch text, ok := tag.Lookup("unit"); {
	case !ok:
	case text == "s":
		c.unit = time.Second
	case text == "ms":
		c.unit = time.Millisecond
	default:
		return c, fmt.Errorf("unit %q is neither s nor ms", text)
	}
	return c, nil
}

// errorTag reads Code|Status|Message.
func errorTag(text string) (*Error, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.SplitN(text, "|", 3)
	if len(parts) != 3 || parts[0] == "" || parts[2] == "" {
		return nil, fmt.Errorf("%q is not Code|Status|Message", text)
	}
	status, err := strconv.Atoi(parts[1])
	if err != nil || status < 400 || status > 599 {
		return nil, fmt.Errorf("%q has no HTTP status of an error", text)
	}
	return &Error{Status: status, Code: parts[0], Message: parts[2]}, nil
}

var tagKey = regexp.MustCompile(`([A-Za-z_]+):"(?:[^"\\]|\\.)*"`)

// checkTagKeys refuses a misspelled tag, which Go itself would pass over.
func checkTagKeys(tag string) error {
	for _, m := range tagKey.FindAllStringSubmatch(tag, -1) {
		if !knownTags.MatchString(m[1]) {
			return fmt.Errorf("unknown tag %q", m[1])
		}
	}
	if rest := strings.TrimSpace(tagKey.ReplaceAllString(tag, "")); rest != "" {
		return fmt.Errorf("malformed tag near %q", rest)
	}
	return nil
}
