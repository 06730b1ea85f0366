package h1

// ID names a header the proxy itself has business with. Zero is any other.
type ID uint8

// The known headers.
const (
	Other ID = iota
	AcceptEncoding
	AcceptRanges
	CacheControl
	Connection
	ContentEncoding
	ContentLength
	ContentRange
	ContentType
	Cookie
	Date
	// Digest is any of the headers that tell a checksum of the body.
	Digest
	ETag
	Expect
	Host
	HTTP2Settings
	KeepAlive
	ProxyAuthenticate
	ProxyAuthorization
	ProxyConnection
	Server
	SetCookie
	SLBHops
	SLBID
	SLBIP
	TE
	TraceParent
	TraceState
	Trailer
	TransferEncoding
	Upgrade
	Vary
	XAccelRedirect
	XForwardedClientSrcPort
	XForwardedFor
	XForwardedPort
	XForwardedProto
	XPad
	// Protected are headers without further meaning here that a Connection
	// header must not be able to take away on the road.
	Protected
	// Mistakable are names that a server which takes '_' for '-' reads as framing.
	Mistakable
)

// Mask is a set of known headers.
type Mask uint64

// Of returns the set of the given headers.
func Of(ids ...ID) Mask {
	var m Mask
	for _, id := range ids {
		m |= 1 << id
	}
	return m
}

// Has tells whether id is in the set.
func (m Mask) Has(id ID) bool { return m>>id&1 != 0 }

// hopByHop are the headers that end at the proxy in either direction. Framing
// and upgrade are written anew where wanted. Trailer sections are dropped, so
// their announcement is too.
var hopByHop = Of(Connection, KeepAlive, ProxyAuthenticate, ProxyAuthorization, ProxyConnection,
	TE, Trailer, TransferEncoding, Upgrade, HTTP2Settings)

// mayNominate tells whether a Connection header may declare id hop-by-hop.
// Everything the proxy knows is safe from it: naming Host, framing or the
// X-Forwarded headers there is an attack on the server's view of the request.
func mayNominate(id ID) bool { return id == Other }
