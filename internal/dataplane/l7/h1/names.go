package h1

import "encoding/binary"

// known are the names with an ID. In those of the headers that the proxy vouches
// for, '_' counts as '-', since CGI-like servers cannot tell the two apart:
// dashed is what the name means with it.
var known = []struct {
	name       string // in lower case
	id, dashed ID
}{
	{name: "accept-encoding", id: AcceptEncoding},
	{name: "accept-ranges", id: AcceptRanges},
	{name: "authorization", id: Protected},
	{name: "cache-control", id: CacheControl},
	{name: "connection", id: Connection},
	{name: "content-digest", id: Digest},
	{name: "content-encoding", id: ContentEncoding},
	{name: "content-length", id: ContentLength, dashed: Mistakable},
	{name: "content-md5", id: Digest},
	{name: "content-range", id: ContentRange},
	{name: "content-type", id: ContentType},
	{name: "cookie", id: Cookie},
	{name: "date", id: Date},
	{name: "digest", id: Digest},
	{name: "etag", id: ETag},
	{name: "expect", id: Expect},
	{name: "forwarded", id: Protected},
	{name: "host", id: Host},
	{name: "http2-settings", id: HTTP2Settings},
	{name: "keep-alive", id: KeepAlive},
	{name: "proxy-authenticate", id: ProxyAuthenticate},
	{name: "proxy-authorization", id: ProxyAuthorization},
	{name: "proxy-connection", id: ProxyConnection},
	{name: "repr-digest", id: Digest},
	{name: "server", id: Server},
	{name: "set-cookie", id: SetCookie},
	{name: "slb-hops", id: SLBHops, dashed: SLBHops},
	{name: "slb-id", id: SLBID, dashed: SLBID},
	{name: "slb-ip", id: SLBIP, dashed: SLBIP},
	{name: "te", id: TE},
	{name: "traceparent", id: TraceParent},
	{name: "tracestate", id: TraceState},
	{name: "trailer", id: Trailer},
	{name: "transfer-encoding", id: TransferEncoding, dashed: Mistakable},
	{name: "upgrade", id: Upgrade},
	{name: "vary", id: Vary},
	{name: "via", id: Protected},
	{name: "x-accel-redirect", id: XAccelRedirect},
	{name: "x-forwarded-client-srcport", id: XForwardedClientSrcPort, dashed: XForwardedClientSrcPort},
	{name: "x-forwarded-for", id: XForwardedFor, dashed: XForwardedFor},
	{name: "x-forwarded-host", id: Protected},
	{name: "x-forwarded-port", id: XForwardedPort, dashed: XForwardedPort},
	{name: "x-forwarded-proto", id: XForwardedProto, dashed: XForwardedProto},
	{name: "x-pad", id: XPad},
	{name: "x-real-ip", id: Protected},
}

// nameSlot is one of known where its hash leads to, or behind that.
type nameSlot struct {
	first, last uint64 // its bytes, see ends
	size        uint8  // 0: an empty slot, which ends a search
	at          uint8  // in known
}

// nameBits is the binary logarithm of the number of slots, most of which are
// empty.
const nameBits = 8

var (
	nameSlots [1 << nameBits]nameSlot
	// dashedSizes are the lengths of the names that may be written with '_'.
	dashedSizes uint64
)

func init() {
	for i := range known {
		k := &known[i]
		first, last := ends([]byte(k.name))
		slot := nameHash(first, last)
		for nameSlots[slot].size != 0 {
			slot = (slot + 1) % (1 << nameBits)
		}
		nameSlots[slot] = nameSlot{first: first, last: last, size: uint8(len(k.name)), at: uint8(i)}
		if k.dashed != Other {
			dashedSizes |= 1 << len(k.name)
		}
	}
}

// lookup finds the ID of a header name, which must be a token.
func lookup(name []byte) ID {
	first, last := ends(name)
	if i := find(name, first, last); i >= 0 {
		return known[i].id
	}
	if n := len(name); n < 64 && dashedSizes>>n&1 != 0 && (n > 16 || hasUnderscore(first) || hasUnderscore(last)) {
		return lookupDashed(name)
	}
	return Other
}

// lookupDashed is lookup with '_' taken for '-', for a name that is not known
// without that.
func lookupDashed(name []byte) ID {
	var room [64]byte
	dashed := room[:copy(room[:], name)]
	for i, c := range dashed {
		if c == '_' {
			dashed[i] = '-'
		}
	}
	first, last := ends(dashed)
	if i := find(dashed, first, last); i >= 0 {
		return known[i].dashed
	}
	return Other
}

// find finds a name in known by its ends; -1: it is not there.
func find(name []byte, first, last uint64) int {
	for at := nameHash(first, last); ; at = (at + 1) % (1 << nameBits) {
		s := &nameSlots[at]
		switch {
		case s.size == 0:
			return -1
		case s.first != first || s.last != last || int(s.size) != len(name):
		case len(name) > 16 && !equalFold(name, known[s.at].name):
		default:
			return int(s.at)
		}
	}
}

// ends packs the first and the last eight bytes of a token into words, in lower
// case; those of a short one overlap. Of the bytes of tokens only letters change
// with bit 0x20, and none becomes another one of known's.
func ends(name []byte) (first, last uint64) {
	const lower = ones * 0x20
	switch n := len(name); {
	case n >= 8:
		first, last = binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		first, last = uint64(binary.LittleEndian.Uint32(name)), uint64(binary.LittleEndian.Uint32(name[n-4:]))
	case n >= 1:
		first, last = uint64(name[0])|uint64(name[n/2])<<8, uint64(name[n-1])
	}
	return first | lower, last | lower
}

// hasUnderscore tells whether there is a '_' in a word of ends. It is a DEL there,
// which no token has.
func hasUnderscore(word uint64) bool {
	word ^= ones * ('_' | 0x20)
	return (word-ones)&^word&highs != 0
}

// nameHash gives the slot where the search for a name begins.
func nameHash(first, last uint64) uint {
	const a, b = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f // odd, and of no pattern
	return uint((first*a ^ last*b) >> (64 - nameBits))
}
