package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dataDir is a data directory that this node alone uses.
type dataDir struct {
	path string // absolute
	lock *os.File
}

// openDataDir makes the directory if need be and locks it. The lock goes with
// the process, so that a crash leaves nothing to clean up.
func openDataDir(path string) (*dataDir, error) {
	if path == "" {
		return nil, errors.New("no data directory given")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; name another with --data", err)
	}
	file, err := os.OpenFile(filepath.Join(abs, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w; name another with --data", err)
	}
	if err := flock(file); err != nil {
		defer file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s: lock: %w", abs, err)
		}
		return nil, fmt.Errorf("data directory %s is in use by another openslb%s: stop that one, or give this one a directory of its own with --data",
			abs, owner(file))
	}
	// The process number is for the message above alone; the lock decides.
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	return &dataDir{path: abs, lock: file}, nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func owner(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

// file is the path of a file in the directory.
func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// Close gives the directory free.
func (d *dataDir) Close() error { return d.lock.Close() }
