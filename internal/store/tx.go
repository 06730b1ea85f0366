package store

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store/kv"
)

// Tx is one run of a transaction. It belongs to the goroutine of the function
// it was given to, and ends with it.
type Tx struct {
	LoadBalancers      TxTable[slb.LoadBalancer]
	Listeners          TxTable[slb.Listener]
	VServerGroups      TxTable[slb.VServerGroup]
	MasterSlaveGroups  TxTable[slb.MasterSlaveServerGroup]
	Rules              TxTable[slb.Rule]
	ServerCertificates TxTable[slb.ServerCertificate]
	CACertificates     TxTable[slb.CACertificate]
	DomainExtensions   TxTable[slb.DomainExtension]
	TLSCipherPolicies  TxTable[slb.TLSCipherPolicy]
	AccessControlLists TxTable[slb.AccessControlList]
	RegionSettings     TxTable[slb.RegionSettings]
	Servers            TxTable[slb.Server]
	AccessKeys         TxTable[slb.AccessKey]
	Addresses          TxTable[slb.AddressClaim]
	ClientTokens       TxTable[slb.ClientToken]

	snap   *snapshot
	tables []txTable
	err    error // the first read of a value that cannot be used
}

type txTable interface {
	appendTo(t *kv.Txn) error
}

func newTx(snap *snapshot) *Tx {
	tx := &Tx{snap: snap, tables: make([]txTable, 0, len(kinds))}
	for _, k := range kinds {
		k.begin(tx)
	}
	return tx
}

// State is the snapshot that the transaction reads. What is looked up in it is
// not recorded as read, and the transaction's own writes are not in it.
func (tx *Tx) State() *slb.State { return &tx.snap.State }

// refuse makes the transaction fail, since it has read what cannot be used.
func (tx *Tx) refuse(b *badValue) {
	if b != nil && tx.err == nil {
		tx.err = b.err
	}
}

// txn is what the transaction has read and written.
func (tx *Tx) txn() (kv.Txn, error) {
	var t kv.Txn
	for _, table := range tx.tables {
		if err := table.appendTo(&t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// TxTable is one kind of resource within a transaction. Reads see the
// transaction's own writes.
type TxTable[T any] struct {
	tx     *Tx
	kind   *kind
	ops    *typeOps[T]
	base   slb.Table[T]
	reads  map[string]int64 // key to the revision read; 0: was absent
	ranges []kv.RangeCond
	writes map[string]*T // nil: deleted
}

// Get returns the resource with that key, which is shared and must not be
// changed. The transaction runs again if others change it meanwhile.
func (t *TxTable[T]) Get(key string) (*T, bool) {
	if v, ok := t.writes[key]; ok {
		return v, v != nil
	}
	t.record(key)
	return t.base.Get(key)
}

// Edit is Get with a copy that is the caller's own, to be changed and Put.
func (t *TxTable[T]) Edit(key string) (*T, bool) {
	v, ok := t.Get(key)
	if !ok {
		return nil, false
	}
	return t.ops.clone(v), true
}

// Prefix yields the resources whose key begins with prefix, ordered by key;
// they are shared and must not be changed. The transaction runs again if others
// create or write one in this range meanwhile. That one was deleted goes
// unseen: who depends on the existence of one uses Get on it.
func (t *TxTable[T]) Prefix(prefix string) iter.Seq2[string, *T] {
	t.recordRange(prefix, false)
	return t.merged(prefix)
}

// CountPrefix is the number of resources whose key begins with prefix. The
// transaction runs again if others create one in this range meanwhile; writes
// to existing ones and deletions do not disturb it.
func (t *TxTable[T]) CountPrefix(prefix string) int {
	t.recordRange(prefix, true)
	if prefix == "" {
		return t.Len()
	}
	n := 0
	for range t.merged(prefix) {
		n++
	}
	return n
}

// Len is the number of resources of this kind. It is not recorded as read.
func (t *TxTable[T]) Len() int {
	n := t.base.Len()
	for key, v := range t.writes {
		switch _, before := t.base.Get(key); {
		case v == nil && before:
			n--
		case v != nil && !before:
			n++
		}
	}
	return n
}

// Put creates or replaces v, which becomes the store's and must not be changed
// any more. Like a read, it makes the transaction run again if others change
// the resource meanwhile.
func (t *TxTable[T]) Put(v *T) {
	key := t.ops.key(v)
	t.record(key)
	t.write(key, v)
}

// Delete removes the resource with that key, if there is one.
func (t *TxTable[T]) Delete(key string) {
	t.record(key)
	if _, ok := t.base.Get(key); ok {
		t.write(key, nil)
	} else {
		delete(t.writes, key)
	}
}

func (t *TxTable[T]) write(key string, v *T) {
	if t.writes == nil {
		t.writes = make(map[string]*T)
	}
	t.writes[key] = v
}

func (t *TxTable[T]) record(key string) {
	if _, ok := t.reads[key]; ok {
		return
	}
	if t.reads == nil {
		t.reads = make(map[string]int64)
	}
	t.reads[key] = t.base.RevisionOf(key)
	if bad := t.tx.snap.bad; len(bad) > 0 {
		t.tx.refuse(bad[t.kind.prefix+key])
	}
}

func (t *TxTable[T]) recordRange(prefix string, created bool) {
	c := kv.RangeCond{Prefix: t.kind.prefix + prefix, Revision: t.tx.snap.Revision, Created: created}
	if !slices.Contains(t.ranges, c) {
		t.ranges = append(t.ranges, c)
	}
	for key, b := range t.tx.snap.bad {
		if strings.HasPrefix(key, c.Prefix) {
			t.tx.refuse(b)
		}
	}
}

// merged is the base with the transaction's writes over it, as they were when
// the walk began.
func (t *TxTable[T]) merged(prefix string) iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		type write struct {
			key   string
			value *T
		}
		var writes []write
		for key, v := range t.writes {
			if strings.HasPrefix(key, prefix) {
				writes = append(writes, write{key, v})
			}
		}
		slices.SortFunc(writes, func(a, b write) int { return cmp.Compare(a.key, b.key) })
		// flush yields the writes with keys up to limit.
		flush := func(more func(key string) bool) bool {
			for len(writes) > 0 && more(writes[0].key) {
				w := writes[0]
				writes = writes[1:]
				if w.value != nil && !yield(w.key, w.value) {
					return false
				}
			}
			return true
		}
		for key, v := range t.base.Prefix(prefix) {
			if !flush(func(k string) bool { return k < key }) {
				return
			}
			if len(writes) > 0 && writes[0].key == key {
				if !flush(func(k string) bool { return k == key }) {
					return
				}
				continue
			}
			if !yield(key, v) {
				return
			}
		}
		flush(func(string) bool { return true })
	}
}

// appendTo adds conditions and writes of this kind, in the order of keys.
func (t *TxTable[T]) appendTo(txn *kv.Txn) error {
	for key, revision := range t.reads {
		txn.Conds = append(txn.Conds, kv.Cond{Key: t.kind.prefix + key, ModRevision: revision})
	}
	txn.Ranges = append(txn.Ranges, t.ranges...)
	first := len(txn.Ops)
	for key, v := range t.writes {
		op := kv.Op{Key: t.kind.prefix + key}
		if v != nil {
			value, err := encode(v)
			if err != nil {
				return fmt.Errorf("encode %s %q: %w", t.kind.name, key, err)
			}
			// A value that cannot be read back would block its key for good, here and
			// on every other node.
			if _, err := t.kind.decode(key, value); err != nil {
				return fmt.Errorf("%s %q could not be read back: %w", t.kind.name, key, err)
			}
			op.Value = value
		}
		txn.Ops = append(txn.Ops, op)
	}
	slices.SortFunc(txn.Ops[first:], func(a, b kv.Op) int { return cmp.Compare(a.Key, b.Key) })
	return nil
}
