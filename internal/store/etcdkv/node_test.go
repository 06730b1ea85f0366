package etcdkv

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openslb/openslb/internal/store/kv"
	"github.com/openslb/openslb/internal/testutil"
)

func put(key string, size int) kv.Txn {
	return kv.Txn{Ops: []kv.Op{{Key: key, Value: make([]byte, size)}}}
}

// listeningTCP returns the inodes of this process's listening TCP sockets.
func listeningTCP(t *testing.T) map[string]bool {
	t.Helper()
	own := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if link, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			own[link] = true
		}
	}
	out := map[string]bool{}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			t.Fatal(err)
		}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			const listen, stateAt, inodeAt = "0A", 3, 9
			fields := strings.Fields(sc.Text())
			if len(fields) > inodeAt && fields[stateAt] == listen && own["socket:["+fields[inodeAt]+"]"] {
				out[sc.Text()] = true
			}
		}
		f.Close()
	}
	return out
}

func TestOpensNoTCPPort(t *testing.T) {
	if _, err := os.Stat("/proc/self/net/tcp"); err != nil {
		t.Skip("no /proc/self/net/tcp")
	}
	k := open(t, nil)
	if ports := listeningTCP(t); len(ports) != 0 {
		t.Fatalf("listening TCP sockets: %v", ports)
	}
	info, err := os.Stat(k.node.socket())
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Fatalf("no socket for tools: %v", err)
	}
}

func TestDirectoryInUse(t *testing.T) {
	k := open(t, nil)
	_, err := Open(t.Context(), Config{Dir: k.node.cfg.Dir})
	locked, ok := errors.AsType[*LockedError](err)
	if !ok || locked.PID != os.Getpid() || locked.Dir != k.node.cfg.Dir {
		t.Fatalf("second open: %v", err)
	}
	if _, err := k.Commit(t.Context(), put("/k", 1)); err != nil {
		t.Fatalf("the first is disturbed: %v", err)
	}
}

func TestReopenKeepsData(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.Dir = dir }
	k := open(t, in)
	rev, err := k.Commit(t.Context(), put("/k", 10))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	pairs, at, err := open(t, in).List(t.Context(), "/")
	if err != nil || len(pairs) != 1 || pairs[0].ModRevision != rev || at != rev {
		t.Fatalf("after reopening at %d: %v, %v", at, pairs, err)
	}
}

func TestLongPathHasNoSocket(t *testing.T) {
	k := open(t, func(c *Config) { c.Dir = filepath.Join(c.Dir, strings.Repeat("long/", 25)) })
	if _, err := k.Commit(t.Context(), put("/k", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(k.node.socket()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("socket: %v", err)
	}
}

// A full database refuses writes, takes deletions, and recovers by itself once
// something was deleted.
func TestFullDatabaseRecovers(t *testing.T) {
	k := open(t, func(c *Config) { c.Quota = 24 << 20 })
	ctx := t.Context()
	n := 0
	// Defragmentation may find some room, then it takes another filling.
	for full := false; !full; {
		var err error
		for ; err == nil; n++ {
			if n > 200 {
				t.Fatal("never full")
			}
			_, err = k.Commit(ctx, put(fmt.Sprintf("/k/%d", n), 1<<20))
		}
		if !errors.Is(err, kv.ErrNoSpace) {
			t.Fatalf("after %d MiB: %v", n, err)
		}
		if _, err := k.Commit(ctx, put("/small", 1)); !errors.Is(err, kv.ErrNoSpace) {
			t.Fatalf("a small write to a full database: %v", err)
		}
		if err := k.node.round(ctx, k.client, time.Now()); err != nil {
			t.Fatal(err)
		}
		_, err = k.Commit(ctx, put("/small", 1))
		full = errors.Is(err, kv.ErrNoSpace)
	}
	for i := range n {
		if _, err := k.Commit(ctx, kv.Txn{Ops: []kv.Op{{Key: fmt.Sprintf("/k/%d", i)}}}); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	if err := k.node.round(ctx, k.client, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Commit(ctx, put("/small", 1)); err != nil {
		t.Fatalf("after deleting: %v", err)
	}
}

func TestMaintenanceCompactsAndDefragments(t *testing.T) {
	k := open(t, func(c *Config) { c.RetainRevisions = 10 })
	ctx := t.Context()
	for range 90 {
		if _, err := k.Commit(ctx, put("/k", 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	_, at, err := k.List(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		s, err := k.client.Status(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		return s.DbSize
	}
	// What the last tenth of a second wrote comes into the file a little later.
	testutil.Eventually(t, 10*time.Second, "the file has all", func() bool { return size() >= 80<<20 })
	if err := k.node.round(ctx, k.client, time.Now()); err != nil {
		t.Fatal(err)
	}
	if left := size(); left > 20<<20 {
		t.Fatalf("the size is %d", left)
	}
	batches, watchErr := k.Watch(ctx, "/", at-20)
	if b, ok := <-batches; ok || !errors.Is(watchErr(), kv.ErrCompacted) {
		t.Fatalf("watch of old revisions: %v, %v", b.Revision, watchErr())
	}
	batches, _ = k.Watch(ctx, "/", at-5)
	if b := <-batches; len(b.Events) == 0 || b.Events[0].ModRevision != at-4 {
		t.Fatalf("watch of kept revisions begins with %d events", len(b.Events))
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(deafDiskDir); dir != "" {
		if err := deafDisk(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
