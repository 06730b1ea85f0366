package accesslog

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Hourly writes a few lines to a file for each hour, <dir>/<yyyymmdd>/<HH>.txt in
// UTC, HH being the end of the hour: 01 to 24. An hour without lines has no file.
// Line waits for the disk. Safe for concurrent use.
type Hourly struct {
	Dir    string
	Keep   time.Duration // how long a day's files are kept
	Logger *slog.Logger

	mu    sync.Mutex
	swept string // the day when old ones were removed last
}

// dayFormat is the name of a day's directory.
const dayFormat = "20060102"

// Line appends a line, which has no end yet. The time stands in front of it.
func (h *Hourly) Line(now time.Time, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now = now.UTC()
	day := now.Format(dayFormat)
	if err := h.append(filepath.Join(h.Dir, day), fmt.Sprintf("%02d.txt", now.Hour()+1), now.Format(time.RFC3339)+" "+text+"\n"); err != nil {
		h.Logger.Error("a log cannot be written, its lines are lost", "directory", h.Dir, "error", err)
	}
	if h.swept != day {
		h.swept = day
		h.sweep(now)
	}
}

func (h *Hourly) append(dir, name, line string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		err = mend(f, info.Size())
	}
	if err == nil {
		_, err = f.WriteString(line)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// sweep removes the days that are over for long. Nothing else is touched.
func (h *Hourly) sweep(now time.Time) {
	entries, _ := os.ReadDir(h.Dir)
	for _, e := range entries {
		day, err := time.Parse(dayFormat, e.Name())
		if err == nil && now.Sub(day.AddDate(0, 0, 1)) > h.Keep {
			os.RemoveAll(filepath.Join(h.Dir, e.Name()))
		}
	}
}
