package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// restarted is a store over the file as a process finds it whose predecessor was
// killed: nothing was closed.
func restarted(t *testing.T, path string, limit int, now time.Time) *nonceStore {
	t.Helper()
	f, err := OpenNonces(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return newNonceStore(limit, f, now)
}

func TestNonceIsUsedOnceAcrossRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nonces")
	now := time.Now().Truncate(time.Second) // as requests have it
	s := restarted(t, path, 1000, now)
	long := strings.Repeat("n", 1000)
	for _, n := range []string{"a", "b", long} {
		if err := s.use("k", n, now, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.use("k", "ahead", now.Add(timeWindow), now); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		later := now.Add(time.Duration(i) * 4 * time.Minute)
		s = restarted(t, path, 1000, later)
		for _, n := range []string{"a", "b", long, "ahead"} {
			if err := s.use("k", n, later, later); err != errNonceUsed {
				t.Errorf("restart %d, %.9s: %v", i, n, err)
			}
		}
		for _, key := range []string{"k", "other"} {
			if err := s.use(key, fmt.Sprint("new", i), later, later); err != nil {
				t.Errorf("restart %d, a new nonce: %v", i, err)
			}
		}
	}
	if n, _ := restarted(t, path, 1000, now.Add(16*time.Minute)).size(); n != 1+4 {
		t.Errorf("%d nonces are held that still count, want that from ahead and the 4 of the last two restarts", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// TestNonceFileTurns: by age nothing is lost that counts, and the files do not grow;
// by size, requests of the time that is lost are refused.
func TestNonceFileTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nonces")
	now := time.Now().Truncate(time.Second) // as requests have it
	s := restarted(t, path, 16_000, now)
	used := map[string]time.Time{}
	for i := range 400 { // 3 hours and 20 minutes
		at := now.Add(time.Duration(i) * 30 * time.Second)
		name := fmt.Sprint(i)
		if err := s.use("k", name, at, at); err != nil {
			t.Fatal(err)
		}
		used[name] = at
		if i%50 != 49 {
			continue
		}
		s = restarted(t, path, 16_000, at)
		for name, when := range used {
			if at.Sub(when) <= timeWindow {
				if err := s.use("k", name, when, at); err != errNonceUsed {
					t.Fatalf("%s of %v ago: %v", name, at.Sub(when), err)
				}
			}
		}
	}
	if total := sizeOf(t, path) + sizeOf(t, path+".old"); total > int64(2*nonceHeadSize+4*62*nonceRecordSize) {
		t.Errorf("%d bytes", total)
	}

	path = filepath.Join(t.TempDir(), "nonces")
	s = restarted(t, path, 1600, now) // 800 to a file
	begun := now
	for i := range 2000 {
		at := now.Add(time.Duration(i) * 100 * time.Millisecond)
		if err := s.use("k", fmt.Sprint(i), at, at); err != nil && err != errTimestampExpired {
			t.Fatal(i, err)
		}
	}
	end := now.Add(200 * time.Second)
	s = restarted(t, path, 1600, end)
	for i := range 2000 {
		at := begun.Add(time.Duration(i) * 100 * time.Millisecond)
		if err := s.use("k", fmt.Sprint(i), at, end); err != errNonceUsed && err != errTimestampExpired {
			t.Fatalf("call %d once more: %v", i, err)
		}
	}
	if err := s.use("k", "new", end, end); err != nil {
		t.Error(err)
	}
	if total := sizeOf(t, path) + sizeOf(t, path+".old"); total > int64(2*nonceHeadSize+1600*nonceRecordSize) {
		t.Errorf("%d bytes", total)
	}
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestNonceFileSurvives what deaths and disks leave behind.
func TestNonceFileSurvives(t *testing.T) {
	now := time.Now().Truncate(time.Second) // as requests have it
	for name, c := range map[string]struct {
		harm func(path string) error
		kept bool
	}{
		"nothing":             {func(string) error { return nil }, true},
		"half a record":       {func(p string) error { return appendTo(p, "1234567") }, true},
		"death between names": {func(p string) error { return os.Rename(p, p+".old") }, true},
		"death before it":     {func(p string) error { return os.WriteFile(p+".new", []byte("openslb"), 0o600) }, true},
		"old of another key": {func(p string) error {
			return os.WriteFile(p+".old", []byte(strings.Repeat("openslb nonces 1", 9)), 0o600)
		}, true},
		"empty":                {func(p string) error { return os.Truncate(p, 0) }, false},
		"something else in it": {func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("x", 500)), 0o600) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nonces")
			if err := restarted(t, path, 1000, now).use("k", "a", now, now); err != nil {
				t.Fatal(err)
			}
			if err := c.harm(path); err != nil {
				t.Fatal(err)
			}
			s := restarted(t, path, 1000, now)
			if err := s.use("k", "b", now, now); err != nil {
				t.Error(err)
			}
			s = restarted(t, path, 1000, now)
			if err := s.use("k", "a", now, now); (err == errNonceUsed) != c.kept {
				t.Errorf("a: %v", err)
			}
			if err := s.use("k", "b", now, now); err != errNonceUsed {
				t.Errorf("b: %v", err)
			}
		})
	}
	t.Run("closed", func(t *testing.T) {
		s := restarted(t, filepath.Join(t.TempDir(), "nonces"), 1000, now)
		s.file.Close()
		if err := s.use("k", "a", now, now); err != nil {
			t.Error(err)
		}
		if err := s.use("k", "a", now, now); err != errNonceUsed {
			t.Error(err)
		}
	})
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func BenchmarkNonceFile(b *testing.B) {
	f, err := OpenNonces(filepath.Join(b.TempDir(), "nonces"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	s := newNonceStore(40_000_000, f, time.Now())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now := time.Now().Truncate(time.Second) // as requests have it
		if err := s.use("testid", fmt.Sprint(i), now, now); err != nil {
			b.Fatal(err)
		}
	}
}
