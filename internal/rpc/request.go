package rpc

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// input is what a request carries.
type input struct {
	query form   // parameters of the query
	all   form   // parameters of query and form body together
	body  []byte // as received, for the hash of V3
	v3    bool
}

// read takes in a request within the limits. Even with an error the input holds
// what was read, so that the format of the answer can be told.
func (h *Handler) read(r *http.Request) (in input, err error) {
	if len(r.URL.RawQuery) > h.opts.MaxURIBytes {
		return in, errURITooLong
	}
	in.query, err = parseForm(make(form, 0, 32), r.URL.RawQuery, h.opts.MaxParameters)
	in.query.sort()
	in.all = in.query
	in.v3 = isV3(r, in.query)
	if err != nil {
		return in, err
	}
	if in.body, err = h.readBody(r); err != nil || len(in.body) == 0 || !isForm(r) {
		return in, err
	}
	// The query stays as it is: V3 signs it apart from the body.
	in.all, err = parseForm(slices.Clone(in.query), string(in.body), h.opts.MaxParameters)
	in.all.sort()
	in.v3 = isV3(r, in.all)
	return in, err
}

// readBody reads the body whole. The connection is not used again after an
// oversized one, since the rest would have to be read first.
func (h *Handler) readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	limit := int64(h.opts.MaxBodyBytes)
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r.Body, limit+1)); err != nil {
		return nil, &cutShort{fmt.Errorf("read the body: %w", err)}
	}
	if int64(b.Len()) > limit {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

// cutShort is a body that did not come in full; that is the sender's doing.
type cutShort struct{ cause error }

func (c *cutShort) Error() string      { return c.cause.Error() }
func (c *cutShort) Unwrap() error      { return c.cause }
func (c *cutShort) APICode() string    { return "IncompleteBody" }
func (c *cutShort) APIMessage() string { return "The request body was not received in full." }
func (c *cutShort) HTTPStatus() int    { return http.StatusBadRequest }

// isForm reports whether the body holds parameters; without a type it is taken
// for a form, too.
func isForm(r *http.Request) bool {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	mediaType = strings.TrimSpace(mediaType)
	return mediaType == "" || strings.EqualFold(mediaType, "application/x-www-form-urlencoded")
}

// wantsJSON tells the form of the answer. The parameter Format decides, in any
// case. Without it V3 gets JSON unless XML is asked for in Accept, and V1 gets
// XML unless JSON is.
func (in *input) wantsJSON(r *http.Request) bool {
	format := in.all.get("Format")
	switch {
	case strings.EqualFold(format, "JSON"):
		return true
	case strings.EqualFold(format, "XML"):
		return false
	case in.v3:
		return accepts(r, "json") || !accepts(r, "xml")
	}
	return accepts(r, "json")
}

// accepts reports whether Accept names application/format or text/format.
func accepts(r *http.Request, format string) bool {
	for _, header := range r.Header["Accept"] {
		for part := range strings.SplitSeq(header, ",") {
			mediaType, _, _ := strings.Cut(part, ";")
			kind, sub, _ := strings.Cut(strings.TrimSpace(mediaType), "/")
			if strings.EqualFold(sub, format) && (strings.EqualFold(kind, "application") || strings.EqualFold(kind, "text")) {
				return true
			}
		}
	}
	return false
}
