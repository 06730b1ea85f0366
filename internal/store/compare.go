package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/openslb/openslb/internal/store/kv"
)

// errStuck: a list has shown a revision that the watch never reached.
var errStuck = errors.New("the watch does not move on")

// stuckTime is how long the watch may lag behind a list. It is more than the
// pause between two reports of progress.
const stuckTime = 20 * time.Second

// comparer compares the State with a full list from time to time, while the
// watch goes on: faults of the watch are etcd's best-known weakness. Its methods
// belong to the goroutine of the watch.
type comparer struct {
	store  *Store
	timer  *time.Timer // to the next comparison; nil: none are wanted
	stuck  *time.Timer // while a list waits for the watch
	listed chan listing
	busy   bool     // between start and the end of check
	since  int64    // the State's revision at start
	list   *listing // what has been listed, until the State is as new
	// deleted is the deletions seen since start: a key listed but absent from the
	// State may have been deleted after the list was made.
	deleted map[string]int64
	running chan struct{} // closed when the goroutine that lists has ended
}

type listing struct {
	pairs    []kv.Pair
	revision int64
	err      error
}

func newComparer(s *Store) *comparer {
	c := &comparer{store: s, listed: make(chan listing, 1)}
	if s.compareInterval > 0 {
		c.timer = time.NewTimer(c.pause())
	}
	return c
}

// pause spreads the comparisons of several nodes.
func (c *comparer) pause() time.Duration {
	d := c.store.compareInterval
	return d - d/10 + rand.N(d/5+1)
}

func (c *comparer) due() <-chan time.Time {
	if c.timer == nil {
		return nil
	}
	return c.timer.C
}

func (c *comparer) deadline() <-chan time.Time {
	if c.stuck == nil {
		return nil
	}
	return c.stuck.C
}

// start lists in a goroutine of its own.
func (c *comparer) start(ctx context.Context) {
	c.busy, c.since, c.deleted = true, c.store.snap.Load().Revision, make(map[string]int64)
	c.running = make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		pairs, revision, err := c.store.kv.List(ctx, prefix)
		c.listed <- listing{pairs, revision, err} // has room for one, and there is one
	}(c.running)
}

// stop waits for the goroutine; its context has been cancelled.
func (c *comparer) stop() {
	if c.running != nil {
		<-c.running
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.stuck != nil {
		c.stuck.Stop()
	}
}

// note remembers the deletions of a batch while a comparison is under way.
func (c *comparer) note(b kv.Batch) {
	if !c.busy {
		return
	}
	for _, e := range b.Events {
		if e.Deleted {
			c.deleted[e.Key] = e.ModRevision
		}
	}
}

func (c *comparer) got(l listing) error {
	if l.err != nil {
		c.store.log.Log(context.Background(), c.store.trouble(), "cannot list the store to compare", "err", l.err)
		c.finish()
		return nil
	}
	if l.revision < c.since {
		return errBack
	}
	c.list, c.stuck = &l, time.NewTimer(stuckTime)
	return nil
}

func (c *comparer) finish() {
	c.busy, c.list, c.deleted = false, nil, nil
	if c.stuck != nil {
		c.stuck.Stop()
		c.stuck = nil
	}
	c.timer.Reset(c.pause())
}

// check compares once the State is as new as the list. A difference is logged
// and returned as errMissed; listing again then heals it.
func (c *comparer) check(sn *snapshot) error {
	if c.list == nil || sn.Revision < c.list.revision {
		return nil
	}
	missed := c.missed(sn)
	c.finish()
	if len(missed) == 0 {
		return nil
	}
	c.store.stats.missed.Add(int64(len(missed)))
	c.store.log.Error("the watch of the store has missed changes; they are being made good",
		"count", len(missed), "keys", missed[:min(len(missed), 10)])
	return errMissed
}

// missed returns the keys in which the State, at the list's revision or later,
// is not what the list and the watch together say.
func (c *comparer) missed(sn *snapshot) []string {
	var out []string
	at := c.list.revision
	listed := make(map[string]struct{}, len(c.list.pairs))
	for _, p := range c.list.pairs {
		listed[p.Key] = struct{}{}
		if _, _, ok := splitKey(p.Key); !ok {
			continue
		}
		have := sn.revisionOf(p.Key)
		deletedLater := have == 0 && c.deleted[p.Key] > at
		if have < p.ModRevision && !deletedLater {
			out = append(out, p.Key)
		}
	}
	for key, revision := range sn.keys() {
		if _, ok := listed[key]; !ok && revision <= at {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
