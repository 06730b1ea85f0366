package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// defragWaste is the least number of free bytes in the file that makes giving
// them back worth the stop.
const defragWaste = 64 << 20

// maintenance keeps the database small.
type maintenance struct {
	mu        sync.Mutex // one round at a time
	compacted int64      // newest revision that round has compacted
	defragged time.Time
}

// maintain looks after the database until ctx ends.
func (n *node) maintain(ctx context.Context, c *clientv3.Client) {
	ticker := time.NewTicker(n.cfg.MaintainInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := n.round(ctx, c, now); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Warn("maintenance of the store failed", "err", err)
			}
		}
	}
}

// round compacts, defragments, and lifts the alarm of a full database once
// there is room again. etcd's own compaction comes every five minutes, in which
// a busy node writes hundreds of thousands of revisions; nor does etcd ever lift
// the alarm.
func (n *node) round(ctx context.Context, c *clientv3.Client, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	st, err := c.Status(ctx, "")
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	alarms, err := c.AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("list alarms: %w", err)
	}
	full := false
	for _, a := range alarms.Alarms {
		full = full || a.Alarm == etcdserverpb.AlarmType_NOSPACE
	}
	if full {
		n.cfg.Logger.Error("the store is full; writes are refused", "size", st.DbSize, "quota", n.cfg.Quota)
	}
	to := st.Header.Revision - n.cfg.RetainRevisions
	if full {
		to = st.Header.Revision // history is the first thing to give up
	}
	if to > n.compacted && (full || to-n.compacted > n.cfg.RetainRevisions) {
		// Physical: the pages are free when the call returns.
		_, err := c.Compact(ctx, to, clientv3.WithCompactPhysical())
		if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
			return fmt.Errorf("compact: %w", err)
		}
		n.compacted = to
		if st, err = c.Status(ctx, ""); err != nil {
			return fmt.Errorf("status: %w", err)
		}
	}
	waste := st.DbSize - st.DbSizeInUse
	due := now.Sub(n.defragged) >= n.cfg.DefragInterval
	if full || due && waste > defragWaste && waste > st.DbSizeInUse {
		begun := time.Now()
		// Not by the in-process client, whose Defragment runs into a nil notifier.
		if err := n.etcd.Server.Defragment(); err != nil {
			return fmt.Errorf("defragment: %w", err)
		}
		n.defragged = now
		before := st.DbSize
		if st, err = c.Status(ctx, ""); err != nil {
			return fmt.Errorf("status: %w", err)
		}
		n.cfg.Logger.Info("defragmented the store", "from", before, "to", st.DbSize, "took", time.Since(begun))
	}
	// Some room below the quota, or the alarm would be back with the next write.
	if full && st.DbSize < n.cfg.Quota/10*9 {
		if _, err := c.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
			return fmt.Errorf("disarm the alarm: %w", err)
		}
		n.cfg.Logger.Info("the store has room again", "size", st.DbSize, "quota", n.cfg.Quota)
	}
	return nil
}
