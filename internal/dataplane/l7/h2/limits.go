package h2

import "time"

// Limits of a connection. Each bounds what one client can make us keep or do.
const (
	// MaxStreams is how many requests a client may have under way, as the vendor
	// documents.
	MaxStreams = 128
	// maxBusy bounds streams together with those that the client has given up and
	// whose request still occupies a server: giving up must not make room for
	// more.
	maxBusy = 2 * MaxStreams

	// streamWindow is what a client may send of one body before a server has
	// taken it, and connWindow of all bodies together: the memory of uploads.
	streamWindow = 128 << 10
	connWindow   = 1 << 20

	// MaxURI and MaxFields bound a head as package h1 does, which refuses with
	// the proper status what is larger; here the rest is left out.
	maxURI    = 32 << 10
	maxHeader = 32 << 10
	maxFields = 512
	// maxBlock is the size of a compressed head, all its frames together. A head
	// of the largest size fits uncompressed; one beyond it ends the connection,
	// since the compression's state would be lost with the part not read.
	maxBlock = 80 << 10
	// maxHeads bounds the heads of all requests of a connection together, until they
	// are released: what a few bytes of a compressed head stand for may be large.
	maxHeads = MaxStreams * 8 << 10
	// maxString bounds one name or value, decompressed.
	maxString = 80 << 10

	// FrameSize is the largest frame either side sends: the protocol's initial
	// value. Larger ones would only make other streams wait.
	FrameSize = 16 << 10
	// tableSize is that of the compression tables in either direction.
	tableSize = 4 << 10

	// OutLimit is how many bytes of output wait at most before bodies have to.
	OutLimit = 64 << 10
	// maxOut ends a connection whose client makes us answer without reading:
	// acknowledgements are not held back by flow control.
	maxOut = OutLimit + 256<<10

	// forgotten is how many streams that we ended are remembered, since frames
	// for them may be on the road.
	forgotten = 64
)

// Bound is what a request was beyond that is refused, and that the client may send
// again when others have ended.
type Bound uint8

// The bounds.
const (
	BoundStreams Bound = iota // how many the connection may have
	BoundHeads                // what its heads may take
	BoundOwner                // Events.New
)

// Budgets. A client that keeps to what browsers and gRPC libraries do never
// comes near them.
const (
	// resetBudget: requests given up, or made to fail by the client, before their
	// answer was complete. A browser that leaves a page gives up a hundred at
	// once; a flood ten thousand a second.
	resetBudget = 600
	resetRefill = 60 // a second

	// frameBudget: frames that carry nothing and cost something: PING, SETTINGS,
	// PRIORITY, empty DATA and CONTINUATION, WINDOW_UPDATE. The latter are
	// earned by the bytes that we send, since they acknowledge them.
	frameBudget = 4000
	frameRefill = 200 // a second
	earnedPer   = 512 // bytes sent that earn one frame
	earnedHead  = 8   // frames earned by a request
)

// budget is a bucket of tokens.
type budget struct {
	spent int
	last  time.Duration
}

// refill gives back what time has earned.
func (b *budget) refill(now time.Duration, perSecond int) {
	n := int((now - b.last) * time.Duration(perSecond) / time.Second)
	if n > 0 {
		b.spent, b.last = max(0, b.spent-n), now
	}
}
