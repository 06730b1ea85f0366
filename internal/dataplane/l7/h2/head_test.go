package h2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestRequestHeads: which heads get through, and what becomes of them.
func TestRequestHeads(t *testing.T) {
	const refused = "PROTOCOL_ERROR"
	base := func(change ...string) []string {
		f := slices.Clone(get)
		for i := 0; i < len(change); i += 2 {
			if j := slices.Index(f[:8], change[i]); j >= 0 {
				f[j+1] = change[i+1]
			} else {
				f = append(f, change[i], change[i+1])
			}
		}
		return f
	}
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"plain", get, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"},
		{"fields", base("user-agent", "x y", "accept", ""), "GET / HTTP/1.1\r\nhost: a.test\r\nuser-agent: x y\r\naccept: \r\n\r\n"},
		{"crumbs", base("cookie", "a=1", "x", "1", "cookie", "b=2"), "GET / HTTP/1.1\r\nhost: a.test\r\nx: 1\r\ncookie: a=1; b=2\r\n\r\n"},
		{"same host", base("host", "A.test"), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"},
		{"other host", base("host", "b"), "GET / HTTP/1.1\r\nhost: a.test\r\nhost: b\r\n\r\n"},
		{"host alone", []string{":method", "GET", ":scheme", "https", ":path", "/", "host", "b"}, "GET / HTTP/1.1\r\nhost: b\r\n\r\n"},
		{"options", base(":method", "OPTIONS", ":path", "*"), "OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n"},
		{"connect", []string{":method", "CONNECT", ":authority", "a:1"}, "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"},
		{"trailers wanted", base("te", "trailers"), "GET / HTTP/1.1\r\nhost: a.test\r\nte: trailers\r\n\r\n"},
		{"length of nothing", base("content-length", "0"), "GET / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n"},

		{"no method", get[2:], refused},
		{"no path", get[:6], refused},
		{"empty path", base(":path", ""), refused},
		{"star", base(":path", "*"), refused},
		{"absolute", base(":path", "http://b/"), refused},
		{"space in path", base(":path", "/ HTTP/1.1"), refused},
		{"line in path", base(":path", "/\r\nx: y"), refused},
		{"line in method", base(":method", "GET / HTTP/1.1\r\nx: y\r\n\r\n"), refused},
		{"line in authority", base(":authority", "a\r\nx: y"), refused},
		{"scheme", base(":scheme", "ftp"), refused},
		{"extended connect", []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "a"}, refused},
		{"connect with path", base(":method", "CONNECT"), refused},
		{"pseudo twice", append(slices.Clone(get), ":path", "/b"), refused},
		{"pseudo late", append([]string{"x", "1"}, get...), refused},
		{"status", append(slices.Clone(get), ":status", "200"), refused},
		{"unknown pseudo", append(slices.Clone(get), ":x", "200"), refused},
		{"upper case", base("X-A", "1"), refused},
		{"empty name", base("", "1"), refused},
		{"space in name", base("a b", "1"), refused},
		{"colon in name", base("a:b", "1"), refused},
		{"line in value", base("a", "b\r\nc: d"), refused},
		{"LF in value", base("a", "b\nc: d"), refused},
		{"NUL in value", base("a", "b\x00"), refused},
		{"white space", base("a", " b"), refused},
		{"connection", base("connection", "close"), refused},
		{"chunked", base("transfer-encoding", "chunked"), refused},
		{"upgrade", base("upgrade", "websocket"), refused},
		{"keep-alive", base("keep-alive", "1"), refused},
		{"proxy-connection", base("proxy-connection", "close"), refused},
		{"te", base("te", "gzip"), refused},
		{"length without body", base("content-length", "1"), refused},
		{"two lengths", base("content-length", "0", "content-length", "0"), refused},
		{"bad length", base("content-length", "+0"), refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fragment(c.fields...), EndStream: true, EndHeaders: true})
			if err := w.deliver(); err != nil {
				t.Fatal(err)
			}
			said := w.said()
			last := said[len(said)-1]
			if c.want == refused {
				if last != "RST_STREAM 1 PROTOCOL_ERROR" || len(w.events) > 0 {
					t.Errorf("said %q, events %q", last, w.events)
				}
				return
			}
			if want := fmt.Sprintf("head 1 %q end=true", c.want); len(w.events) != 1 || w.events[0] != want {
				t.Errorf("events %q, want %q", w.events, want)
			}
		})
	}
}

// TestLargeHeads: what is beyond the limits reaches package h1 in a form that it
// refuses, and memory stays bounded.
func TestLargeHeads(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
	}{
		{"path", []string{":path", "/" + strings.Repeat("a", 60<<10)}},
		{"field", []string{"x", strings.Repeat("b", 70<<10)}},
		{"fields", func() (f []string) {
			for range 70 {
				f = append(f, "x", strings.Repeat("c", 1000))
			}
			return f
		}()},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			fields := append([]string{":method", "GET", ":scheme", "https", ":authority", "a"}, c.fields...)
			if c.name != "path" {
				fields = append([]string{":path", "/"}, fields...)
			}
			p := w.fragment(fields...)
			w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p[:100], EndStream: true})
			for p = p[100:]; len(p) > 0; {
				n := min(len(p), FrameSize)
				w.fr.WriteContinuation(1, n == len(p), p[:n])
				p = p[n:]
			}
			if err := w.deliver(); err != nil {
				t.Fatal(err)
			}
			if len(w.events) != 1 || len(w.events[0]) > 70<<10 {
				t.Fatalf("%d events: %.100q", len(w.events), w.events)
			}
			w.request(3, true) // the compression's state is as it should be
			if err := w.deliver(); err != nil || len(w.events) != 2 {
				t.Errorf("%v, events %.100q", err, w.events)
			}
		})
	}
}

func TestTrailers(t *testing.T) {
	w := newWorld(t)
	w.request(1, false)
	w.fr.WriteData(1, false, []byte("body"))
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fragment("x-sum", "7"), EndStream: true, EndHeaders: true})
	w.request(3, false)
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: w.fragment("x-sum", "7"), EndHeaders: true}) // not the end
	w.request(5, false)
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 5, BlockFragment: w.fragment(":path", "/"), EndStream: true, EndHeaders: true})
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`end 1 "x-sum: 7\r\n"`, "reset 3 PROTOCOL_ERROR", "reset 5 PROTOCOL_ERROR"} {
		if !slices.Contains(w.events, want) {
			t.Errorf("no %q in %q", want, w.events)
		}
	}
}

// TestBodyLength: a body is as long as its head says.
func TestBodyLength(t *testing.T) {
	for _, c := range []struct {
		length string
		parts  []int
		ok     bool
	}{
		{"4", []int{4}, true}, {"4", []int{1, 3, 0}, true}, {"4", []int{3}, false}, {"4", []int{5}, false}, {"4", []int{4, 1}, false}, {"0", []int{0}, true}, {"0", []int{1}, false},
	} {
		w := newWorld(t)
		w.request(1, false, "content-length", c.length)
		for i, n := range c.parts {
			w.fr.WriteData(1, i == len(c.parts)-1, make([]byte, n))
		}
		if err := w.deliver(); err != nil {
			t.Fatal(err)
		}
		last := w.events[len(w.events)-1]
		if want := map[bool]string{true: `end 1 ""`, false: "reset 1 PROTOCOL_ERROR"}[c.ok]; last != want {
			t.Errorf("%s, %v: %q", c.length, c.parts, w.events)
		}
	}
}
