package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
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

// TestStartThatHangsCanBeEnded: without its log, etcd takes minutes to start, and
// a signal to end the program must not wait for that.
func TestStartThatHangsCanBeEnded(t *testing.T) {
	dir, wal := filled(t)
	for _, f := range wal {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	k, err := Open(ctx, Config{Dir: dir})
	if err == nil {
		k.Close()
	}
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 30*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}
