package h1

import "strconv"

// RequestEdits is what changes in a request head on its way to the server.
type RequestEdits struct {
	// Drop are headers of the client that are not passed on, besides those that
	// end at the proxy anyway.
	Drop Mask
	// DropNames are further ones, in lower case; '_' in a name counts as '-'.
	DropNames []string
	// ForwardedFor is appended to the client's X-Forwarded-For list; empty
	// leaves that header as it came.
	ForwardedFor []byte
	// Lines are complete header lines to add, each with its CRLF.
	Lines []byte
	// MoreLines are further lines like Lines.
	MoreLines []byte
	// LastLine is a line like Lines that stands at the end of the head, where it
	// can be found again.
	LastLine []byte
	// SrcPort is the value of X-Forwarded-Client-srcport; empty: not sent.
	SrcPort []byte
	// CountHops writes the loop marker, one higher than it came.
	CountHops bool
	// CookieCuts are the bytes of Cookie's answer that are left out: pieces in their
	// order, each from its first byte to behind its last. The first empty one ends
	// them.
	CookieCuts [4][2]int
}

// AppendHead appends the head as the server is to see it. The line is in origin
// form, headers that end here are gone, the framing is written from what was
// understood. The version stays the client's: an HTTP/1.0 client cannot take
// what a server may say in HTTP/1.1, and its server connection is closed after
// the answer.
func (r *Request) AppendHead(dst, buf []byte, e *RequestEdits) []byte {
	drop := hopByHop | e.Drop | 1<<ContentLength
	if r.Minor == 0 {
		drop |= 1 << Expect
	}
	joinFor := len(e.ForwardedFor) > 0
	if joinFor {
		drop |= 1 << XForwardedFor
	}
	if e.CountHops {
		drop |= 1 << SLBHops
	}
	// Lines that stay are copied in runs; from is the start of the current run.
	from := int(r.methodStart)
	if r.authEnd > r.authority {
		dst = append(dst, r.Method(buf)...)
		dst = append(dst, ' ')
		switch {
		case r.path == r.targetEnd && string(r.Method(buf)) == "OPTIONS":
			dst = append(dst, '*')
		case r.path == r.targetEnd || buf[r.path] == '?':
			dst = append(dst, '/')
		}
		from = int(r.path)
	}
	end := r.first
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case drop.Has(f.ID) || f.nominated || len(e.DropNames) > 0 && isOneOf(f.Name(buf), e.DropNames):
			dst = append(dst, buf[from:end]...)
			from = int(f.End)
		case i == r.cookie:
			for _, cut := range e.CookieCuts {
				if cut[1] == 0 {
					break
				}
				dst = append(dst, buf[from:int(f.Value)+cut[0]]...)
				from = int(f.Value) + cut[1]
			}
		}
		end = int(f.End)
	}
	if from < end {
		dst = append(dst, buf[from:end]...)
	}
	if r.host < 0 && r.authEnd > r.authority {
		dst = append(dst, "Host: "...)
		dst = append(dst, buf[r.authority:r.authEnd]...)
		dst = append(dst, "\r\n"...)
	}
	if joinFor {
		dst = r.appendForwarded(dst, buf, e.ForwardedFor)
	}
	dst = append(dst, e.Lines...)
	dst = append(dst, e.MoreLines...)
	if len(e.SrcPort) > 0 {
		dst = append(dst, "X-Forwarded-Client-srcport: "...)
		dst = append(dst, e.SrcPort...)
		dst = append(dst, "\r\n"...)
	}
	if e.CountHops {
		dst = append(dst, "SLB-Hops: "...)
		dst = strconv.AppendInt(dst, int64(r.Hops+1), 10)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case r.Body == Chunks:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.Body == Length:
		dst = appendLength(dst, r.BodyLength)
	case r.length >= 0:
		dst = append(dst, "Content-Length: 0\r\n"...)
	}
	switch {
	case r.WebSocket:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case r.Minor == 0:
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, e.LastLine...)
	return append(dst, "\r\n"...)
}

func isOneOf(name []byte, lower []string) bool {
	for _, l := range lower {
		if equalDash(name, l) {
			return true
		}
	}
	return false
}

// appendForwarded writes one X-Forwarded-For line: the client's values in their
// order, then the peer.
func (r *Request) appendForwarded(dst, buf, peer []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	if r.forwarded > 0 {
		for i := range r.Fields {
			f := &r.Fields[i]
			if f.ID == XForwardedFor && f.ValueEnd > f.Value {
				dst = append(dst, f.Text(buf)...)
				dst = append(dst, ", "...)
			}
		}
	}
	dst = append(dst, peer...)
	return append(dst, "\r\n"...)
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

// ResponseEdits is what changes in a response head on its way to the client.
type ResponseEdits struct {
	// Lines are complete header lines to add: Server, Date.
	Lines []byte
	// Chunked: the body is sent in chunks.
	Chunked bool
	// Close and KeepAlive write the Connection header.
	Close, KeepAlive bool
	// SetCookie is a complete header line to add; an interim answer has none.
	SetCookie []byte
	// MarkCookie and Mark, when set, put Mark in front of the value wherever the
	// server sets the cookie of that name.
	MarkCookie string
	Mark       []byte
	// Vary says that the answer depends on Accept-Encoding.
	Vary bool
	// Gzip says that the body is compressed on its way: the length and ranges of
	// the server's are no longer true, and a strong ETag names other bytes.
	Gzip bool
}

// hidden are the server's headers that the load balancer answers for itself
// (listener FAQ of the vendor).
var hidden = Of(Date, Server, XPad, XAccelRedirect)

// AppendHead appends the head as the client is to see it, always as HTTP/1.1.
func (r *Response) AppendHead(dst, buf []byte, e *ResponseEdits) []byte {
	drop := hopByHop | hidden
	interim := r.Status < 200
	if interim {
		drop &^= hidden // an interim answer is passed on as it came
		drop |= 1 << ContentLength
	}
	if e.Chunked || r.Status == 204 {
		drop |= 1 << ContentLength
	}
	if e.Gzip {
		drop |= 1<<ContentLength | 1<<AcceptRanges
	}
	vary := e.Vary
	dst = append(dst, "HTTP/1.1 "...)
	from, end := 9, r.first
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case drop.Has(f.ID) || f.nominated:
			dst = append(dst, buf[from:end]...)
			from = int(f.End)
		case f.ID == SetCookie && len(e.Mark) > 0:
			if n := setsCookie(f.Text(buf), e.MarkCookie); n > 0 {
				dst = append(dst, buf[from:int(f.Value)+n]...)
				dst = append(dst, e.Mark...)
				from = int(f.Value) + n
			}
		case f.ID == ETag && e.Gzip:
			if buf[f.Value] == '"' {
				dst = append(dst, buf[from:f.Value]...)
				dst = append(dst, "W/"...)
				from = int(f.Value)
			}
		case f.ID == Vary && vary:
			vary = !lists(f.Text(buf), "accept-encoding") && !lists(f.Text(buf), "*")
		}
		end = int(f.End)
	}
	if from < end {
		dst = append(dst, buf[from:end]...)
	}
	if e.Gzip {
		dst = append(dst, "Content-Encoding: gzip\r\n"...)
	}
	if vary {
		dst = append(dst, "Vary: Accept-Encoding\r\n"...)
	}
	if !interim {
		dst = append(dst, e.Lines...)
	}
	if !interim || r.Status == 101 {
		dst = append(dst, e.SetCookie...)
	}
	if e.Chunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case r.Status == 101:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case interim:
	case e.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case e.KeepAlive:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// lists tells whether a comma-separated list has the token.
func lists(list []byte, lower string) bool {
	for {
		token, rest, more := nextToken(list)
		if !more {
			return false
		}
		if equalFold(token, lower) {
			return true
		}
		list = rest
	}
}

// setsCookie returns where the cookie's value begins in a Set-Cookie header,
// behind its quote if it has one; 0 if it sets another.
func setsCookie(text []byte, name string) int {
	i := 0
	for i < len(text) && text[i] != '=' && text[i] != ';' {
		i++
	}
	if i == len(text) || text[i] == ';' {
		return 0
	}
	end := i
	for end > 0 && (text[end-1] == ' ' || text[end-1] == '\t') {
		end--
	}
	if string(text[:end]) != name {
		return 0
	}
	for i++; i < len(text) && (text[i] == ' ' || text[i] == '\t'); i++ {
	}
	if i < len(text) && text[i] == '"' {
		i++ // a quote inside of a value is no client's to understand
	}
	return i
}
