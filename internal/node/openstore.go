package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/etcdkv"
	"github.com/openslb/openslb/internal/store/kv"
)

func (n *Node) raiseLimits(context.Context) error {
	files, err := raiseFileLimit()
	if err != nil {
		// The node runs with what it has; only fewer connections fit.
		n.log.Warn("limit of open files stays low", "error", err)
	}
	n.budget = connectionBudget(files)
	return nil
}

func (n *Node) openData(ctx context.Context) error {
	d, err := openDataDir(n.cfg.Data)
	switch {
	case err == nil:
		n.useData(d)
		return nil
	case n.cfg.TakeOver && errors.Is(err, errInUse):
		return n.meet(ctx, n.cfg.Data)
	}
	return err
}

func (n *Node) useData(d *dataDir) {
	n.data = d
	n.onStop("data directory", func(context.Context) error { return d.Close() })
}

// openBrain opens the store and what depends on it.
func (n *Node) openBrain(ctx context.Context) error {
	for _, step := range []func(context.Context) error{n.openStore, n.openKeys, n.startReconciler, n.openNonces} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openStore(ctx context.Context) error {
	k, err := n.openKV(ctx)
	if err != nil {
		return err
	}
	n.kv = k
	n.onStop("store engine", func(context.Context) error { return k.Close() })
	o := store.Options{Logger: n.log.With("part", "store")}
	if at := n.cfg.StoreEndpoints; len(at) > 0 {
		o.Logger, o.ProbeInterval = o.Logger.With("endpoints", strings.Join(at, ", ")), probeInterval
	}
	s, err := store.New(ctx, k, o)
	if err != nil {
		return err
	}
	n.store = s
	n.onStop("store", func(context.Context) error { return s.Close() })
	return nil
}

// probeInterval is the pause between two questions whether an outside store
// answers.
const probeInterval = 2 * time.Second

// openKV starts the node's own etcd, or connects to the one outside.
func (n *Node) openKV(ctx context.Context) (kv.KV, error) {
	if endpoints := n.cfg.StoreEndpoints; len(endpoints) > 0 {
		k, err := etcdkv.Dial(ctx, etcdkv.DialConfig{Endpoints: endpoints, Logger: n.log.With("part", "etcd")})
		if err != nil {
			return nil, fmt.Errorf("the store cannot be reached: %w (--store-endpoints)", err)
		}
		return k, nil
	}
	dir := n.data.file("store")
	k, err := etcdkv.Open(ctx, etcdkv.Config{Dir: dir, Logger: n.log.With("part", "etcd")})
	if err != nil {
		return nil, fmt.Errorf("store in %s: %w", dir, err)
	}
	return k, nil
}
