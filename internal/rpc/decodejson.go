package rpc

import (
	"reflect"
	"strconv"
	"strings"
)

// decodeJSON fills dst, a slice or a struct, from JSON text that came under name.
func (p *param) decodeJSON(dst reflect.Value, name, text string) error {
	v, err := parseLenient(text)
	if err != nil {
		return p.fault(p.malformedJSON(), name, text)
	}
	return p.setJSON(dst, v, name)
}

// malformedJSON says what the text of the parameter must be.
func (p *param) malformedJSON() *malformed {
	if p.isSlice {
		return &malformed{"a JSON array"}
	}
	return &malformed{"a JSON object"}
}

// wrongKind refuses JSON of another kind than the parameter wants.
func (p *param) wrongKind(v jsonValue, path, must string) error {
	switch v.kind {
	case jsonArray:
		return p.refuse(path, path+" is a JSON array; it must be "+must+".")
	case jsonObject:
		return p.refuse(path, path+" is a JSON object; it must be "+must+".")
	}
	return p.fault(&malformed{must}, path, v.text)
}

// setJSON stores a parsed value; path names it in errors.
func (p *param) setJSON(dst reflect.Value, v jsonValue, path string) error {
	switch {
	case v.kind == jsonNull:
		if p.isSlice {
			dst.Set(reflect.MakeSlice(dst.Type(), 0, 0))
		}
		return nil
	case !p.isSlice:
		return p.setElement(dst, v, path)
	case v.kind != jsonArray:
		return p.wrongKind(v, path, p.malformedJSON().must)
	}
	if len(v.items) > p.listMax {
		return p.refuse(path, p.tooMany(path))
	}
	list := reflect.MakeSlice(dst.Type(), len(v.items), len(v.items))
	n := 0
	for i := range v.items {
		if v.items[i].kind == jsonNull {
			continue
		}
		if err := p.setElement(list.Index(n), v.items[i], path+"."+strconv.Itoa(i+1)); err != nil {
			return err
		}
		n++
	}
	dst.Set(list.Slice(0, n))
	return nil
}

// setElement stores one element of an array, or the object of a struct field.
func (p *param) setElement(dst reflect.Value, v jsonValue, path string) error {
	if p.elem == nil {
		if v.kind != jsonText {
			return p.wrongKind(v, path, "a single value")
		}
		return p.fault(p.set(dst, v.text), path, v.text)
	}
	if v.kind == jsonText {
		if sub := p.elem.bare(); sub != nil {
			v = jsonValue{kind: jsonObject, keys: []string{sub.name}, items: []jsonValue{v}}
		}
	}
	if v.kind != jsonObject {
		return p.wrongKind(v, path, "a JSON object")
	}
	for i := range p.elem.params {
		sub := &p.elem.params[i]
		item := sub.member(v)
		field := dst.FieldByIndex(sub.index)
		var err error
		switch {
		case item.kind == jsonNull, item.kind == jsonText && item.text == "" && sub.wire == wireText && !sub.allowEmpty:
			switch {
			case sub.required:
				return sub.missingError(path + ".")
			case sub.hasDefault:
				err = sub.set(field, sub.def)
			}
		case sub.wire == wireJSON:
			err = sub.setJSON(field, item, path+"."+sub.name)
		case item.kind != jsonText:
			err = sub.wrongKind(item, path+"."+sub.name, "a single value")
		case item.text == "":
			field.Set(reflect.New(field.Type().Elem()))
		default:
			err = sub.fault(sub.set(field, item.text), path+"."+sub.name, item.text)
		}
		if err != nil {
			return p.outerFault(err)
		}
	}
	return nil
}

// member finds the parameter among the keys of an object, without regard to
// case; clients send ServerId and serverId, entry and Entry. Of equal keys the
// last counts, as everywhere in JSON.
func (p *param) member(v jsonValue) jsonValue {
	for i := len(v.keys) - 1; i >= 0; i-- {
		if p.named(v.keys[i]) && v.items[i].kind != jsonNull {
			return v.items[i]
		}
	}
	return jsonValue{}
}

func (p *param) named(key string) bool {
	if strings.EqualFold(key, p.name) {
		return true
	}
	for _, a := range p.aliases {
		if strings.EqualFold(key, a) {
			return true
		}
	}
	return false
}

// bare is the parameter that a plain string fills in an array of strings.
func (s *paramSet) bare() *param {
	var byName *param
	for i := range s.params {
		if s.params[i].scalar {
			return &s.params[i]
		}
		if s.params[i].name == "ServerId" {
			byName = &s.params[i]
		}
	}
	return byName
}
