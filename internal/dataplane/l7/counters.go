package l7

import (
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// counterShards spreads a frontend's counters so that cores do not fight for
// their cache lines. A connection keeps one shard.
const counterShards = 8

type counters struct {
	opened, closed       atomic.Uint64
	dropped              atomic.Uint64
	short                atomic.Uint64 // those of dropped for which there was no room
	bytesIn, bytesOut    atomic.Uint64
	requests             atomic.Uint64
	status               [6]atomic.Uint64
	upstream4, upstream5 atomic.Uint64
	response, upstream   times
	handshakeFailures    atomic.Uint64
	refusedHandshakes    atomic.Uint64 // those of them that would have held too much
	// Clients that were too slow with a head, with a body, or to take an answer.
	slowHeads, slowBodies, slowReads atomic.Uint64
	// Requests of HTTP/2 that were too many, for their connection or in all, and
	// connections ended for what their clients did beyond all measure.
	refusedStreams, refusedHeads, refusedMemory, floods atomic.Uint64

	_ [32]byte
}

// times is how long something took, all together and how often.
type times struct {
	count, nanoseconds atomic.Uint64
	classes            [len(spec.TimeBounds)]atomic.Uint64
}

func (t *times) took(nanoseconds int64) {
	t.count.Add(1)
	t.nanoseconds.Add(uint64(max(nanoseconds, 0)))
	for i := range spec.TimeBounds {
		if nanoseconds <= int64(spec.TimeBounds[i]) {
			t.classes[i].Add(1)
			return
		}
	}
}

func (t *times) sum(f *spec.Times) {
	f.Count += t.count.Load()
	f.Total += time.Duration(t.nanoseconds.Load())
	for i := range t.classes {
		f.Classes[i] += t.classes[i].Load()
	}
}

// answered counts one answer to a client; fromServer is the server's status, 0
// if no server answered.
func (c *counters) answered(status, fromServer int) {
	if class := status / 100; class >= 1 && class <= 5 {
		c.status[class].Add(1)
	} else {
		c.status[0].Add(1)
	}
	switch fromServer / 100 {
	case 4:
		c.upstream4.Add(1)
	case 5:
		c.upstream5.Add(1)
	}
}

// sum adds the shards up.
func sum(shards *[counterShards]counters, f *spec.FrontendFacts) {
	var closed uint64
	for i := range shards {
		c := &shards[i]
		closed += c.closed.Load() // before opened, so that the difference is never negative
		f.NewConnections += c.opened.Load()
		f.DropConnections += c.dropped.Load()
		f.ShortConnections += c.short.Load()
		f.BytesIn += c.bytesIn.Load()
		f.BytesOut += c.bytesOut.Load()
		f.Requests += c.requests.Load()
		for j := range c.status {
			f.Status[j] += c.status[j].Load()
		}
		f.Upstream4 += c.upstream4.Load()
		f.Upstream5 += c.upstream5.Load()
		c.response.sum(&f.ResponseTimes)
		c.upstream.sum(&f.UpstreamTimes)
		f.HandshakeFailures += c.handshakeFailures.Load()
		f.RefusedHandshakes += c.refusedHandshakes.Load()
		f.SlowHeads += c.slowHeads.Load()
		f.SlowBodies += c.slowBodies.Load()
		f.SlowReads += c.slowReads.Load()
		f.RefusedStreams += c.refusedStreams.Load()
		f.RefusedHeads += c.refusedHeads.Load()
		f.RefusedMemory += c.refusedMemory.Load()
		f.Floods += c.floods.Load()
	}
	f.ActiveConnections = f.NewConnections - closed
}
