package l7

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHTTP2Expect: a server's word that it wants the body gets to the client
// before the body does; and so does its refusal, in place of it.
func TestHTTP2Expect(t *testing.T) {
	if !overTLS {
		return
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			b.record(head)
			switch path := strings.Fields(head)[1]; path {
			case "/no":
				io.WriteString(c, "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno")
				io.Copy(io.Discard, br)
				return
			case "/silent":
				io.Copy(io.Discard, br)
				return
			}
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
			body := make([]byte, 5)
			if strings.Contains(strings.ToLower(head), "transfer-encoding: chunked") {
				body, err = readChunks(br)
			} else {
				_, err = io.ReadFull(br, body)
			}
			if err != nil {
				return
			}
			io.WriteString(c, ok(string(body)))
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{RequestTimeout: time.Second}, target(b))
	r := p.dialHTTP2()
	r.ask(1, false, "PUT", "a", "/", "expect", "100-continue", "content-length", "5")
	r.ask(3, false, "PUT", "a", "/", "expect", "100-continue")
	for _, id := range []uint32{1, 3} {
		r.watch("word to go on", func(w *watched) bool { return w.value(id, ":status") == "100" })
		if w := &r.seen; len(w.heads[id]) != 2 || w.ended[id] || w.heads[id][0][0].Value != "103" {
			t.Errorf("%d: %v", id, w.heads[id])
		}
		r.fr.WriteData(id, true, []byte("hello")) // only now
		r.watchEnds(id)
		if w := &r.seen; w.value(id, ":status") != "200" || w.text[id] != "hello" {
			t.Errorf("%d: %v %q", id, w.heads[id], w.text[id])
		}
	}
	for _, head := range b.seen() {
		if !strings.Contains(strings.ToLower(head), "\r\nexpect: 100-continue\r\n") {
			t.Errorf("the server sees %q", head)
		}
	}
	r.ask(5, false, "PUT", "a", "/no", "expect", "100-continue", "content-length", "5")
	r.watch("a refusal", func(w *watched) bool { _, reset := w.reset[5]; return reset })
	if w := &r.seen; w.value(5, ":status") != "417" || !w.ended[5] || w.text[5] != "no" || w.reset[5] != http2.ErrCodeNo {
		t.Errorf("%v %q, reset %v", w.heads[5], w.text[5], w.reset[5])
	}
	r.ask(7, false, "PUT", "a", "/silent", "expect", "100-continue", "content-length", "5")
	r.watchEnds(7)
	if w := &r.seen; w.value(7, ":status") != "504" {
		t.Errorf("%v", w.heads[7])
	}
	if n := p.Facts().SlowBodies; n != 0 {
		t.Errorf("%d are counted as slow", n)
	}
}

// TestHTTP2Trailers: those of a request reach the server as trailers of its chunks,
// but for what must not be one; those of an answer come back.
func TestHTTP2Trailers(t *testing.T) {
	if !overTLS {
		return
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			var all strings.Builder
			all.WriteString(head)
			for chunks := strings.Contains(strings.ToLower(head), "transfer-encoding: chunked"); chunks; {
				line, err := br.ReadString('\n')
				if err != nil {
					return
				}
				all.WriteString(line)
				chunks = line != "\r\n"
			}
			b.record(all.String())
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nTransfer-Encoding: chunked\r\nx-b: c\r\n\r\n")
		}
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{ClientCert: spec.ClientCertHeaders{Subject: "X-Our-DN"}}, target(b))
	r := p.dialHTTP2()
	id := uint32(1)
	for _, row := range []struct{ name, data, want string }{
		{"behind a body", "hello", "\r\n\r\n5\r\nhello\r\n0\r\nx-last: word\r\nx-other: 1\r\n\r\n"},
		{"without a body", "", "\r\n\r\n0\r\nx-last: word\r\nx-other: 1\r\n\r\n"},
	} {
		r.ask(id, false, "POST", "a", "/", "te", "trailers")
		if row.data != "" {
			r.fr.WriteData(id, false, []byte(row.data))
			time.Sleep(50 * time.Millisecond) // so that they come apart, for once
		}
		r.fields(id, true, "x-last", "word", "host", "evil", "content-length", "9", "x-our-dn", "evil", "x_forwarded_clientcert_subjectdn", "evil", "x-other", "1")
		r.watchEnds(id)
		seen := b.seen()
		got := seen[len(seen)-1]
		if !strings.HasSuffix(got, row.want) || strings.Contains(got, "evil") || strings.Contains(got, "\r\nte:") || len(seen) != int(id+1)/2 {
			t.Errorf("%s: the server sees %q", row.name, got)
		}
		w := &r.seen
		if len(w.heads[id]) != 2 || w.text[id] != "ok" || w.value(id, "x-sum") != "7" || w.value(id, "x-b") != "c" || w.value(id, "transfer-encoding") != "" {
			t.Errorf("%s: got %v %q", row.name, w.heads[id], w.text[id])
		}
		id += 2
	}
	if b.connections() != 1 {
		t.Errorf("%d connections to the server", b.connections())
	}
}

// TestHTTP2AnswerMeanwhile: an answer that begins while the body is on its way, and goes on
// with it.
func TestHTTP2AnswerMeanwhile(t *testing.T) {
	if !overTLS {
		return
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			size, err := br.ReadString('\n')
			if err != nil || size == "0\r\n" {
				break
			}
			data, _ := br.ReadString('\n')
			io.WriteString(c, size+data)
		}
		io.WriteString(c, "0\r\n\r\n")
	})
	// Messages at a pace that would be too slow for a body.
	p := hasty(func(w *waits) { w.slow = 200 * time.Millisecond }, func() *proxy { return newHTTP2Proxy(t, spec.HTTPOptions{}, target(b)) })
	r := p.dialHTTP2()
	r.ask(1, false, "POST", "a", "/")
	r.watch("the head", func(w *watched) bool { return w.value(1, ":status") == "200" })
	for n := 4; n <= 24; n += 4 {
		time.Sleep(50 * time.Millisecond)
		r.fr.WriteData(1, false, []byte("ping"))
		r.watch("what comes back", func(w *watched) bool { return w.body[1] == n })
	}
	r.fr.WriteData(1, true, nil)
	r.watchEnds(1)
	if _, reset := r.seen.reset[1]; reset || p.Facts().SlowBodies != 0 {
		t.Errorf("reset %v", r.seen.reset)
	}
}

// TestHTTP2SlowChunks: a server that takes a chunked body in small parts gets it as
// it was sent.
func TestHTTP2SlowChunks(t *testing.T) {
	if !overTLS {
		return
	}
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) {
		c.(*net.TCPConn).SetReadBuffer(128 << 10)
		if _, err := readHead(br); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond) // until there is no room
		body, err := readChunks(br)
		if err != nil {
			return
		}
		io.WriteString(c, ok(string(body)))
	})
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	body := pattern(5 << 20)
	if _, got := fetch(t, p.http2Client(), p.request("POST", "/", struct{ io.Reader }{bytes.NewReader(body)})); !bytes.Equal(got, body) {
		t.Errorf("%d other bytes", len(got))
	}
}
