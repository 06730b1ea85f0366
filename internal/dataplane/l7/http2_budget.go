package l7

import (
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/loop"
)

// streamBudget counts the requests under way on all HTTP/2 connections of an engine, for
// memory's sake: a connection may have 128 of them, and a thousand connections
// cost a client little. Where there are too many in all, each connection has
// fairShare of them, and what it asks beyond is refused: clients that ask for
// little are served whatever others do.
type streamBudget struct {
	running, most atomic.Int64
	silent        atomic.Int64 // until when refusals are not logged
}

const (
	fairShare = 16
	// requestMemory is what a request takes while it waits for a server or its
	// client, and streamsPart the part of the memory that all together may have.
	requestMemory = 40 << 10
	streamsPart   = 4
)

func (b *streamBudget) init() { b.most.Store(memory() / streamsPart / requestMemory) }

// refuses tells whether a connection that has some requests under way is to have
// no more of them for now.
func (b *streamBudget) refuses(running int) bool {
	return running >= fairShare && b.running.Load() >= b.most.Load()
}

// refusalGap is how long the log says no more of refusals.
const refusalGap = time.Minute

// complain logs, now and then, that requests are refused.
func (b *streamBudget) complain(h *HTTP) {
	now, until := loop.Clock(), b.silent.Load()
	if now >= until && b.silent.CompareAndSwap(until, now+int64(refusalGap)) {
		h.e.log.Warn("HTTP/2 requests refused: all connections together have as many as there is memory for", "listener", h.addr.String(), "most", b.most.Load())
	}
}

// memory is how much the process may use, by its own limit (GOMEMLIMIT) or by
// what the machine has.
func memory() int64 {
	n := debug.SetMemoryLimit(-1)
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		n = min(n, int64(info.Totalram)*int64(info.Unit))
	}
	return n
}
