package l7

import (
	"errors"
	"sync/atomic"
)

// handshakeBudget bounds what unfinished handshakes hold in all: a client may send
// 64 KB of a first message, 256 KB of certificates where one is asked for, and leave it
// at that, before anything is known of it. What everyday clients send is not counted;
// beyond it a handshake takes from what there is for all, and fails when that is used
// up.
type handshakeBudget struct {
	used, most atomic.Int64 // bytes
}

const (
	// handshakeFree is what a handshake may receive without being counted: a first
	// message has up to 2 KB, and 5 KB more is a chain of three certificates.
	handshakeFree = 8 << 10
	// handshakeCost is what a counted byte takes: crypto/tls has it in two buffers,
	// which grow by doubling.
	handshakeCost = 3
	// handshakesPart is the part of the memory that counted bytes may take.
	handshakesPart = 64
)

var errHandshakeRefused = errors.New("unfinished handshakes hold too much")

func (b *handshakeBudget) init() { b.most.Store(memory() / handshakesPart / handshakeCost) }

// take takes n bytes, if there are as many.
func (b *handshakeBudget) take(n int64) bool {
	if b.used.Add(n) > b.most.Load() {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *handshakeBudget) give(n int64) { b.used.Add(-n) }
