package node

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestTrimmer: memory is given back by a process that is quiet, if there may be
// some, and not so often that it costs much.
func TestTrimmer(t *testing.T) {
	const interval = 2 * time.Second
	now := time.Unix(1e9, 0)
	trims := 0
	var seen usage
	tr := trimmer{free: func() { trims++; time.Sleep(50 * time.Millisecond) }}
	for i, step := range []struct {
		after, cpu time.Duration // since the step before
		allocated  uint64
		trims      bool
	}{
		{interval, 500 * time.Millisecond, 64 << 20, false}, // it starts
		{interval, 150 * time.Millisecond, 0, false},        // still busy
		{interval, 10 * time.Millisecond, 0, true},
		{time.Minute, 10 * time.Millisecond, 0, false}, // nothing has changed
		{interval, 10 * time.Millisecond, 7 << 20, false},
		{interval, 10 * time.Millisecond, 1 << 20, true},
		{interval, 10 * time.Millisecond, 64 << 20, false}, // again too soon
		{time.Minute, 10 * time.Millisecond, 0, true},
	} {
		now = now.Add(step.after)
		seen.cpu += step.cpu
		seen.allocated += step.allocated
		before := trims
		if got := tr.look(now, interval, seen); got != step.trims || (trims > before) != step.trims {
			t.Errorf("step %d: trimmed: %v, want %v", i, got, step.trims)
		}
	}
}

// TestTrimGivesBack: what is dead goes back to the system.
func TestTrimGivesBack(t *testing.T) {
	dead := make([][]byte, 64)
	for i := range dead {
		dead[i] = make([]byte, 1<<20)
	}
	held := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapSys - m.HeapReleased
	}
	before := held()
	runtime.KeepAlive(dead)
	tr := trimmer{free: debug.FreeOSMemory}
	tr.last.cpu = currentUsage().cpu
	if !tr.look(time.Now(), time.Hour, currentUsage()) {
		t.Fatal("nothing done")
	}
	if after := held(); after+32<<20 > before {
		t.Errorf("%d bytes were held and %d are", before, after)
	}
}
