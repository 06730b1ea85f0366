package store

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Derive returns a key of 32 bytes for a purpose. It is always the same, tells
// nothing of the sealing key or of the keys for other purposes, and needs no
// storage of its own.
func (s *Sealer) Derive(purpose string) []byte {
	h := hmac.New(sha256.New, s.root[:])
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

// deriveRoot is what a sealing key gives to derive others from.
func deriveRoot(key []byte) (root [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("openslb derived keys"))
	h.Sum(root[:0])
	return root
}
