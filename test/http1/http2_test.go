package http1

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/openslb/openslb/internal/testutil"
)

// http2Entry is a request of HTTP/2 that is malformed, or that could become
// something else in HTTP/1.1, which has no lengths of frames.
type http2Entry struct {
	name, why string
	fields    []string // of the head, names and values in turn
	data      []string // a frame each; the last one ends the stream, if there are no trailers
	trailers  []string
	cut       bool // the client resets the stream in place of its end
	// want is the request that the server gets, without the field that says where
	// its body ends: that is ours, and the strict reader has seen to it.
	want string
	// late: what is wrong may come when the server has got it.
	late bool
}

// no is what comes of an entry that is refused: by 400, or by a reset of its
// stream.
const no = ""

// http2Corpus are the entries. What the server gets is written by us, with names
// in lower case.
func http2Corpus() []http2Entry {
	// A field of the same name in more takes the place of one of ours.
	ask := func(method string, more ...string) []string {
		all := []string{":method", method, ":scheme", "https", ":authority", "a", ":path", "/p"}
		for i := 0; i < len(more); i += 2 {
			replaced := false
			for k := 0; k < 8; k += 2 {
				if all[k] == more[i] {
					all[k+1], replaced = more[i+1], true
				}
			}
			if !replaced {
				all = append(all, more[i], more[i+1])
			}
		}
		return all
	}
	get := func(more ...string) []string { return ask("GET", more...) }
	post := func(more ...string) []string { return ask("POST", more...) }
	sees := func(line, host string, more ...string) string {
		return head(append([]string{line + " HTTP/1.1", "host: " + host}, more...)...)
	}
	plain, posted := sees("GET /p", "a"), sees("POST /p", "a")
	bad := func(name, why string, fields []string, data ...string) http2Entry {
		return http2Entry{name: name, why: why, fields: fields, data: data, want: no}
	}
	return []http2Entry{
		{name: "plain", why: "9113 8.3", fields: get(), want: plain},
		{name: "no body", why: "9113 8.1", fields: post(), want: posted},
		{name: "length", why: "9113 8.1.1", fields: post("content-length", "3"), data: []string{"abc"}, want: posted + "abc"},
		{name: "length, in pieces", why: "9113 6.1: frames mean nothing", fields: post("content-length", "3"), data: []string{"", "a", "", "bc", ""}, want: posted + "abc"},
		{name: "length, a request in the body", why: "counted, not read", fields: post("content-length", "33"), data: []string{hidden}, want: posted + hidden},
		{name: "no length", why: "9113 8.1: frames end it", fields: post(), data: []string{"abc"}, want: posted + "abc"},
		{name: "no length, like a last chunk", why: "counted, not read", fields: post(), data: []string{"0\r\n\r\n" + hidden}, want: posted + "0\r\n\r\n" + hidden},
		{name: "no length, a request in the body", why: "as above", fields: post(), data: []string{"ab", "\r\n0\r\n\r\n", hidden}, want: posted + "ab\r\n0\r\n\r\n" + hidden},
		{name: "body of a GET", why: "9110 9.3.1: no meaning, but an end", fields: get("content-length", "33"), data: []string{hidden}, want: plain + hidden},
		{name: "body of a GET, no length", why: "as above", fields: get(), data: []string{hidden}, want: plain + hidden},
		{name: "crumbs", why: "9113 8.2.3: one cookie", fields: get("cookie", "a=1", "cookie", "b=2"), want: sees("GET /p", "a", "cookie: a=1; b=2")},
		{name: "the same host", why: "9113 8.3.1", fields: get("host", "a"), want: plain},
		{name: "no authority", why: "9113 8.3.1: host in its place", fields: []string{":method", "GET", ":scheme", "https", ":path", "/p", "host", "a"}, want: plain},
		{name: "trailers", why: "9113 8.1: passed on, but what frames or routes", fields: post("te", "trailers"), data: []string{"abc"},
			trailers: []string{"x-sum", "7", "content-length", "33", "host", "b"}, want: posted + "abc\r\nx-sum: 7"},
		{name: "a coding in the trailers", why: "9113 8.2.2 would refuse it: it goes nowhere", fields: post(), data: []string{"abc"}, trailers: []string{"transfer-encoding", "chunked"}, want: posted + "abc"},

		bad("length too great", "9113 8.1.1", post("content-length", "5"), "abc"),
		bad("length too small", "the rest would be the next request", post("content-length", "3"), "abc"+hidden),
		{name: "length too small, in a frame of its own", why: "what is beyond the length goes nowhere", fields: post("content-length", "3"), data: []string{"abc", hidden}, want: posted + "abc", late: true},
		{name: "length zero", why: "as above", fields: post("content-length", "0"), data: []string{hidden}, want: posted, late: true},
		bad("length without a body", "9113 8.1.1", post("content-length", "3")),
		bad("two lengths", "the first here, the last there", post("content-length", "3", "content-length", "36"), "abc"),
		bad("two lengths alike", "may be merged; we refuse", post("content-length", "3", "content-length", "3"), "abc"),
		bad("list of lengths", "9110 8.6: digits", post("content-length", "3, 3"), "abc"),
		bad("signed length", "9110 8.6: digits", post("content-length", "+3"), "abc"),
		bad("length in hex", "9110 8.6: digits", post("content-length", "0x3"), "abc"),
		bad("empty length", "9110 8.6: digits", post("content-length", ""), "abc"),
		bad("length 2^64+3", "3 to who wraps around", post("content-length", "18446744073709551619"), "abc"),
		bad("length with a line", "9113 8.2.1", post("content-length", "3\r\nx: y"), "abc"),
		bad("underscore in the length", "a CGI-like server reads it", post("content_length", "33"), "abc"),
		bad("coding", "9113 8.2.2: the classic", post("transfer-encoding", "chunked"), "0\r\n\r\n"+hidden),
		bad("coding and length", "as above", post("transfer-encoding", "chunked", "content-length", "38"), "0\r\n\r\n"+hidden),
		bad("coding, identity", "9113 8.2.2", post("transfer-encoding", "identity"), "abc"),
		bad("coding in capitals", "9113 8.2.1: lower case", post("Transfer-Encoding", "chunked"), "0\r\n\r\n"+hidden),
		bad("coding with a space", "no token", post("transfer-encoding ", "chunked"), "0\r\n\r\n"+hidden),
		bad("coding with a colon", "no token", post("transfer-encoding:", "chunked"), "0\r\n\r\n"+hidden),
		bad("coding behind a colon", "no token", post("x:transfer-encoding", "chunked"), "0\r\n\r\n"+hidden),
		bad("underscore in the coding", "a CGI-like server reads it", post("transfer_encoding", "chunked"), "0\r\n\r\n"+hidden),
		bad("connection", "9113 8.2.2", get("connection", "transfer-encoding")),
		bad("keep-alive", "9113 8.2.2", get("keep-alive", "1")),
		bad("proxy-connection", "9113 8.2.2", get("proxy-connection", "keep-alive")),
		bad("upgrade", "9113 8.2.2", get("upgrade", "websocket")),
		bad("te: chunked", "9113 8.2.2", get("te", "chunked")),
		bad("a line in a value", "9113 8.2.1: request splitting", get("x", "y\r\n\r\n"+hidden)),
		bad("a header in a value", "9113 8.2.1", get("x", "y\r\ntransfer-encoding: chunked")),
		bad("LF in a value", "9113 8.2.1", get("x", "y\ntransfer-encoding: chunked")),
		bad("CR in a value", "9113 8.2.1", get("x", "y\rtransfer-encoding: chunked")),
		bad("NUL in a value", "9113 8.2.1", get("x", "y\x00z")),
		bad("a space before a value", "9113 8.2.1", get("x", " y")),
		bad("a tab behind a value", "9113 8.2.1", get("x", "y\t")),
		bad("a line in a name", "9113 8.2.1", get("x: y\r\nz", "w")),
		bad("LF in a name", "9113 8.2.1", get("x\ny", "z")),
		bad("a space in a name", "9113 8.2.1", get("x y", "z")),
		bad("a capital in a name", "9113 8.2.1", get("X", "y")),
		bad("DEL in a name", "9113 8.2.1", get("x\x7f", "y")),
		bad("a high byte in a name", "9113 8.2.1", get("x\xff", "y")),
		bad("no name", "9113 8.2.1", get("", "y")),
		bad("a line in the method", "request splitting", ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n"+hidden)),
		bad("a space in the method", "two words to HTTP/1.1", ask("GET /q")),
		bad("no method", "9113 8.3.1", ask("")),
		bad("a line in the path", "request splitting", get(":path", "/ HTTP/1.1\r\nhost: a\r\n\r\n"+hidden)),
		bad("a space in the path", "9112 3: it ends there", get(":path", "/p HTTP/1.1")),
		bad("a tab in the path", "a space to some", get(":path", "/p\tHTTP/1.1")),
		bad("a fragment in the path", "9110 7.1: never sent", get(":path", "/p#q")),
		bad("no path", "9113 8.3.1", get(":path", "")),
		bad("a relative path", "9113 8.3.1", get(":path", "p")),
		bad("an absolute path", "it would name another host", get(":path", "http://b/p")),
		bad("a star", "9110 7.1: OPTIONS alone", get(":path", "*")),
		bad("a line in the authority", "request splitting", get(":authority", "a\r\nx: y")),
		bad("a space in the authority", "no host", get(":authority", "a b")),
		bad("a user in the authority", "9113 8.3.1: must not", get(":authority", "u@a")),
		bad("a path in the authority", "no host", get(":authority", "a/b")),
		bad("another host", "routed here, served there", get("host", "b")),
		bad("two hosts", "as above", get("host", "a", "host", "b")),
		bad("no host at all", "9112 3.2", []string{":method", "GET", ":scheme", "https", ":path", "/p"}),
		bad("a line in the scheme", "9113 8.3.1", get(":scheme", "https\r\nx: y")),
		bad("an unknown pseudo-header", "9113 8.3", get(":x", "y")),
		bad("a pseudo-header of answers", "9113 8.3", get(":status", "200")),
		bad("two paths", "9113 8.3", append(get(), ":path", "/q")),
		bad("a pseudo-header behind a header", "9113 8.3", append([]string{"x", "y"}, get()...)),
		bad("CONNECT", "no tunnel through a reverse proxy", []string{":method", "CONNECT", ":authority", "a:80"}),
		bad("TRACE", "9110 9.3.8: it tells what is not the client's", ask("TRACE")),
		{name: "a pseudo-header in the trailers", why: "9113 8.1", fields: post(), data: []string{"abc"}, trailers: []string{":path", "/q"}, want: no},
		{name: "a line in the trailers", why: "9113 8.2.1", fields: post(), data: []string{"abc"}, trailers: []string{"x", "y\r\n\r\n" + hidden}, want: no},
		{name: "a capital in the trailers", why: "9113 8.2.1", fields: post(), data: []string{"abc"}, trailers: []string{"X", "y"}, want: no},
		{name: "cut in the body", why: "what is left must be none", fields: post("content-length", "36"), data: []string{"abc"}, cut: true, want: no},
		{name: "cut in chunks", why: "as above", fields: post(), data: []string{"abc"}, cut: true, want: no},
		{name: "cut behind the head", why: "as above", fields: post("content-length", "33"), cut: true, want: no},
	}
}

// TestHTTP2 sends each entry on a stream, and a harmless request on the next one
// of the same connection. The server gets what is wanted of the first, or no whole
// request, and the second as it is: on a connection of its own, and on one that
// the first has been on.
func TestHTTP2(t *testing.T) {
	testutil.NoLeaks(t)
	t.Run("all", func(t *testing.T) { // ends when both of the parallel ones have
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprintf("kept %v", keep), func(t *testing.T) {
				t.Parallel()
				rec := newRecorder(t)
				rec.set(keep, welcome)
				p := openSLB(t, ways[2], rec.addr)
				for _, e := range http2Corpus() {
					if keep && e.cut {
						continue // when it comes is not known
					}
					c, err := p.dialHTTP2()
					if err != nil {
						t.Fatal(err)
					}
					if err := c.try(&e, gather(t, rec)); err != nil {
						t.Errorf("%s: %v\nreason: %s", e.name, err, e.why)
						c.Close()
						rec.take(t) // which is not the next one's
					}
				}
			})
		}
	})
}

// http2Conn is a client that says what it is told to.
type http2Conn struct {
	*tls.Conn
	fr   *http2.Framer
	code bytes.Buffer
	enc  *hpack.Encoder
}

func (p *proxy) dialHTTP2() (*http2Conn, error) {
	s, err := p.dial("h2")
	if err != nil {
		return nil, err
	}
	c := &http2Conn{Conn: s.(*tls.Conn)}
	c.fr, c.enc = http2.NewFramer(c, c), hpack.NewEncoder(&c.code)
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(c, http2.ClientPreface)
	return c, errors.Join(err, c.fr.WriteSettings())
}

func (c *http2Conn) head(id uint32, end bool, fields []string) error {
	c.code.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.code.Bytes(), EndStream: end, EndHeaders: true})
}

// try sends the entry and what follows it, and compares what comes of them.
func (c *http2Conn) try(e *http2Entry, gathered func() *outcome) error {
	statuses := []int{200}
	switch {
	case e.want == no:
		statuses = []int{0, 400, 405}
	case e.late:
		statuses = []int{0, 200}
	}
	ended := !e.cut && len(e.trailers) == 0
	if err := c.head(1, ended && len(e.data) == 0, e.fields); err != nil {
		return err
	}
	for i, d := range e.data {
		if err := c.fr.WriteData(1, ended && i == len(e.data)-1, []byte(d)); err != nil {
			return err
		}
	}
	if len(e.trailers) > 0 {
		if err := c.head(1, true, e.trailers); err != nil {
			return err
		}
	}
	if e.cut {
		if err := c.fr.WriteRSTStream(1, http2.ErrCodeCancel); err != nil {
			return err
		}
	} else if status, err := c.answer(1); err != nil {
		return err
	} else if !slices.Contains(statuses, status) {
		return fmt.Errorf("answer %d", status)
	}
	if err := c.head(3, true, []string{":method", "GET", ":scheme", "https", ":authority", "s", ":path", "/sentinel"}); err != nil {
		return err
	}
	if status, err := c.answer(3); err != nil || status != 200 {
		return fmt.Errorf("the next request: answer %d, %w", status, err)
	}
	c.Close()
	o, want := gathered(), []string{head("GET /sentinel HTTP/1.1", "host: s")}
	if e.late { // and its connection to the server may be slower than the next one
		slices.SortStableFunc(o.sees, func(a, b *request) int { return strings.Compare(a.target, b.target) })
	}
	if e.want != no && !(e.late && len(o.sees) == 1) {
		want = append([]string{e.want}, want...)
	}
	return o.sawOnly(want, e.want == no || e.late, "SLB-Hops:", "Content-Length:", "Transfer-Encoding:")
}

// answer gives the status of a stream when it has ended; 0: it was reset.
func (c *http2Conn) answer(id uint32) (status int, err error) {
	c.SetDeadline(time.Now().Add(patience))
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			return 0, err
		}
		if f.Header().StreamID != id {
			if g, ok := f.(*http2.GoAwayFrame); ok {
				return 0, fmt.Errorf("the connection ends: %v %s", g.ErrCode, g.DebugData())
			}
			continue
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			return 0, nil
		case *http2.MetaHeadersFrame:
			if _, err := fmt.Sscan(f.PseudoValue("status"), &status); err != nil {
				return 0, err
			}
			if f.StreamEnded() {
				return status, nil
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				return status, nil
			}
		}
	}
}

// TestHTTP2CorpusIsSound: names are unique and reasons given, and what is expected
// at the server is what a strict reader reads.
func TestHTTP2CorpusIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range http2Corpus() {
		if e.name == "" || e.why == "" || seen[e.name] || len(e.fields)%2+len(e.trailers)%2 > 0 {
			t.Errorf("entry %q (%s): no name, no reason, not the first of its name, or a name without a value", e.name, e.why)
		}
		seen[e.name] = true
		if e.want != no && !strings.Contains(e.want, "\r\n\r\n") {
			t.Errorf("entry %q expects %q", e.name, e.want)
		}
	}
	if len(seen) < 80 {
		t.Errorf("only %d entries", len(seen))
	}
}
