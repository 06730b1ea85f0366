package tlsconf

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// sessionLifetime is how long a session can be resumed, and how long a ticket
// key seals. Source: the vendor's page on HTTPS listeners.
const sessionLifetime = 300 * time.Second

// A ticket is
//
//	number of the key 4 bytes | nonce 12 bytes | AES-256-GCM of (time in ms 8 bytes, session)
//
// and the additional data is the binding to the settings.
const (
	ticketNumber = 4
	ticketTime   = 8
)

// tickets seals sessions under keys that live in memory alone and are forgotten
// after twice the lifetime of a session, which no ticket survives anyway. It has
// no goroutine: who needs a key looks whether one is due.
type tickets struct {
	now func() time.Time

	mu                sync.Mutex
	current, previous *ticketKey
}

type ticketKey struct {
	number uint32
	aead   cipher.AEAD
	made   time.Time
	secret ticketSecret
}

// ticketSecret is the key of AES-256-GCM and the number that names it.
type ticketSecret [32 + ticketNumber]byte

// keys returns the key that seals, which is fresh enough, and the one before it,
// nil if there is none whose tickets could still be young enough.
func (t *tickets) keys() (current, previous *ticketKey, err error) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := t.age(t.current, now); age >= sessionLifetime {
		k, err := newTicketKey(now)
		if err != nil {
			return nil, nil, err
		}
		t.previous, t.current = t.current, k
	}
	if t.age(t.previous, now) >= 2*sessionLifetime {
		t.previous = nil
	}
	return t.current, t.previous, nil
}

// age is a key's; without a key, and after the clock was set back, it is beyond
// all limits.
func (t *tickets) age(k *ticketKey, now time.Time) time.Duration {
	if k == nil || now.Before(k.made) {
		return 1 << 62
	}
	return now.Sub(k.made)
}

func newTicketKey(now time.Time) (*ticketKey, error) {
	var secret ticketSecret
	rand.Read(secret[:]) // ends the program rather than fail
	return secret.key(now)
}

func (secret ticketSecret) key(made time.Time) (*ticketKey, error) {
	block, err := aes.NewCipher(secret[:32])
	if err != nil {
		return nil, fmt.Errorf("make a ticket key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make a ticket key: %w", err)
	}
	return &ticketKey{number: binary.BigEndian.Uint32(secret[32:]), aead: aead, made: made, secret: secret}, nil
}

func (t *tickets) seal(s *tls.SessionState, binding []byte) ([]byte, error) {
	state, err := s.Bytes()
	if err != nil {
		return nil, err
	}
	key, _, err := t.keys()
	if err != nil {
		return nil, err
	}
	head := ticketNumber + key.aead.NonceSize()
	out := make([]byte, head, head+ticketTime+len(state)+key.aead.Overhead())
	binary.BigEndian.PutUint32(out, key.number)
	nonce := out[ticketNumber:]
	rand.Read(nonce) // ends the program rather than fail
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, ticketTime+len(state)), uint64(t.now().UnixMilli()))
	return key.aead.Seal(out, nonce, append(plain, state...), binding), nil
}

// open returns nil for a ticket that is not to be resumed, for whatever reason:
// the client then goes through a whole handshake.
func (t *tickets) open(ticket, binding []byte) *tls.SessionState {
	current, previous, err := t.keys()
	if err != nil || len(ticket) < ticketNumber {
		return nil
	}
	key := current
	if number := binary.BigEndian.Uint32(ticket); number != key.number {
		if key = previous; key == nil || number != key.number {
			return nil
		}
	}
	rest := ticket[ticketNumber:]
	n := key.aead.NonceSize()
	if len(rest) < n {
		return nil
	}
	plain, err := key.aead.Open(nil, rest[:n], rest[n:], binding)
	if err != nil || len(plain) < ticketTime {
		return nil
	}
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	if age := t.now().Sub(made); age < 0 || age > sessionLifetime {
		return nil
	}
	s, err := tls.ParseSessionState(plain[ticketTime:])
	if err != nil {
		return nil
	}
	return s
}
