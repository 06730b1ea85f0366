package node

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// seed puts the servers of the servers file into the register. The file decides
// about the servers that it names, each time the node starts, and about no
// others: what it does not name stays, since it may be in use.
func (n *Node) seed(ctx context.Context) error {
	if n.cfg.ServersFile == "" {
		return nil
	}
	servers, err := readServersFile(n.cfg.ServersFile)
	if err != nil {
		return err
	}
	_, err = n.store.Update(ctx, "", func(tx *store.Tx) error {
		for _, want := range servers {
			put(tx, want)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("servers file %s: %w", n.cfg.ServersFile, err)
	}
	n.log.Info("register seeded", "servers", len(servers), "file", n.cfg.ServersFile)
	return nil
}

// put writes the server unless the register has it so already: a start that
// changes nothing should write nothing.
func put(tx *store.Tx, want *slb.Server) {
	next := want.Clone()
	if old, ok := tx.Servers.Get(want.Key()); ok {
		next.CreatedAt = old.CreatedAt
		if reflect.DeepEqual(old, next) {
			return
		}
	} else {
		next.CreatedAt = time.Now().UTC().Truncate(time.Millisecond)
	}
	tx.Servers.Put(next)
}
