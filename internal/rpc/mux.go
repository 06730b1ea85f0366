package rpc

import (
	"fmt"
	"slices"
	"strings"
)

// Product is a set of actions under one version.
type Product struct {
	Name    string // for example Slb; stands in links of errors
	Version string // for example 2014-05-15
	Actions []Action
}

// Mux finds an action by version and name. It does not change after NewMux.
type Mux struct {
	versions map[string]map[string]*entry // version -> action
	products []Product
}

// entry is an action and the product it belongs to.
type entry struct {
	product string
	action  Action
}

// NewMux gathers products. Two products may share a version as long as their
// actions differ. It panics on duplicates and on empty names.
func NewMux(products ...Product) *Mux {
	m := &Mux{versions: map[string]map[string]*entry{}, products: slices.Clone(products)}
	for _, p := range products {
		if p.Name == "" || p.Version == "" {
			panic("rpc: a product without name or version")
		}
		actions := m.versions[p.Version]
		if actions == nil {
			actions = map[string]*entry{}
			m.versions[p.Version] = actions
		}
		for _, a := range p.Actions {
			if a.run == nil {
				panic(fmt.Sprintf("rpc: product %s has an action not made by NewAction", p.Name))
			}
			if other := actions[a.Name]; other != nil {
				panic(fmt.Sprintf("rpc: %s of %s stands in %s already", a.Name, p.Name, other.product))
			}
			actions[a.Name] = &entry{product: p.Name, action: a}
		}
	}
	return m
}

// find returns the action, or the documented error.
func (m *Mux) find(version, action string) (*entry, error) {
	actions := m.versions[version]
	if actions == nil {
		return nil, errVersion
	}
	if e := actions[action]; e != nil {
		return e, nil
	}
	return nil, errAction
}

// ActionInfo describes an action for documents and tools.
type ActionInfo struct {
	Product, Version, Name string
	Params                 []ParamInfo
	Result                 []ResultInfo
}

// ParamInfo describes a parameter. Zero values mean "no such condition".
type ParamInfo struct {
	Name           string
	Aliases        []string
	Type           string // string, integer, boolean, repeated ..., JSON ...
	Required       bool
	Default        string
	Range          string // as in the tag: -1|1..5120
	Enum           []string
	MinLen, MaxLen int // characters
	Pattern        string
	Unit           string      // s or ms, of integers that are times
	Fields         []ParamInfo // of one element of a repeated or JSON object
}

// ResultInfo describes a field of an answer. Path joins wrappers with a dot:
// BackendServers.BackendServer.
type ResultInfo struct {
	Path     string
	Type     string // string, integer, number, boolean, object
	List     bool
	Optional bool // left out when it has no value
	Fields   []ResultInfo
}

// Actions lists the whole table by product, version and name. The caller owns
// the list.
func (m *Mux) Actions() []ActionInfo {
	var all []ActionInfo
	for _, p := range m.products {
		for _, a := range p.Actions {
			info := ActionInfo{Product: p.Name, Version: p.Version, Name: a.Name, Result: a.result.info()}
			for _, param := range a.params.params {
				info.Params = append(info.Params, param.info)
			}
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b ActionInfo) int {
		return strings.Compare(a.Product+"\x00"+a.Version+"\x00"+a.Name, b.Product+"\x00"+b.Version+"\x00"+b.Name)
	})
	return all
}

func (s *outSet) info() []ResultInfo {
	var fields []ResultInfo
	names := [...]string{outString: "string", outInt: "integer", outUint: "integer", outBool: "boolean",
		outFloat: "number", outText: "string", outDuration: "integer", outObject: "object"}
	for i := range s.fields {
		o := &s.fields[i]
		info := ResultInfo{Path: o.name, Type: names[o.value.kind], List: o.isSlice, Optional: o.omitEmpty || o.pointer}
		if o.wrapper != "" {
			info.Path = o.wrapper + "." + o.name
		}
		if o.value.fields != nil {
			info.Fields = o.value.fields.info()
		}
		fields = append(fields, info)
	}
	return fields
}
