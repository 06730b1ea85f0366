package api

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/openslb/openslb/internal/slb"
)

// guardStripes is the number of locks that servers share by hash.
const guardStripes = 256

// attachGuard protects what no transaction of a single instance can see: how
// many instances a server has joined, and that it is not taken from the register
// while it joins one. Transactions of different instances do not meet in the
// store, so they meet here.
//
// Joining normally holds the server's stripe shared and counts itself, so that
// calls for one server run side by side. When everyone who is under way could
// together pass the quota, a caller takes the stripe alone instead. A stripe
// that two servers share only makes that happen earlier.
//
// It holds within one process; nodes that share a store can pass the quota by
// the number of calls under way on the others.
type attachGuard struct {
	stripes [guardStripes]struct {
		mu       sync.RWMutex
		underWay atomic.Int64
	}
}

var guardSeed = maphash.MakeSeed()

// stripesOf returns the servers' stripes in ascending order, the order of
// locking, each once.
func stripesOf(ids []slb.ServerID) []int {
	out := make([]int, 0, len(ids))
	for _, id := range ids {
		out = append(out, int(maphash.String(guardSeed, string(id))%guardStripes))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// join admits an attachment of the servers. fits is given the number of
// attachments that may be under way for a server, this one included, and
// reports whether the quota has room for them.
func (g *attachGuard) join(ids []slb.ServerID, fits func(id slb.ServerID, underWay int) bool) (leave func()) {
	stripes := stripesOf(ids)
	for _, i := range stripes {
		g.stripes[i].mu.RLock()
		g.stripes[i].underWay.Add(1)
	}
	leave = func() {
		for _, i := range stripes {
			g.stripes[i].underWay.Add(-1)
			g.stripes[i].mu.RUnlock()
		}
	}
	for _, id := range ids {
		// The count is read before fits looks at the state: who has left by then is
		// in the state.
		n := int(g.stripes[stripesOf([]slb.ServerID{id})[0]].underWay.Load())
		if !fits(id, n) {
			leave()
			return g.alone(ids)
		}
	}
	return leave
}

// alone waits until no attachment of the servers is under way and keeps others
// out.
func (g *attachGuard) alone(ids []slb.ServerID) (leave func()) {
	stripes := stripesOf(ids)
	for _, i := range stripes {
		g.stripes[i].mu.Lock()
	}
	return func() {
		for _, i := range stripes {
			g.stripes[i].mu.Unlock()
		}
	}
}
