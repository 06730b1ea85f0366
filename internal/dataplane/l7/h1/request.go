package h1

// Framing is how the end of a body is known.
type Framing uint8

// The framings.
const (
	NoBody     Framing = iota
	Length             // Content-Length bytes
	Chunks             // chunked transfer coding
	UntilClose         // responses only: as long as the connection lasts
)

// Request is a parsed request head. The zero value is ready for Parse after
// Reset; a Request is used again for the next request and does not allocate
// unless a head has more than forty lines. It must not be copied.
type Request struct {
	head

	// Minor is the minor version: 0 or 1.
	Minor uint8
	// Body tells how the body ends; BodyLength counts for Length.
	Body       Framing
	BodyLength int64
	// Persistent: the client allows a further request on the connection.
	Persistent bool
	// Expect100: the client waits for 100 Continue before it sends the body.
	Expect100 bool
	// WebSocket: the request asks for the one upgrade that is passed on.
	WebSocket bool
	// Hops is the number in the loop marker, 0 without one.
	Hops int

	stage              reqStage
	methodEnd          uint32
	methodStart        uint32
	target, targetEnd  uint32
	path               uint32 // start of the path within an absolute target
	authority, authEnd uint32 // of an absolute target; equal when there is none
	host               int    // index of the Host field, -1
	length             int    // index of the Content-Length field, -1
	cookie             int    // index of the first Cookie field, -1
	accept             int    // index of the first Accept-Encoding field, -1
	forwarded          int    // number of X-Forwarded-For fields
}

type reqStage uint8

const (
	stageStart reqStage = iota
	stageTarget
	stageVersion
	stageFields
	stageDone
)

// Reset makes r ready for another request.
func (r *Request) Reset() {
	r.head.reset()
	r.Minor, r.Body, r.BodyLength = 0, NoBody, 0
	r.Hops, r.host, r.length, r.cookie, r.accept, r.forwarded = 0, -1, -1, -1, -1, 0
	r.Persistent, r.Expect100, r.WebSocket = false, false, false
	r.stage = stageStart
	r.methodStart, r.methodEnd, r.target, r.targetEnd, r.path = 0, 0, 0, 0, 0
	r.authority, r.authEnd = 0, 0
}

// Parse reads the head at the start of buf. While it returns false without an
// error it wants to be called again with the same bytes and more. An error is
// always an *Error, and the connection is of no further use.
func (r *Request) Parse(buf []byte) (done bool, err error) {
	if r.stage < stageFields {
		done, err := r.parseLine(buf)
		if !done {
			return false, err
		}
	}
	if r.stage == stageFields {
		done, err := r.parseFields(buf)
		if !done || err != nil {
			return false, err
		}
		if err := r.settle(buf); err != nil {
			return false, err
		}
		r.stage = stageDone
	}
	return true, nil
}

// Started tells whether a byte of a request was seen.
func (r *Request) Started() bool { return r.stage != stageStart || r.pos != 0 }

// Method returns the method; buf is the buffer that was parsed.
func (r *Request) Method(buf []byte) []byte { return buf[r.methodStart:r.methodEnd] }

// Target returns the request target in origin form ("*" for a server-wide
// OPTIONS). An absolute target without a path gives an empty string or its
// query; AppendHead writes the "/" that is missing.
func (r *Request) Target(buf []byte) []byte { return buf[r.path:r.targetEnd] }

// Parts returns method, target and version as the client wrote them, of a head
// that may be incomplete: what has not come whole is nil.
func (r *Request) Parts(buf []byte) (method, target, version []byte) {
	if r.methodEnd > 0 {
		method = r.Method(buf)
	}
	if r.targetEnd > 0 {
		target = buf[r.target:r.targetEnd]
	}
	if r.first > 0 {
		version = buf[r.targetEnd+1 : r.first-2]
	}
	return method, target, version
}

// Line returns the request line without its end.
func (r *Request) Line(buf []byte) []byte {
	if r.first < 2 {
		return nil
	}
	return buf[r.methodStart : r.first-2]
}

// Host returns the host the request is for, with its port if it has one.
func (r *Request) Host(buf []byte) []byte {
	if r.authEnd > r.authority {
		return buf[r.authority:r.authEnd]
	}
	if r.host < 0 {
		return nil
	}
	return r.Fields[r.host].Text(buf)
}

// Cookie returns the value of the Cookie header. Of several, which no honest
// client sends (RFC 6265 5.4), it is the first.
func (r *Request) Cookie(buf []byte) []byte {
	if r.cookie < 0 {
		return nil
	}
	return r.Fields[r.cookie].Text(buf)
}

// AcceptEncodings calls fn for the value of each Accept-Encoding header.
func (r *Request) AcceptEncodings(buf []byte, fn func(value []byte)) {
	for i := r.accept; i >= 0 && i < len(r.Fields); i++ {
		if f := &r.Fields[i]; f.ID == AcceptEncoding {
			fn(f.Text(buf))
		}
	}
}

// IsHead tells whether the method is HEAD.
func (r *Request) IsHead(buf []byte) bool { return string(r.Method(buf)) == "HEAD" }

// Idempotent tells whether sending the request twice means the same as once
// (RFC 9110 9.2.2).
func (r *Request) Idempotent(buf []byte) bool {
	switch string(r.Method(buf)) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// parseLine reads the request line.
func (r *Request) parseLine(buf []byte) (bool, error) {
	n := len(buf)
	if r.stage == stageStart {
		// One empty line in front of a request is forgiven (RFC 9112 2.2).
		i := r.pos
		if i == 0 && n > 0 && buf[0] == '\r' {
			if n < 2 {
				return false, nil
			}
			if buf[1] != '\n' {
				return false, ErrBareCR
			}
			i, r.pos = 2, 2
		}
		start := i
		for i < n && (('A' <= buf[i] && buf[i] <= 'Z') || buf[i] == '-' || buf[i] == '_') {
			i++
		}
		if i-start > maxMethod {
			return false, ErrMethod
		}
		if i >= n {
			return false, nil
		}
		if buf[i] != ' ' || i == start {
			return false, ErrMethod
		}
		r.methodStart, r.methodEnd, r.target = uint32(start), uint32(i), uint32(i+1)
		r.scan, r.stage = i+1, stageTarget
	}
	if r.stage == stageTarget {
		i := firstBelow(buf, r.scan, 0x21)
		r.scan = i
		if i-int(r.target) > MaxURI {
			return false, ErrURITooLong
		}
		if i >= n {
			return false, nil
		}
		switch {
		case buf[i] == ' ' && i > int(r.target):
		case buf[i] == '\r' || buf[i] == '\n':
			return false, ErrVersion // HTTP/0.9 ends its line here
		default:
			return false, ErrTarget
		}
		r.targetEnd, r.stage = uint32(i), stageVersion
	}
	v := int(r.targetEnd) + 1
	const size = len("HTTP/1.1\r\n")
	have := buf[v:min(n, v+size)]
	if err := r.checkVersion(have); err != nil || len(have) < size {
		return false, err
	}
	if err := r.checkTarget(buf); err != nil {
		return false, err
	}
	r.begin(v + size)
	r.stage = stageFields
	return true, nil
}

// checkVersion judges as much of "HTTP/1.x\r\n" as has come.
func (r *Request) checkVersion(b []byte) error {
	if string(b) == "HTTP/1.1\r\n" {
		r.Minor = 1
		return nil
	}
	const want = "HTTP/"
	for i, c := range b {
		switch i {
		case 5, 7:
			if c < '0' || c > '9' {
				return ErrVersion
			}
		case 6:
			if c != '.' {
				return ErrVersion
			}
		case 8:
			// Only here, so that a malformed version is not called unknown.
			if b[5] != '1' || b[7] > '1' {
				return ErrVersionUnknown
			}
			r.Minor = b[7] - '0'
			if c == '\n' {
				return ErrBareLF
			}
			if c != '\r' {
				return ErrVersion
			}
		case 9:
			if c != '\n' {
				return ErrBareCR
			}
		default:
			if c != want[i] {
				return ErrVersion
			}
		}
	}
	return nil
}

// settle draws the conclusions from the complete head.
func (r *Request) settle(buf []byte) error {
	var conn connOptions
	coding, upgrade := -1, -1
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.ID {
		case Other, Protected:
		case Mistakable:
			return ErrFieldName
		case Host:
			if r.host >= 0 {
				return ErrHostRepeated
			}
			r.host = i
		case ContentLength:
			// Equal copies might be merged (RFC 9110 8.6), but no honest client
			// sends them.
			if r.length >= 0 {
				return ErrLengthRepeated
			}
			r.length = i
		case TransferEncoding:
			if coding >= 0 {
				return ErrCoding
			}
			coding = i
		case Connection:
			if !conn.add(f.Text(buf)) {
				return ErrConnection
			}
		case Upgrade:
			if upgrade >= 0 {
				upgrade = len(r.Fields) // two: not the one upgrade we pass on
			} else {
				upgrade = i
			}
		case Expect:
			r.Expect100 = r.Minor > 0 && equalFold(f.Text(buf), "100-continue")
		case XForwardedFor:
			r.forwarded++
		case Cookie:
			if r.cookie < 0 {
				r.cookie = i
			}
		case AcceptEncoding:
			if r.accept < 0 {
				r.accept = i
			}
		case SLBHops:
			r.Hops = hops(f.Text(buf))
		}
	}
	if err := r.checkHost(buf); err != nil {
		return err
	}
	if err := r.frame(buf, coding); err != nil {
		return err
	}
	switch string(r.Method(buf)) {
	case "TRACE", "CONNECT":
		return ErrNotAllowed
	}
	if r.Body == NoBody {
		r.Expect100 = false
	}
	if r.Minor == 0 {
		r.Persistent = conn.keepAlive && !conn.close
	} else {
		r.Persistent = !conn.close
	}
	// No other upgrade is passed on: h2c above all would be a tunnel past every
	// rule of the listener.
	if conn.upgrade && upgrade >= 0 && upgrade < len(r.Fields) && r.Minor > 0 && r.Body == NoBody &&
		string(r.Method(buf)) == "GET" && equalFold(r.Fields[upgrade].Text(buf), "websocket") {
		r.WebSocket = true
	}
	if conn.others > 0 {
		r.nominate(buf)
	}
	return nil
}

// frame decides how the body ends (RFC 9112 6.3), refusing every doubt.
func (r *Request) frame(buf []byte, coding int) error {
	if coding >= 0 {
		if r.Minor == 0 {
			return ErrCodingVersion
		}
		if r.length >= 0 {
			return ErrTwoFramings
		}
		if !equalFold(r.Fields[coding].Text(buf), "chunked") {
			return ErrCoding
		}
		r.Body = Chunks
		return nil
	}
	if r.length >= 0 {
		n, ok := parseLength(r.Fields[r.length].Text(buf))
		if !ok {
			return ErrLength
		}
		if n > 0 {
			r.Body, r.BodyLength = Length, n
		}
	}
	return nil
}

// hops reads the loop marker. What is not a small number counts as none.
func hops(b []byte) int {
	if len(b) == 0 || len(b) > 3 {
		return 0
	}
	n, ok := parseLength(b)
	if !ok {
		return 0
	}
	return int(n)
}
