package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openslb/openslb/internal/store/kv"
)

// deafDiskDir is set in a process whose disk is to take no writes: what is left
// of etcd then stays until the process ends.
const deafDiskDir = "ETCDKV_TEST_DEAF_DISK"

// TestDeafDisk: where the disk of the database takes no writes, since it is full say,
// which etcd ends the process for, the process goes on, each call ends at once, and
// what was acknowledged is there after a new start.
func TestDeafDisk(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), deafDiskDir+"="+dir)
	text, err := child.CombinedOutput()
	acknowledged := -1
	last := text[strings.LastIndexByte(strings.TrimSpace(string(text)), '\n')+1:]
	if _, serr := fmt.Sscanf(string(last), "acknowledged %d", &acknowledged); err != nil || serr != nil || acknowledged < 10 {
		t.Fatalf("%v, %v: %s", err, serr, text)
	}
	k := open(t, func(c *Config) { c.Dir = dir })
	pairs, _, err := k.List(t.Context(), "/k/")
	if err != nil || len(pairs) < acknowledged {
		t.Errorf("%d of %d keys are there, %v", len(pairs), acknowledged, err)
	}
}

// deafDisk is what the process does; it prints what goes wrong, and at last how
// many writes were acknowledged.
func deafDisk(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	k, err := Open(ctx, Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	acknowledged := 0
	for ; acknowledged < 10; acknowledged++ {
		if _, err := k.Commit(ctx, put(fmt.Sprintf("/k/%d", acknowledged), 1000)); err != nil {
			return err
		}
	}
	if err := spoil(filepath.Join(dir, "member", "snap", "db")); err != nil {
		return err
	}
	batches, watchErr := k.Watch(ctx, "/nothing/", 1)
	for ; err == nil; acknowledged++ {
		_, err = k.Commit(ctx, put(fmt.Sprintf("/k/%d", acknowledged), 1000))
	}
	acknowledged--
	if !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), "etcd has failed: failed to commit tx") {
		return fmt.Errorf("a write: %w", err)
	}
	for range batches {
	}
	if err := watchErr(); !errors.Is(err, kv.ErrUnavailable) {
		return fmt.Errorf("a watch: %w", err)
	}
	begun := time.Now()
	if _, _, err := k.List(ctx, "/k/"); !errors.Is(err, kv.ErrUnavailable) {
		return fmt.Errorf("a list: %w", err)
	}
	if err := k.Close(); err == nil || !strings.Contains(err.Error(), "etcd has failed") {
		return fmt.Errorf("the end: %w", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		return fmt.Errorf("list and end took %v", took)
	}
	fmt.Println("acknowledged", acknowledged)
	return nil
}

// spoil has all further writes of this process to an open file fail.
func spoil(file string) error {
	deaf, err := os.Open(file)
	if err != nil {
		return err
	}
	defer deaf.Close()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, fd := range fds {
		var n int
		if _, err := fmt.Sscan(fd.Name(), &n); err != nil {
			return err
		}
		if link, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && link == file && n != int(deaf.Fd()) {
			return unix.Dup3(int(deaf.Fd()), n, unix.O_CLOEXEC)
		}
	}
	return fmt.Errorf("%s is not open", file)
}

func TestRemedy(t *testing.T) {
	for text, part := range map[string]string{
		"failed to commit tx: write db: no space left on device": "make room on the disk",
		"failed to commit tx: write db: disk quota exceeded":     "make room on the disk",
		"failed to commit tx: write db: input/output error":      "put back a copy",
	} {
		if got := remedy(text); !strings.Contains(got, part) {
			t.Errorf("against %q: %q", text, got)
		}
	}
}
