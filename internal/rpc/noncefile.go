package rpc

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// nonceLife is how long a nonce has to be remembered at most: its request may be
// dated one window ahead and is valid one window beyond that.
const nonceLife = 2*timeWindow + time.Minute

// The file begins with a head of the magic, the key of the hash, the time it was
// begun and a floor; records follow, of a hash and the time of its request. All
// numbers are of 8 bytes.
const (
	nonceMagic      = "openslb nonces 1"
	nonceKeySize    = 16
	nonceHeadSize   = len(nonceMagic) + nonceKeySize + 16
	nonceRecordSize = 16
)

// NonceFile keeps used nonces beyond the life of a process, so that a request that
// somebody has captured cannot be sent once more to a node that was restarted. A
// nonce is written before its call is run; it is not synced, so that a loss of
// power, other than the death of the process, may forget those of the last half
// minute.
//
// There are two files: when one is full, or as old as nonces have to be kept, it
// takes the place of the one before it, whose nonces are out of date. If they are
// not, since very many calls came, requests of that time are refused after a
// restart instead.
type NonceFile struct {
	path   string
	logger *slog.Logger
	key    [nonceKeySize]byte

	mu         sync.Mutex
	file       *os.File // guarded by mu; nil when it cannot be written to
	size       int64    // guarded by mu
	begun      int64    // guarded by mu; Unix seconds
	floor      int64    // guarded by mu; Unix seconds
	complained bool     // guarded by mu; since the last success
}

// OpenNonces opens the file, and makes it when there is none. One that nobody can
// read as such is begun anew: a node has to start, and what it says then is logged.
func OpenNonces(path string, logger *slog.Logger) (*NonceFile, error) {
	f := &NonceFile{path: path, logger: logger}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("file of used nonces: %w", err)
	}
	return f, nil
}

func (f *NonceFile) open() error {
	head, err := readNonceHead(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Either the first start, or one after a death between two renames.
		if head, err = readNonceHead(f.path + ".old"); err == nil {
			f.readHead(head)
		} else {
			rand.Read(f.key[:])
		}
		return f.first()
	case err != nil:
		return err
	case !bytes.HasPrefix(head, []byte(nonceMagic)):
		f.logger.Warn("the file of used nonces is damaged and is begun anew: requests of the last quarter of an hour could be sent once more", "file", f.path)
		rand.Read(f.key[:])
		return f.first()
	}
	f.begun, f.floor = f.readHead(head)
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	// A process that died while it wrote, or a full disk, leaves part of a record.
	info, err := file.Stat()
	if err == nil {
		f.size = info.Size() - (info.Size()-int64(nonceHeadSize))%nonceRecordSize
		err = file.Truncate(f.size)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file = file
	return nil
}

// readNonceHead reads the head of a file; of one that is too short, nothing.
func readNonceHead(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	head := make([]byte, nonceHeadSize)
	_, err = io.ReadFull(file, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	}
	return head, err
}

func (f *NonceFile) readHead(head []byte) (begun, floor int64) {
	head = head[len(nonceMagic):]
	copy(f.key[:], head)
	head = head[nonceKeySize:]
	return int64(binary.LittleEndian.Uint64(head)), int64(binary.LittleEndian.Uint64(head[8:]))
}

// first makes a file where there is none, or none that can be read.
func (f *NonceFile) first() error {
	now := time.Now()
	file, err := f.create(now, 0)
	if err != nil {
		return err
	}
	if err := os.Rename(file.Name(), f.path); err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size, f.begun = file, int64(nonceHeadSize), now.Unix()
	return nil
}

// create makes a file with a head alone, beside the one in use.
func (f *NonceFile) create(now time.Time, floor int64) (*os.File, error) {
	head := append([]byte(nonceMagic), f.key[:]...)
	head = binary.LittleEndian.AppendUint64(head, uint64(now.Unix()))
	head = binary.LittleEndian.AppendUint64(head, uint64(floor))
	file, err := os.OpenFile(f.path+".new", os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(head); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// each calls fn for every record, the older file first. Nothing is written by then.
func (f *NonceFile) each(fn func(sum uint64, at int64)) error {
	for _, path := range [...]string{f.path + ".old", f.path} {
		b, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("read used nonces: %w", err)
		case len(b) < nonceHeadSize || !bytes.Equal(b[len(nonceMagic):][:nonceKeySize], f.key[:]):
			continue // of another time: its hashes say nothing here
		}
		for b = b[nonceHeadSize:]; len(b) >= nonceRecordSize; b = b[nonceRecordSize:] {
			fn(binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:])))
		}
	}
	return nil
}

// append writes a nonce. A fault is logged, once until it is over, and the call
// goes on: who cannot write to the disk should still be able to look what is wrong.
func (f *NonceFile) append(sum uint64, at, now time.Time, limit int) {
	var record [nonceRecordSize]byte
	binary.LittleEndian.PutUint64(record[:], sum)
	binary.LittleEndian.PutUint64(record[8:], uint64(at.Unix()))
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.turnLocked(now, limit)
	if err == nil {
		var n int
		if n, err = f.file.Write(record[:]); err != nil && n > 0 {
			err = errors.Join(err, f.file.Truncate(f.size))
		}
	}
	switch {
	case err == nil:
		f.size += nonceRecordSize
		f.complained = false
	case !f.complained:
		f.complained = true
		f.logger.Error("used nonces cannot be written: until they can, requests of this time could be sent once more after a restart", "file", f.path, "error", err)
	}
}

// turnLocked begins a new file when it is time.
func (f *NonceFile) turnLocked(now time.Time, limit int) error {
	full := f.size-int64(nonceHeadSize) >= int64(limit)*nonceRecordSize
	old := now.Unix()-f.begun > int64(nonceLife/time.Second)
	switch {
	case f.file == nil:
		return os.ErrClosed
	case !full && !old:
		return nil
	}
	floor := f.floor
	if !old {
		// What the older file held, up to the time this one was begun, is lost.
		floor = max(floor, f.begun)
	}
	next, err := f.create(now, floor)
	if err != nil {
		return err
	}
	if err = os.Rename(f.path, f.path+".old"); err == nil {
		err = os.Rename(next.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, next.Close())
	}
	err = f.file.Close()
	f.file, f.size, f.begun, f.floor = next, int64(nonceHeadSize), now.Unix(), floor
	return err
}

// Close closes the file; what is used up after that is kept in memory alone.
func (f *NonceFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
