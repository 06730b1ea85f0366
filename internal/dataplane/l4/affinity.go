package l4

import (
	"net/netip"
	"sync"

	"github.com/openslb/openslb/internal/dataplane/balance"
	"github.com/openslb/openslb/internal/dataplane/pool"
)

// affinity remembers the server of each client address, for persistence by
// source address. All loops of a frontend share it, since one client's
// connections come to any of them. Its size is bounded: when it is full, the
// entry unused for longest among a few gives way.
type affinity struct {
	shards [affinityShards]affinityShard
}

const (
	affinityShards = 32
	affinityMost   = 65536 / affinityShards // entries in a shard
	affinitySample = 8
)

type affinityShard struct {
	mu      sync.Mutex
	entries map[netip.Addr]affinityEntry
	_       [40]byte // a line of its own
}

type affinityEntry struct {
	member *pool.Member
	used   int64 // by the loops' clock
}

func newAffinity() *affinity { return &affinity{} }

func (a *affinity) shard(source netip.Addr) *affinityShard {
	return &a.shards[balance.HashSource(source)%affinityShards]
}

// get gives the recorded server, if it was used within the last keep
// nanoseconds and may have new connections, and counts that as a use.
func (a *affinity) get(source netip.Addr, now, keep int64) *pool.Member {
	s := a.shard(source)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.getLocked(source, now, keep)
}

func (s *affinityShard) getLocked(source netip.Addr, now, keep int64) *pool.Member {
	e, ok := s.entries[source]
	if !ok {
		return nil
	}
	if now-e.used >= keep || !e.member.Usable() {
		delete(s.entries, source)
		return nil
	}
	e.used = max(e.used, now)
	s.entries[source] = e
	return e.member
}

// put records m, unless another loop was first, and gives the server recorded.
func (a *affinity) put(source netip.Addr, m *pool.Member, now, keep int64) *pool.Member {
	s := a.shard(source)
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.getLocked(source, now, keep); first != nil {
		return first
	}
	s.setLocked(source, m, now)
	s.trimLocked(source, now, keep)
	return m
}

// replace records m in place of a server that could not be reached.
func (a *affinity) replace(source netip.Addr, m *pool.Member, now int64) {
	s := a.shard(source)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.entries[source]; ok {
		s.setLocked(source, m, now)
	}
}

func (s *affinityShard) setLocked(source netip.Addr, m *pool.Member, now int64) {
	if s.entries == nil {
		s.entries = make(map[netip.Addr]affinityEntry)
	}
	s.entries[source] = affinityEntry{m, now}
}

// trimLocked looks at a few entries other than the new one and deletes what has
// run out; if the shard is too full, the oldest of them goes in any case.
func (s *affinityShard) trimLocked(added netip.Addr, now, keep int64) {
	var (
		oldest netip.Addr
		used   = now + 1
		seen   int
	)
	for source, e := range s.entries {
		if source == added {
			continue
		}
		if now-e.used >= keep {
			delete(s.entries, source)
		} else if e.used < used {
			oldest, used = source, e.used
		}
		if seen++; seen == affinitySample {
			break
		}
	}
	if len(s.entries) > affinityMost && oldest.IsValid() {
		delete(s.entries, oldest)
	}
}
