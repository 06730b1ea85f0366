package rpc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// timeWindow is how far the time of a request may lie from ours, either way,
// and so how long a nonce has to be remembered.
const timeWindow = 15 * time.Minute

const (
	nonceShards   = 16
	nonceInterval = 60 // seconds of request time in one generation
)

// nonceStore remembers the nonces of requests whose signature was right, so
// that a request can be used once.
//
// A nonce is kept until the time window refuses its request anyway. Nonces are
// grouped by the time that stands in their request, and a whole group is
// forgotten at once. Memory is bounded: when too many are held, the oldest
// group goes early, and from then on requests as old as that group are refused
// as expired. A replay therefore stays impossible; under such load only callers
// whose clock is behind notice. Should the present minute alone exceed the
// bound, calls are throttled.
//
// Nonces are held as 64-bit hashes with a secret key. Two nonces of one caller
// fall together by chance about once in 10^12 calls at full memory; the caller
// then sees SignatureNonceUsed and signs anew.
type nonceStore struct {
	key   [nonceKeySize]byte
	file  *NonceFile   // nil: memory alone
	limit int          // per shard
	floor atomic.Int64 // Unix seconds: requests from before it are refused
	shard [nonceShards]nonceShard
}

type nonceShard struct {
	mu     sync.Mutex
	count  int
	groups map[int64]map[uint64]struct{} // by Unix time / nonceInterval
}

// newNonceStore makes a store that begins with what the file has; file may be nil.
func newNonceStore(limit int, file *NonceFile, now time.Time) *nonceStore {
	s := &nonceStore{file: file, limit: max(1, limit/nonceShards)}
	for i := range s.shard {
		s.shard[i].groups = map[int64]map[uint64]struct{}{}
	}
	if file == nil {
		rand.Read(s.key[:])
		return s
	}
	s.key = file.key
	s.raiseFloor(file.floor)
	err := file.each(func(sum uint64, at int64) {
		if at := time.Unix(at, 0); now.Sub(at) <= timeWindow {
			_ = s.shard[sum%nonceShards].use(s, sum, at, now) // what finds no room lies below the floor
		}
	})
	if err != nil {
		file.logger.Error("used nonces of before this start are lost: requests of the last quarter of an hour could be sent once more", "error", err)
	}
	return s
}

// sum is the hash that stands for a nonce of a key.
func (s *nonceStore) sum(keyID, nonce string) uint64 {
	var room [256]byte
	text := append(room[:0], s.key[:]...)
	text = append(text, keyID...)
	text = append(text, 0)
	text = append(text, nonce...)
	sum := sha256.Sum256(text)
	return binary.LittleEndian.Uint64(sum[:])
}

// use remembers a nonce of a key, or says why the request must be refused. at
// is the time of the request, which the caller has found within the window
// around now.
func (s *nonceStore) use(keyID, nonce string, at, now time.Time) error {
	if at.Unix() < s.floor.Load() {
		return errTimestampExpired
	}
	sum := s.sum(keyID, nonce)
	if err := s.shard[sum%nonceShards].use(s, sum, at, now); err != nil || s.file == nil {
		return err
	}
	s.file.append(sum, at, now, s.limit*nonceShards/2)
	return nil
}

func (n *nonceShard) use(s *nonceStore, sum uint64, at, now time.Time) error {
	group := at.Unix() / nonceInterval
	present := now.Unix() / nonceInterval
	n.mu.Lock()
	defer n.mu.Unlock()
	// Found in any group: a nonce is used up even with another time beside it.
	for number, g := range n.groups {
		if number < present-int64(timeWindow/time.Second)/nonceInterval-1 {
			n.count -= len(g)
			delete(n.groups, number)
			continue
		}
		if _, ok := g[sum]; ok {
			return errNonceUsed
		}
	}
	for n.count >= s.limit {
		oldest := n.oldestLocked()
		if oldest >= present {
			return errThrottled
		}
		s.raiseFloor((oldest + 1) * nonceInterval)
		n.count -= len(n.groups[oldest])
		delete(n.groups, oldest)
	}
	// Another shard, or the loop above, may have moved the floor past us.
	if at.Unix() < s.floor.Load() {
		return errTimestampExpired
	}
	g := n.groups[group]
	if g == nil {
		g = map[uint64]struct{}{}
		n.groups[group] = g
	}
	g[sum] = struct{}{}
	n.count++
	return nil
}

func (n *nonceShard) oldestLocked() int64 {
	oldest, first := int64(0), true
	for number := range n.groups {
		if first || number < oldest {
			oldest, first = number, false
		}
	}
	return oldest
}

func (s *nonceStore) raiseFloor(to int64) {
	for {
		old := s.floor.Load()
		if old >= to || s.floor.CompareAndSwap(old, to) {
			return
		}
	}
}
