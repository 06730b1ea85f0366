// Package keys manages the access keys that sign API calls, and gives their
// secrets to those who verify signatures.
package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// Errors of this package.
var (
	// ErrUnknown: there is no such key.
	ErrUnknown = errors.New("access key does not exist")
	// ErrExists: there is such a key already.
	ErrExists = errors.New("access key exists")
	// ErrInvalid: an identifier or a secret of an impossible form.
	ErrInvalid = errors.New("not a valid access key")
)

// Lengths, in characters.
const (
	maxIDLen     = 128
	maxSecretLen = 128
	minSecretLen = 8
	newIDRandom  = 20 // after the vendor's LTAI
	newSecretLen = 30 // some 155 bits
)

// Keys are the access keys of a store. It is safe for concurrent use.
type Keys struct {
	store *store.Store
	seal  *store.Sealer
	// opened caches decrypted secrets: id to *opened. An entry counts only for
	// the very record it was made from, which a change of the key replaces.
	opened sync.Map
}

type opened struct {
	record *slb.AccessKey
	secret string
}

// New works on the keys in s, whose secrets are sealed by seal.
func New(s *store.Store, seal *store.Sealer) *Keys { return &Keys{store: s, seal: seal} }

// Secret returns the secret of a key, and whether the key may be used. A key
// that does not exist is ErrUnknown, whatever its id looks like. It reads
// memory only.
func (k *Keys) Secret(_ context.Context, id string) (secret string, enabled bool, err error) {
	record, ok := k.store.State().AccessKeys.Get(id)
	if !ok {
		// Nothing is kept for ids that anyone can invent; what is left of a deleted
		// key goes now.
		k.opened.Delete(id)
		return "", false, ErrUnknown
	}
	if o, ok := k.opened.Load(id); ok {
		if o := o.(*opened); o.record == record {
			return o.secret, record.Enabled, nil
		}
	}
	plain, err := open(k.seal, record)
	if err != nil {
		return "", false, fmt.Errorf("secret of access key %s: %w", id, err)
	}
	o := &opened{record, string(plain)}
	k.opened.Store(id, o)
	return o.secret, record.Enabled, nil
}

// NewPair makes up an id and a secret that Create takes.
func NewPair() (id, secret string) {
	return "LTAI" + slb.RandomToken(newIDRandom), slb.RandomToken(newSecretLen)
}

// Create makes an enabled key and returns it with its secret, which is not to be
// had again from here. An empty id or secret is generated.
func (k *Keys) Create(ctx context.Context, id, secret, description string) (slb.AccessKey, string, error) {
	newID, newSecret := NewPair()
	id, secret = cmp.Or(id, newID), cmp.Or(secret, newSecret)
	if err := validate(id, secret); err != nil {
		return slb.AccessKey{}, "", err
	}
	record := &slb.AccessKey{
		ID:           id,
		SealedSecret: k.seal.Seal([]byte(secret), sealContext(id)),
		Enabled:      true,
		Description:  description,
		CreatedAt:    time.Now().UTC().Truncate(time.Second),
	}
	_, err := k.store.Update(ctx, "", func(tx *store.Tx) error {
		if _, ok := tx.AccessKeys.Get(id); ok {
			return fmt.Errorf("%s: %w", id, ErrExists)
		}
		tx.AccessKeys.Put(record)
		return nil
	})
	if err != nil {
		return slb.AccessKey{}, "", fmt.Errorf("create access key: %w", err)
	}
	return *record.Clone(), secret, nil
}

// List returns all keys, ordered by id.
func (k *Keys) List() []slb.AccessKey {
	table := k.store.State().AccessKeys
	out := make([]slb.AccessKey, 0, table.Len())
	for _, record := range table.All() {
		out = append(out, *record.Clone())
	}
	return out
}

// SetEnabled allows or forbids the use of a key.
func (k *Keys) SetEnabled(ctx context.Context, id string, on bool) error {
	return k.change(ctx, id, func(tx *store.Tx, record *slb.AccessKey) {
		if record.Enabled != on {
			record.Enabled = on
			tx.AccessKeys.Put(record)
		}
	})
}

// Delete removes a key.
func (k *Keys) Delete(ctx context.Context, id string) error {
	return k.change(ctx, id, func(tx *store.Tx, _ *slb.AccessKey) { tx.AccessKeys.Delete(id) })
}

func (k *Keys) change(ctx context.Context, id string, fn func(*store.Tx, *slb.AccessKey)) error {
	_, err := k.store.Update(ctx, "", func(tx *store.Tx) error {
		record, ok := tx.AccessKeys.Edit(id)
		if !ok {
			return fmt.Errorf("%s: %w", id, ErrUnknown)
		}
		fn(tx, record)
		return nil
	})
	return err
}

// Check tells whether the secret of a key can be had with a sealer.
func Check(seal *store.Sealer, record *slb.AccessKey) error {
	_, err := open(seal, record)
	return err
}

func open(seal *store.Sealer, record *slb.AccessKey) ([]byte, error) {
	return seal.Open(record.SealedSecret, sealContext(record.ID))
}

// sealContext binds a sealed secret to its key, so that whoever can write to
// the store cannot give one key the secret of another.
func sealContext(id string) []byte { return []byte("accesskey/" + id) }

// validate admits what fits into keys, headers and command lines.
func validate(id, secret string) error {
	if len(id) > maxIDLen {
		return fmt.Errorf("%w: the id is longer than %d characters", ErrInvalid, maxIDLen)
	}
	for _, r := range id {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return fmt.Errorf("%w: %q in the id; letters, digits, '-', '_' and '.' are allowed", ErrInvalid, r)
		}
	}
	if len(secret) < minSecretLen || len(secret) > maxSecretLen {
		return fmt.Errorf("%w: a secret has %d to %d characters", ErrInvalid, minSecretLen, maxSecretLen)
	}
	for _, r := range secret {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%w: a secret is printable ASCII without spaces", ErrInvalid)
		}
	}
	return nil
}
