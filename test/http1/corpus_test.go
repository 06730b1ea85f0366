// Package http1 is a corpus of requests and answers that are malformed, or that
// two readers could understand differently, written from RFC 9110 and 9112. Each
// goes through OpenSLB, with either driver and over TLS, and through nginx and
// HAProxy, to a server that keeps the bytes it gets. OpenSLB must do exactly what
// the corpus says; what the others do is reported beside it. A second corpus is of
// requests of HTTP/2, which could become something else on their way to HTTP/1.1.
package http1

import (
	"strings"
	"testing"
)

// entry is one case of the corpus.
type entry struct {
	name string // unique
	why  string
	in   string // what the client sends; the sentinel follows
	want want
}

// want is what has to come of an entry.
type want struct {
	// status refuses: the client gets it, the connection ends, and the server has
	// seen no whole request but those of sees. 0: there is no refusal.
	status int
	// sees are the requests that the server gets, in the spelling of
	// request.String.
	sees []string
	// last: the connection ends with the answer, without a refusal; goesOn: it
	// does not end with status.
	last, goesOn bool
	// cut: the client has to end its direction, since the proxy waits for more.
	cut bool
}

// sentinel follows every entry on the same connection. It shows where the proxy
// takes the entry to end, and ends the connection.
const (
	sentinel     = "GET /sentinel HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"
	sentinelSeen = "GET /sentinel HTTP/1.1\r\nHost: s\r\n\r\n"
)

// refused is an entry that gets an answer of our own.
func refused(status int, before ...string) want { return want{status: status, sees: before} }

// passed is an entry that reaches the server as these requests.
func passed(sees ...string) want { return want{sees: sees} }

// unchanged is an entry that is one request, which reaches the server as it came.
func unchanged(name, why, in string) entry { return entry{name, why, in, passed(in)} }

// passedLast is passed, with the end of the connection.
func passedLast(sees ...string) want { return want{sees: sees, last: true} }

// unfinished is an entry whose end is never seen: no whole request reaches the
// server, and the client learns it by the status.
func unfinished(status int) want { return want{status: status, cut: true} }

// head is a request line or a status line with header lines.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// post is a POST request with a Host.
func post(lines ...string) string {
	return head(append([]string{"POST /p HTTP/1.1", "Host: a"}, lines...)...)
}

// fetch is a GET request with a Host.
func fetch(lines ...string) string {
	return head(append([]string{"GET /p HTTP/1.1", "Host: a"}, lines...)...)
}

// corpus is all of the entries.
func corpus() []entry {
	var all []entry
	for _, part := range [][]entry{
		requestLines(), targets(), hosts(), fields(), lengths(), codings(), chunks(), trailers(),
		connections(), upgrades(), expectations(), pipelines(), limits(),
	} {
		all = append(all, part...)
	}
	for i := range all {
		if all[i].why == "as above" {
			all[i].why = all[i-1].why
		}
	}
	return all
}

// TestCorpusIsSound: names are unique and reasons given, and what is expected at
// the server is what a strict reader reads.
func TestCorpusIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range corpus() {
		if e.name == "" || e.why == "" || seen[e.name] {
			t.Errorf("entry %q (%s): no name, no reason, or not the first of its name", e.name, e.why)
		}
		seen[e.name] = true
	}
	if len(seen) < 300 {
		t.Errorf("only %d entries", len(seen))
	}
}
