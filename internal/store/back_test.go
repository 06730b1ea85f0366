package store_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
	"github.com/openslb/openslb/internal/store/kv"
	"github.com/openslb/openslb/internal/store/memkv"
)

// replacedKV is a KV whose data are replaced under its clients, as those of an
// outside etcd may be: a watch that was begun before is told nothing more.
type replacedKV struct{ now atomic.Pointer[memkv.KV] }

func (r *replacedKV) List(ctx context.Context, prefix string) ([]kv.Pair, int64, error) {
	return r.now.Load().List(ctx, prefix)
}

func (r *replacedKV) Commit(ctx context.Context, t kv.Txn) (int64, error) {
	return r.now.Load().Commit(ctx, t)
}

func (r *replacedKV) Watch(ctx context.Context, prefix string, after int64) (<-chan kv.Batch, func() error) {
	return r.now.Load().Watch(ctx, prefix, after)
}

func (r *replacedKV) Close() error { return r.now.Load().Close() }

// TestStoreGoesBack: where the data under a store are replaced by an older copy, the
// State follows: with the next write, whose result it shows when that returns, or else with
// the next comparison.
func TestStoreGoesBack(t *testing.T) {
	token := func(key, v string) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			tx.ClientTokens.Put(&slb.ClientToken{Token: key, ParamsHash: v})
			return nil
		}
	}
	for name, c := range map[string]struct {
		then func(t *testing.T, s *store.Store)
		want string
	}{
		"creation":   {func(t *testing.T, s *store.Store) { update(t, s, token("new", "1")) }, "new=1 old=1"},
		"change":     {func(t *testing.T, s *store.Store) { update(t, s, token("old", "9")) }, "old=9"},
		"comparison": {func(t *testing.T, s *store.Store) { time.Sleep(2 * store.DefaultCompareInterval) }, "old=1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := new(replacedKV)
				first, older := memkv.New(), memkv.New()
				older.Commit(t.Context(), kv.Txn{Ops: []kv.Op{tokenOp("old", `{"v":1,"Token":"old","ParamsHash":"1"}`)}})
				k.now.Store(first)
				s, log := quietStore(t, k)
				for _, v := range []string{"1", "2", "3", "4", "5"} {
					update(t, s, token("old", v))
					update(t, s, token("gone", v))
				}
				k.now.Store(older)
				c.then(t, s)
				synctest.Wait()
				if got := tokens(s.State()); got != c.want {
					t.Errorf("the state is %q, want %q; log:\n%s", got, c.want, log)
				}
				// It follows the new data from here on.
				if _, err := older.Commit(t.Context(), kv.Txn{Ops: []kv.Op{tokenOp("other", `{"v":1,"Token":"other","ParamsHash":"1"}`)}}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := tokens(s.State()); got != c.want+" other=1" {
					t.Errorf("then %q", got)
				}
				s.Close()
				first.Close()
				older.Close()
			})
		})
	}
}
