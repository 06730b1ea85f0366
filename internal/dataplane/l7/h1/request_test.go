package h1

import (
	"errors"
	"strings"
	"testing"
)

// get completes a request of a line and headers.
func get(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

var goodRequests = []struct {
	name, in   string
	host, path string
	body       Framing
	length     int64
	persistent bool
	out        string // as the server sees it, without edits
}{
	{"plain", get("GET / HTTP/1.1", "Host: a"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a")},
	{"leading empty line", "\r\n" + get("GET / HTTP/1.1", "Host: a"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a")},
	{"query", get("GET /a?b=c HTTP/1.1", "Host: a:8080"), "a:8080", "/a?b=c", NoBody, 0, true, get("GET /a?b=c HTTP/1.1", "Host: a:8080")},
	{"ipv6 host", get("GET / HTTP/1.1", "Host: [::1]:80"), "[::1]:80", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: [::1]:80")},
	{"utf-8 path and value", get("GET /\xc3\xa4 HTTP/1.1", "Host: a", "X: \xc3\xa4\tb"), "a", "/\xc3\xa4", NoBody, 0, true, get("GET /\xc3\xa4 HTTP/1.1", "Host: a", "X: \xc3\xa4\tb")},
	{"ipv6 host with letters", get("GET / HTTP/1.1", "Host: [fA::a0F9]:90"), "[fA::a0F9]:90", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: [fA::a0F9]:90")},
	{"1.0", get("GET / HTTP/1.0"), "", "/", NoBody, 0, false, get("GET / HTTP/1.0", "Connection: close")},
	{"1.0 keep-alive", get("GET / HTTP/1.0", "Connection: Keep-Alive"), "", "/", NoBody, 0, true, get("GET / HTTP/1.0", "Connection: close")},
	{"close", get("GET / HTTP/1.1", "Host: a", "Connection: close"), "a", "/", NoBody, 0, false, get("GET / HTTP/1.1", "Host: a")},
	{"length", get("POST /p HTTP/1.1", "Host: a", "Content-Length: 12"), "a", "/p", Length, 12, true, get("POST /p HTTP/1.1", "Host: a", "Content-Length: 12")},
	{"length zero", get("POST /p HTTP/1.1", "Host: a", "Content-Length: 00"), "a", "/p", NoBody, 0, true, get("POST /p HTTP/1.1", "Host: a", "Content-Length: 0")},
	{"length in the middle", get("POST /p HTTP/1.1", "content-length:  007 ", "Host: a"), "a", "/p", Length, 7, true, get("POST /p HTTP/1.1", "Host: a", "Content-Length: 7")},
	{"chunked", get("POST /p HTTP/1.1", "Host: a", "Transfer-Encoding: Chunked"), "a", "/p", Chunks, 0, true, get("POST /p HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")},
	{"absolute", get("GET http://a/x?y HTTP/1.1", "Host: A"), "a", "/x?y", NoBody, 0, true, get("GET /x?y HTTP/1.1", "Host: A")},
	{"absolute without path", get("GET http://a HTTP/1.1", "Host: a"), "a", "", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a")},
	{"absolute with query only", get("GET http://a?q HTTP/1.1", "Host: a"), "a", "?q", NoBody, 0, true, get("GET /?q HTTP/1.1", "Host: a")},
	{"absolute 1.0 without Host", get("GET http://a/ HTTP/1.0"), "a", "/", NoBody, 0, false, get("GET / HTTP/1.0", "Host: a", "Connection: close")},
	{"options for the server", get("OPTIONS * HTTP/1.1", "Host: a"), "a", "*", NoBody, 0, true, get("OPTIONS * HTTP/1.1", "Host: a")},
	{"options absolute", get("OPTIONS http://a HTTP/1.1", "Host: a"), "a", "", NoBody, 0, true, get("OPTIONS * HTTP/1.1", "Host: a")},
	{"odd method", get("M-SEARCH / HTTP/1.1", "Host: a"), "a", "/", NoBody, 0, true, get("M-SEARCH / HTTP/1.1", "Host: a")},
	{"hop-by-hop", get("GET / HTTP/1.1", "Keep-Alive: 5", "Host: a", "TE: trailers", "A: 1", "Proxy-Connection: x", "Trailer: y", "B: 2", "HTTP2-Settings: z"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a", "A: 1", "B: 2")},
	{"nominated", get("GET / HTTP/1.1", "Foo: 1", "Host: a", "Connection: foo, ,keep-alive,BAR", "bar: 2", "Baz: 3"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a", "Baz: 3")},
	{"nominating what must stay", get("POST / HTTP/1.1", "Host: a", "Connection: host, content-length, x-forwarded-for, cookie, authorization, slb-ip", "Content-Length: 3", "X-Forwarded-For: 9", "Cookie: c", "Authorization: d", "SLB_IP: e"), "a", "/", Length, 3, true, get("POST / HTTP/1.1", "Host: a", "X-Forwarded-For: 9", "Cookie: c", "Authorization: d", "SLB_IP: e", "Content-Length: 3")},
	{"h2c is not passed on", get("GET / HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a")},
	{"websocket", get("GET / HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: k"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a", "Sec-WebSocket-Key: k", "Connection: Upgrade", "Upgrade: websocket")},
	{"websocket first", get("GET / HTTP/1.1", "Upgrade: websocket", "Connection: upgrade", "Host: a"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websocket")},
	{"websocket beside another", get("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a")},
	{"expect", get("PUT / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-Continue"), "a", "/", Length, 1, true, get("PUT / HTTP/1.1", "Host: a", "Expect: 100-Continue", "Content-Length: 1")},
	{"empty value", get("GET / HTTP/1.1", "Host: a", "X:", "Y:   "), "a", "/", NoBody, 0, true, get("GET / HTTP/1.1", "Host: a", "X:", "Y:   ")},
}

func parseRequest(in string) (*Request, bool, error) {
	r := new(Request)
	r.Reset()
	done, err := r.Parse([]byte(in))
	return r, done, err
}

func TestRequest(t *testing.T) {
	for _, c := range goodRequests {
		t.Run(c.name, func(t *testing.T) {
			buf := []byte(c.in + "rest")
			r, done, err := parseRequest(string(buf))
			if !done || err != nil {
				t.Fatalf("done %v, %v", done, err)
			}
			if r.Len() != len(c.in) {
				t.Errorf("head of %d bytes, want %d", r.Len(), len(c.in))
			}
			if h := string(r.Host(buf)); h != c.host {
				t.Errorf("host %q, want %q", h, c.host)
			}
			if p := string(r.Target(buf)); p != c.path {
				t.Errorf("target %q, want %q", p, c.path)
			}
			if r.Body != c.body || r.BodyLength != c.length || r.Persistent != c.persistent {
				t.Errorf("body %v of %d, persistent %v", r.Body, r.BodyLength, r.Persistent)
			}
			if out := string(r.AppendHead(nil, buf, &RequestEdits{})); out != c.out {
				t.Errorf("rewritten:\n%s\nwant:\n%s", out, c.out)
			}
			// What was written is understood in the same way again.
			again, done, err := parseRequest(c.out)
			if !done || err != nil || again.Body != r.Body || again.BodyLength != r.BodyLength {
				t.Errorf("second reading: done %v, %v, body %v of %d", done, err, again.Body, again.BodyLength)
			}
		})
	}
	if r, _, _ := parseRequest(goodRequests[len(goodRequests)-2].in); !r.Expect100 {
		t.Error("expectation not seen")
	}
}

// badRequests are malformed or ambiguous. Each is refused with the given error
// however its bytes are cut.
var badRequests = []struct {
	name, in string
	err      *Error
}{
	{"length and coding", get("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"), ErrTwoFramings},
	{"coding and length", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 5"), ErrTwoFramings},
	{"two lengths", get("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6"), ErrLengthRepeated},
	{"length before coding, both first", get("POST / HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked", "Host: a"), ErrTwoFramings},
	{"coding before length, both first", get("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 5", "Host: a"), ErrTwoFramings},
	{"two lengths first", get("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 6", "Host: a"), ErrLengthRepeated},
	{"coding twice first", get("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Host: a"), ErrCoding},
	{"two equal lengths", get("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 5"), ErrLengthRepeated},
	{"length list", get("POST / HTTP/1.1", "Host: a", "Content-Length: 5, 5"), ErrLength},
	{"signed length", get("POST / HTTP/1.1", "Host: a", "Content-Length: +5"), ErrLength},
	{"negative length", get("POST / HTTP/1.1", "Host: a", "Content-Length: -5"), ErrLength},
	{"hex length", get("POST / HTTP/1.1", "Host: a", "Content-Length: 0x5"), ErrLength},
	{"empty length", get("POST / HTTP/1.1", "Host: a", "Content-Length:"), ErrLength},
	{"spaced length", get("POST / HTTP/1.1", "Host: a", "Content-Length: 1 2"), ErrLength},
	{"huge length", get("POST / HTTP/1.1", "Host: a", "Content-Length: 9999999999999999999"), ErrLength},
	{"coding list", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked"), ErrCoding},
	{"coding twice", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), ErrCoding},
	{"coding identity", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: identity"), ErrCoding},
	{"coding xchunked", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: xchunked"), ErrCoding},
	{"coding quoted", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: \"chunked\""), ErrCoding},
	{"coding with vertical tab", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: \x0bchunked"), ErrFieldValue},
	{"coding empty", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:"), ErrCoding},
	{"coding chunked,", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked,"), ErrCoding},
	{"coding in 1.0", get("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"), ErrCodingVersion},
	{"fold", get("POST / HTTP/1.1", "Host: a", "X: 1", " Content-Length: 5"), ErrFold},
	{"fold by tab", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:", "\tchunked"), ErrFold},
	{"fold at once", get("GET / HTTP/1.1", " Host: a"), ErrFold},
	{"space before colon", get("POST / HTTP/1.1", "Host: a", "Content-Length : 5"), ErrSpaceColon},
	{"tab before colon", get("POST / HTTP/1.1", "Host: a", "Transfer-Encoding\t: chunked"), ErrSpaceColon},
	{"no colon", get("GET / HTTP/1.1", "Host: a", "Foo"), ErrBareCR},
	{"no name", get("GET / HTTP/1.1", "Host: a", ": x"), ErrFieldName},
	{"slash in name", get("GET / HTTP/1.1", "Host: a", "Fo/o: x"), ErrFieldName},
	{"nul in name", get("GET / HTTP/1.1", "Host: a", "Fo\x00o: x"), ErrFieldName},
	{"high byte in name", get("GET / HTTP/1.1", "Host: a", "F\xc3\xb6: x"), ErrFieldName},
	{"nul in value", get("GET / HTTP/1.1", "Host: a", "X: a\x00b"), ErrFieldValue},
	{"del in value", get("GET / HTTP/1.1", "Host: a", "X: abcdefghijkl\x7fb"), ErrFieldValue},
	{"bare CR in value", get("GET / HTTP/1.1", "Host: a", "X: a\rContent-Length: 5"), ErrBareCR},
	{"bare LF in value", get("GET / HTTP/1.1", "Host: a", "X: a\nContent-Length: 5"), ErrBareLF},
	{"bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", ErrBareLF},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", ErrBareLF},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", ErrBareCR},
	{"CR at the end", "GET / HTTP/1.1\r\nHost: a\r\n\rX", ErrBareCR},
	{"no host", get("GET / HTTP/1.1"), ErrHostMissing},
	{"empty host", get("GET / HTTP/1.1", "Host:"), ErrHost},
	{"two hosts", get("GET / HTTP/1.1", "Host: a", "Host: b"), ErrHostRepeated},
	{"two equal hosts", get("GET / HTTP/1.1", "Host: a", "Host: a"), ErrHostRepeated},
	{"two hosts in 1.0", get("GET / HTTP/1.0", "Host: a", "Host: a"), ErrHostRepeated},
	{"host list", get("GET / HTTP/1.1", "Host: a,b"), ErrHost},
	{"host with space", get("GET / HTTP/1.1", "Host: a b"), ErrHost},
	{"host with path", get("GET / HTTP/1.1", "Host: a/b"), ErrHost},
	{"host with user", get("GET / HTTP/1.1", "Host: u@a"), ErrHost},
	{"host with bad port", get("GET / HTTP/1.1", "Host: a:8a"), ErrHost},
	{"host with long port", get("GET / HTTP/1.1", "Host: a:123456"), ErrHost},
	{"host open bracket", get("GET / HTTP/1.1", "Host: [::1"), ErrHost},
	{"absolute and other host", get("GET http://a/ HTTP/1.1", "Host: b"), ErrHostMismatch},
	{"absolute without host", get("GET http://a/ HTTP/1.1"), ErrHostMissing},
	{"absolute with user", get("GET http://u@a/ HTTP/1.1", "Host: a"), ErrTarget},
	{"absolute other scheme", get("GET ftp://a/ HTTP/1.1", "Host: a"), ErrTarget},
	{"absolute other scheme of seven bytes", get("GET httpx://a/ HTTP/1.1", "Host: a"), ErrTarget},
	{"absolute that names a host behind another", get("GET ws://xx/a.test HTTP/1.1", "Host: /a.test"), ErrTarget},
	{"seven bytes and a host", get("GET gopher:a.test/ HTTP/1.1", "Host: a.test"), ErrTarget},
	{"star and more", get("OPTIONS *x HTTP/1.1", "Host: a"), ErrTarget},
	{"IPv6 with another letter", get("GET / HTTP/1.1", "Host: [::g]"), ErrHost},
	{"empty brackets", get("GET / HTTP/1.1", "Host: []"), ErrHost},
	{"absolute empty authority", get("GET http:///x HTTP/1.1", "Host: a"), ErrTarget},
	{"no slash", get("GET x HTTP/1.1", "Host: a"), ErrTarget},
	{"star for GET", get("GET * HTTP/1.1", "Host: a"), ErrTarget},
	{"fragment", get("GET /a#b HTTP/1.1", "Host: a"), ErrTarget},
	{"control in target", get("GET /a\x01 HTTP/1.1", "Host: a"), ErrTarget},
	{"tab in target", get("GET /a\tb HTTP/1.1", "Host: a"), ErrTarget},
	{"two spaces", get("GET  / HTTP/1.1", "Host: a"), ErrTarget},
	{"space in target", get("GET /a b HTTP/1.1", "Host: a"), ErrVersion},
	{"trailing space", get("GET / HTTP/1.1 ", "Host: a"), ErrVersion},
	{"0.9", "GET /\r\n", ErrVersion},
	{"version lower case", get("GET / http/1.1", "Host: a"), ErrVersion},
	{"version 1.2", get("GET / HTTP/1.2", "Host: a"), ErrVersionUnknown},
	{"version 2.0", get("GET / HTTP/2.0", "Host: a"), ErrVersionUnknown},
	{"version 1.10", get("GET / HTTP/1.10", "Host: a"), ErrVersion},
	{"version 11.1", get("GET / HTTP/11.1", "Host: a"), ErrVersion},
	{"lower-case method", get("get / HTTP/1.1", "Host: a"), ErrMethod},
	{"method with colon", get("GE:T / HTTP/1.1", "Host: a"), ErrMethod},
	{"long method", strings.Repeat("A", 40) + " / HTTP/1.1\r\n", ErrMethod},
	{"space in front", " " + get("GET / HTTP/1.1", "Host: a"), ErrMethod},
	{"two empty lines", "\r\n\r\n" + get("GET / HTTP/1.1", "Host: a"), ErrMethod},
	{"CR in front", "\r" + get("GET / HTTP/1.1", "Host: a"), ErrBareCR},
	{"LF in front", "\n" + get("GET / HTTP/1.1", "Host: a"), ErrMethod},
	{"trace", get("TRACE / HTTP/1.1", "Host: a"), ErrNotAllowed},
	{"connect", get("CONNECT a:443 HTTP/1.1", "Host: a:443"), ErrNotAllowed},
	{"malformed connection", get("GET / HTTP/1.1", "Host: a", "Connection: a b"), ErrConnection},
	{"percent alone", get("GET /a% HTTP/1.1", "Host: a"), ErrTarget},
	{"percent without digits", get("GET /%2g?x HTTP/1.1", "Host: a"), ErrTarget},
	{"encoded NUL", get("GET /a%00 HTTP/1.1", "Host: a"), ErrTarget},
	{"percent in the host", get("GET / HTTP/1.1", "Host: a%2eb"), ErrHost},
	{"port beyond 65535", get("GET / HTTP/1.1", "Host: a:65536"), ErrHost},
	{"length with an underscore", get("GET / HTTP/1.1", "Host: a", "Content_Length: 5"), ErrFieldName},
	{"coding with an underscore", get("GET / HTTP/1.1", "Host: a", "Transfer_Encoding: chunked"), ErrFieldName},
	{"many connection options", get("GET / HTTP/1.1", "Host: a", "Connection: "+strings.Repeat("a,", maxOptions)+"b"), ErrConnection},
	{"long target", get("GET /"+strings.Repeat("a", MaxURI)+" HTTP/1.1", "Host: a"), ErrURITooLong},
	{"long header", get("GET / HTTP/1.1", "Host: a", "X: "+strings.Repeat("a", MaxHeader)), ErrHeaderTooLarge},
	{"long name", get("GET / HTTP/1.1", "Host: a", strings.Repeat("a", 300)+": x"), ErrFieldName},
	{"many headers", get("GET / HTTP/1.1", strings.Repeat("a:\r\n", MaxFields+1)+"Host: a"), ErrTooManyFields},
	{"tls hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ErrMethod},
}

func TestBadRequest(t *testing.T) {
	for _, c := range badRequests {
		t.Run(c.name, func(t *testing.T) {
			_, done, err := parseRequest(c.in)
			if done || !errors.Is(err, c.err) {
				t.Errorf("done %v, error %v, want %v", done, err, c.err)
			}
		})
	}
}

func TestRequestEdits(t *testing.T) {
	in := []byte(get("GET / HTTP/1.1", "x-forwarded-for: 1.1.1.1", "Host: a", "X-Forwarded-For:  2.2.2.2 ", "SLB-ID: fake", "slb_id: fake",
		"X-Forwarded-Proto: gopher", "SLB-Hops: 3", "Z: z"))
	r, done, err := parseRequest(string(in))
	if !done || err != nil {
		t.Fatal(done, err)
	}
	e := RequestEdits{Drop: Of(SLBID), ForwardedFor: []byte("3.3.3.3"), Lines: []byte("SLB-ID: lb-1\r\n"), SrcPort: []byte("99"), CountHops: true}
	want := get("GET / HTTP/1.1", "Host: a", "X-Forwarded-Proto: gopher", "Z: z", "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3",
		"SLB-ID: lb-1", "X-Forwarded-Client-srcport: 99", "SLB-Hops: 4")
	if out := string(r.AppendHead(nil, in, &e)); out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
	if v := string(r.Lookup(in, "z")); v != "z" {
		t.Errorf("lookup gave %q", v)
	}
}

// TestNamedDrops: headers may be dropped by name too, in which '_' is a '-'.
func TestNamedDrops(t *testing.T) {
	in := []byte(get("GET / HTTP/1.1", "Host: a", "X-Client-Dn: 1", "x_client_dn: 2", "X-Client: 3", "X-Client-Dn2: 4", "other: 5", "Y: 6"))
	r, done, err := parseRequest(string(in))
	if !done || err != nil {
		t.Fatal(done, err)
	}
	want := get("GET / HTTP/1.1", "Host: a", "X-Client: 3", "X-Client-Dn2: 4", "Y: 6")
	if out := string(r.AppendHead(nil, in, &RequestEdits{DropNames: []string{"other", "x-client-dn"}})); out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
}

func TestAcceptEncodings(t *testing.T) {
	for in, want := range map[string]string{
		get("GET / HTTP/1.1", "Host: a"): "",
		get("GET / HTTP/1.1", "Accept-Encoding: br", "Host: a", "accept-encoding: gzip;q=1", "Accept: x"): "br|gzip;q=1|",
		get("GET / HTTP/1.1", "Host: a", "X: y", "Accept-Encoding:"):                                      "|",
	} {
		r, done, err := parseRequest(in)
		if !done || err != nil {
			t.Fatal(done, err)
		}
		got := ""
		r.AcceptEncodings([]byte(in), func(v []byte) { got += string(v) + "|" })
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestExpect: only what HTTP/1.1 knows and a body can wait for.
func TestExpect(t *testing.T) {
	for in, want := range map[string]bool{
		get("PUT / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-continue"): true,
		get("PUT / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: something"):    false,
		get("PUT / HTTP/1.0", "Host: a", "Content-Length: 1", "Expect: 100-continue"): false,
		get("PUT / HTTP/1.1", "Host: a", "Expect: 100-continue"):                      false,
	} {
		if r, done, err := parseRequest(in); !done || err != nil || r.Expect100 != want {
			t.Errorf("%q: %v, %v, %v", in, r.Expect100, done, err)
		}
	}
}

func TestAppendTrailers(t *testing.T) {
	in := "Grpc-Status: 0\r\nContent-Length: 5\r\n: none\r\nX-Own: a\r\nX_Own: b\r\nlast: 1\r\ncut"
	if got := string(AppendTrailers([]byte("a: b\r\n"), []byte(in), []string{"x-own"})); got != "a: b\r\nGrpc-Status: 0\r\nlast: 1\r\n" {
		t.Errorf("%q", got)
	}
	if got := AppendTrailers(nil, nil, nil); got != nil {
		t.Errorf("%q of none", got)
	}
}

// TestLargest: heads at the limits are taken.
func TestLargest(t *testing.T) {
	for name, in := range map[string]string{
		"target":  get("GET /"+strings.Repeat("a", MaxURI-1)+" HTTP/1.1", "Host: a"),
		"count":   get("GET / HTTP/1.1", strings.Repeat("a:\r\n", MaxFields-1)+"Host: a"),
		"name":    get("GET / HTTP/1.1", "Host: a", strings.Repeat("a", maxName)+": b"),
		"method":  get(strings.Repeat("A", maxMethod)+" / HTTP/1.1", "Host: a"),
		"headers": get("GET / HTTP/1.1", "Host: a", "b: "+strings.Repeat("c", MaxHeader-len("Host: a\r\nb: \r\n"))),
		"options": get("GET / HTTP/1.1", "Host: a", "Connection: "+strings.Repeat("a,", maxOptions-1)+"b"),
	} {
		if r, done, err := parseRequest(in); !done || err != nil || r.Len() != len(in) {
			t.Errorf("%s: done %v, %v", name, done, err)
		}
	}
}
