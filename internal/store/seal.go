package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
)

// A sealed text is
//
//	format 1 byte | fingerprint of the key 4 bytes | nonce 12 bytes | AES-256-GCM output
//
// and the additional data is the first five bytes followed by the context. The
// nonce is random, which is safe for about 2^32 texts under one key.
const (
	sealFormat  = 1
	sealKeySize = 32
	sealHead    = 1 + 4
)

// Errors of Open.
var (
	// ErrWrongKey: the text was sealed with another key.
	ErrWrongKey = errors.New("sealed with another key")
	// ErrUnsealable: the text is damaged, belongs to another context, or has a
	// format this program does not know.
	ErrUnsealable = errors.New("sealed text cannot be opened")
)

// Sealer encrypts secrets that have to be had back. It is safe for concurrent
// use.
type Sealer struct {
	aead cipher.AEAD
	head [sealHead]byte
	root [sha256.Size]byte // of Derive
}

// NewSealer takes a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != sealKeySize {
		return nil, fmt.Errorf("seal key has %d bytes, want %d", len(key), sealKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	s := &Sealer{aead: aead, root: deriveRoot(key)}
	s.head[0] = sealFormat
	// The fingerprint tells an exchanged key from a damaged text. It is no help in
	// finding a random key.
	sum := sha256.Sum256(append([]byte("openslb seal key fingerprint\x00"), key...))
	copy(s.head[1:], sum[:])
	return s, nil
}

// Seal encrypts plaintext. It can only be opened with the same context, which
// says what the secret is for and to whom it belongs; the context is not
// secret and not part of the result.
func (s *Sealer) Seal(plaintext, context []byte) []byte {
	n := s.aead.NonceSize()
	out := make([]byte, sealHead+n, sealHead+n+len(plaintext)+s.aead.Overhead())
	copy(out, s.head[:])
	nonce := out[sealHead:]
	rand.Read(nonce) // ends the program rather than fail
	return s.aead.Seal(out, nonce, plaintext, s.additional(context))
}

// Open decrypts what Seal made.
func (s *Sealer) Open(sealed, context []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < sealHead+n+s.aead.Overhead() || sealed[0] != sealFormat {
		return nil, ErrUnsealable
	}
	if subtle.ConstantTimeCompare(sealed[:sealHead], s.head[:]) == 0 {
		return nil, ErrWrongKey
	}
	nonce, text := sealed[sealHead:sealHead+n], sealed[sealHead+n:]
	plain, err := s.aead.Open(nil, nonce, text, s.additional(context))
	if err != nil {
		return nil, ErrUnsealable
	}
	return plain, nil
}

func (s *Sealer) additional(context []byte) []byte {
	return append(s.head[:sealHead:sealHead], context...)
}
