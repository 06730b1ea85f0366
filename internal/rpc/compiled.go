package rpc

import (
	"reflect"
	"sync"
)

// What the tags of a type say never changes, and reading them takes a quarter of
// a millisecond for each action. Tests that make hundreds of servers in one
// process read them once.
var (
	compiledParams  compiled[paramSet]
	compiledResults compiled[outSet]
)

// compiled remembers what was made of types.
type compiled[T any] struct{ m sync.Map } // of reflect.Type to *T

func (c *compiled[T]) of(t reflect.Type, compile func(reflect.Type) (*T, error)) (*T, error) {
	if v, ok := c.m.Load(t); ok {
		return v.(*T), nil
	}
	v, err := compile(t)
	if err != nil {
		return nil, err
	}
	c.m.Store(t, v)
	return v, nil
}
