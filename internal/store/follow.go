package store

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/openslb/openslb/internal/store/kv"
)

const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// errMissed restarts the watch after a comparison has found a difference.
var errMissed = errors.New("the watch has missed a change")

// errBack restarts the watch where the KV is behind the State: it was replaced by
// an older copy or an empty one. A watch from a revision that is yet to come stays
// silent until then.
var errBack = errors.New("the store is older than what was read from it")

// follow keeps the State up to date until ctx ends. Whatever ends a watch,
// everything is listed again and compared, so that no doubt remains.
func (s *Store) follow(ctx context.Context) {
	defer close(s.done)
	backoff := minBackoff
	for {
		begun := time.Now()
		err := s.watch(ctx)
		for err != nil {
			if ctx.Err() != nil {
				return
			}
			if errors.Is(err, kv.ErrClosed) {
				s.log.Error("the store's database was closed under it")
				return
			}
			if time.Since(begun) > 2*maxBackoff {
				backoff = minBackoff
			}
			if errors.Is(err, kv.ErrUnavailable) {
				s.lost(err)
			}
			s.stats.restarts.Add(1)
			s.log.Log(ctx, s.trouble(), "watch of the store ended; reading everything again", "err", err, "in", backoff)
			select {
			case <-time.After(backoff/2 + rand.N(backoff/2)):
			case <-ctx.Done():
				return
			}
			backoff = min(2*backoff, maxBackoff)
			err = s.relist(ctx)
		}
	}
}

// relist makes the State what a list says, and reports the differences as
// changes.
func (s *Store) relist(ctx context.Context) error {
	pairs, revision, err := s.kv.List(ctx, prefix)
	if err != nil {
		return err
	}
	s.found()
	defer s.tellRelisted()
	before := s.snap.Load()
	if revision < before.Revision {
		// Only a database that was put back to an older copy does this. The State
		// goes back with it, and revisions mean nothing across the gap.
		s.log.Error("the store's revision went back", "from", before.Revision, "to", revision)
		snap, _ := (&snapshot{}).replaced(pairs, revision)
		s.logBad(before, snap)
		s.committed.Store(revision)
		s.publish(snap, nil, true)
		return nil
	}
	snap, changes := before.replaced(pairs, revision)
	s.logBad(before, snap)
	s.publish(snap, changes, false)
	return nil
}

// watch applies batches until the watch ends.
func (s *Store) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches, watchErr := s.kv.Watch(ctx, prefix, s.snap.Load().Revision)
	c := newComparer(s)
	defer func() {
		cancel()
		c.stop()
	}()
	for {
		select {
		case b, ok := <-batches:
			if !ok {
				if err := watchErr(); err != nil {
					return err
				}
				return errors.New("watch ended without a reason")
			}
			before := s.snap.Load()
			snap, changes := before.applied(b)
			c.note(b)
			s.logBad(before, snap)
			if snap.Revision > before.Revision {
				s.publish(snap, changes, false)
			}
		case <-c.due():
			c.start(ctx)
		case l := <-c.listed:
			if err := c.got(l); err != nil {
				return err
			}
		case <-s.doubt:
			return errBack
		case <-c.deadline():
			return errStuck
		}
		if err := c.check(s.snap.Load()); err != nil {
			return err
		}
	}
}

func (s *Store) logBad(before, after *snapshot) {
	for key, b := range after.bad {
		if was := before.bad[key]; was == nil || was.revision != b.revision {
			s.log.Error("a stored value cannot be used; its predecessor stays in force", "err", b.err)
		}
	}
}

// applied returns the snapshot after the batch. What the snapshot already
// reflects is skipped.
func (sn *snapshot) applied(b kv.Batch) (*snapshot, []Change) {
	next := *sn
	var changes []Change
	for _, e := range b.Events {
		if e.ModRevision <= sn.Revision {
			continue
		}
		if c, ok := next.set(e.Pair, e.Deleted); ok {
			changes = append(changes, c)
		}
	}
	next.Revision = max(next.Revision, b.Revision)
	return &next, changes
}

// replaced returns the snapshot of a complete list, sharing what did not change.
func (sn *snapshot) replaced(pairs []kv.Pair, revision int64) (*snapshot, []Change) {
	next := *sn
	var changes []Change
	listed := make(map[string]struct{}, len(pairs))
	for _, p := range pairs {
		listed[p.Key] = struct{}{}
		if sn.revisionOf(p.Key) == p.ModRevision {
			continue
		}
		if c, ok := next.set(p, false); ok {
			changes = append(changes, c)
		}
	}
	for key := range sn.keys() {
		if _, ok := listed[key]; !ok {
			if c, ok := next.set(kv.Pair{Key: key}, true); ok {
				changes = append(changes, c)
			}
		}
	}
	next.Revision = revision
	return &next, changes
}

// set changes one key of a snapshot that is not published yet. It reports false
// when readers see no difference: an unknown kind, or a value of no use.
func (sn *snapshot) set(p kv.Pair, deleted bool) (Change, bool) {
	k, key, ok := splitKey(p.Key)
	if !ok {
		return Change{}, false // of a newer release; it knows what to do with it
	}
	if sn.bad[p.Key] != nil {
		sn.bad = maps.Clone(sn.bad)
		delete(sn.bad, p.Key)
	}
	if deleted {
		k.set(&sn.State, key, nil, 0)
		return Change{k.name, key}, true
	}
	v, err := k.decode(key, p.Value)
	if err != nil {
		bad := maps.Clone(sn.bad)
		if bad == nil {
			bad = make(map[string]*badValue)
		}
		bad[p.Key] = &badValue{&ValueError{p.Key, err}, p.ModRevision}
		sn.bad = bad
		return Change{}, false
	}
	k.set(&sn.State, key, v, p.ModRevision)
	return Change{k.name, key}, true
}

// revisionOf is the revision of the newest value seen of a key; 0 if none.
func (sn *snapshot) revisionOf(full string) int64 {
	if b := sn.bad[full]; b != nil {
		return b.revision
	}
	k, key, ok := splitKey(full)
	if !ok {
		return 0
	}
	return k.revision(&sn.State, key)
}

// keys yields every key seen, as in the KV, with its revision.
func (sn *snapshot) keys() func(yield func(string, int64) bool) {
	return func(yield func(string, int64) bool) {
		for _, k := range kinds {
			for key := range k.revisions(&sn.State) {
				full := k.prefix + key
				if sn.bad[full] == nil && !yield(full, k.revision(&sn.State, key)) {
					return
				}
			}
		}
		for _, full := range slices.Sorted(maps.Keys(sn.bad)) {
			if !yield(full, sn.bad[full].revision) {
				return
			}
		}
	}
}
