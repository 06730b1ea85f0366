package node

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// readSeed reads the servers file, before the store is opened.
func (n *Node) readSeed(context.Context) (err error) {
	if n.cfg.ServersFile == "" {
		return nil
	}
	if n.seeds, err = readServersFile(n.cfg.ServersFile); err != nil {
		return &ConfigError{"servers", n.cfg.ServersFile, err}
	}
	return nil
}

// seed puts the servers of the servers file into the register. The file decides
// about the servers that it names, each time the node starts, and about no
// others: what it does not name stays, since it may be in use.
func (n *Node) seed(ctx context.Context) error {
	if n.cfg.ServersFile == "" {
		return nil
	}
	_, err := n.store.Update(ctx, "", func(tx *store.Tx) error {
		for _, want := range n.seeds {
			put(tx, want)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("servers file %s: %w", n.cfg.ServersFile, err)
	}
	n.log.Info("register seeded", "servers", len(n.seeds), "file", n.cfg.ServersFile)
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
