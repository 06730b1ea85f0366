package kvtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/store/kv"
)

// watcher reads a watch and checks what holds for every one.
type watcher struct {
	s       *suite
	batches <-chan kv.Batch
	err     func() error
	cancel  context.CancelFunc
	at      int64 // everything up to here was delivered
	events  []kv.Event
}

func (s *suite) watch(prefix string, after int64) *watcher {
	ctx, cancel := context.WithCancel(s.ctx)
	s.t.Cleanup(cancel)
	w := &watcher{s: s, cancel: cancel, at: after}
	w.batches, w.err = s.KV.Watch(ctx, prefix, after)
	return w
}

// batch reads the next one; false when the watch has ended.
func (w *watcher) batch() (kv.Batch, bool) {
	w.s.t.Helper()
	select {
	case b, ok := <-w.batches:
		if !ok {
			return b, false
		}
		if b.Revision < w.at {
			w.s.t.Fatalf("batch of revision %d after %d", b.Revision, w.at)
		}
		last := w.at
		for i, e := range b.Events {
			if i == 0 && e.ModRevision <= w.at || e.ModRevision < last || e.ModRevision > b.Revision {
				w.s.t.Fatalf("event at %d: after %d, in a batch up to %d", e.ModRevision, last, b.Revision)
			}
			last = e.ModRevision
		}
		w.at = b.Revision
		return b, true
	case <-time.After(patience):
		w.s.t.Fatal("the watch is silent")
		panic("not reached")
	}
}

// event returns the next event.
func (w *watcher) event() kv.Event {
	w.s.t.Helper()
	for len(w.events) == 0 {
		b, ok := w.batch()
		if !ok {
			w.s.t.Fatalf("the watch has ended: %v", w.err())
		}
		w.events = b.Events
	}
	e := w.events[0]
	w.events = w.events[1:]
	return e
}

// end reads until the watch has ended and returns why.
func (w *watcher) end() error {
	w.s.t.Helper()
	for {
		if _, ok := w.batch(); !ok {
			return w.err()
		}
	}
}

func (w *watcher) want(want ...string) {
	w.s.t.Helper()
	var got []string
	for range want {
		e := w.event()
		text := fmt.Sprintf("%s=%s@%d", e.Key, e.Value, e.ModRevision)
		if e.Deleted {
			text = fmt.Sprintf("-%s@%d", e.Key, e.ModRevision)
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		w.s.t.Fatalf("events:\n got %v\nwant %v", got, want)
	}
}

func watchFrom(_ *testing.T, s *suite) {
	a := s.put("/w/1", "a")
	b := s.put("/w/1", "b")
	s.put("/x", "no")
	c := s.put("/w/2", "c")
	early, late, now := s.watch("/w/", a-1), s.watch("/w/", b), s.watch("/w/", c)
	d := s.delete("/w/1")
	e := s.put("/w/1", "again")
	tail := []string{fmt.Sprintf("-/w/1@%d", d), fmt.Sprintf("/w/1=again@%d", e)}
	now.want(tail...)
	tail = append([]string{fmt.Sprintf("/w/2=c@%d", c)}, tail...)
	late.want(tail...)
	early.want(append([]string{fmt.Sprintf("/w/1=a@%d", a), fmt.Sprintf("/w/1=b@%d", b)}, tail...)...)
}

func watchWhole(_ *testing.T, s *suite) {
	_, at := s.list("/")
	w := s.watch("/t/", at)
	var all kv.Txn
	const ops = 200
	for i := range ops {
		all.Ops = append(all.Ops, kv.Op{Key: fmt.Sprintf("/t/%03d", i), Value: make([]byte, 1024)})
	}
	for range 5 {
		rev := s.commit(all)
		for w.at < rev {
			b, ok := w.batch()
			if !ok {
				s.t.Fatalf("the watch has ended: %v", w.err())
			}
			if len(b.Events)%ops != 0 {
				s.t.Fatalf("a batch holds %d events of transactions of %d", len(b.Events), ops)
			}
		}
	}
}

// watchUnderLoad starts watches at a list's revision while writers go on, and
// replays list and events into what the final list says.
func watchUnderLoad(_ *testing.T, s *suite) {
	const writers, writes, watches = 4, 100, 6
	var started atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer started.Store(true)
	for n := range writers {
		wg.Go(func() {
			for i := 0; i < writes || !started.Load(); i++ {
				op := kv.Op{Key: fmt.Sprintf("/l/%d", (n*7+i)%11), Value: fmt.Append(nil, n, i)}
				if i%5 == 4 {
					op.Value = nil
				}
				own := kv.Op{Key: fmt.Sprintf("/l/w%d", n), Value: fmt.Append(nil, i)}
				if _, err := s.KV.Commit(s.ctx, kv.Txn{Ops: []kv.Op{op, own}}); err != nil {
					s.t.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	type follower struct {
		*watcher
		have map[string]string
	}
	var followers []follower
	for range watches {
		pairs, at, err := s.KV.List(s.ctx, "/l/")
		if err != nil {
			s.t.Fatalf("list: %v", err)
		}
		f := follower{s.watch("/l/", at), map[string]string{}}
		for _, p := range pairs {
			f.have[p.Key] = fmt.Sprintf("%s=%s@%d", p.Key, p.Value, p.ModRevision)
		}
		followers = append(followers, f)
		// The next one begins at a later revision.
		other := s.watch("/l/", at)
		other.event()
		other.cancel()
	}
	started.Store(true)
	wg.Wait()
	want, last := s.list("/l/")
	for i, f := range followers {
		for f.watcher.at < last {
			b, ok := f.batch()
			if !ok {
				s.t.Fatalf("watch %d has ended: %v", i, f.err())
			}
			for _, e := range b.Events {
				if e.Deleted {
					delete(f.have, e.Key)
				} else {
					f.have[e.Key] = fmt.Sprintf("%s=%s@%d", e.Key, e.Value, e.ModRevision)
				}
			}
		}
		var got []string
		for _, text := range f.have {
			got = append(got, text)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			s.t.Fatalf("watch %d followed to\n%v\nthe list is\n%v", i, got, want)
		}
	}
}

func watchProgress(_ *testing.T, s *suite) {
	w := s.watch("/p/", s.put("/p/k", "x"))
	rev := s.put("/elsewhere", "x")
	for w.at < rev {
		b, ok := w.batch()
		if !ok || len(b.Events) != 0 {
			s.t.Fatalf("want progress, got %+v (%v)", b, w.err())
		}
	}
	after := s.put("/p/k", "y")
	w.want(fmt.Sprintf("/p/k=y@%d", after))
}

func watchCompacted(_ *testing.T, s *suite) {
	first := s.put("/k", "0")
	for i := range 5 {
		s.put("/k", fmt.Sprint(i))
	}
	last := s.put("/k", "end")
	if err := s.Compact(last - 1); err != nil {
		s.t.Fatalf("compact: %v", err)
	}
	s.wantErr(s.watch("/k", first).end(), kv.ErrCompacted)
	s.watch("/k", last-1).want(fmt.Sprintf("/k=end@%d", last))
	s.wantList("/k", fmt.Sprintf("/k=end@%d", last))
}

func watchSlow(_ *testing.T, s *suite) {
	_, at := s.list("/")
	w := s.watch("/s/", at)
	var want []string
	for i := range 2500 {
		rev := s.put("/s/k", fmt.Sprint(i))
		want = append(want, fmt.Sprintf("/s/k=%d@%d", i, rev))
	}
	w.want(want...)
	// One that begins far back gets it in portions.
	s.watch("/s/", at).want(want...)
}

func watchCancelled(_ *testing.T, s *suite) {
	w := s.watch("/", s.put("/k", "x"))
	w.cancel()
	s.wantErr(w.end(), context.Canceled)
}

func closing(_ *testing.T, s *suite) {
	w := s.watch("/", s.put("/k", "x"))
	closed := make(chan error, 1)
	go func() { closed <- s.KV.Close() }()
	s.wantErr(w.end(), kv.ErrClosed)
	if err := <-closed; err != nil {
		s.t.Fatalf("close: %v", err)
	}
	_, err := s.KV.Commit(s.ctx, kv.Txn{Ops: []kv.Op{{Key: "/k", Value: []byte("y")}}})
	s.wantErr(err, kv.ErrClosed)
	_, _, err = s.KV.List(s.ctx, "/")
	s.wantErr(err, kv.ErrClosed)
	s.wantErr(s.watch("/", 0).end(), kv.ErrClosed)
	if err := s.KV.Close(); err != nil {
		s.t.Fatalf("second close: %v", err)
	}
}
