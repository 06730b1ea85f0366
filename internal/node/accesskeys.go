package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/openslb/openslb/internal/keys"
	"github.com/openslb/openslb/internal/rpc"
)

// openKeys opens the access keys and settles the node's credentials: the pair
// of an earlier start, or a new one when the store has no key at all.
func (n *Node) openKeys(ctx context.Context) error {
	if err := n.checkSealer(); err != nil {
		return err
	}
	n.keys = keys.New(n.store, n.sealer)
	stored, err := ReadCredentials(n.data.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the file with the node's access key is damaged: %w. Mend it, since it may be the only place that has the key's secret; "+
			"or move it away: the node then starts, the keys that others have go on working, and where nobody has one, "+
			"start once with --dev and make another by: openslb key create --key-id "+DevKeyID+" --key-secret "+DevKeySecret, err)
	}
	if stored.KeyID == DevKeyID {
		stored = Credentials{} // of development mode, which may be over
	}
	// A first start that was cut short has written a pair and not yet where the API
	// is; whether the store has it is not known.
	begun := stored.KeyID != "" && stored.Endpoint == ""
	if stored.KeyID != "" && !begun && len(n.keys.List()) == 0 {
		n.log.Warn("the store is empty, and this data directory has the key of one that was not: what that held is not here",
			"key", stored.KeyID, "credentials", CredentialsFile(n.data.path))
	}
	switch {
	case n.cfg.Dev && stored.KeyID == "":
		stored.KeyID, stored.Secret = DevKeyID, DevKeySecret
	case n.cfg.Dev:
		// A real pair is never overwritten: its secret is nowhere else in clear.
	case len(n.keys.List()) == 0:
		if !begun {
			stored.KeyID, stored.Secret = keys.NewPair()
		}
		// The file first: with a key in the store whose secret nobody has, nobody
		// could ever call.
		if err := writeCredentials(n.data.path, Credentials{KeyID: stored.KeyID, Secret: stored.Secret}); err != nil {
			return err
		}
		if _, _, err := n.keys.Create(ctx, stored.KeyID, stored.Secret, "made at first start"); err != nil {
			return fmt.Errorf("make the first access key: %w", err)
		}
		n.newKey = true
	}
	n.credentials = stored
	return nil
}

// announce writes the credentials file, now that endpoint and CA are known.
func (n *Node) announce() error {
	n.credentials.Endpoint, n.credentials.Region, n.credentials.CAFile = n.Endpoint(), n.cfg.Region, n.caFile
	return writeCredentials(n.data.path, n.credentials)
}

// keyStore gives rpc the keys of the store, and in development mode one more.
type keyStore struct {
	keys *keys.Keys
	dev  bool
}

// Secret implements rpc.KeyStore.
func (k keyStore) Secret(ctx context.Context, id string) (string, bool, error) {
	if k.dev && id == DevKeyID {
		return DevKeySecret, true, nil
	}
	secret, enabled, err := k.keys.Secret(ctx, id)
	if errors.Is(err, keys.ErrUnknown) {
		err = rpc.ErrUnknownKey
	}
	return secret, enabled, err
}
