// Package memkv keeps a kv.KV in memory, for tests: the same revisions,
// conflicts, watches and compaction as etcd, without a disk.
package memkv

import (
	"context"
	"fmt"
	"sync"

	iradix "github.com/hashicorp/go-immutable-radix/v2"

	"github.com/openslb/openslb/internal/store/kv"
)

// Limits of one transaction; the same as those that etcdkv sets, so that what
// passes here passes there.
const (
	MaxTxnOps   = 8192
	MaxTxnBytes = 8 << 20
)

// maxHistory is the number of revisions kept for watches; the oldest half is
// dropped when it is reached.
const maxHistory = 1 << 16

// KV is an in-memory kv.KV. Use New.
type KV struct {
	mu       sync.Mutex
	closed   bool
	revision int64
	tree     *iradix.Tree[entry]
	// history holds one batch per revision; history[0] is revision compacted+1.
	history   []kv.Batch
	compacted int64
	// changed is closed and replaced when history grows or the KV closes.
	changed chan struct{}
	watches sync.WaitGroup
}

type entry struct {
	key               string
	value             []byte
	created, modified int64
}

// New returns an empty KV at revision 1, where etcd starts too.
func New() *KV {
	return &KV{revision: 1, compacted: 1, tree: iradix.New[entry](), changed: make(chan struct{})}
}

// List implements kv.KV.
func (m *KV) List(ctx context.Context, prefix string) ([]kv.Pair, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	closed, tree, revision := m.closed, m.tree, m.revision
	m.mu.Unlock()
	if closed {
		return nil, 0, kv.ErrClosed
	}
	var pairs []kv.Pair
	tree.Root().WalkPrefix([]byte(prefix), func(_ []byte, e entry) bool {
		pairs = append(pairs, kv.Pair{Key: e.key, Value: e.value, ModRevision: e.modified})
		return false
	})
	return pairs, revision, nil
}

// Commit implements kv.KV.
func (m *KV) Commit(ctx context.Context, t kv.Txn) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := check(t); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, kv.ErrClosed
	}
	if !m.holdsLocked(t) {
		return 0, &kv.ConflictError{Revision: m.revision}
	}
	next := m.revision + 1
	batch := kv.Batch{Revision: next}
	txn := m.tree.Txn()
	for _, op := range t.Ops {
		old, exists := txn.Get([]byte(op.Key))
		switch {
		case op.Value != nil:
			e := entry{key: op.Key, value: append([]byte{}, op.Value...), created: next, modified: next}
			if exists {
				e.created = old.created
			}
			txn.Insert([]byte(op.Key), e)
			batch.Events = append(batch.Events, kv.Event{Pair: kv.Pair{Key: op.Key, Value: e.value, ModRevision: next}})
		case exists:
			txn.Delete([]byte(op.Key))
			batch.Events = append(batch.Events, kv.Event{Pair: kv.Pair{Key: op.Key, ModRevision: next}, Deleted: true})
		}
	}
	if len(batch.Events) == 0 {
		return m.revision, nil // as in etcd, nothing done makes no revision
	}
	m.tree, m.revision = txn.Commit(), next
	m.history = append(m.history, batch)
	if len(m.history) >= maxHistory {
		m.compactLocked(m.compacted + maxHistory/2)
	}
	m.wakeLocked()
	return next, nil
}

func check(t kv.Txn) error {
	if n := max(len(t.Conds)+len(t.Ranges), len(t.Ops)); n > MaxTxnOps {
		return fmt.Errorf("%w: %d operations, at most %d", kv.ErrTooLarge, n, MaxTxnOps)
	}
	size := 0
	seen := make(map[string]bool, len(t.Ops))
	for _, op := range t.Ops {
		if seen[op.Key] {
			return fmt.Errorf("key %q occurs twice in a transaction", op.Key)
		}
		seen[op.Key] = true
		size += len(op.Key) + len(op.Value)
	}
	if size > MaxTxnBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", kv.ErrTooLarge, size, MaxTxnBytes)
	}
	return nil
}

func (m *KV) holdsLocked(t kv.Txn) bool {
	for _, c := range t.Conds {
		if e, _ := m.tree.Get([]byte(c.Key)); e.modified != c.ModRevision {
			return false
		}
	}
	for _, r := range t.Ranges {
		holds := true
		m.tree.Root().WalkPrefix([]byte(r.Prefix), func(_ []byte, e entry) bool {
			at := e.modified
			if r.Created {
				at = e.created
			}
			holds = at <= r.Revision
			return !holds
		})
		if !holds {
			return false
		}
	}
	return true
}

// Compact forgets the history up to and including revision; watches that still
// need it end with kv.ErrCompacted.
func (m *KV) Compact(revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.compactLocked(min(revision, m.revision))
	m.wakeLocked()
}

func (m *KV) compactLocked(revision int64) {
	if n := revision - m.compacted; n > 0 {
		m.history = append([]kv.Batch(nil), m.history[n:]...)
		m.compacted = revision
	}
}

func (m *KV) wakeLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Close implements kv.KV.
func (m *KV) Close() error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		m.wakeLocked()
	}
	m.mu.Unlock()
	m.watches.Wait()
	return nil
}
