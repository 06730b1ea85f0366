package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/openslb/openslb/internal/store/kv"
)

// Watch implements kv.KV.
func (k *KV) Watch(ctx context.Context, prefix string, after int64) (<-chan kv.Batch, func() error) {
	out := make(chan kv.Batch)
	var err error // written before out is closed, read after
	if !k.begin() {
		err = kv.ErrClosed
		close(out)
		return out, func() error { return err }
	}
	go func() {
		defer k.running.Done()
		defer close(out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(k.ctx, cancel)()
		defer context.AfterFunc(k.failure.ctx, cancel)()
		if err = k.watch(ctx, prefix, after, out); k.failure.err() != nil {
			err = k.wrap("watch", k.failure.err())
		}
		if k.ctx.Err() != nil {
			err = kv.ErrClosed
		}
	}()
	return out, func() error { return err }
}

func (k *KV) watch(ctx context.Context, prefix string, after int64, out chan<- kv.Batch) error {
	// Without a leader to speak to, a watch on a cluster would be silent for ever.
	asked := clientv3.WithRequireLeader(k.ownStream(ctx))
	responses := k.client.Watch(asked, prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1))
	ticker := time.NewTicker(k.progress)
	defer ticker.Stop()
	heard := false
	for {
		select {
		case resp, ok := <-responses:
			if err := ctx.Err(); err != nil {
				return err
			}
			if !ok {
				return errors.New("etcd: watch: closed by the server")
			}
			if resp.CompactRevision != 0 {
				return fmt.Errorf("etcd: %w: watch after %d, compacted at %d", kv.ErrCompacted, after, resp.CompactRevision)
			}
			if err := resp.Err(); err != nil {
				return k.wrap("watch", err)
			}
			b, ok := batchOf(resp)
			if !ok {
				continue
			}
			heard = true
			select {
			case out <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		case <-ticker.C:
			// The answer comes in order with the events: all up to its revision have
			// then been delivered.
			if !heard {
				if err := k.client.RequestProgress(asked); err != nil && ctx.Err() == nil {
					return k.wrap("request progress", err)
				}
			}
			heard = false
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ownStream gives a watch a stream of its own, as etcd's client has one for each
// set of metadata. On a stream of several, the answer to a request for progress
// goes to all watches, and etcd can send one from before a watch was made after
// that: it would then claim to have delivered what is still to come.
func (k *KV) ownStream(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "openslb-watch", strconv.FormatUint(k.watches.Add(1), 10))
}

func batchOf(resp clientv3.WatchResponse) (kv.Batch, bool) {
	if len(resp.Events) == 0 {
		return kv.Batch{Revision: resp.Header.Revision}, resp.IsProgressNotify()
	}
	// Not the header's revision: while a watch catches up, that is the newest of
	// the database and more than what is delivered.
	b := kv.Batch{Revision: resp.Events[len(resp.Events)-1].Kv.ModRevision, Events: make([]kv.Event, len(resp.Events))}
	for i, e := range resp.Events {
		b.Events[i].Pair = kv.Pair{Key: string(e.Kv.Key), ModRevision: e.Kv.ModRevision}
		if e.Type == clientv3.EventTypeDelete {
			b.Events[i].Deleted = true
			continue
		}
		// Never nil, which would mean a deletion.
		b.Events[i].Value = append(make([]byte, 0, len(e.Kv.Value)), e.Kv.Value...)
	}
	return b, true
}
