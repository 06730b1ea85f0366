package accesslog

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	suffix = ".log"
	// asideFormat stands between the name of a log and its suffix once a file has
	// been put aside.
	asideFormat = "-20060102T150405Z"
	// upkeepEvery is how often files that rest are closed and old ones removed.
	upkeepEvery = time.Minute
	// idleAfter closes a file that no line came for.
	idleAfter = 2 * time.Minute
	// lookEvery is how often it is looked whether a file is still at its path.
	lookEvery = time.Second
	// complainEvery bounds what is logged of a disk that is full.
	complainEvery = time.Minute
)

// files are the open files of a writer.
type files struct {
	o       *Options
	open    map[string]*file
	swept   time.Time
	silence time.Time // until then failures are not logged
	now     func() time.Time
}

type file struct {
	f      *os.File
	info   os.FileInfo // when it was opened
	looked time.Time   // when it was last seen at its path
	size   int64
	begun  time.Time // when its first line was written, as far as is known
	used   time.Time
	period int64
}

func (s *files) init(o *Options) {
	s.o, s.open, s.now = o, make(map[string]*file), time.Now
}

// write appends whole lines to a file and tells how many bytes of them are there.
func (s *files) write(path string, p []byte) (n int, err error) {
	now := s.now()
	f, err := s.file(path, now, int64(len(p)))
	if err == nil {
		n, err = f.f.Write(p)
		f.size += int64(n)
		f.used = now
	}
	if err != nil {
		s.complain(path, err, now)
		if f != nil {
			s.drop(path, f) // it may have been removed, or end within a line: begin again
		}
	}
	return n, err
}

func (s *files) complain(path string, err error, now time.Time) {
	if now.After(s.silence) {
		s.silence = now.Add(complainEvery)
		s.o.Logger.Error("a log cannot be written, its lines are lost", "file", path, "error", err)
	}
}

// file gives the file to append n bytes to.
func (s *files) file(path string, now time.Time, n int64) (*file, error) {
	f := s.open[path]
	if f != nil && now.Sub(f.looked) >= lookEvery && !f.isAt(path, now) {
		s.drop(path, f)
		f = nil
	}
	if f == nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, err
		}
		var err error
		if f, err = openFile(path, now); err != nil {
			return nil, err
		}
		f.period = s.period(f.begun)
		s.open[path] = f
	}
	if f.size > 0 && (f.size+n > s.o.MaxSize || s.period(now) != f.period) {
		s.drop(path, f)
		if err := s.putAside(path, now); err != nil {
			return nil, err
		}
		return s.file(path, now, 0)
	}
	return f, nil
}

// period numbers the periods of rotation.
func (s *files) period(t time.Time) int64 { return t.UnixNano() / int64(s.o.Period) }

func openFile(path string, now time.Time) (*file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	out := &file{f: f, info: info, looked: now, size: info.Size(), begun: now}
	if out.size > 0 {
		out.begun = info.ModTime() // of an earlier run
		if err := mend(f, out.size); err != nil {
			f.Close()
			return nil, err
		}
	}
	return out, nil
}

// isAt tells whether the file is still at its path. It is not when somebody has
// moved or removed it: an operator, a tool that rotates files, or another process
// of the node. Whoever has emptied it has made room.
func (f *file) isAt(path string, now time.Time) bool {
	info, err := os.Stat(path)
	if err != nil || !os.SameFile(info, f.info) {
		return false
	}
	f.looked, f.size = now, info.Size()
	return true
}

// mend ends the last line of a file of some size that breaks off within it: the disk
// was full, or the process or the host ended. What is there of it stays, since
// another process may be writing to the file, which must not lose a line by ours.
func mend(f *os.File, size int64) error {
	r, err := os.Open(f.Name()) // f is for writing alone
	if err != nil {
		return err
	}
	defer r.Close()
	var last [1]byte
	if _, err := r.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return nil //nolint:nilerr // it was cut or is no file: nothing to mend
	}
	_, err = f.WriteString("\n")
	return err
}

func (s *files) drop(path string, f *file) {
	f.f.Close()
	delete(s.open, path)
}

// putAside gives a closed file a name with the time, and removes those of the
// log that are too many.
func (s *files) putAside(path string, now time.Time) error {
	base := strings.TrimSuffix(path, suffix) + now.UTC().Format(asideFormat)
	name := base + suffix
	for i := 1; ; i++ {
		if _, err := os.Lstat(name); os.IsNotExist(err) {
			break
		}
		name = base + "." + strconv.Itoa(i) + suffix
	}
	if err := os.Rename(path, name); err != nil && !os.IsNotExist(err) {
		return err
	}
	var all []string
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if at, ok := asideOf(e.Name()); ok && at == filepath.Base(path) {
			all = append(all, e.Name())
		}
	}
	slices.Sort(all) // by time
	for ; len(all) > s.o.KeepFiles; all = all[1:] {
		os.Remove(filepath.Join(filepath.Dir(path), all[0]))
	}
	return nil
}

// asideOf tells which log's file was put aside under the name.
func asideOf(name string) (log string, ok bool) {
	base, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return "", false
	}
	numbered := base
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		numbered = base[:i] // of several in one second, unless the dot is the log's own
	}
	for _, name := range []string{base, numbered} {
		i := len(name) - len(asideFormat)
		if i <= 0 {
			continue
		}
		if _, err := time.Parse(asideFormat, name[i:]); err == nil {
			return name[:i] + suffix, true
		}
	}
	return "", false
}

// upkeep closes files that rest and removes old ones, hourly.
func (s *files) upkeep(now time.Time) {
	for path, f := range s.open {
		if now.Sub(f.used) > idleAfter {
			s.drop(path, f)
		}
	}
	if now.Sub(s.swept) >= time.Hour {
		s.swept = now
		s.sweep(now)
	}
}

// sweep removes what was put aside too long ago, of logs that are no longer
// written to as well. Nothing else is touched.
func (s *files) sweep(now time.Time) {
	_ = filepath.WalkDir(s.o.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what cannot be read is left alone
		}
		if _, ok := asideOf(d.Name()); !ok {
			return nil
		}
		if info, err := d.Info(); err == nil && now.Sub(info.ModTime()) > s.o.Keep {
			os.Remove(path)
		}
		return nil
	})
}

func (s *files) close() {
	for path, f := range s.open {
		s.drop(path, f)
	}
}
