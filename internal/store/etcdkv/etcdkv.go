package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/openslb/openslb/internal/store/kv"
)

// listPage is the number of pairs read at a time: a page is held in memory
// twice while it is copied.
const listPage = 5000

// KV is a kv.KV on etcd. Use Open or Dial.
type KV struct {
	client   *clientv3.Client
	node     *node // nil when dialled
	failure  *failure
	progress time.Duration
	watches  atomic.Uint64 // made so far

	// ctx ends when Close begins; watches and maintenance run within it.
	ctx    context.Context //nolint:containedctx // the KV's lifetime, not a call's
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // watches and maintenance; not added to once closed

	closeOnce sync.Once
	closeErr  error
}

// Dial reaches an etcd cluster that runs elsewhere.
func Dial(ctx context.Context, cfg DialConfig) (*KV, error) {
	orElse(&cfg.Timeout, 5*time.Second)
	orElse(&cfg.ProgressInterval, DefaultProgressInterval)
	if err := reach(ctx, cfg.Endpoints, cfg.TLS, cfg.Timeout); err != nil {
		return nil, err
	}
	// The client logs each failed try; what comes of them all is returned anyway.
	quiet := new(atomic.Bool)
	quiet.Store(true)
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		TLS:                  cfg.TLS,
		Username:             cfg.Username,
		Password:             cfg.Password,
		DialTimeout:          cfg.Timeout,
		DialKeepAliveTime:    10 * time.Second, // finds a peer that vanished without a word
		DialKeepAliveTimeout: 5 * time.Second,
		MaxCallSendMsgSize:   2 * requestBytes,
		Logger:               bridge(cfg.Logger, quiet),
		// gRPC's own pause between tries grows to two minutes, for which a cluster
		// that is back would go unseen.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: cfg.Timeout,
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd at %v: %w", cfg.Endpoints, err)
	}
	k := newKV(client, cfg.ProgressInterval)
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if _, err := client.Get(ctx, "openslb", clientv3.WithCountOnly()); err != nil {
		client.Close()
		return nil, fmt.Errorf("etcd at %s takes connections and does not answer as etcd does: %w; "+
			"is it etcd, with a leader, and is it http or https?", strings.Join(cfg.Endpoints, ", "), err)
	}
	return k, nil
}

func newKV(client *clientv3.Client, progress time.Duration) *KV {
	k := &KV{client: client, progress: progress, failure: newFailure()}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// List implements kv.KV.
func (k *KV) List(ctx context.Context, prefix string) ([]kv.Pair, int64, error) {
	ctx, done, err := k.call(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	for {
		pairs, revision, err := k.list(ctx, prefix)
		// A list so long that its revision was compacted between two pages begins
		// again.
		if err == nil || !errors.Is(err, rpctypes.ErrCompacted) {
			return pairs, revision, k.wrap("list", err)
		}
	}
}

func (k *KV) list(ctx context.Context, prefix string) ([]kv.Pair, int64, error) {
	var pairs []kv.Pair
	var revision int64
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		resp, err := k.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(listPage),
			clientv3.WithRev(revision), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
		if err != nil {
			return nil, 0, err
		}
		if revision == 0 {
			revision = resp.Header.Revision
			pairs = make([]kv.Pair, 0, resp.Count)
		}
		for _, p := range resp.Kvs {
			pairs = append(pairs, kv.Pair{Key: string(p.Key), Value: p.Value, ModRevision: p.ModRevision})
		}
		if !resp.More {
			return pairs, revision, nil
		}
		from = pairs[len(pairs)-1].Key + "\x00"
	}
}

// Commit implements kv.KV.
func (k *KV) Commit(ctx context.Context, t kv.Txn) (int64, error) {
	ctx, done, err := k.call(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := k.check(t); err != nil {
		return 0, err
	}
	conds := make([]clientv3.Cmp, 0, len(t.Conds)+len(t.Ranges))
	for _, c := range t.Conds {
		conds = append(conds, clientv3.Compare(clientv3.ModRevision(c.Key), "=", c.ModRevision))
	}
	for _, r := range t.Ranges {
		by := clientv3.ModRevision(r.Prefix)
		if r.Created {
			by = clientv3.CreateRevision(r.Prefix)
		}
		conds = append(conds, clientv3.Compare(by, "<", r.Revision+1).WithPrefix())
	}
	ops := make([]clientv3.Op, 0, len(t.Ops))
	for _, o := range t.Ops {
		if o.Value == nil {
			ops = append(ops, clientv3.OpDelete(o.Key))
		} else {
			ops = append(ops, clientv3.OpPut(o.Key, string(o.Value)))
		}
	}
	resp, err := k.client.Txn(ctx).If(conds...).Then(ops...).Commit()
	if err != nil {
		return 0, k.wrap("commit", err)
	}
	if !resp.Succeeded {
		return 0, &kv.ConflictError{Revision: resp.Header.Revision}
	}
	return resp.Header.Revision, nil
}

// call gives a context that also ends when the KV closes or has failed.
func (k *KV) call(ctx context.Context) (context.Context, func(), error) {
	if k.ctx.Err() != nil {
		return nil, nil, kv.ErrClosed
	}
	// etcd might take a transaction whose context has ended already.
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if k.failure.err() != nil {
		return nil, nil, k.wrap("call", k.failure.err())
	}
	ctx, cancel := context.WithCancel(ctx)
	stop, stop2 := context.AfterFunc(k.ctx, cancel), context.AfterFunc(k.failure.ctx, cancel)
	return ctx, func() { stop(); stop2(); cancel() }, nil
}

// check refuses by our own limits, so that the answer tells them.
func (k *KV) check(t kv.Txn) error {
	if k.node == nil {
		return nil
	}
	if n := max(len(t.Conds)+len(t.Ranges), len(t.Ops)); n > MaxTxnOps {
		return fmt.Errorf("%w: %d operations, at most %d", kv.ErrTooLarge, n, MaxTxnOps)
	}
	size := 0
	for _, op := range t.Ops {
		size += len(op.Key) + len(op.Value)
	}
	if size > MaxTxnBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", kv.ErrTooLarge, size, MaxTxnBytes)
	}
	return nil
}

// wrap turns etcd's errors into those of package kv.
func (k *KV) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	as := func(target error) error { return fmt.Errorf("etcd: %s: %w: %w", doing, target, err) }
	switch {
	case k.ctx.Err() != nil:
		return as(kv.ErrClosed)
	case k.failure.err() != nil:
		return fmt.Errorf("%w: %w", kv.ErrUnavailable, k.failure.err())
	case errors.Is(err, rpctypes.ErrNoSpace):
		return as(kv.ErrNoSpace)
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps),
		// gRPC's own limit, which comes first when the request is far too large.
		status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max"):
		return as(kv.ErrTooLarge)
	case errors.Is(err, rpctypes.ErrCompacted):
		return as(kv.ErrCompacted)
	case codeOf(err) == codes.Unavailable: // no connection, no leader, no quorum in time
		return as(kv.ErrUnavailable)
	}
	return fmt.Errorf("etcd: %s: %w", doing, err)
}

func codeOf(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	return status.Code(err)
}

// begin counts a goroutine that Close waits for; false: it is too late.
func (k *KV) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.running.Add(1)
	return true
}

// Close implements kv.KV. It waits for the watches to end and, when etcd is
// embedded, for its files to be closed and unlocked.
func (k *KV) Close() error {
	k.closeOnce.Do(func() {
		k.mu.Lock()
		k.closed = true
		k.mu.Unlock()
		k.cancel()
		ended := make(chan struct{})
		go func() {
			k.running.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-k.failure.seen(): // which maintenance may hang in
		}
		err := k.client.Close()
		if errors.Is(err, context.Canceled) {
			err = nil // what an in-process client says to its own end
		}
		if k.node != nil {
			err = errors.Join(err, k.node.close())
		}
		k.closeErr = err
	})
	return k.closeErr
}
