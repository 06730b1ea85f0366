package etcdkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
)

// putBack is what helps against lost and damaged files.
const putBack = "put back a copy of the whole directory, made while no process used it"

// checkFiles refuses a database that is newer than the write-ahead log beside it.
//
// etcd writes each entry to the log, and waits for the disk, before it applies it
// to the database; so that the log can never be behind unless files were lost,
// cut, or put back from different times. etcd starts all the same: it takes up
// counting at the log's end and passes over, as applied already, what is written
// from there to the place that the database is at. Such writes would be
// acknowledged and lost; and what the database had not on its disk yet when the
// node ended last is lost already.
//
// It also clears what a first start leaves that was cut short between the making
// of the log and its first entry, which etcd would wait over for ever: a log
// without entries knows no member that could write to it.
func checkFiles(dir string, logger *slog.Logger) error {
	member := filepath.Join(dir, "member")
	db, logDir := filepath.Join(member, "snap", "db"), filepath.Join(member, "wal")
	applied, err := appliedIndex(db)
	if err != nil {
		return err
	}
	if !wal.Exist(logDir) {
		if applied == 0 {
			return nil
		}
		return fmt.Errorf("the write-ahead log %s is gone, and the database beside it is at entry %d: writes that were acknowledged last may be lost; %s", logDir, applied, putBack)
	}
	quiet := new(atomic.Bool)
	quiet.Store(true)
	last, err := lastIndex(logDir, bridge(logger, quiet))
	if err != nil {
		return fmt.Errorf("the write-ahead log %s cannot be read: %w; %s", logDir, err, putBack)
	}
	if last < applied {
		return fmt.Errorf("the write-ahead log %s ends at entry %d, and the database beside it is at %d: files of the log are lost, cut or older, and writes that were acknowledged last may be lost; %s",
			logDir, last, applied, putBack)
	}
	if last > 0 {
		return nil
	}
	if _, err := os.Stat(db); err != nil { // which is made before the log
		return fmt.Errorf("the write-ahead log %s is empty, and the database beside it is gone: %w; %s", logDir, err, putBack)
	}
	logger.Warn("a first start of the store was cut short; it is begun anew", "dir", dir)
	return os.RemoveAll(member)
}

// appliedIndex is the entry that the database in the file is at; 0: there is none.
func appliedIndex(file string) (index uint64, err error) {
	// An empty file is what a first start leaves that was cut short.
	if info, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return 0, nil
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return 0, fmt.Errorf("the database %s cannot be read: %w; %s", file, err, putBack)
	}
	defer db.Close()
	// A page that is not what it should be panics, and one behind the file's end
	// faults. Where etcd meets them, in goroutines of its own, they end the process.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err = db.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(schema.Meta.Name()); meta != nil {
			if v := meta.Get(schema.MetaConsistentIndexKeyName); len(v) == 8 {
				index = binary.BigEndian.Uint64(v)
			}
		}
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, _ []byte) error { return nil })
		})
	})
	return index, err
}

// lastIndex is the last entry of the log. One that was torn when the process
// ended does not count; it was never acknowledged.
func lastIndex(dir string, logger *zap.Logger) (uint64, error) {
	snapshots, err := wal.ValidSnapshotEntries(logger, dir)
	if err != nil {
		return 0, err
	}
	if len(snapshots) == 0 {
		return 0, errors.New("it does not say where it begins")
	}
	begin := snapshots[len(snapshots)-1]
	log, err := wal.OpenForRead(logger, dir, begin)
	if err != nil {
		return 0, err
	}
	defer log.Close() // it has nothing to write, and fails for want of a directory to sync
	_, _, entries, err := log.ReadAll()
	if err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		return begin.GetIndex(), nil
	}
	return entries[len(entries)-1].GetIndex(), nil
}
