package node

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

// Of giving memory back.
const (
	trimInterval = 2 * time.Second
	// trimQuiet is the share of a processor below which a process is quiet, as one
	// part in so many.
	trimQuiet = 20
	// trimWorth is how much must have been allocated since the last time, in bytes.
	trimWorth = 8 << 20
	// trimCost bounds what it costs: one part in so many of a processor.
	trimCost = 100
)

// trimmer gives memory back to the system when the process has become quiet.
// Until then the collector leaves what is dead where it is, up to as much again
// as is alive: connections that came together and stay, or a start, would show as
// twice what they take for as long as nothing else happens.
type trimmer struct {
	last  usage     // when it was looked at last; allocated: when something was done
	rests time.Time // until when nothing is done
	free  func()
}

// usage is what a process has used since its start.
type usage struct {
	cpu       time.Duration
	allocated uint64 // bytes of the heap, whether still alive or not
}

// look is called once an interval. It reports whether memory was given back.
func (t *trimmer) look(now time.Time, interval time.Duration, u usage) bool {
	busy := u.cpu-t.last.cpu > interval/trimQuiet
	t.last.cpu = u.cpu
	if busy || u.allocated-t.last.allocated < trimWorth || now.Before(t.rests) {
		return false
	}
	t.last.allocated = u.allocated
	begun := time.Now()
	t.free()
	t.rests = now.Add(trimCost * time.Since(begun))
	return true
}

func (n *Node) startTrimming(context.Context) error {
	n.goes("trimming", func(ctx context.Context) error {
		t := trimmer{free: debug.FreeOSMemory}
		tick := time.NewTicker(trimInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case now := <-tick.C:
				if t.look(now, trimInterval, currentUsage()) {
					n.log.Debug("gave unused memory back to the system")
				}
			}
		}
	})
	return nil
}

// currentUsage is what this process has used so far.
func currentUsage() usage {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(allocated)
	var r unix.Rusage
	// It cannot fail for a process of its own.
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return usage{time.Duration(r.Utime.Nano() + r.Stime.Nano()), allocated[0].Value.Uint64()}
}
