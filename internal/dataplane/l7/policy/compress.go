package policy

// What is compressed is the vendor's list with text/html, which the engines it is
// built of always compress. That answers of other statuses than these go as they
// are is the habit of the same engines.

// minCompressed is the smallest body of known length that is worth the effort.
const minCompressed = 1 << 10

// Coding is what compression does to an answer's head.
type Coding uint8

// The codings.
const (
	// Identity leaves the answer alone.
	Identity Coding = iota
	// Varies: the answer goes as it is, but another client would get it compressed.
	Varies
	// Gzip: the body is compressed on its way.
	Gzip
)

// Representation is what of an answer decides about compression.
type Representation struct {
	Status int
	Type   []byte // Content-Type
	// Fixed: the server says something of the body as it is that would no longer
	// be true, such as a coding, a range or a digest, or forbids changes.
	Fixed bool
	// Length is that of the body; -1: not known.
	Length int64
}

// Coding decides whether an answer is compressed for a client that takes gzip or
// does not. It allocates nothing.
func (s *Snapshot) Coding(r *Representation, offered bool) Coding {
	if !s.options.Gzip || r.Fixed || r.Length >= 0 && r.Length < minCompressed {
		return Identity
	}
	switch r.Status {
	case 200, 403, 404:
	default:
		return Identity
	}
	switch {
	case !compressible(r.Type):
		return Identity
	case offered:
		return Gzip
	}
	return Varies
}

// Compresses tells whether any answer may be compressed.
func (s *Snapshot) Compresses() bool { return s.options.Gzip }

// compressible tells whether a Content-Type is on the list, whatever its
// parameters.
func compressible(value []byte) bool {
	n := 0
	for n < len(value) && value[n] != ';' && value[n] != ' ' && value[n] != '\t' {
		n++
	}
	switch t := value[:n]; n {
	case 8:
		return fold(t, "text/xml") || fold(t, "text/css")
	case 9:
		return fold(t, "text/html")
	case 10:
		return fold(t, "text/plain")
	case 15:
		return fold(t, "application/xml")
	case 19:
		return fold(t, "application/rss+xml")
	case 20:
		return fold(t, "application/atom+xml")
	case 22:
		return fold(t, "application/javascript")
	case 24:
		return fold(t, "application/x-javascript")
	}
	return false
}

// NoTransform tells whether a Cache-Control header forbids to change the body.
func NoTransform(value []byte) bool {
	for len(value) > 0 {
		var item []byte
		item, value = nextItem(value)
		if fold(item, "no-transform") {
			return true
		}
	}
	return false
}

// Offer gathers what the Accept-Encoding headers of a request say of gzip. The
// zero value is that of a request without one.
type Offer struct {
	gzip, any, identity int16 // thousandths plus one; 0: not named
}

// Add reads one Accept-Encoding header. What is malformed counts as not said.
func (o *Offer) Add(value []byte) {
	for len(value) > 0 {
		var item []byte
		item, value = nextItem(value)
		n := 0
		for n < len(item) && item[n] != ';' && item[n] != ' ' && item[n] != '\t' {
			n++
		}
		q, ok := weight(item[n:])
		if !ok {
			continue
		}
		switch name := item[:n]; {
		case fold(name, "gzip"), fold(name, "x-gzip"):
			o.gzip = q + 1
		case fold(name, "identity"):
			o.identity = q + 1
		case n == 1 && name[0] == '*':
			o.any = q + 1
		}
	}
}

// Gzip tells whether the client takes gzip, and would not rather have the body
// as it is (RFC 9110 12.5.3).
func (o *Offer) Gzip() bool {
	q := o.gzip
	if q == 0 {
		q = o.any
	}
	return q > 1 && q >= o.identity
}

// weight reads the parameters of an item, in thousandths.
func weight(b []byte) (int16, bool) {
	b = trim(b)
	if len(b) == 0 {
		return 1000, true
	}
	if b[0] != ';' {
		return 0, false
	}
	b = trim(b[1:])
	if len(b) < 3 || b[0]|0x20 != 'q' || b[1] != '=' || len(b) > 7 || b[2] != '0' && b[2] != '1' {
		return 0, false
	}
	q := int16(b[2]-'0') * 1000
	if len(b) == 3 {
		return q, true
	}
	if b[3] != '.' {
		return 0, false
	}
	for i, scale := 4, int16(100); i < len(b); i, scale = i+1, scale/10 {
		if b[i] < '0' || b[i] > '9' {
			return 0, false
		}
		q += int16(b[i]-'0') * scale
	}
	return q, q <= 1000
}

// nextItem takes the first element off a comma-separated list.
func nextItem(list []byte) (item, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// fold compares without regard to ASCII case.
func fold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
