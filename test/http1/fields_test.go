package http1

import (
	"fmt"
	"strings"
)

// fields are variations of header lines.
func fields() []entry {
	same := func(name, why string, lines ...string) entry {
		return entry{"field: " + name, why, fetch(lines...), passed(fetch(lines...))}
	}
	bad := func(name, why string, lines ...string) entry {
		return entry{"field: " + name, why, fetch(lines...), refused(400)}
	}
	all := []entry{
		same("plain", "9112 5", "X: y"),
		same("no space", "9112 5: white space is optional", "X:y"),
		same("much space", "as above", "X: \t  y \t "),
		same("empty", "9110 5.5: a value may be empty", "X:"),
		same("blank", "as above", "X:   "),
		same("colons in the value", "the first colon ends the name", "X: y: z: "),
		same("twice", "9110 5.3: order is kept", "X: 1", "Y: 2", "x: 3"),
		same("tab in the value", "9110 5.5", "X: a\tb"),
		same("bytes beyond ASCII", "9110 5.5: obs-text", "X: \xc3\xa4\xff\x80"),
		same("quoted", "no structure here", `X: "a,b\"c", d`),
		same("like a request line", "a value is a value", "X: GET / HTTP/1.1"),
		same("all token characters", "9110 5.6.2", "!#$%&'*+-.^_`|~09azAZ: x"),
		same("one letter", "9110 5.6.2", "a: b"),
		same("digits", "9110 5.6.2", "123: b"),
		same("underscore", "vendor is silent: passed on", "a_b: c"),
		same("dash first", "a token", "-: c"),
		same("name like a prefix", "Content-Length-X is not Content-Length", "Content-Length-X: 5", "XContent-Length: 5", "Transfer-Encoding-X: chunked"),
		bad("no colon", "9112 5", "X"),
		bad("no name", "9110 5.1", ": y"),
		bad("space as a name", "9112 2.2: white space before the first header", " : y"),
		bad("space before colon", "9112 5.1: 400", "X : y"),
		bad("tab before colon", "9112 5.1: 400", "X\t: y"),
		bad("space within the name", "no token", "X Y: z"),
		bad("name beyond ASCII", "no token", "X\xc3\xa4: y"),
		bad("fold by space", "9112 5.2: 400; one reads a value of two lines, the other a header", "X: y", " z: w"),
		bad("fold by tab", "as above", "X: y", "\tz"),
		bad("fold of nothing", "as above", "X: y", " "),
		bad("fold twice", "as above", "X: y", " z", " w"),
		bad("fold of an empty header", "as above", "X:", " y"),
		bad("bare LF", "9112 2.2 allows to take it for a line's end", "X: y\nZ: w"),
		bad("bare LF and fold", "as above", "X: y\n Z: w"),
		bad("bare CR", "9112 2.2: invalid", "X: y\rZ: w"),
		bad("bare CR before CR LF", "as above", "X: y\r"),
		bad("bare CR first", "as above", "\rX: y"),
		bad("LF first", "a bare LF would end the head for some", "\nX: y"),
		bad("LF LF within", "as above", "X: y\n\nGET /hidden HTTP/1.1"),
		bad("CR in the name", "no token", "X\rY: z"),
		bad("LF in the name", "no token", "X\nY: z"),
		bad("name of 257 letters", "our limit", strings.Repeat("n", 257)+": x"),
		same("name of 256 letters", "our limit", strings.Repeat("n", 256)+": x"),
		{"field: fold before the first", "9112 2.2: white space before the first header", head("GET /p HTTP/1.1", " Host: a", "Host: a"), refused(400)},
		{"field: bare LF ends the head", "one sees a request behind it", "GET /p HTTP/1.1\r\nHost: a\r\n\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", refused(400)},
		{"field: CR CR LF ends the head", "as above", "GET /p HTTP/1.1\r\nHost: a\r\n\r\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", refused(400)},
		{"field: LF CR LF ends the head", "as above", "GET /p HTTP/1.1\r\nHost: a\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", refused(400)},
		{"field: no end", "the sentinel is no header line", "GET /p HTTP/1.1\r\nHost: a\r\n", refused(400)},
		{"field: cut in the middle", "a head without an end is no request", "GET /p HTTP/1.1\r\nHost: a\r\nX", unfinished(0)},
		{"field: cut in the line", "as above", "GET /p HT", unfinished(0)},
		{"field: none but the line's end", "as above", "\r\n", passed()},

		// What is ours to say, or about this connection alone.
		{"field: loop marker", "counted on", fetch("SLB-Hops: 3"), passed(fetch())},
		{"field: loop marker with underscore", "a CGI server reads both alike", fetch("SLB_Hops: 3"), passed(fetch())},
		{"field: loop marker of letters", "counts as none", fetch("SLB-Hops: x"), passed(fetch())},
		{"field: loop marker twice", "as one", fetch("SLB-Hops: 1", "SLB-Hops: 2"), passed(fetch())},
		{"field: too many hops", "behaviour 16: a loop ends with 500", fetch("SLB-Hops: 99"), want{status: 500, goesOn: true}},
		{"field: Keep-Alive", "9112 C.2.2: of this connection", fetch("Keep-Alive: timeout=5"), passed(fetch())},
		{"field: Proxy-Connection", "9112 C.2.2: never to be passed on", fetch("Proxy-Connection: close"), passed(fetch())},
		{"field: TE", "9110 10.1.4: of this connection", fetch("TE: trailers", "Connection: TE"), passed(fetch())},
		{"field: Trailer", "trailers are not passed on", fetch("Trailer: X"), passed(fetch())},
		{"field: Proxy-Authorization", "9110 11.7.2: ours to consume", fetch("Proxy-Authorization: Basic eA=="), passed(fetch())},
	}
	for c := range 0x20 {
		switch c {
		case '\t', '\r', '\n':
			continue
		}
		all = append(all,
			bad(fmt.Sprintf("control %#02x in the value", c), "9110 5.5: dangerous, refused", "X: a"+string(rune(c))+"b"),
			bad(fmt.Sprintf("control %#02x in the name", c), "no token", "X"+string(rune(c))+": b"),
		)
	}
	all = append(all, bad("DEL in the value", "9110 5.5: a control", "X: a\x7fb"), bad("DEL in the name", "no token", "X\x7f: b"))
	for _, c := range `"(),/;<=>?@[\]{}` {
		all = append(all, bad(fmt.Sprintf("%c in the name", c), "9110 5.6.2: a delimiter", "X"+string(c)+"Y: z"))
	}
	return all
}

// connections are Connection headers and what they name.
func connections() []entry {
	e := func(name, why string, w want, lines ...string) entry {
		return entry{"connection: " + name, why, fetch(lines...), w}
	}
	return []entry{
		e("keep-alive", "9112 9.3: the default", passed(fetch()), "Connection: keep-alive"),
		e("close", "9112 9.6: the last request; it is about the client's connection", passedLast(fetch()), "Connection: close"),
		e("close in capitals", "9110 7.6.1: no case", passedLast(fetch()), "Connection: CLOSE"),
		e("both", "9112 9.3: close wins", passedLast(fetch()), "Connection: keep-alive, close"),
		e("both, two lines", "9110 5.3: one list", passedLast(fetch()), "Connection: keep-alive", "Connection: close"),
		e("close among others", "a list", passedLast(fetch()), "Connection: x-a , close,x-b"),
		e("xclose", "another word", passed(fetch()), "Connection: xclose"),
		e("empty", "a list may be empty", passed(fetch()), "Connection:"),
		e("empty elements", "9110 5.6.1: a few are ignored", passed(fetch()), "Connection: ,, ,"),
		e("names a header", "9110 7.6.1: not passed on", passed(fetch("Y: 2")), "Connection: x-a", "X-A: 1", "Y: 2"),
		e("names a header in another case", "as above", passed(fetch()), "Connection: X-a", "x-A: 1"),
		e("names a header twice there", "as above", passed(fetch()), "X-A: 1", "Connection: x-a", "X-A: 2"),
		e("names two, in two lines", "as above", passed(fetch()), "Connection: a", "Connection: b", "A: 1", "B: 2"),
		e("names nothing that is there", "as above", passed(fetch("Y: 2")), "Connection: x-a", "Y: 2"),
		e("names Host", "without Host there is no request: attack", passed(fetch()), "Connection: Host"),
		e("names Content-Length", "without it the body would be a request: attack", passed(fetch("Content-Length: 0")), "Connection: Content-Length", "Content-Length: 0"),
		e("names X-Forwarded-For", "hides the client: attack", passed(fetch("X-Forwarded-For: 1.2.3.4")), "Connection: X-Forwarded-For", "X-Forwarded-For: 1.2.3.4"),
		e("names Cookie", "logs the client out: attack", passed(fetch("Cookie: a=b")), "Connection: Cookie", "Cookie: a=b"),
		e("names Authorization", "as above", passed(fetch("Authorization: x")), "Connection: Authorization", "Authorization: x"),
		e("names Via", "hides the way: attack", passed(fetch("Via: 1.1 x")), "Connection: Via", "Via: 1.1 x"),
		e("names Forwarded", "hides the client: attack", passed(fetch("Forwarded: for=x")), "Connection: Forwarded", "Forwarded: for=x"),
		e("names Content-Type", "changes the meaning of the body: attack", passed(fetch("Content-Type: text/plain")), "Connection: Content-Type", "Content-Type: text/plain"),
		e("names Cache-Control", "poisons caches: attack", passed(fetch("Cache-Control: no-store")), "Connection: Cache-Control", "Cache-Control: no-store"),
		e("two words", "9110 7.6.1: tokens", refused(400), "Connection: a b"),
		e("quoted", "9110 7.6.1: tokens", refused(400), `Connection: "close"`),
		e("semicolon", "9110 7.6.1: tokens", refused(400), "Connection: close; x"),
		e("equals sign", "9110 7.6.1: tokens", refused(400), "Connection: timeout=5"),
		e("NUL", "never in a header", refused(400), "Connection: close\x00"),
	}
}

// upgrades are requests for another protocol. Only WebSocket is passed on, as
// anything else would be a tunnel past the rules.
func upgrades() []entry {
	e := func(name, why string, w want, lines ...string) entry {
		return entry{"upgrade: " + name, why, fetch(lines...), w}
	}
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	socket := func(lines ...string) string {
		return fetch(append(append([]string(nil), lines...), "Connection: Upgrade", "Upgrade: websocket")...)
	}
	return []entry{
		e("h2c", "9113 3.1: gone; the tunnel would pass every rule", passed(fetch()), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
		e("h2c not nominated", "as above", passed(fetch()), "Upgrade: h2c", "HTTP2-Settings: AA"),
		e("h2c without settings", "as above", passed(fetch()), "Connection: Upgrade", "Upgrade: h2c"),
		e("h2c in capitals", "as above", passed(fetch()), "Connection: UPGRADE", "Upgrade: H2C"),
		e("h2", "as above", passed(fetch()), "Connection: Upgrade", "Upgrade: h2"),
		e("HTTP/2.0", "as above", passed(fetch()), "Connection: Upgrade", "Upgrade: HTTP/2.0"),
		e("TLS", "2817 is not spoken here", passed(fetch()), "Connection: Upgrade", "Upgrade: TLS/1.0"),
		e("unknown", "9110 7.8: may be ignored", passed(fetch()), "Connection: Upgrade", "Upgrade: x"),
		e("without Connection", "9110 7.8: then it is to be ignored", passed(fetch(key)), "Upgrade: websocket", key),
		e("without Upgrade", "nothing is asked for", passed(fetch(key)), "Connection: Upgrade", key),
		e("WebSocket and h2c", "a choice: not the one upgrade passed on", passed(fetch(key)), "Connection: Upgrade", "Upgrade: websocket, h2c", key),
		e("h2c and WebSocket", "as above", passed(fetch(key)), "Connection: Upgrade", "Upgrade: h2c, websocket", key),
		e("WebSocket and h2c in two lines", "as above", passed(fetch(key)), "Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", key),
		e("WebSocket with a version", "6455 4.1: the word alone", passed(fetch(key)), "Connection: Upgrade", "Upgrade: websocket/13", key),
		e("WebSocket", "6455: passed on; this server declines, and the connection goes on", passed(socket(key)), "Connection: Upgrade", "Upgrade: websocket", key),
		e("WebSocket, other cases", "6455 4.2.1: no case", passed(socket(key)), "connection: keep-alive, UPGRADE", "upgrade: WebSocket", key),
		{"upgrade: WebSocket by POST", "6455 4.1: GET", post("Connection: Upgrade", "Upgrade: websocket"), passed(post())},
		{"upgrade: WebSocket in 1.0", "6455 4.1: 1.1 at least", head("GET /p HTTP/1.0", "Host: a", "Connection: Upgrade", "Upgrade: websocket"), passedLast(head("GET /p HTTP/1.0", "Host: a", "Connection: close"))},
		{"upgrade: WebSocket with a body", "what is body to one is frames to another", fetch("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3") + "abc", passed(fetch("Content-Length: 3") + "abc")},
		{"upgrade: WebSocket with a chunked body", "as above", fetch("Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", passed(fetch("Transfer-Encoding: chunked") + "abc")},
		{"upgrade: h2c with a hidden request", "the body is a body", fetch("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA", "Content-Length: 33") + hidden, passed(fetch("Content-Length: 33") + hidden)},
	}
}

// hidden is a request of 33 bytes that must never be one.
const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

// expectations are Expect headers.
func expectations() []entry {
	return []entry{
		unchanged("expect: without a body", "9110 10.1.1: a client must not; there is nothing to wait for", fetch("Expect: 100-continue")),
		unchanged("expect: with a body at once", "9110 10.1.1: the client need not wait", post("Expect: 100-continue", "Content-Length: 3")+"abc"),
		{"expect: with chunks at once", "as above", post("Expect: 100-continue", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", passed(post("Expect: 100-continue", "Transfer-Encoding: chunked") + "abc")},
		unchanged("expect: other case", "9110 10.1.1: no case", post("Expect: 100-CONTINUE", "Content-Length: 3")+"abc"),
		{"expect: in 1.0", "9110 10.1.1: to be ignored", head("POST /p HTTP/1.0", "Host: a", "Expect: 100-continue", "Content-Length: 3") + "abc", passedLast(head("POST /p HTTP/1.0", "Host: a", "Content-Length: 3", "Connection: close") + "abc")},
		unchanged("expect: unknown", "9110 10.1.1: 417 or not, by the server", post("Expect: tea", "Content-Length: 3")+"abc"),
		unchanged("expect: and a hidden request", "the body is a body", post("Expect: 100-continue", "Content-Length: 33")+hidden),
	}
}
