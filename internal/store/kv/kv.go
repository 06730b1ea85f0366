// Package kv is the small interface under the store: read at a revision,
// conditional transactions, and a watch from a revision. Embedded etcd and an
// in-memory twin for tests implement it and pass one suite, kvtest.
package kv

import (
	"context"
	"errors"
	"fmt"
)

// Pair is one key with its value and the revision that last wrote it.
type Pair struct {
	Key         string
	Value       []byte
	ModRevision int64
}

// Op is a write: a put, or a delete when Value is nil.
type Op struct {
	Key   string
	Value []byte
}

// Cond holds when the key was last written at exactly ModRevision; 0 means that
// the key does not exist.
type Cond struct {
	Key         string
	ModRevision int64
}

// RangeCond holds when no key with the prefix was created or written after
// Revision. Deletions are not seen.
type RangeCond struct {
	Prefix   string
	Revision int64
	// Created narrows the condition to keys that were created: a write to a key
	// that existed at Revision is let pass. A count rests on no more than that.
	Created bool
}

// Txn is applied as a whole if every condition holds, else not at all. A key may
// occur in at most one of Ops.
type Txn struct {
	Conds  []Cond
	Ranges []RangeCond
	Ops    []Op
}

// Event is one change seen by a watch. Value is nil for a deletion.
type Event struct {
	Pair
	Deleted bool
}

// Batch is all events of one or more whole revisions, in order. A batch without
// events reports progress: everything up to Revision has been delivered.
type Batch struct {
	Revision int64
	Events   []Event
}

// Errors that implementations return, wrapped.
var (
	// ErrConflict: a condition of the transaction did not hold.
	ErrConflict = errors.New("kv: transaction conflict")
	// ErrCompacted: the watch's start revision is gone; list again.
	ErrCompacted = errors.New("kv: revision compacted")
	// ErrNoSpace: the store's size quota is used up.
	ErrNoSpace = errors.New("kv: store is full")
	// ErrTooLarge: the transaction exceeds what the store takes at once.
	ErrTooLarge = errors.New("kv: transaction too large")
	// ErrUnavailable: the store does not answer. A transaction may have been applied
	// or not.
	ErrUnavailable = errors.New("kv: store does not answer")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("kv: closed")
)

// ConflictError is the ErrConflict of a Commit.
type ConflictError struct {
	// Revision is the store's when the condition failed: who has seen everything
	// up to it has seen the write that was in the way.
	Revision int64
}

// Error tells the revision.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v at revision %d", ErrConflict, e.Revision)
}

// Unwrap makes errors.Is find ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// KV is a revisioned key-value store. All methods are safe for concurrent use.
type KV interface {
	// List returns all pairs whose key has the prefix, ordered by key, and the
	// store's revision at that moment.
	List(ctx context.Context, prefix string) (pairs []Pair, revision int64, err error)
	// Commit applies t and returns the revision it made, or a *ConflictError. When
	// ctx ends first, or the store is closed, t may have been applied or not.
	Commit(ctx context.Context, t Txn) (revision int64, err error)
	// Watch delivers every change to keys with the prefix after revision, in
	// order, until ctx ends or the watch fails; it then closes the channel, and
	// err() tells why. Revisions that touch no such key are reported by a batch
	// without events, within a few seconds.
	Watch(ctx context.Context, prefix string, after int64) (batches <-chan Batch, err func() error)
	// Close ends all watches and frees the store.
	Close() error
}
