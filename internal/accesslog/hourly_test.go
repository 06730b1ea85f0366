package accesslog

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestHourly(t *testing.T) {
	h := Hourly{Dir: filepath.Join(t.TempDir(), "health"), Keep: 3 * 24 * time.Hour, Logger: slog.New(slog.DiscardHandler)}
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	h.Line(at("2026-01-01T00:00:00Z"), "a")
	h.Line(at("2026-01-01T00:59:59Z"), "b")
	h.Line(at("2026-01-02T00:30:00+01:00"), "c") // the last hour of the 1st
	if got := lines(t, filepath.Join(h.Dir, "20260101/01.txt")); len(got) != 2 || got[0] != "2026-01-01T00:00:00Z a" {
		t.Errorf("%q", got)
	}
	if got := lines(t, filepath.Join(h.Dir, "20260101/24.txt")); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if f, err := os.OpenFile(filepath.Join(h.Dir, "20260101/24.txt"), os.O_WRONLY|os.O_APPEND, 0); err != nil {
		t.Fatal(err)
	} else {
		f.WriteString("2026-01-01T23:40:00Z half a")
		f.Close()
	}
	h.Line(at("2026-01-01T23:50:00Z"), "whole")
	if got := lines(t, filepath.Join(h.Dir, "20260101/24.txt")); len(got) != 3 || got[2] != "2026-01-01T23:50:00Z whole" {
		t.Errorf("behind a line that breaks off: %q", got)
	}
	if err := os.Mkdir(filepath.Join(h.Dir, "notes"), 0o750); err != nil {
		t.Fatal(err)
	}
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(h.Dir, name))
		return err == nil
	}
	h.Line(at("2026-01-04T23:00:00Z"), "d")
	if !there("20260101") {
		t.Error("gone too early")
	}
	h.Line(at("2026-01-05T00:00:01Z"), "e")
	if there("20260101") || !there("20260104") || !there("notes") {
		t.Error("another file is gone, or the old one is not")
	}
}
