package etcdkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// filled makes a store with some writes, and returns its directory and the files
// of its write-ahead log.
func filled(t *testing.T) (dir string, wal []string) {
	t.Helper()
	dir = t.TempDir()
	k := open(t, func(c *Config) { c.Dir = dir })
	for i := range 40 {
		if _, err := k.Commit(t.Context(), put(fmt.Sprintf("/k/%d", i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	wal, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(wal) == 0 {
		t.Fatalf("no log: %v", err)
	}
	return dir, wal
}

// TestStartThatHangsCanBeEnded: a signal to end the program must not wait for etcd,
// which takes minutes to start without its log.
func TestStartThatHangsCanBeEnded(t *testing.T) {
	dir, wal := filled(t)
	removeAll(t, wal)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	lock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{cfg: Config{Dir: dir}.withDefaults(), lock: lock, quiet: new(atomic.Bool), failure: newFailure()}
	n.quiet.Store(true)
	if n.etcd, err = embed.StartEtcd(n.embedConfig()); err != nil { // without a look at the files
		t.Fatal(err)
	}
	err = n.ready(ctx)
	n.close()
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 30*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}

func removeAll(t *testing.T, files []string) {
	t.Helper()
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

// head is the first megabyte of a file, which is all that is in those of filled.
func head(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// written is how much of a log file has been written to; what follows is room.
func written(t *testing.T, file string) int64 {
	t.Helper()
	return int64(len(bytes.TrimRight(head(t, file), "\x00")))
}

// TestDamageIsTold: a store that lacks some of what was acknowledged does not start
// as if it were whole, and one that lacks nothing starts.
func TestDamageIsTold(t *testing.T) {
	const keys = 40 // that filled writes
	whole, _ := filled(t)
	cut := func(t *testing.T, file string, size int64) {
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
	}
	garbage := func(t *testing.T, file string, at, size int) {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, size), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, db, log string)
		want   string // empty: nothing is lost
	}{
		"none":             {func(*testing.T, string, string) {}, ""},
		"log cut in room":  {func(t *testing.T, _, log string) { cut(t, log, written(t, log)+4096) }, ""},
		"log cut":          {func(t *testing.T, _, log string) { cut(t, log, written(t, log)/2) }, "and the database beside it is at"},
		"log zeroed":       {func(t *testing.T, _, log string) { n := written(t, log) / 2; cut(t, log, n); cut(t, log, 64<<20) }, "the write-ahead log"},
		"log empty":        {func(t *testing.T, _, log string) { cut(t, log, 0) }, "cannot be read"},
		"log garbled":      {func(t *testing.T, _, log string) { garbage(t, log, 600, 16<<10) }, "the write-ahead log"},
		"log gone":         {func(t *testing.T, _, log string) { removeAll(t, []string{log}) }, "is gone"},
		"log's place gone": {func(t *testing.T, _, log string) { os.RemoveAll(filepath.Dir(log)) }, "is gone"},
		"database gone":    {func(t *testing.T, db, _ string) { removeAll(t, []string{db}) }, ""},
		"database empty":   {func(t *testing.T, db, _ string) { cut(t, db, 0) }, ""},
		"database cut":     {func(t *testing.T, db, _ string) { cut(t, db, 8<<10) }, "damaged"},
		"database garbled": {func(t *testing.T, db, _ string) { garbage(t, db, 0, 16<<10) }, "cannot be read"},
		"pages garbled":    {func(t *testing.T, db, _ string) { garbage(t, db, 8<<10, 1<<20) }, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, whole)
			c.damage(t, filepath.Join(dir, "member", "snap", "db"), filepath.Join(dir, "member", "wal", "0000000000000000-0000000000000000.wal"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			k, err := Open(ctx, Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				if c.want == "" || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "put back a copy") {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			defer k.Close()
			pairs, _, err := k.List(ctx, "/k/")
			if err != nil || len(pairs) != keys || c.want != "" {
				t.Errorf("it starts, with %d of %d keys, %v; want %q", len(pairs), keys, err, c.want)
			}
		})
	}
}

// TestFirstStartCutShort: a store whose first start was killed before the first entry
// of its log starts.
func TestFirstStartCutShort(t *testing.T) {
	dir, logs := filled(t)
	db := filepath.Join(dir, "member", "snap", "db")
	// A new log says whose it is and where it begins, in a bit less than this.
	if err := os.Truncate(logs[0], 80); err != nil {
		t.Fatal(err)
	}
	if k, err := Open(t.Context(), Config{Dir: dir}); err == nil { // not with a database that has something
		k.Close()
		t.Fatal("a store without its log starts")
	}
	if err := os.Remove(db); err != nil {
		t.Fatal(err)
	}
	if k, err := Open(t.Context(), Config{Dir: dir}); err == nil { // not without one
		k.Close()
		t.Fatal("a store without anything starts")
	}
	if err := os.WriteFile(db, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k, err := Open(ctx, Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := k.Commit(ctx, put("/k", 1)); err != nil {
		t.Error(err)
	}
}

// copyOf copies the files of a store, whose large empty parts stay holes.
func copyOf(t *testing.T, from string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, part := range []string{"snap/db", "wal/0000000000000000-0000000000000000.wal"} {
		source := filepath.Join(from, "member", part)
		info, err := os.Stat(source)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "member", part)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, head(t, source), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(to, info.Size()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
