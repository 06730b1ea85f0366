package h1

import (
	"strings"
	"testing"
)

func parseResponse(in string, asked Asked) (*Response, bool, error) {
	r := new(Response)
	r.Reset()
	done, err := r.Parse([]byte(in), asked)
	return r, done, err
}

func TestResponse(t *testing.T) {
	for _, c := range []struct {
		name, in   string
		asked      Asked
		body       Framing
		length     int64
		persistent bool
		edits      ResponseEdits
		out        string
	}{
		{"length", get("HTTP/1.1 200 OK", "Content-Length: 5", "Date: x", "Server: y", "X-Pad: z", "X-Accel-Redirect: /w", "A: b"), Asked{}, Length, 5, true,
			ResponseEdits{Lines: []byte("Server: me\r\n")}, get("HTTP/1.1 200 OK", "Content-Length: 5", "A: b", "Server: me")},
		{"no reason", get("HTTP/1.1 200", "Content-Length: 0"), Asked{}, NoBody, 0, true, ResponseEdits{}, get("HTTP/1.1 200", "Content-Length: 0")},
		{"chunked", get("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: a"), Asked{}, Chunks, 0, true,
			ResponseEdits{Chunked: true}, get("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")},
		{"until close", get("HTTP/1.1 200 OK", "A: b"), Asked{}, UntilClose, 0, false,
			ResponseEdits{Chunked: true, Close: true}, get("HTTP/1.1 200 OK", "A: b", "Transfer-Encoding: chunked", "Connection: close")},
		{"1.0", get("HTTP/1.0 200 OK", "Content-Length: 5", "Connection: keep-alive"), Asked{}, Length, 5, false,
			ResponseEdits{KeepAlive: true}, get("HTTP/1.1 200 OK", "Content-Length: 5", "Connection: keep-alive")},
		{"head", get("HTTP/1.1 200 OK", "Content-Length: 5"), Asked{Head: true}, NoBody, 5, true, ResponseEdits{}, get("HTTP/1.1 200 OK", "Content-Length: 5")},
		{"304", get("HTTP/1.1 304 Not Modified", "Content-Length: 5"), Asked{}, NoBody, 5, true, ResponseEdits{}, get("HTTP/1.1 304 Not Modified", "Content-Length: 5")},
		{"204", get("HTTP/1.1 204 No Content", "Content-Length: 5"), Asked{}, NoBody, 5, true, ResponseEdits{}, get("HTTP/1.1 204 No Content")},
		{"interim", get("HTTP/1.1 103 Early Hints", "Link: a", "Server: s"), Asked{}, NoBody, 0, true, ResponseEdits{Close: true}, get("HTTP/1.1 103 Early Hints", "Link: a", "Server: s")},
		{"nominated", get("HTTP/1.1 200 OK", "Connection: close, foo, content-length", "Foo: x", "Content-Length: 1"), Asked{}, Length, 1, false, ResponseEdits{}, get("HTTP/1.1 200 OK", "Content-Length: 1")},
		{"switch", get("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket"), Asked{WebSocket: true}, UntilClose, 0, false,
			ResponseEdits{}, get("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, done, err := parseResponse(c.in+"rest", c.asked)
			if !done || err != nil {
				t.Fatal(done, err)
			}
			if r.Body != c.body || r.BodyLength != c.length || r.Persistent != c.persistent || r.Len() != len(c.in) {
				t.Errorf("body %v of %d, persistent %v, head of %d bytes", r.Body, r.BodyLength, r.Persistent, r.Len())
			}
			if out := string(r.AppendHead(nil, []byte(c.in), &c.edits)); out != c.out {
				t.Errorf("got:\n%s\nwant:\n%s", out, c.out)
			}
		})
	}
}

func TestInterim(t *testing.T) {
	for status, want := range map[string]bool{"100": true, "103": true, "199": true, "101": false, "200": false, "404": false} {
		r, done, err := parseResponse(get("HTTP/1.1 "+status+" X", "Connection: upgrade", "Upgrade: websocket"), Asked{WebSocket: true})
		if !done || err != nil || r.Interim() != want {
			t.Errorf("%s: %v, %v, %v", status, r.Interim(), done, err)
		}
	}
}

var badResponses = []struct{ name, in string }{
	{"length and coding", get("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked")},
	{"two lengths", get("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6")},
	{"coding gzip", get("HTTP/1.1 200 OK", "Transfer-Encoding: gzip")},
	{"version 2", get("HTTP/2.0 200 OK")},
	{"no version", get("200 OK")},
	{"short code", get("HTTP/1.1 20")},
	{"long code", get("HTTP/1.1 2000 OK")},
	{"code 0xx", get("HTTP/1.1 099 OK")},
	{"no digit in the middle", get("HTTP/1.1 2x0 OK")},
	{"no digit at the end", get("HTTP/1.1 20: OK")},
	{"two lengths first", get("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5", "A: b")},
	{"coding twice first", get("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")},
	{"long reason", get("HTTP/1.1 200 " + strings.Repeat("x", 4097-len("HTTP/1.1 200 ")))},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
	{"bare CR", "HTTP/1.1 200 OK\rX\r\n\r\n"},
	{"fold", get("HTTP/1.1 200 OK", "A: b", " c")},
	{"space before colon", get("HTTP/1.1 200 OK", "Content-Length : 5")},
	{"nul", get("HTTP/1.1 200 OK", "A: \x00")},
	{"unasked switch", get("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket")},
	{"large", get("HTTP/1.1 200 OK", "A: "+strings.Repeat("b", MaxHeader))},
}

func TestBadResponse(t *testing.T) {
	for _, c := range badResponses {
		if _, done, err := parseResponse(c.in, Asked{}); done || err == nil {
			t.Errorf("%s: done %v, error %v", c.name, done, err)
		}
	}
}

// TestSwitch: a 101 answer has to be the one switch that was asked for.
func TestSwitch(t *testing.T) {
	for in, good := range map[string]bool{
		get("HTTP/1.1 101 S", "Connection: upgrade", "Upgrade: websocket"):                       true,
		get("HTTP/1.1 101 S", "Connection: x, Upgrade", "Upgrade: WebSocket"):                    true,
		get("HTTP/1.1 101 S", "Upgrade: websocket"):                                              false,
		get("HTTP/1.1 101 S", "Connection: upgrade"):                                             false,
		get("HTTP/1.1 101 S", "Connection: upgrade", "Upgrade: h2c"):                             false,
		get("HTTP/1.1 101 S", "Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"):       false,
		get("HTTP/1.1 101 S", "Connection: upgrade", "Upgrade: websocket", "Upgrade: websocket"): false,
		get("HTTP/1.0 101 S", "Connection: upgrade", "Upgrade: websocket"):                       false,
	} {
		if _, done, err := parseResponse(in, Asked{WebSocket: true}); done != good || (err == nil) != good {
			t.Errorf("%q: done %v, %v", in, done, err)
		}
	}
	if _, done, err := parseResponse(get("HTTP/1.1 200 "+strings.Repeat("x", 4096-len("HTTP/1.1 200 ")), "Content-Length: 0"), Asked{}); !done || err != nil {
		t.Errorf("a reason of the largest size: done %v, %v", done, err)
	}
}

// TestCompressedHead: what a compressed body changes in its head, and what it does
// not.
func TestCompressedHead(t *testing.T) {
	for _, c := range []struct {
		in, out []string
		edits   ResponseEdits
	}{
		{[]string{"Content-Length: 5", `ETag: "a"`, "Accept-Ranges: bytes", "X: \"y\""}, []string{`ETag: W/"a"`, "X: \"y\"", "Content-Encoding: gzip", "Vary: Accept-Encoding"}, ResponseEdits{Gzip: true, Vary: true}},
		{[]string{"Content-Length: 5", `ETag: W/"a"`}, []string{`ETag: W/"a"`, "Content-Encoding: gzip"}, ResponseEdits{Gzip: true}},
		{[]string{"Content-Length: 5", `ETag: "a"`}, []string{"Content-Length: 5", `ETag: "a"`, "Vary: Accept-Encoding"}, ResponseEdits{Vary: true}},
		{[]string{"Content-Length: 5", "Vary: Origin, accept-ENCODING"}, []string{"Content-Length: 5", "Vary: Origin, accept-ENCODING"}, ResponseEdits{Vary: true}},
		{[]string{"Content-Length: 5", "Vary: *"}, []string{"Content-Length: 5", "Vary: *"}, ResponseEdits{Vary: true}},
		{[]string{"Content-Length: 5", "Vary: Origin", "Vary: Accept"}, []string{"Content-Length: 5", "Vary: Origin", "Vary: Accept", "Vary: Accept-Encoding"}, ResponseEdits{Vary: true}},
		{[]string{"Content-Length: 5", "Vary: Accept-Encoding", "Vary: Accept"}, []string{"Content-Length: 5", "Vary: Accept-Encoding", "Vary: Accept"}, ResponseEdits{Vary: true}},
		{[]string{"Content-Length: 5", "Vary:"}, []string{"Content-Length: 5", "Vary:"}, ResponseEdits{}},
	} {
		in := get(append([]string{"HTTP/1.1 200 OK"}, c.in...)...)
		r, done, err := parseResponse(in, Asked{})
		if !done || err != nil {
			t.Fatal(done, err)
		}
		if got, want := string(r.AppendHead(nil, []byte(in), &c.edits)), get(append([]string{"HTTP/1.1 200 OK"}, c.out...)...); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
}
