package h2

import (
	"hash/maphash"
	"sync/atomic"
)

// The compressor keeps what it is given, so that it needs strings. Names and
// most values come again and again: they are looked up here, and only what is
// new is copied. The cache is shared by all connections and needs no lock: a
// place is overwritten by the next string that falls on it.
var (
	interned [2048]atomic.Pointer[string]
	seed     = maphash.MakeSeed()
)

// maxInterned is the longest string worth a place.
const maxInterned = 96

// intern returns b as a string.
func intern(b []byte) string {
	if len(b) > maxInterned {
		return string(b)
	}
	place := &interned[maphash.Bytes(seed, b)%uint64(len(interned))]
	if s := place.Load(); s != nil && *s == string(b) {
		return *s
	}
	s := string(b)
	place.Store(&s)
	return s
}
