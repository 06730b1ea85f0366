package h1

import "bytes"

// checkTarget judges the form of the request target (RFC 9112 3.2). Controls,
// spaces and DEL were refused before.
func (r *Request) checkTarget(buf []byte) error {
	t := buf[r.target:r.targetEnd]
	r.path = r.target
	// A fragment never belongs on the wire; servers differ in where they think
	// the path ends then.
	if bytes.IndexByte(t, '#') >= 0 || !validEscapes(t) {
		return ErrTarget
	}
	if t[0] == '/' {
		return nil
	}
	method := string(r.Method(buf)) // compiled to comparisons: no copy is made
	if method == "CONNECT" {
		return ErrNotAllowed
	}
	if len(t) == 1 && t[0] == '*' {
		if method != "OPTIONS" {
			return ErrTarget
		}
		return nil
	}
	i := 0
	switch {
	case len(t) > 7 && equalFold(t[:7], "http://"):
		i = 7
	case len(t) > 8 && equalFold(t[:8], "https://"):
		i = 8
	default:
		return ErrTarget
	}
	start := i
	for i < len(t) && t[i] != '/' && t[i] != '?' {
		i++
	}
	if !validAuthority(t[start:i]) {
		return ErrTarget
	}
	r.authority, r.authEnd = r.target+uint32(start), r.target+uint32(i)
	r.path = r.authEnd
	return nil
}

// validEscapes looks at the percent signs in front of the query. Servers refuse
// one without two digits or take it as it stands, and some end the path at an
// encoded NUL: what rules were compared with would be another path.
func validEscapes(t []byte) bool {
	if bytes.IndexByte(t, '%') < 0 {
		return true
	}
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		t = t[:q]
	}
	for {
		i := bytes.IndexByte(t, '%')
		if i < 0 {
			return true
		}
		if t = t[i+1:]; len(t) < 2 {
			return false
		}
		if high, low := hexDigit(t[0]), hexDigit(t[1]); high < 0 || low < 0 || high+low == 0 {
			return false
		}
	}
}

// checkHost applies RFC 9112 3.2: exactly one well-formed Host in HTTP/1.1, at
// most one in HTTP/1.0, and never one that contradicts the target.
func (r *Request) checkHost(buf []byte) error {
	if r.host < 0 {
		if r.Minor > 0 {
			return ErrHostMissing
		}
		return nil
	}
	h := r.Fields[r.host].Text(buf)
	if !validAuthority(h) {
		return ErrHost
	}
	if r.authEnd > r.authority && !sameFold(h, buf[r.authority:r.authEnd]) {
		return ErrHostMismatch
	}
	return nil
}

// validAuthority accepts host[:port] without user information.
func validAuthority(b []byte) bool {
	i := 0
	if len(b) > 0 && b[0] == '[' {
		for i = 1; i < len(b) && b[i] != ']'; i++ {
			c := b[i]
			if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' || c == ':' || c == '.') {
				return false
			}
		}
		if i >= len(b) || i == 1 {
			return false
		}
		i++
	} else {
		for i < len(b) && hostChar[b[i]] {
			i++
		}
		if i == 0 {
			return false
		}
	}
	if i == len(b) {
		return true
	}
	if b[i] != ':' || len(b)-i > 6 {
		return false
	}
	port := 0
	for _, c := range b[i+1:] {
		if c < '0' || c > '9' {
			return false
		}
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}
