package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/testutil"
)

// answerEntry is an answer of a server, and what the client has to get.
type answerEntry struct {
	name string // unique
	why  string
	in   string // what the server writes, before it waits for more or ends
	want answerWant
}

// answerWant is what has to come of an answer.
type answerWant struct {
	status int
	body   string // of an answer that is passed on; one of ours may be any
	// cut: the body breaks off and cannot be taken for whole.
	cut bool
	// head: it is asked for by HEAD.
	head bool
	// ends: the server ends its direction behind the answer.
	ends bool
	// interim is the status of an answer in front of the final one.
	interim int
}

var bad = answerWant{status: 502}

func whole(body string) answerWant { return answerWant{status: 200, body: body} }

// answers are malformed or ambiguous answers of servers.
func answers() []answerEntry {
	ok := func(lines ...string) string { return head(append([]string{"HTTP/1.1 200 OK"}, lines...)...) }
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	ends := func(w answerWant) answerWant { w.ends = true; return w }
	cut := func(body string) answerWant { return answerWant{status: 200, body: body, cut: true, ends: true} }
	asked := func(w answerWant) answerWant { w.head = true; return w }
	all := []answerEntry{
		{"status: plain", "9112 4", ok("Content-Length: 3") + "abc", whole("abc")},
		{"status: no reason", "9112 4: it may be empty", "HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc", whole("abc")},
		{"status: no reason and no space", "common, and not to be mistaken", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", whole("abc")},
		{"status: HTTP/1.0", "9112 2.3", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", ends(whole("abc"))},
		{"status: 599", "9110 15: unknown codes are passed on", head("HTTP/1.1 599 X", "Content-Length: 3") + "abc", answerWant{status: 599, body: "abc"}},
		{"status: HTTP/2.0", "another protocol", head("HTTP/2.0 200 OK", "Content-Length: 3") + "abc", bad},
		{"status: HTTP/1.2", "nobody speaks it", head("HTTP/1.2 200 OK", "Content-Length: 3") + "abc", bad},
		{"status: HTTP/0.9", "a body without a head", "<html>hello</html>", ends(bad)},
		{"status: another protocol", "no HTTP", "220 mail.example ESMTP\r\n", ends(bad)},
		{"status: lower case", "9112 2.3: case-sensitive", head("http/1.1 200 OK", "Content-Length: 0"), bad},
		{"status: two digits", "9112 4: three", head("HTTP/1.1 20 OK", "Content-Length: 0"), bad},
		{"status: four digits", "9112 4: three", head("HTTP/1.1 2000 OK", "Content-Length: 0"), bad},
		{"status: letters", "9112 4: three digits", head("HTTP/1.1 2OO OK", "Content-Length: 0"), bad},
		{"status: signed", "9112 4: three digits", head("HTTP/1.1 +20 OK", "Content-Length: 0"), bad},
		{"status: 099", "9110 15: from 100 on", head("HTTP/1.1 099 OK", "Content-Length: 0"), bad},
		{"status: two spaces", "9112 4: one", head("HTTP/1.1  200 OK", "Content-Length: 0"), bad},
		{"status: tab", "9112 4: a space", head("HTTP/1.1\t200 OK", "Content-Length: 0"), bad},
		{"status: NUL in the reason", "a control", head("HTTP/1.1 200 O\x00K", "Content-Length: 0"), bad},
		{"status: bare CR in the reason", "a line's end to some", head("HTTP/1.1 200 OK\rX: y", "Content-Length: 0"), bad},
		{"status: bare LF", "a line's end to some", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", bad},
		{"status: bare LF everywhere", "9112 2.2 allows to take it; we do not", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", bad},
		{"status: empty line before", "9112 2.2 forgives it in requests alone", "\r\n" + ok("Content-Length: 3") + "abc", bad},
		{"status: reason of 5 kB", "our limit is 4 kB", head("HTTP/1.1 200 "+strings.Repeat("r", 5<<10), "Content-Length: 0"), bad},
		{"status: a request", "no answer", fetch(), bad},
		{"status: nothing", "the server ends without a word", "", ends(bad)},

		{"head: no end", "cut off", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", ends(bad)},
		{"head: headers of 40 kB", "our limit is 32 kB", ok("X: " + strings.Repeat("v", 40<<10)), bad},
		{"head: 600 headers", "our limit is 512", ok(strings.Split(strings.Repeat("X: y|", 599)+"X: y", "|")...), bad},
		{"head: fold", "9112 5.2: 502 or a space; one header here, two there", ok("X: y", " z", "Content-Length: 0"), bad},
		{"head: space before colon", "9112 5.1: to be removed; we refuse", ok("Content-Length : 3") + "abc", bad},
		{"head: no colon", "9112 5", ok("X", "Content-Length: 0"), bad},
		{"head: no name", "9112 5", ok(": y", "Content-Length: 0"), bad},
		{"head: NUL in a value", "9110 5.5", ok("X: a\x00b", "Content-Length: 0"), bad},
		{"head: DEL in a value", "9110 5.5", ok("X: a\x7fb", "Content-Length: 0"), bad},
		{"head: bare CR", "response splitting", ok("X: a\rSet-Cookie: b", "Content-Length: 0"), bad},
		{"head: bare LF", "response splitting", ok("X: a\nSet-Cookie: b", "Content-Length: 0"), bad},
		{"head: bare LF ends it", "response splitting", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\nabc", bad},
		{"head: CR CR LF ends it", "response splitting", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\r\nabc", bad},

		{"length: too long a body", "what is left must never be an answer", ok("Content-Length: 3") + "abc" + evil, whole("abc")},
		{"length: an answer nobody asked for", "as above", ok("Content-Length: 0") + evil, whole("")},
		{"length: too short a body", "9112 8: incomplete", ok("Content-Length: 5") + "abc", cut("abc")},
		{"length: two", "9112 6.3: unusable", ok("Content-Length: 3", "Content-Length: 5") + "abcde", bad},
		{"length: two alike", "may be merged; we refuse", ok("Content-Length: 3", "Content-Length: 3") + "abc", bad},
		{"length: list", "9112 6.3: unusable", ok("Content-Length: 3, 5") + "abcde", bad},
		{"length: signed", "9110 8.6: digits", ok("Content-Length: +3") + "abc", bad},
		{"length: negative", "9110 8.6: digits", ok("Content-Length: -1"), bad},
		{"length: hex", "9110 8.6: digits", ok("Content-Length: 0x3") + "abc", bad},
		{"length: empty", "9110 8.6: digits", ok("Content-Length:") + "abc", bad},
		{"length: letters", "9110 8.6: digits", ok("Content-Length: abc") + "abc", bad},
		{"length: 2^64+3", "3 to who wraps around", ok("Content-Length: 18446744073709551619") + "abc", bad},
		{"length: none", "9112 6.3: until the end", ok() + "abc", ends(whole("abc"))},
		{"length: none, and another answer", "9112 6.3: it is the body", ok() + "abc" + evil, ends(whole("abc" + evil))},
		{"length: nominated", "Connection must not take it away", ok("Connection: Content-Length", "Content-Length: 3") + "abc", whole("abc")},

		{"coding: chunked", "9112 7.1", ok("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", whole("abc")},
		{"coding: extensions and trailers", "dropped", ok("Transfer-Encoding: chunked") + "3;x=\"y\"\r\nabc\r\n0\r\nContent-Length: 99\r\n\r\n", whole("abc")},
		{"coding: an answer behind", "it must never be one", ok("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + evil, whole("abc")},
		{"coding: with a length", "9112 6.1: smuggling", ok("Transfer-Encoding: chunked", "Content-Length: 3") + "3\r\nabc\r\n0\r\n\r\n", bad},
		{"coding: with a length in front", "9112 6.1: smuggling", ok("Content-Length: 3", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", bad},
		{"coding: gzip, chunked", "nobody asked for it", ok("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", bad},
		{"coding: identity", "7230 took it away", ok("Transfer-Encoding: identity") + "abc", ends(bad)},
		{"coding: unknown", "9112 6.3", ok("Transfer-Encoding: x") + "abc", ends(bad)},
		{"coding: twice", "9112 6.1", ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n", bad},
		{"coding: empty", "9112 6.1", ok("Transfer-Encoding:") + "0\r\n\r\n", bad},
		{"coding: xchunked", "another word", ok("Transfer-Encoding: xchunked") + "0\r\n\r\n", bad},
		{"coding: in HTTP/1.0", "vendor: also accepted from HTTP/1.0 servers", head("HTTP/1.0 200 OK", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", ends(whole("abc"))},
		{"coding: first size malformed", "nothing was passed on yet", ok("Transfer-Encoding: chunked") + "zz\r\n", bad},
		{"coding: size 0x", "strtol reads it", ok("Transfer-Encoding: chunked") + "0x3\r\nabc\r\n0\r\n\r\n", bad},
		{"coding: size overflows", "0 to who wraps around", ok("Transfer-Encoding: chunked") + "10000000000000000\r\nabc\r\n", bad},
		{"coding: size with bare LF", "parsers differ", ok("Transfer-Encoding: chunked") + "3\nabc\n0\n\n", bad},
		{"coding: cut off", "9112 8: incomplete", ok("Transfer-Encoding: chunked") + "3\r\nabc\r\n", cut("abc")},
		{"coding: cut off in a chunk", "9112 8: incomplete", ok("Transfer-Encoding: chunked") + "5\r\nabc", cut("abc")},
		{"coding: cut off before the end", "9112 8: incomplete", ok("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n", cut("abc")},

		{"none: 204 with a length and a body", "9110 15.3.5: no body, whatever it says", head("HTTP/1.1 204 No Content", "Content-Length: 4") + "evil", answerWant{status: 204}},
		{"none: 204 with chunks", "9112 6.1: must not", head("HTTP/1.1 204 No Content", "Transfer-Encoding: chunked") + "4\r\nevil\r\n0\r\n\r\n", answerWant{status: 204}},
		{"none: 304 with a length", "9110 15.4.5: of the body that is not sent", head("HTTP/1.1 304 Not Modified", "Content-Length: 4"), answerWant{status: 304}},
		{"none: 304 with a body", "9112 6.3: what follows is none", head("HTTP/1.1 304 Not Modified", "Content-Length: 4") + "evil", answerWant{status: 304}},
		{"none: HEAD with a length", "9110 9.3.2: of the body that is not sent", ok("Content-Length: 4"), asked(whole(""))},
		{"none: HEAD with a body", "9112 6.3: what follows is none", ok("Content-Length: 4") + "evil", asked(whole(""))},
		{"none: HEAD with chunks", "9112 6.3: what follows is none", ok("Transfer-Encoding: chunked") + "4\r\nevil\r\n0\r\n\r\n", asked(whole(""))},
		{"none: HEAD and an answer behind", "as above", ok("Content-Length: 40") + evil, asked(whole(""))},

		{"interim: 100", "9110 15.2: passed on", head("HTTP/1.1 100 Continue") + ok("Content-Length: 3") + "abc", answerWant{status: 200, body: "abc", interim: 100}},
		{"interim: 103", "8297: passed on", head("HTTP/1.1 103 Early Hints", "Link: </x>") + ok("Content-Length: 3") + "abc", answerWant{status: 200, body: "abc", interim: 103}},
		{"interim: with a length", "9110 8.6: must not; it has no body", head("HTTP/1.1 103 Early Hints", "Content-Length: 4") + ok("Content-Length: 3") + "abc", answerWant{status: 200, body: "abc", interim: 103}},
		{"interim: with a coding", "9112 6.1: must not", head("HTTP/1.1 103 Early Hints", "Transfer-Encoding: chunked") + ok("Content-Length: 3") + "abc", answerWant{status: 200, body: "abc", interim: 103}},
		{"interim: 21", "our limit is 20", strings.Repeat(head("HTTP/1.1 102 Processing"), 21) + ok("Content-Length: 0"), answerWant{status: 502, interim: 102}},
		{"interim: and nothing", "no final answer", head("HTTP/1.1 102 Processing"), answerWant{status: 502, interim: 102, ends: true}},
		{"interim: malformed behind", "no final answer", head("HTTP/1.1 102 Processing") + "hello\r\n", answerWant{status: 502, interim: 102}},
		{"interim: 101 unasked", "9110 15.2.2: a tunnel nobody asked for", head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket") + evil, bad},
		{"interim: 101 for h2c", "as above", head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: h2c") + evil, bad},

		{"field: Connection names Set-Cookie", "9110 7.6.1: it must not vanish on the way", ok("Connection: Set-Cookie", "Set-Cookie: a=b", "Content-Length: 3") + "abc", whole("abc")},
		{"field: Connection malformed", "9110 7.6.1: tokens", ok("Connection: a b", "Content-Length: 3") + "abc", bad},
		{"field: close", "the server's connection ends, not the client's", ok("Connection: close", "Content-Length: 3") + "abc", ends(whole("abc"))},
		{"field: Upgrade", "9110 7.8: of this connection; not passed on", ok("Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3") + "abc", whole("abc")},
	}
	return all
}

// TestAnswers has a server give each answer, behind each driver and to clients
// over TLS. The client must
// get an answer that is either whole or visibly cut, and on the same connection,
// if it stays, the right one to its next request.
func TestAnswers(t *testing.T) {
	testutil.NoLeaks(t)
	if n := len(answers()); n < 80 {
		t.Errorf("only %d answers", n)
	}
	for _, w := range ways {
		rec := newRecorder(t)
		p := openSLB(t, w, rec.addr)
		for _, e := range answers() {
			rec.set(true, func(r *request) (string, bool) {
				if r.target == "/next" {
					return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext", false
				}
				return e.in, e.want.ends
			})
			if err := askFor(p, &e); err != nil {
				t.Errorf("%s, %s: %v\nreason: %s", p.name, e.name, err, e.why)
			}
		}
	}
}

// askFor sends a request that is answered by the entry, and then another.
func askFor(p *proxy, e *answerEntry) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	br := bufio.NewReader(c)
	asked := &http.Request{Method: "GET"}
	if e.want.head {
		asked.Method = "HEAD"
	}
	fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", asked.Method)
	a, err := http.ReadResponse(br, asked)
	for err == nil && a.StatusCode/100 == 1 {
		if a.StatusCode != e.want.interim {
			return fmt.Errorf("interim answer %d", a.StatusCode)
		}
		a, err = http.ReadResponse(br, asked)
	}
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	body, err := io.ReadAll(a.Body)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the body does not end")
	}
	ours := a.StatusCode == 502
	switch {
	case a.StatusCode != e.want.status:
		return fmt.Errorf("status %d, not %d", a.StatusCode, e.want.status)
	case (err != nil) != e.want.cut:
		return fmt.Errorf("the body is cut off: %w", err)
	case !ours && string(body) != e.want.body:
		return fmt.Errorf("body %q, not %q", body, e.want.body)
	case bytes.Contains(body, []byte("evil")) && !strings.Contains(e.want.body, "evil"):
		return fmt.Errorf("body %q", body)
	}
	if a.Close || e.want.cut {
		if rest, _ := io.ReadAll(br); len(rest) > 0 {
			return fmt.Errorf("behind the last answer %q", rest)
		}
		return nil
	}
	fmt.Fprint(c, "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	got, err := io.ReadAll(br)
	if err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 200 OK\r\n")) || !bytes.HasSuffix(got, []byte("\r\n\r\nnext")) || bytes.Count(got, []byte("HTTP/1.1")) != 1 {
		return fmt.Errorf("the next request is answered %q, %w", got, err)
	}
	return nil
}
