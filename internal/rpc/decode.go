package rpc

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decode fills dst, a struct of the set's type, from the parameters of a
// request. All fields are visited in the order of the struct, and the first
// fault is the answer; but what is missing is told before what is wrong.
func (s *paramSet) decode(dst reflect.Value, f form) error {
	var fault error
	for i := range s.params {
		p := &s.params[i]
		present, err := p.decode(dst.FieldByIndex(p.index), f)
		if !present && err == nil && p.required {
			return p.missingError("")
		}
		if err != nil && fault == nil {
			fault = err
		}
	}
	return fault
}

func (p *param) decode(dst reflect.Value, f form) (present bool, err error) {
	if p.wire == wireList {
		for _, name := range append([]string{p.name}, p.aliases...) {
			if present, err = p.decodeList(dst, f, name); present || err != nil {
				return present, err
			}
		}
		return false, nil
	}
	if err := p.contradiction(f, ""); err != nil {
		return true, err
	}
	name, text, found := p.text(f)
	if text == "" {
		switch {
		case found && p.allowEmpty:
			dst.Set(reflect.New(dst.Type().Elem()))
			return true, nil
		case found && p.wire == wireJSON && p.isSlice && !p.required:
			dst.Set(reflect.MakeSlice(dst.Type(), 0, 0))
			return true, nil
		case p.hasDefault:
			return true, p.set(dst, p.def)
		}
		return false, nil
	}
	if p.wire == wireJSON {
		return true, p.decodeJSON(dst, name, text)
	}
	return true, p.fault(p.set(dst, text), name, text)
}

// contradiction refuses a parameter that was sent twice with different values.
func (p *param) contradiction(f form, prefix string) error {
	for i := -1; i < len(p.aliases); i++ {
		name := p.name
		if i >= 0 {
			name = p.aliases[i]
		}
		if f.contradicts(prefix + name) {
			return p.refuse(prefix+name, prefix+name+" was sent more than once, with different values.")
		}
	}
	return nil
}

// text returns the first non-empty value among the spellings of the name, and the
// spelling.
func (p *param) text(f form) (name, text string, found bool) {
	name = p.name
	text, found = f.lookup(name)
	for i := 0; text == "" && i < len(p.aliases); i++ {
		v, ok := f.lookup(p.aliases[i])
		name, text, found = p.aliases[i], v, found || ok
	}
	return name, text, found
}

// fault gives a malformed value the error of the parameter; errors that are
// meant for the caller already stay.
func (p *param) fault(err error, name, text string) error {
	m, ok := err.(*malformed)
	if !ok {
		return err
	}
	if p.secret {
		return p.refuse(name, name+" must be "+m.must+".")
	}
	return p.refuse(name, given(name, text, m.must))
}

// refuse is the error of the parameter with a reason.
func (p *param) refuse(name, reason string) error {
	base := p.invalid
	if base == nil {
		base = invalidParameter(name)
	}
	return &fault{base, base.because(reason), p.invalid == nil, reason}
}

// fault is a refused value on its way out of nested parameters.
type fault struct {
	base    *Error
	whole   *Error // base with the reason
	general bool   // base is no choice of the parameter's tags
	reason  string
}

func (f *fault) Error() string      { return f.whole.Error() }
func (f *fault) APICode() string    { return f.whole.Code }
func (f *fault) APIMessage() string { return f.whole.Message }
func (f *fault) HTTPStatus() int    { return f.whole.Status }

// outerFault lets the error tag of a list or JSON parameter stand for faults of
// its elements, unless the element's own tag or type has chosen an error.
func (p *param) outerFault(err error) error {
	if f, ok := err.(*fault); ok && p.invalid != nil && f.general {
		return &fault{p.invalid, p.invalid.because(f.reason), false, f.reason}
	}
	return err
}

func (p *param) missingError(prefix string) error {
	if p.missing != nil {
		return p.missing
	}
	return missingParameter(prefix + p.displayName())
}

// displayName is the name as the reference writes it.
func (p *param) displayName() string {
	if p.wire == wireList {
		return p.name + ".1"
	}
	return p.name
}

// tooMany is the reason against a list that is too long.
func (p *param) tooMany(name string) string {
	return name + " may have at most " + strconv.Itoa(p.listMax) + " elements."
}

// decodeList reads Name.1, Name.2 ... or Name.1.Key ... . Numbers may have
// gaps and may come in any order; elements are taken in the order of their
// numbers.
func (p *param) decodeList(dst reflect.Value, f form, name string) (present bool, err error) {
	prefix := name + "."
	type element struct {
		number int
		at     int // of the first of its parameters in f
	}
	var elements []element
	for i := f.find(prefix); i < len(f) && strings.HasPrefix(f[i].name, prefix); i++ {
		digits, field, dotted := strings.Cut(f[i].name[len(prefix):], ".")
		if dotted != (p.elem != nil) || f[i].value == "" || dotted && !p.elem.has(field) {
			continue
		}
		if strings.Trim(digits, "+-0123456789") != "" || digits == "" {
			continue // not an element, thus an unknown parameter
		}
		// A client that counts from 0 must not lose the first element in silence.
		number, err := strconv.Atoi(digits)
		if err != nil || number < 1 || digits[0] == '0' || digits[0] == '+' {
			return true, p.refuse(f[i].name, "The numbers in names like "+f[i].name+" count from 1.")
		}
		if len(elements) > 0 && elements[len(elements)-1].number == number {
			if !dotted && f[i].value != f[elements[len(elements)-1].at].value {
				return true, p.refuse(f[i].name, f[i].name+" was sent more than once, with different values.")
			}
			continue
		}
		if len(elements) >= p.listMax {
			return true, p.refuse(name, p.tooMany(name))
		}
		elements = append(elements, element{number, i})
	}
	if len(elements) == 0 {
		return false, nil
	}
	// The form is sorted as text, where 10 stands before 2.
	slices.SortFunc(elements, func(a, b element) int { return cmp.Compare(a.number, b.number) })
	list := reflect.MakeSlice(dst.Type(), len(elements), len(elements))
	for i, e := range elements {
		full := prefix + strconv.Itoa(e.number)
		if p.elem == nil {
			err = p.fault(p.set(list.Index(i), f[e.at].value), full, f[e.at].value)
		} else {
			err = p.decodeElement(list.Index(i), f, full+".")
		}
		if err != nil {
			return true, err
		}
	}
	dst.Set(list)
	return true, nil
}

// decodeElement reads the parameters of one object of a list.
func (p *param) decodeElement(dst reflect.Value, f form, prefix string) error {
	for i := range p.elem.params {
		sub := &p.elem.params[i]
		if err := sub.contradiction(f, prefix); err != nil {
			return p.outerFault(err)
		}
		text := f.get(prefix + sub.name)
		for j := 0; text == "" && j < len(sub.aliases); j++ {
			text = f.get(prefix + sub.aliases[j])
		}
		if text == "" {
			if sub.required {
				return sub.missingError(prefix)
			}
			if text = sub.def; text == "" {
				continue
			}
		}
		if err := sub.fault(sub.set(dst.FieldByIndex(sub.index), text), prefix+sub.name, text); err != nil {
			return p.outerFault(err)
		}
	}
	return nil
}

// has reports whether the set knows a parameter of this name.
func (s *paramSet) has(name string) bool {
	for i := range s.params {
		if s.params[i].name == name {
			return true
		}
		for _, a := range s.params[i].aliases {
			if a == name {
				return true
			}
		}
	}
	return false
}
