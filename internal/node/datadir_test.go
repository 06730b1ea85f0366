package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDataDirBelongsToOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	first, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openDataDir(path)
	if err == nil {
		t.Fatal("a second lock was given")
	}
	for _, part := range []string{path, fmt.Sprintf("process %d", os.Getpid()), "--data"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not tell %q", err, part)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDataDir(path)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	again.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v; want mode 0700", info.Mode(), err)
	}
}

func TestDataDirNotMakeable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(filepath.Join(file, "data")); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("got %v, want advice on --data", err)
	}
}

func TestConnectionBudget(t *testing.T) {
	for files, want := range map[uint64]uint64{0: 0, 64: 0, 512: 224, 1024: 448, 20000: 9375, 1048576: 522240, 1 << 63: 1<<29 - 2048} {
		if got := connectionBudget(files); got != want {
			t.Errorf("connectionBudget(%d) = %d, want %d", files, got, want)
		}
	}
}
