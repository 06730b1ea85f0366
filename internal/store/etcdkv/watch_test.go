package etcdkv

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/store/kv"
)

// TestWatchIsNotAheadOfItself makes watches of what has been written already
// while another asks for its progress all the time: the answer may not tell the
// new ones that they have all before they do.
func TestWatchIsNotAheadOfItself(t *testing.T) {
	const rounds, watches = 10, 50
	k := open(t, func(c *Config) { c.ProgressInterval = 100 * time.Microsecond })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, at, err := k.List(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}
	idle, _ := k.Watch(ctx, "/idle/", at)
	go func() {
		for range idle {
		}
	}()
	for range rounds {
		at, err := k.Commit(ctx, put("/w", 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Commit(ctx, put("/w", 2)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range watches {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				batches, watchErr := k.Watch(ctx, "/w", at-1)
				var first kv.Batch
				for first.Revision < at { // it may tell where it begins
					b, ok := <-batches
					if !ok {
						t.Errorf("the watch has ended: %v", watchErr())
						return
					}
					first = b
				}
				if len(first.Events) == 0 || first.Events[0].ModRevision != at {
					t.Errorf("watch from %d begins with %d events up to %d", at, len(first.Events), first.Revision)
				}
			})
		}
		wg.Wait()
	}
}
