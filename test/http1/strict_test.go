package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// request is one request as a reader understood it.
type request struct {
	method, target, version string
	fields                  []string // "Name: value", as they came
	body                    string   // free of the chunked coding
	trailers                []string
	chunked                 bool
}

// String is the request in one spelling: the coding of the body does not show,
// since a proxy may cut chunks as it likes.
func (r *request) String() string {
	return r.method + " " + r.target + " " + r.version + "\r\n" + strings.Join(append(append(r.fields, "", r.body), r.trailers...), "\r\n")
}

// get returns the values of a field.
func (r *request) get(name string) []string {
	var all []string
	for _, f := range r.fields {
		if n, v, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			all = append(all, strings.Trim(v, " \t"))
		}
	}
	return all
}

// readStrictly takes what a server got on one connection apart by the letter of
// RFC 9112, and shares no code with the proxy. What is not one request behind
// another is an error, with the requests before it.
func readStrictly(b []byte) (all []*request, err error) {
	for len(b) > 0 {
		r, n, err := readRequest(b)
		if err != nil {
			return all, fmt.Errorf("%w: %.200q", err, b)
		}
		all, b = append(all, r), b[n:]
	}
	return all, nil
}

// errShort is a message that is not complete.
var errShort = errors.New("the message has no end")

// takeLine cuts a line, which must end with CRLF and have no other control
// character but tabs in it.
func takeLine(b []byte) (line string, rest []byte, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return "", nil, errShort
	}
	if i == 0 || b[i-1] != '\r' {
		return "", nil, errors.New("LF without CR")
	}
	for _, c := range b[:i-1] {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return "", nil, fmt.Errorf("control character %#x", c)
		}
	}
	return string(b[:i-1]), b[i+1:], nil
}

func isToken(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

func readRequest(b []byte) (r *request, size int, err error) {
	line, rest, err := takeLine(b)
	if err != nil {
		return nil, 0, err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !isToken(parts[0]) || parts[1] == "" || parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0" {
		return nil, 0, fmt.Errorf("request line %q", line)
	}
	r = &request{method: parts[0], target: parts[1], version: parts[2]}
	if strings.ContainsAny(r.target, "\t#") || r.target[0] != '/' && !(r.target == "*" && r.method == "OPTIONS") && !strings.HasPrefix(r.target, "http://") && !strings.HasPrefix(r.target, "https://") {
		return nil, 0, fmt.Errorf("target %q", r.target)
	}
	if r.fields, rest, err = takeFields(rest); err != nil {
		return nil, 0, err
	}
	if hosts := r.get("Host"); len(hosts) > 1 || len(hosts) == 0 && r.version == "HTTP/1.1" {
		return nil, 0, fmt.Errorf("%d Host headers", len(hosts))
	}
	rest, err = r.takeBody(rest, r.get("Content-Length"), r.get("Transfer-Encoding"))
	return r, len(b) - len(rest), err
}

// takeFields cuts the header section with its end.
func takeFields(b []byte) (fields []string, rest []byte, err error) {
	for {
		var line string
		if line, b, err = takeLine(b); err != nil {
			return nil, nil, err
		}
		if line == "" {
			return fields, b, nil
		}
		name, _, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, nil, fmt.Errorf("header line %q", line)
		}
		fields = append(fields, line)
	}
}

// takeBody cuts a body that one of two fields, and not both, gives an end.
func (r *request) takeBody(b []byte, lengths, codings []string) (rest []byte, err error) {
	switch {
	case len(lengths)+len(codings) > 1:
		return nil, fmt.Errorf("Content-Length %q, Transfer-Encoding %q", lengths, codings)
	case len(codings) == 1:
		if !strings.EqualFold(codings[0], "chunked") {
			return nil, fmt.Errorf("Transfer-Encoding %q", codings[0])
		}
		r.chunked = true
		return r.takeChunks(b)
	case len(lengths) == 1:
		if strings.Trim(lengths[0], "0123456789") != "" {
			return nil, fmt.Errorf("Content-Length %q", lengths[0])
		}
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return nil, err
		}
		if uint64(len(b)) < n {
			return nil, errShort
		}
		r.body = string(b[:n])
		return b[n:], nil
	}
	return b, nil
}

// takeChunks cuts a chunked body. Extensions are errors: the proxy has nothing to
// say in them.
func (r *request) takeChunks(b []byte) (rest []byte, err error) {
	for {
		line, rest, err := takeLine(b)
		if err != nil {
			return nil, err
		}
		if line == "" || strings.Trim(line, "0123456789abcdefABCDEF") != "" {
			return nil, fmt.Errorf("chunk size %q", line)
		}
		n, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			r.trailers, rest, err = takeFields(rest)
			return rest, err
		}
		if uint64(len(rest)) < n+2 {
			return nil, errShort
		}
		if string(rest[n:n+2]) != "\r\n" {
			return nil, fmt.Errorf("chunk ends with %q", rest[n:n+2])
		}
		r.body += string(rest[:n])
		b = rest[n+2:]
	}
}

// readLikeNetHTTP is readStrictly by another's reader, which is lenient where
// servers usually are.
func readLikeNetHTTP(b []byte) (all []*request, err error) {
	br := bufio.NewReader(bytes.NewReader(b))
	for {
		if _, err := br.Peek(1); err != nil {
			return all, nil
		}
		h, err := http.ReadRequest(br)
		if err != nil {
			return all, err
		}
		body, err := io.ReadAll(h.Body)
		if err != nil {
			return all, err
		}
		all = append(all, &request{method: h.Method, target: h.RequestURI, version: h.Proto, body: string(body), chunked: len(h.TransferEncoding) > 0})
	}
}

// agree tells what two readers of the same bytes see differently; "" if nothing.
func agree(a, b []*request) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d requests and %d", len(a), len(b))
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.method != y.method || x.target != y.target || x.version != y.version || x.body != y.body || x.chunked != y.chunked {
			return fmt.Sprintf("%q and %q", x, y)
		}
	}
	return ""
}
