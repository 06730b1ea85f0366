package h1

// Limits of a message head.
const (
	// MaxURI is the longest request target; above it the answer is 414.
	MaxURI = 32 << 10
	// MaxHeader is the size of all header lines together; above it a request
	// is answered 400 (status code page of the vendor) and a response 502.
	MaxHeader = 32 << 10
	// MaxFields is the number of header lines.
	MaxFields = 512
	// MaxHead is the size no complete head exceeds, for sizing buffers.
	MaxHead = MaxURI + MaxHeader + 128

	maxName   = 256
	maxMethod = 32
	// maxOptions is how many headers a message's Connection headers may name:
	// each is looked for among all.
	maxOptions = 64
)

// Field is one header line, as offsets into the buffer that was parsed, so it
// stays true when the bytes move to a larger buffer.
type Field struct {
	Start, NameEnd  uint32 // name
	Value, ValueEnd uint32 // value without the white space around it
	End             uint32 // behind the line's CRLF
	ID              ID
	nominated       bool // by a Connection header: ends here
}

// head is the part that requests and responses share: header lines.
type head struct {
	// Fields are the header lines in order.
	Fields []Field

	store [40]Field // first room for Fields
	first int       // where the first header line starts
	pos   int       // start of the line being parsed
	scan  int       // next byte to look at, of a line that is incomplete
	colon int       // behind the name of a line whose value is incomplete; 0: there is none
	end   int       // size of the head when complete
}

func (h *head) reset() {
	if h.Fields == nil || cap(h.Fields) > MaxFields {
		h.Fields = h.store[:0]
	}
	h.Fields = h.Fields[:0]
	h.first, h.pos, h.scan, h.colon, h.end = 0, 0, 0, 0, 0
}

// begin sets the parser to the first header line.
func (h *head) begin(pos int) { h.first, h.pos = pos, pos }

// Len is the size of the complete head: the body starts there.
func (h *head) Len() int { return h.end }

// Name returns the name of a field as received.
func (f *Field) Name(buf []byte) []byte { return buf[f.Start:f.NameEnd] }

// Text returns the value of a field.
func (f *Field) Text(buf []byte) []byte { return buf[f.Value:f.ValueEnd] }

// Find returns the first field of a known header, nil if there is none.
func (h *head) Find(id ID) *Field {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			return &h.Fields[i]
		}
	}
	return nil
}

// Lookup returns the value of the first field with the given lower-case name
// made of letters, digits and '-'; nil if there is none.
func (h *head) Lookup(buf []byte, lower string) []byte {
	for i := range h.Fields {
		if f := &h.Fields[i]; equalFold(f.Name(buf), lower) {
			return f.Text(buf)
		}
	}
	return nil
}

// parseFields goes on with the header lines. It is called with the same bytes
// as before plus more.
func (h *head) parseFields(buf []byte) (done bool, err error) {
	n := len(buf)
	for {
		pos, colon, from := h.pos, h.colon, h.scan
		if colon == 0 {
			if pos >= n {
				return false, h.checkSize(n)
			}
			switch buf[pos] {
			case '\r':
				if pos+1 >= n {
					return false, nil
				}
				if buf[pos+1] != '\n' {
					return false, ErrBareCR
				}
				h.end = pos + 2
				return true, h.checkSize(pos)
			case '\n':
				return false, ErrBareLF
			case ' ', '\t':
				return false, ErrFold
			}
			colon = pos
			for colon < n && tchar[buf[colon]] {
				colon++
			}
			if colon-pos > maxName {
				return false, ErrFieldName
			}
			if colon >= n {
				return false, h.checkSize(n)
			}
			if buf[colon] != ':' || colon == pos {
				return false, badName(buf[colon])
			}
			from = colon + 1
		}
		i := endOfText(buf, from)
		if err := h.checkSize(i); err != nil {
			return false, err
		}
		if i+1 >= n && (i >= n || buf[i] == '\r') {
			h.colon, h.scan = colon, i
			return false, nil
		}
		switch buf[i] {
		case '\r':
			if buf[i+1] != '\n' {
				return false, ErrBareCR
			}
		case '\n':
			return false, ErrBareLF
		default:
			return false, ErrFieldValue
		}
		if len(h.Fields) >= MaxFields {
			return false, ErrTooManyFields
		}
		v, e := colon+1, i
		for v < e && (buf[v] == ' ' || buf[v] == '\t') {
			v++
		}
		for e > v && (buf[e-1] == ' ' || buf[e-1] == '\t') {
			e--
		}
		// Filled where it stays: a whole Field that was written piece by piece is slow
		// to copy.
		f := h.more()
		f.Start, f.NameEnd, f.ID, f.nominated = uint32(pos), uint32(colon), lookup(buf[pos:colon]), false
		f.Value, f.ValueEnd, f.End = uint32(v), uint32(e), uint32(i+2)
		h.pos, h.colon = i+2, 0
	}
}

// more makes Fields one longer and gives the new one, which holds anything.
func (h *head) more() *Field {
	n := len(h.Fields)
	if n < cap(h.Fields) {
		h.Fields = h.Fields[:n+1]
	} else {
		h.Fields = append(h.Fields, Field{})
	}
	return &h.Fields[n]
}

func (h *head) checkSize(pos int) error {
	if pos-h.first > MaxHeader {
		return ErrHeaderTooLarge
	}
	return nil
}

// badName tells why a byte cannot follow a header name.
func badName(c byte) error {
	switch c {
	case ' ', '\t':
		return ErrSpaceColon
	case '\r':
		return ErrBareCR
	case '\n':
		return ErrBareLF
	}
	return ErrFieldName
}

// connection reads one Connection value: what it says of persistence and
// upgrade, and whether it names further headers.
func (c *connOptions) add(value []byte) bool {
	for list := value; ; {
		token, rest, more := nextToken(list)
		if !more {
			return true
		}
		list = rest
		switch {
		case len(token) == 0:
		case equalFold(token, "close"):
			c.close = true
		case equalFold(token, "keep-alive"):
			c.keepAlive = true
		case equalFold(token, "upgrade"):
			c.upgrade = true
		case isToken(token) && c.others < maxOptions:
			c.others++
		default:
			return false
		}
	}
}

// connOptions is what the Connection headers of a message said together.
type connOptions struct {
	close, keepAlive, upgrade bool
	others                    int // how many headers they named
}

// nominate marks the fields that the Connection headers name.
func (h *head) nominate(buf []byte) {
	for i := range h.Fields {
		if h.Fields[i].ID != Connection {
			continue
		}
		list := h.Fields[i].Text(buf)
		for {
			token, rest, more := nextToken(list)
			if !more {
				break
			}
			list = rest
			for j := range h.Fields {
				f := &h.Fields[j]
				if mayNominate(f.ID) && sameFold(f.Name(buf), token) {
					f.nominated = true
				}
			}
		}
	}
}
