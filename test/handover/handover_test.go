package handover

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/openslb/openslb/internal/testutil"
)

// TestReplaceUnderLoad replaces the process several times in a row, by hand and
// by signal. No client notices anything, and the old processes end when their
// connections have.
func TestReplaceUnderLoad(t *testing.T) {
	t.Parallel() // most of it is waiting
	w := newWorld(t)
	ip, id := w.balance()
	l := w.load(ip, id)
	l.goesOn()
	first := w.owner()
	w.takeOver()
	l.goesOn()
	w.signalled()
	l.goesOn()
	w.takeOver("--handover-drain", "1s") // which is cut short later; no exchange takes as long
	w.signalled()
	l.goesOn()
	if !alive(first) {
		t.Error("the first process has ended, and connections of it are open")
	}
	l.end()
	if n, faults := l.streams.Faults(); n > 0 {
		t.Errorf("%d faults: %v", n, faults)
	}
	w.api.HTTP.CloseIdleConnections()
	w.gone()
	for _, k := range l.kinds {
		t.Logf("%s: %d", k.name, k.done.Load())
	}
	t.Logf("streams: %d", l.streams.Requests())
	for _, line := range w.log.with("handed over") {
		t.Log(line)
	}

	// The last one ends like any node, and leaves nothing behind.
	last := w.owner()
	if err := syscall.Kill(last, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, patience, "the end of the last process", func() bool { return !alive(last) })
	if left, err := filepath.Glob(filepath.Join(w.data, "control*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if strings.Contains(w.log.String(), "DATA RACE") {
		t.Error("data race")
	}
}

// TestNobodyIsReplacedByMistake starts second processes that are not told to take
// over, or cannot.
func TestNobodyIsReplacedByMistake(t *testing.T) {
	t.Parallel() // most of it is waiting
	w := newWorld(t)
	owner := w.owner()
	broken := filepath.Join(t.TempDir(), "servers.yaml")
	if err := os.WriteFile(broken, []byte("servers: 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, tells string
		flags       []string
	}{
		{"without the flag", "replace it without an interruption by --take-over", nil},
		{"a broken setting", "cannot unmarshal", []string{"--take-over", "--servers", broken}},
		{"an address in use", "in use by another program", []string{"--take-over", "--listen", strings.TrimPrefix(w.api.Endpoint, "http://")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.start(c.flags...)
			<-p.done
			if p.err == nil {
				t.Error("it ended well")
			}
			testutil.Eventually(t, patience, "the reason", func() bool { return w.log.count(c.tells) > 0 })
			if got := w.owner(); got != owner {
				t.Errorf("process %d has the data directory, want %d", got, owner)
			}
			w.call("DescribeRegions", nil)
		})
	}
	if n := w.log.count("handover failed"); n > 0 {
		t.Error("a handover was begun")
	}
}
