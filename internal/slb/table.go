package slb

import (
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Table is an immutable, ordered map from key to resource. The resources in it
// are shared by all readers and must not be changed. The zero Table is empty.
type Table[T any] struct {
	tree *iradix.Tree[row]
}

// row keeps the key as a string, so that walking a table allocates nothing, and
// the revision, so that a transaction needs no read of the store to know what
// it has read. It is the same type for all tables: a tree for each kind of
// resource would be compiled anew in every package that reads a State.
type row struct {
	key      string
	value    any // *T
	revision int64
}

// Get returns the resource with that key.
func (t Table[T]) Get(key string) (*T, bool) {
	if t.tree == nil {
		return nil, false
	}
	r, ok := t.tree.Get([]byte(key))
	if !ok {
		return nil, false
	}
	return r.value.(*T), true
}

// RevisionOf is the revision that last wrote the resource; 0 when the key is
// absent, or was set by With.
func (t Table[T]) RevisionOf(key string) int64 {
	if t.tree == nil {
		return 0
	}
	r, _ := t.tree.Get([]byte(key))
	return r.revision
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
		t.tree.Root().WalkPrefix([]byte(prefix), func(_ []byte, r row) bool {
			return !yield(r.key, r.value.(*T))
		})
	}
}

// Revisions yields every key with the revision that last wrote it, ordered by
// key.
func (t Table[T]) Revisions() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		if t.tree == nil {
			return
		}
		t.tree.Root().Walk(func(_ []byte, r row) bool {
			return !yield(r.key, r.revision)
		})
	}
}

// With returns a table that also holds v under key.
func (t Table[T]) With(key string, v *T) Table[T] { return t.WithAt(key, v, 0) }

// WithAt is With for a resource that the store wrote at revision.
func (t Table[T]) WithAt(key string, v *T, revision int64) Table[T] {
	tree := t.tree
	if tree == nil {
		tree = iradix.New[row]()
	}
	tree, _, _ = tree.Insert([]byte(key), row{key, v, revision})
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
