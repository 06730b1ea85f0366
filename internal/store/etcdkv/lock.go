package etcdkv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LockedError says that a data directory is in use.
type LockedError struct {
	Dir string
	PID int // of the process that has it; 0: not known
}

// Error tells who has it, as far as known.
func (e *LockedError) Error() string {
	by := "another process"
	if e.PID != 0 {
		by = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("data directory %s is in use by %s", e.Dir, by)
}

// lockDir takes the directory's lock, which ends with the process at the latest.
// etcd has a lock of its own, but waits for it without end and without a word.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		held := &LockedError{Dir: dir}
		if text, err := io.ReadAll(io.LimitReader(f, 32)); err == nil {
			held.PID, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		f.Close()
		return nil, held
	}
	if err == nil {
		if err = f.Truncate(0); err == nil {
			_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	return f, nil
}
