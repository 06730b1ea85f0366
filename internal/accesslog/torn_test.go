package accesslog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// limitFiles has no file of the process grow beyond n bytes until the test ends or
// the function is called.
func limitFiles(t *testing.T, n uint64) (lift func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(lift)
	return lift
}

// TestTornLine: a write of which the system takes a part only leaves a line that
// breaks off. What comes later begins on a line of its own, and what is lost is
// counted to the line.
func TestTornLine(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	w := New(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	l := w.Log("a")
	appended := uint64(0)
	flushed := func(n int) {
		t.Helper()
		for range n {
			if !l.Append(0, stamped(`{"time":`, fmt.Sprintf(`,"n":%d,"text":%q}`+"\n", appended, strings.Repeat("x", 80)))) {
				t.Fatal("dropped")
			}
			appended++
		}
		eventually(t, "all is settled", func() bool { s := w.Stats(); return s.Written+s.Failed == appended })
	}
	flushed(10)
	lift := limitFiles(t, 2000)
	flushed(20)
	failed := w.Stats().Failed
	if failed == 0 || failed >= 20 {
		t.Errorf("%d of 20 lines failed where some fit", failed)
	}
	flushed(5) // nothing fits
	if got := w.Stats().Failed; got != failed+5 {
		t.Errorf("%d lines failed, want %d", got, failed+5)
	}
	lift()
	flushed(10)
	w.Close()
	stats := w.Stats()
	if stats.Failed != failed+5 {
		t.Errorf("%d lines failed in the end, want %d", stats.Failed, failed+5)
	}
	whole, torn, last := uint64(0), 0, -1
	for _, text := range lines(t, filepath.Join(dir, "a.log")) {
		var v struct{ N int }
		if json.Unmarshal([]byte(text), &v) != nil {
			torn++
			continue
		}
		whole++
		if v.N <= last {
			t.Errorf("%d after %d", v.N, last)
		}
		last = v.N
	}
	if whole != stats.Written || torn != 1 || last != int(appended-1) {
		t.Errorf("%d whole lines, %d torn ones, the last one is %d; %d were counted as written", whole, torn, last, stats.Written)
	}
	if !strings.Contains(log.String(), "cannot be written") {
		t.Error("nobody was told")
	}
}

// TestTornByCrash: a line that a process has left unfinished is ended by the next.
func TestTornByCrash(t *testing.T) {
	for name, had := range map[string]string{"torn": "one\ntw", "whole": "one\ntwo\n", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.log")
			if err := os.WriteFile(path, []byte(had), 0o600); err != nil {
				t.Fatal(err)
			}
			w := New(Options{Dir: dir})
			w.Log("a").Append(0, func(b []byte, _ *Stamp) []byte { return append(b, "three\n"...) })
			w.Close()
			got, err := os.ReadFile(path)
			want := had + "three\n"
			if name == "torn" {
				want = had + "\nthree\n"
			}
			if err != nil || string(got) != want {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		})
	}
}
