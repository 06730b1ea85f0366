package slb

import (
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Table is an immutable, ordered map from key to resource. The resources in it
// are shared by all readers and must not be changed. The zero Table is empty.
type Table[T any] struct {
	tree *iradix.Tree[*T]
}

// Get returns the resource with that key.
func (t Table[T]) Get(key string) (*T, bool) {
	if t.tree == nil {
		return nil, false
	}
	return t.tree.Get([]byte(key))
}

// Len is the number of resources.
func (t Table[T]) Len() int {
	if t.tree == nil {
		return 0
	}
	return t.tree.Len()
}

// All yields every resource, ordered by key.
func (t Table[T]) All() iter.Seq2[string, *T] { return t.Prefix("") }

// Prefix yields the resources whose key begins with prefix, ordered by key.
func (t Table[T]) Prefix(prefix string) iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		if t.tree == nil {
			return
		}
		t.tree.Root().WalkPrefix([]byte(prefix), func(k []byte, v *T) bool {
			return !yield(string(k), v)
		})
	}
}

// With returns a table that also holds v under key.
func (t Table[T]) With(key string, v *T) Table[T] {
	tree := t.tree
	if tree == nil {
		tree = iradix.New[*T]()
	}
	tree, _, _ = tree.Insert([]byte(key), v)
	return Table[T]{tree}
}

// Without returns a table that does not hold key.
func (t Table[T]) Without(key string) Table[T] {
	if t.tree == nil {
		return t
	}
	tree, _, _ := t.tree.Delete([]byte(key))
	return Table[T]{tree}
}
