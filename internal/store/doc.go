// Package store keeps the resources of package slb in a kv.KV: typed
// transactions on one side, an immutable State that follows every change on the
// other.
//
// A transaction reads from the State, remembers what it has read, and commits
// under the condition that nothing of it has changed; else it runs again.
// Therefore no transaction reads the KV, and those on different resources go on
// in parallel.
package store
