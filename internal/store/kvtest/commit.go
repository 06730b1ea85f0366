package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/store/kv"
)

func listOrder(_ *testing.T, s *suite) {
	a := s.put("/a/2", "two", "/a/10", "ten", "/ab", "no", "/b", "no")
	b := s.put("/a/1", "one")
	s.wantList("/a/", fmt.Sprintf("/a/1=one@%d", b), fmt.Sprintf("/a/10=ten@%d", a), fmt.Sprintf("/a/2=two@%d", a))
	s.wantList("/c")
	if _, rev := s.list("/a/"); rev != b {
		s.t.Fatalf("list is at revision %d, want %d", rev, b)
	}
}

func revisionsRise(_ *testing.T, s *suite) {
	_, last := s.list("/")
	for i := range 5 {
		rev := s.put("/k", strconv.Itoa(i))
		if rev != last+1 {
			s.t.Fatalf("revision %d follows %d", rev, last)
		}
		last = rev
	}
}

func keyConditions(_ *testing.T, s *suite) {
	rev := s.put("/k", "1")
	for name, c := range map[string]kv.Cond{
		"older":  {Key: "/k", ModRevision: rev - 1},
		"absent": {Key: "/k"},
		"newer":  {Key: "/k", ModRevision: rev + 1},
		"other":  {Key: "/other", ModRevision: rev},
	} {
		at := s.put("/elsewhere", name)
		_, err := s.KV.Commit(s.ctx, kv.Txn{Conds: []kv.Cond{c}, Ops: []kv.Op{{Key: "/k", Value: []byte(name)}}})
		s.wantErr(err, kv.ErrConflict)
		conflict, ok := errors.AsType[*kv.ConflictError](err)
		if !ok || conflict.Revision != at {
			s.t.Fatalf("%s: conflict %v, want one at revision %d", name, err, at)
		}
	}
	s.wantList("/k", fmt.Sprintf("/k=1@%d", rev))
	next := s.commit(kv.Txn{
		Conds: []kv.Cond{{Key: "/k", ModRevision: rev}, {Key: "/new"}},
		Ops:   []kv.Op{{Key: "/new", Value: []byte("x")}, {Key: "/k"}},
	})
	s.wantList("/k")
	s.wantList("/new", fmt.Sprintf("/new=x@%d", next))
}

func rangeConditions(_ *testing.T, s *suite) {
	at := s.put("/r/1", "a", "/r/2", "a")
	try := func(prefix string, created bool) error {
		_, err := s.KV.Commit(s.ctx, kv.Txn{
			Ranges: []kv.RangeCond{{Prefix: prefix, Revision: at, Created: created}},
			Ops:    []kv.Op{{Key: "/out", Value: []byte("x")}},
		})
		return err
	}
	want := func(step string, touched, created error) {
		s.t.Helper()
		for _, c := range []struct {
			created bool
			want    error
		}{{false, touched}, {true, created}} {
			if err := try("/r/", c.created); !errors.Is(err, c.want) {
				s.t.Fatalf("%s: created=%v gives %v, want %v", step, c.created, err, c.want)
			}
		}
		if err := try("/none/", false); err != nil {
			s.t.Fatalf("%s: empty range gives %v", step, err)
		}
	}
	want("untouched", nil, nil)
	s.put("/rr", "beside")
	want("written beside", nil, nil)
	s.delete("/r/1")
	want("deleted", nil, nil)
	s.put("/r/2", "b")
	want("written", kv.ErrConflict, nil)
	s.put("/r/3", "c")
	want("created", kv.ErrConflict, kv.ErrConflict)
}

func deleteNothing(_ *testing.T, s *suite) {
	rev := s.put("/k", "1")
	if got := s.delete("/none"); got != rev {
		s.t.Fatalf("deleting nothing made revision %d after %d", got, rev)
	}
}

func emptyValue(_ *testing.T, s *suite) {
	w := s.watch("/", s.put("/before", "x"))
	rev := s.put("/k", "")
	s.wantList("/k", fmt.Sprintf("/k=@%d", rev))
	if e := w.event(); e.Deleted || e.Value == nil {
		s.t.Fatalf("an empty value is reported as a deletion: %+v", e)
	}
}

func largeValue(_ *testing.T, s *suite) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)
	rev := s.commit(kv.Txn{Ops: []kv.Op{{Key: "/big", Value: big}}})
	pairs, _, err := s.KV.List(s.ctx, "/big")
	if err != nil || len(pairs) != 1 || !bytes.Equal(pairs[0].Value, big) {
		s.t.Fatalf("list of a large value: %d pairs, %v", len(pairs), err)
	}
	if e := s.watch("/", rev-1).event(); !bytes.Equal(e.Value, big) {
		s.t.Fatalf("watch of a large value: %d bytes", len(e.Value))
	}
}

func tooLarge(_ *testing.T, s *suite) {
	many := func(n int) (t kv.Txn) {
		for i := range n {
			t.Ops = append(t.Ops, kv.Op{Key: fmt.Sprintf("/m/%06d", i), Value: []byte("x")})
			t.Conds = append(t.Conds, kv.Cond{Key: fmt.Sprintf("/m/%06d", i)})
		}
		return t
	}
	s.commit(many(s.MaxOps))
	_, err := s.KV.Commit(s.ctx, many(s.MaxOps+1))
	s.wantErr(err, kv.ErrTooLarge)
	huge := kv.Txn{}
	for i := range 4 {
		huge.Ops = append(huge.Ops, kv.Op{Key: fmt.Sprintf("/h/%d", i), Value: make([]byte, s.MaxBytes/4-16)})
	}
	s.commit(huge)
	// Well beyond, since a limit may leave room for framing.
	huge.Ops = append(huge.Ops, kv.Op{Key: "/h/more", Value: make([]byte, s.MaxBytes/4)})
	_, err = s.KV.Commit(s.ctx, huge)
	s.wantErr(err, kv.ErrTooLarge)
	s.wantList("/h/more")
}

func cancelled(_ *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.KV.Commit(ctx, kv.Txn{Ops: []kv.Op{{Key: "/k", Value: []byte("x")}}})
	s.wantErr(err, context.Canceled)
	_, _, err = s.KV.List(ctx, "/")
	s.wantErr(err, context.Canceled)
}

func counters(_ *testing.T, s *suite) {
	const workers, rounds = 8, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for done := 0; done < rounds; {
				pairs, _, err := s.KV.List(s.ctx, "/n")
				if err != nil {
					s.t.Errorf("list: %v", err)
					return
				}
				n, at := 0, int64(0)
				if len(pairs) == 1 {
					n, _ = strconv.Atoi(string(pairs[0].Value))
					at = pairs[0].ModRevision
				}
				_, err = s.KV.Commit(s.ctx, kv.Txn{
					Conds: []kv.Cond{{Key: "/n", ModRevision: at}},
					Ops: []kv.Op{
						{Key: "/n", Value: []byte(strconv.Itoa(n + 1))},
						{Key: fmt.Sprintf("/done/%d/%d", w, done), Value: []byte("x")},
					},
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, kv.ErrConflict):
					s.t.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	pairs, _, err := s.KV.List(s.ctx, "/n")
	if err != nil || len(pairs) != 1 || string(pairs[0].Value) != strconv.Itoa(workers*rounds) {
		s.t.Fatalf("counted %v (%v), want %d", pairs, err, workers*rounds)
	}
	if done, _ := s.list("/done/"); len(done) != workers*rounds {
		s.t.Fatalf("%d transactions are whole, want %d", len(done), workers*rounds)
	}
}

func copies(_ *testing.T, s *suite) {
	value := []byte("good")
	rev := s.commit(kv.Txn{Ops: []kv.Op{{Key: "/k", Value: value}}})
	copy(value, "evil")
	s.wantList("/k", fmt.Sprintf("/k=good@%d", rev))
}
