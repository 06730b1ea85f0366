package node

import (
	"errors"
	"fmt"

	"github.com/openslb/openslb/internal/keys"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// checkSealer refuses a seal key that opens nothing of what the store holds: no
// API call could be verified and no HTTPS listener could serve, by a node that
// looks well. A seal key that was missing has been made anew by now, so that
// this is how a lost file shows. In development mode, whose key is not in the
// store, the node starts, for those who have to make all secrets anew.
func (n *Node) checkSealer() error {
	state := n.store.State()
	var total, foreign int
	count := func(err error) {
		total++
		if errors.Is(err, store.ErrWrongKey) {
			foreign++
		}
	}
	for _, key := range state.AccessKeys.All() {
		count(keys.Check(n.sealer, key))
	}
	for _, cert := range state.ServerCertificates.All() {
		_, err := n.sealer.Open(cert.SealedKey, slb.CertificateKeyContext(cert.ID))
		count(err)
	}
	switch {
	case foreign == 0:
		return nil
	case foreign == total && !n.cfg.Dev:
		return fmt.Errorf("seal key %s is not the one that the %d access keys and certificates in the store were sealed with; "+
			"put that file back, or name it with --seal-key-file. If it is lost, start with --dev once, and with "+
			"key "+DevKeyID+" / "+DevKeySecret+" make new access keys and upload the certificates again", n.cfg.SealKeyFile, total)
	}
	n.log.Error("secrets in the store were sealed with another key: these access keys and certificates cannot be used",
		"count", foreign, "of", total, "seal_key_file", n.cfg.SealKeyFile)
	return nil
}
