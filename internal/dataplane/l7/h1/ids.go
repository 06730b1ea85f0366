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

// lookup finds the ID of a header name. In the headers the proxy vouches for,
// '_' counts as '-', since CGI-like servers cannot tell the two apart.
func lookup(name []byte) ID {
	switch len(name) {
	case 2:
		if equalFold(name, "te") {
			return TE
		}
	case 3:
		if equalFold(name, "via") {
			return Protected
		}
	case 4:
		switch {
		case equalFold(name, "host"):
			return Host
		case equalFold(name, "date"):
			return Date
		case equalFold(name, "etag"):
			return ETag
		case equalFold(name, "vary"):
			return Vary
		}
	case 5:
		if name[0]|0x20 == 'x' && equalFold(name, "x-pad") {
			return XPad
		}
	case 6:
		switch name[0] | 0x20 {
		case 's':
			switch {
			case equalFold(name, "server"):
				return Server
			case equalDash(name, "slb-ip"):
				return SLBIP
			case equalDash(name, "slb-id"):
				return SLBID
			}
		case 'e':
			if equalFold(name, "expect") {
				return Expect
			}
		case 'd':
			if equalFold(name, "digest") {
				return Digest
			}
		case 'c':
			if equalFold(name, "cookie") {
				return Cookie
			}
		}
	case 7:
		switch name[0] | 0x20 {
		case 'u':
			if equalFold(name, "upgrade") {
				return Upgrade
			}
		case 't':
			if equalFold(name, "trailer") {
				return Trailer
			}
		}
	case 8:
		if equalDash(name, "slb-hops") {
			return SLBHops
		}
	case 9:
		switch {
		case equalFold(name, "x-real-ip"), equalFold(name, "forwarded"):
			return Protected
		}
	case 10:
		switch name[0] | 0x20 {
		case 'c':
			if equalFold(name, "connection") {
				return Connection
			}
		case 'k':
			if equalFold(name, "keep-alive") {
				return KeepAlive
			}
		case 's':
			if equalFold(name, "set-cookie") {
				return SetCookie
			}
		case 't':
			if equalFold(name, "tracestate") {
				return TraceState
			}
		}
	case 11:
		switch {
		case equalFold(name, "traceparent"):
			return TraceParent
		case equalFold(name, "content-md5"), equalFold(name, "repr-digest"):
			return Digest
		}
	case 12:
		if equalFold(name, "content-type") {
			return ContentType
		}
	case 13:
		switch name[0] | 0x20 {
		case 'a':
			switch {
			case equalFold(name, "authorization"):
				return Protected
			case equalFold(name, "accept-ranges"):
				return AcceptRanges
			}
		case 'c':
			switch {
			case equalFold(name, "cache-control"):
				return CacheControl
			case equalFold(name, "content-range"):
				return ContentRange
			}
		}
	case 14:
		switch {
		case equalFold(name, "content-length"):
			return ContentLength
		case equalDash(name, "content-length"):
			return Mistakable
		case equalFold(name, "http2-settings"):
			return HTTP2Settings
		case equalFold(name, "content-digest"):
			return Digest
		}
	case 15:
		switch name[0] | 0x20 {
		case 'x':
			if equalDash(name, "x-forwarded-for") {
				return XForwardedFor
			}
		case 'a':
			if equalFold(name, "accept-encoding") {
				return AcceptEncoding
			}
		}
	case 16:
		switch {
		case equalDash(name, "x-forwarded-port"):
			return XForwardedPort
		case equalFold(name, "proxy-connection"):
			return ProxyConnection
		case equalFold(name, "x-accel-redirect"):
			return XAccelRedirect
		case equalFold(name, "content-encoding"):
			return ContentEncoding
		case equalFold(name, "x-forwarded-host"):
			return Protected
		}
	case 17:
		switch {
		case equalFold(name, "transfer-encoding"):
			return TransferEncoding
		case equalDash(name, "transfer-encoding"):
			return Mistakable
		case equalDash(name, "x-forwarded-proto"):
			return XForwardedProto
		}
	case 18:
		if equalFold(name, "proxy-authenticate") {
			return ProxyAuthenticate
		}
	case 19:
		if equalFold(name, "proxy-authorization") {
			return ProxyAuthorization
		}
	case 26:
		if equalDash(name, "x-forwarded-client-srcport") {
			return XForwardedClientSrcPort
		}
	}
	return Other
}

// equalDash is equalFold with '_' taken for '-'.
func equalDash(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := 0; i < len(b); i++ {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c == '_' {
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
