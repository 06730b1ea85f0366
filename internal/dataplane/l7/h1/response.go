package h1

// Response is a parsed response head, reused like Request.
type Response struct {
	head

	Minor  uint8
	Status int
	// Body tells how the body ends; BodyLength counts for Length.
	Body       Framing
	BodyLength int64
	// Persistent: the server allows a further request on the connection.
	Persistent bool

	lineDone bool
	length   int // index of the Content-Length field, -1
}

// Reset makes r ready for another response.
func (r *Response) Reset() {
	r.head.reset()
	r.Minor, r.Status, r.Body, r.BodyLength = 0, 0, NoBody, 0
	r.Persistent, r.lineDone, r.length = false, false, -1
}

// Interim tells whether another response follows this one on the connection.
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// Announced is the Content-Length, also of an answer to HEAD; -1: there is none.
func (r *Response) Announced() int64 {
	if r.length < 0 {
		return -1
	}
	return r.BodyLength
}

// Asked is what the meaning of a response depends on.
type Asked struct {
	Head      bool // the method was HEAD
	WebSocket bool // an upgrade was asked for
}

// Parse reads the head at the start of buf, resumably as Request.Parse does.
// Any error means that the server's answer is of no use.
func (r *Response) Parse(buf []byte, asked Asked) (done bool, err error) {
	if !r.lineDone {
		done, err := r.parseLine(buf)
		if !done {
			return false, err
		}
	}
	if r.end == 0 {
		done, err := r.parseFields(buf)
		if !done || err != nil {
			return false, err
		}
		if err := r.settle(buf, asked); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Reason returns the status line from the code on, such as "200 OK".
func (r *Response) Reason(buf []byte) []byte { return buf[9 : r.first-2] }

// parseLine reads "HTTP/1.x nnn[ reason]" and its CRLF.
func (r *Response) parseLine(buf []byte) (bool, error) {
	const prefix = "HTTP/1."
	usual := 0 // how much of it is as mostly
	if len(buf) >= 9 && string(buf[:9]) == "HTTP/1.1 " {
		usual = 9
	}
	for i := usual; i < len(buf) && i < 13; i++ {
		c := buf[i]
		ok := false
		switch i {
		case 7:
			ok = c == '0' || c == '1'
		case 8:
			ok = c == ' '
		case 9:
			ok = c >= '1' && c <= '9'
		case 10, 11:
			ok = c >= '0' && c <= '9'
		case 12:
			ok = c == ' ' || c == '\r' // the space is missing in many servers' answers
		default:
			ok = c == prefix[i]
		}
		if !ok {
			return false, ErrStatusLine
		}
	}
	if len(buf) < 13 {
		return false, nil
	}
	i := endOfText(buf, max(12, r.scan))
	r.scan = i
	if i > 4096 {
		return false, ErrStatusLine
	}
	if i+1 >= len(buf) {
		return false, nil
	}
	if buf[i] != '\r' || buf[i+1] != '\n' {
		return false, ErrStatusLine
	}
	r.Minor = buf[7] - '0'
	r.Status = int(buf[9]-'0')*100 + int(buf[10]-'0')*10 + int(buf[11]-'0')
	r.begin(i + 2)
	r.lineDone = true
	return true, nil
}

// settle draws the conclusions from the complete head (RFC 9112 6.3).
func (r *Response) settle(buf []byte, asked Asked) error {
	var conn connOptions
	coding := -1
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.ID {
		case ContentLength:
			if r.length >= 0 {
				return ErrLengthRepeated
			}
			n, ok := parseLength(f.Text(buf))
			if !ok {
				return ErrLength
			}
			r.length, r.BodyLength = i, n
		case TransferEncoding:
			if coding >= 0 || !equalFold(f.Text(buf), "chunked") {
				return ErrCoding
			}
			coding = i
		case Connection:
			if !conn.add(f.Text(buf)) {
				return ErrConnection
			}
		}
	}
	if coding >= 0 && r.length >= 0 {
		return ErrTwoFramings
	}
	r.Persistent = r.Minor > 0 && !conn.close
	switch {
	case r.Status == 101:
		if !asked.WebSocket || r.Minor == 0 || !conn.upgrade || !r.switchesToWebSocket(buf) {
			return ErrSwitch
		}
		r.Body, r.Persistent = UntilClose, false
	case r.Status < 200 || r.Status == 204 || r.Status == 304 || asked.Head:
		r.Body = NoBody
	case coding >= 0:
		// An HTTP/1.0 server does this too; its connection is not used again.
		r.Body = Chunks
	case r.length >= 0:
		if r.BodyLength > 0 {
			r.Body = Length
		}
	default:
		r.Body, r.Persistent = UntilClose, false
	}
	if conn.others > 0 {
		r.nominate(buf)
	}
	return nil
}

// switchesToWebSocket tells whether the one protocol that was asked for, and no
// other, is what a 101 answer begins.
func (r *Response) switchesToWebSocket(buf []byte) bool {
	found := false
	for i := range r.Fields {
		if r.Fields[i].ID != Upgrade {
			continue
		}
		if found || !equalFold(r.Fields[i].Text(buf), "websocket") {
			return false
		}
		found = true
	}
	return found
}
