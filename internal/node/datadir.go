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

// errInUse says that another node has the directory.
var errInUse = errors.New("in use by another openslb")

// openDataDir makes the directory if need be and locks it. The lock goes with
// the process, so that a crash leaves nothing to clean up. If another node has
// the directory the error is errInUse.
func openDataDir(path string) (*dataDir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, unusableData(abs, err)
	}
	file, err := os.OpenFile(filepath.Join(abs, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unusableData(abs, err)
	}
	if err := flock(file); err != nil {
		defer file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s: lock: %w", abs, err)
		}
		return nil, fmt.Errorf("data directory %s is %w%s: stop that one, or replace it without an interruption by --take-over, or give this one a directory of its own with --data",
			abs, errInUse, owner(file))
	}
	d := &dataDir{path: abs, lock: file}
	d.sign()
	return d, nil
}

// unusableData is the error of a directory that cannot be made or written to.
func unusableData(path string, err error) error {
	return &ConfigError{"data", path, fmt.Errorf("%w; name a directory that user %d can make and write to", err, os.Getuid())}
}

// sign writes down the process that has the directory. That is for messages
// alone; the lock decides.
func (d *dataDir) sign() {
	if err := d.lock.Truncate(0); err == nil {
		_, _ = d.lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
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

// Close gives the directory free, unless another process has the lock too.
func (d *dataDir) Close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}
