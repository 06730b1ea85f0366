package accesslog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines are those of a file, oldest first.
func lines(t *testing.T, path string) []string {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(p), "\n"), "\n")
}

func eventually(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !fn(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come true", what)
		}
	}
}

// stamped makes a line of the time and what is around it.
func stamped(begin, end string) func([]byte, *Stamp) []byte {
	return func(b []byte, s *Stamp) []byte {
		return append(s.Append(append(b, begin...), time.Now().UnixNano()), end...)
	}
}

func TestLinesArrive(t *testing.T) {
	dir := t.TempDir()
	w := New(Options{Dir: filepath.Join(dir, "access")})
	l, other := w.Log("p", "s", "lb-1"), w.Log("p", "s", "lb-2")
	var producers sync.WaitGroup
	const each = 5000
	for shard := range uint32(4) {
		producers.Go(func() {
			for i := range each {
				if !l.Append(shard, stamped(`{"time":`, fmt.Sprintf(`,"n":%d}`+"\n", i))) {
					t.Error("dropped")
				}
			}
		})
	}
	other.Append(9, stamped("a ", " b\n"))
	producers.Wait()
	eventually(t, "written without Close", func() bool { return w.Stats().Written == 4*each+1 })
	w.Close()
	got := lines(t, filepath.Join(dir, "access/p/s/lb-1.log"))
	if len(got) != 4*each {
		t.Fatalf("%d lines", len(got))
	}
	for _, text := range got {
		var v struct {
			Time time.Time
			N    int
		}
		if err := json.Unmarshal([]byte(text), &v); err != nil || time.Since(v.Time).Abs() > time.Hour {
			t.Fatalf("%q: %v", text, err)
		}
	}
	if got := lines(t, filepath.Join(dir, "access/p/s/lb-2.log")); len(got) != 1 || !strings.HasPrefix(got[0], `a "20`) {
		t.Errorf("other log: %q", got)
	}
}

func TestCloseWritesTheRest(t *testing.T) {
	dir := t.TempDir()
	w := New(Options{Dir: dir})
	w.Log("a").Append(0, stamped("x", "\n"))
	w.Close()
	if got := lines(t, filepath.Join(dir, "a.log")); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// TestNeverWaits: with a disk that takes nothing, lines are dropped and counted.
func TestNeverWaits(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "a.log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	w := New(Options{Dir: dir})
	l := w.Log("a")
	line := stamped(strings.Repeat("x", 16<<10), "\n")
	taken, refused := 0, 0
	for refused < 100 {
		if l.Append(0, line) {
			taken++
		} else {
			refused++
		}
	}
	if most := mostMemory >> 14; taken > most {
		t.Errorf("%d lines held, want at most %d", taken, most)
	}
	if got := w.Stats().Dropped; got != 100 {
		t.Errorf("%d counted as dropped", got)
	}
	r, err := os.OpenFile(fifo, os.O_RDWR, 0) // the disk comes back
	if err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buf := make([]byte, 1<<20)
		for {
			if _, err := r.Read(buf); err != nil {
				return
			}
		}
	}()
	eventually(t, "the rest is written", func() bool { return w.Stats().Written == uint64(taken) })
	if !l.Append(0, line) {
		t.Error("still dropping")
	}
	w.Close()
	r.Close()
	<-drained
}

// TestManyLogs: a log with a line holds so little that thousands find room.
func TestManyLogs(t *testing.T) {
	const logs = 3000
	w := New(Options{Dir: t.TempDir()})
	defer w.Close()
	for i := range logs {
		if !w.Log(strconv.Itoa(i)).Append(0, stamped("x", "\n")) {
			t.Fatalf("no room for a line of log %d", i)
		}
	}
}

// TestMemoryIsGivenBack: what is counted as held comes to nothing, whatever the
// size of lines, and so does not use up the room for good.
func TestMemoryIsGivenBack(t *testing.T) {
	w := New(Options{Dir: t.TempDir()})
	l := w.Log("a")
	for _, n := range []int{1, 100, smallBuffer, 1000, 1000, largeBuffer, 100, 3 * largeBuffer, 1} {
		if !l.Append(0, stamped(strings.Repeat("x", n), "\n")) {
			t.Errorf("no room for %d bytes", n)
		}
	}
	w.Close()
	if n := w.inUse.Load(); n != 0 {
		t.Errorf("%d bytes are held for ever", n)
	}
	if s := w.Stats(); s.Written != 9 {
		t.Errorf("stats %+v", s)
	}
}

func TestStamp(t *testing.T) {
	var s Stamp
	at := func(now int64) time.Time {
		v, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(s.Append(nil, now)))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	const clock = int64(1e15)
	first := at(clock)
	if d := time.Since(first).Abs(); d > time.Minute {
		t.Errorf("%v off", d)
	}
	for _, d := range []time.Duration{time.Millisecond, 17 * time.Millisecond, 99 * time.Millisecond} {
		if got := at(clock + int64(d)).Sub(first); got < d-time.Millisecond || got > d+time.Millisecond {
			t.Errorf("%v later became %v later", d, got)
		}
	}
	// A clock says nothing of the time of day for long, and may be another one.
	for _, clock := range []int64{clock + int64(time.Hour), 5} {
		if d := time.Since(at(clock)).Abs(); d > time.Minute {
			t.Errorf("%v off", d)
		}
	}
}

func TestCannotWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := New(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	l := w.Log("file", "a") // file is no directory
	for range 3 {
		l.Append(0, stamped("x", "\n"))
		eventually(t, "failure", func() bool { s := w.Stats(); return s.Failed > 0 })
	}
	w.Close()
	if s := w.Stats(); s.Failed != 3 || s.Written != 0 {
		t.Errorf("stats %+v", s)
	}
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("complained %d times:\n%s", n, log.String())
	}
}

func TestFileName(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{"", "a", "..", ".", "a/b", "a%2Fb", "../../etc/passwd", "A", "ä", "a b", strings.Repeat("/", 128), strings.Repeat("/", 127) + "x"} {
		n := fileName(s)
		if n == "" || n[0] == '.' || strings.ContainsAny(n, "/\x00 ") || len(n) > 200 {
			t.Errorf("%q became %q", s, n)
		}
		if other, ok := seen[n]; ok {
			t.Errorf("%q and %q both became %q", s, other, n)
		}
		seen[n] = s
	}
}

// TestAside: what was put aside is known by its name, whatever the log's is.
func TestAside(t *testing.T) {
	for name, want := range map[string]string{
		"lb-1-20261129T061500Z.log":     "lb-1.log",
		"lb-1-20261129T061500Z.2.log":   "lb-1.log",
		"a.b-20261129T061500Z.log":      "a.b.log",
		"a.b-20261129T061500Z.11.log":   "a.b.log",
		"lb-1.log":                      "",
		"-20261129T061500Z.log":         "",
		"lb-1-20261129T061500Z.log.bak": "",
		"lb-1-20261329T061500Z.log":     "",
	} {
		if got, ok := asideOf(name); got != want || ok != (want != "") {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, MaxSize: 100, Period: time.Hour, Keep: 24 * time.Hour, KeepFiles: 3, Logger: slog.New(slog.DiscardHandler)}
	var fs files
	fs.init(&o)
	now := time.Now().UTC().Truncate(time.Hour).Add(time.Minute)
	fs.now = func() time.Time { return now }
	path := filepath.Join(dir, "lb-1.log")
	write := func(s string) {
		t.Helper()
		if _, err := fs.write(path, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	names := func() []string {
		var out []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	line := strings.Repeat("x", 59) + "\n"
	write(line)
	write(line) // would be too large
	if got := names(); len(got) != 2 || len(lines(t, path)) != 1 {
		t.Fatalf("files %q", got)
	}
	write(line) // in the same second
	if got := names(); len(got) != 3 {
		t.Fatalf("files %q", got)
	}
	now = now.Add(time.Hour)
	write("small\n") // another hour
	if got := names(); len(got) != 4 || lines(t, path)[0] != "small" {
		t.Fatalf("files %q", got)
	}
	write("small\n")
	if got := lines(t, path); len(got) != 2 {
		t.Fatalf("lines %q", got)
	}
	// Another run goes on with the file; no more than three are kept.
	fs.close()
	if err := os.Chtimes(path, now, now); err != nil { // on the test's clock
		t.Fatal(err)
	}
	write("more\n")
	if got := lines(t, path); len(got) != 3 {
		t.Fatalf("lines %q", got)
	}
	for range 3 {
		now = now.Add(time.Second)
		write(strings.Repeat("y", 99) + "\n")
	}
	if got := names(); len(got) != 4 {
		t.Errorf("files %q", got)
	}
	// Old ones go, those of other logs too; what is not ours stays.
	for _, n := range []string{"gone-20200101T000000Z.log", "mine-20200101T000000.log", "notes.log"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(filepath.Join(dir, n), time.Unix(0, 0), time.Unix(0, 0))
	}
	fs.upkeep(time.Now().Add(time.Minute))
	got := names()
	if slices.Contains(got, "gone-20200101T000000Z.log") || !slices.Contains(got, "notes.log") || !slices.Contains(got, "mine-20200101T000000.log") || len(got) != 6 {
		t.Errorf("files %q", got)
	}
	fs.upkeep(time.Now().Add(48 * time.Hour))
	if got := names(); len(got) != 3 {
		t.Errorf("files %q", got)
	}
	if len(fs.open) != 0 {
		t.Error("a file that rests is still open")
	}
	// A file removed from outside comes back.
	write("a\n")
	fs.close()
	os.RemoveAll(dir)
	write("b\n")
	fs.close()
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\b\n\r\t\x00\x1f\x7f", "ä€😀\u2028", "\xff\xfe\xc3", "\xed\xa0\x80", `a||b`, `</script>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out := AppendText(nil, text)
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		if bytes.ContainsAny(out, "\n\r") || !utf8.Valid(out) {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

// TestFileTakenAway: lines go to the file at the path, whatever others do with it.
func TestFileTakenAway(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.log")
	o := Options{MaxSize: 20, Period: 1_000_000 * time.Hour, KeepFiles: 10, Logger: slog.New(slog.DiscardHandler)}
	var s files
	s.init(&o)
	defer s.close()
	now := time.Now()
	s.now = func() time.Time { return now }
	write := func(line string) {
		t.Helper()
		now = now.Add(2 * lookEvery)
		if _, err := s.write(path, []byte(line+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name, content string) {
		t.Helper()
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != content {
			t.Errorf("%s has %q, want %q (%v)", name, got, content, err)
		}
	}
	write("one")
	write("two")
	if err := os.Rename(path, filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	write("three")
	want("moved", "one\ntwo\n")
	want("x.log", "three\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write("four")
	want("x.log", "four\n")
	write("twelve bytes")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write("five") // an emptied file has room
	want("x.log", "five\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("six")
	want("x.log", "another's\nsix\n")
	if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != 2 {
		t.Errorf("files %q", all)
	}
}

func TestAllPlain(t *testing.T) {
	for c := range 256 {
		for at := range 8 {
			b := []byte("abcdefgh")
			b[at] = byte(c)
			if allPlain(binary.LittleEndian.Uint64(b)) != plain[c] {
				t.Fatalf("byte %#x at %d", c, at)
			}
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": `"-"`, "a": `"a"`, "a\"b\\": `"a\"b\\"`, "\n\x00\x7f": `"\u000a\u0000\u007f"`, "ä\xff€": `"ä\\xff€"`,
		"\xf0\x9f\x98": `"\\xf0\\x9f\\x98"`, strings.Repeat("a", MaxText): `"` + strings.Repeat("a", MaxText) + `"`,
		strings.Repeat("a", MaxText) + "b": `"` + strings.Repeat("a", MaxText) + `..."`,
	} {
		if got := string(AppendText(nil, []byte(in))); got != want {
			t.Errorf("%.20q became %.60s, want %.60s", in, got, want)
		}
	}
	for ns, want := range map[int64]string{0: "0.000", 1_234_567_890: "1.234", 59_999_999_999: "59.999", -1: "0.000", 12_000_000: "0.012"} {
		if got := string(AppendSeconds(nil, ns)); got != want {
			t.Errorf("%d became %s, want %s", ns, got, want)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	w := New(Options{Dir: b.TempDir(), KeepFiles: 1})
	defer w.Close()
	l := w.Log("a")
	line := stamped(strings.Repeat("x", 700), "}\n")
	b.ReportAllocs()
	for b.Loop() {
		l.Append(0, line)
	}
	b.ReportMetric(float64(w.Stats().Dropped)/float64(b.N), "dropped")
}

func BenchmarkText(b *testing.B) {
	ua := []byte("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36")
	var buf []byte
	for b.Loop() {
		buf = AppendText(buf[:0], ua)
	}
}
