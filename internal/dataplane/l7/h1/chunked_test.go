package h1

import (
	"errors"
	"strings"
	"testing"
)

// decode feeds in pieces of the given size, in place.
func decode(in string, piece int) (out string, used int, done bool, err error) {
	var c Chunked
	for rest := in; rest != "" && !c.Done(); {
		n := min(piece, len(rest))
		buf := []byte(rest[:n])
		w, u, err := c.Decode(buf, buf)
		out += string(buf[:w])
		used += u
		if err != nil {
			return out, used, false, err
		}
		rest = rest[n:]
	}
	return out, used, c.Done(), nil
}

func TestChunked(t *testing.T) {
	for _, c := range []struct {
		name, in, out string
		err           error
		unfinished    bool
	}{
		{"empty", "0\r\n\r\n", "", nil, false},
		{"two", "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "abc0123456789", nil, false},
		{"digit nine", "9\r\n012345678\r\n0\r\n\r\n", "012345678", nil, false},
		{"letters", "f\r\n0123456789abcde\r\nF\r\n0123456789ABCDE\r\n0\r\n\r\n", "0123456789abcde0123456789ABCDE", nil, false},
		{"most trailers", "0\r\na:" + strings.Repeat("b", maxTrailers-6) + "\r\n\r\n", "", nil, false},
		{"a byte more of trailers", "0\r\na:" + strings.Repeat("b", maxTrailers-5) + "\r\n\r\n", "", ErrTrailer, false},
		{"leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "abc", nil, false},
		{"extensions", "3;a=\"b\";c\r\nabc\r\n0;x\r\n\r\n", "abc", nil, false},
		{"trailers", "1\r\nx\r\n0\r\nFoo: bar\r\nB:\r\n\r\n", "x", nil, false},
		{"unfinished", "3\r\nab", "ab", nil, true},
		{"no last", "3\r\nabc\r\n", "abc", nil, true},
		{"no size", "\r\nabc", "", ErrChunkSize, false},
		{"negative", "-3\r\nabc", "", ErrChunkSize, false},
		{"prefix", "0x3\r\nabc", "", ErrChunkSize, false},
		{"space before", " 3\r\nabc", "", ErrChunkSize, false},
		{"space behind", "3 \r\nabc", "", ErrChunkSize, false},
		{"overflow", "10000000000000003\r\nabc", "", ErrChunkSize, false},
		{"bare LF", "3\nabc", "", ErrChunkSize, false},
		{"bare CR", "3\rabc", "", ErrBareCR, false},
		{"LF in extension", "3;a\nabc", "", ErrChunkExt, false},
		{"long extensions", "3;" + strings.Repeat("a", 17<<10) + "\r\nabc", "", ErrChunkExt, false},
		{"longer than said", "3\r\nabcd\r\n0\r\n\r\n", "abc", ErrChunkEnd, false},
		{"LF after data", "3\r\nabc\n0\r\n\r\n", "abc", ErrChunkEnd, false},
		{"folded trailer", "0\r\na: b\r\n c\r\n\r\n", "", ErrTrailer, false},
		{"nul in trailer", "0\r\na: \x00\r\n\r\n", "", ErrTrailer, false},
		{"trailer without colon", "0\r\nabc\r\n\r\n", "", ErrTrailer, false},
		{"long trailers", "0\r\n" + strings.Repeat("a: b\r\n", 2000) + "\r\n", "", ErrTrailer, false},
		{"LF at the end", "0\r\n\n", "", ErrTrailer, false},
	} {
		for _, piece := range []int{1, 2, 7, 1 << 20} {
			out, used, done, err := decode(c.in+"GET /", piece)
			if c.unfinished {
				out, used, done, err = decode(c.in, piece)
			}
			if out != c.out || !errors.Is(err, c.err) || (err == nil && done == c.unfinished) {
				t.Errorf("%s by %d: %q, done %v, %v; want %q, %v", c.name, piece, out, done, err, c.out, c.err)
			}
			if done && piece > 1000 && used != len(c.in) {
				t.Errorf("%s: used %d of %d bytes", c.name, used, len(c.in))
			}
		}
	}
}

func TestPutChunkHead(t *testing.T) {
	for n, want := range map[int]string{1: "1\r\n", 15: "f\r\n", 16: "10\r\n", 65535: "ffff\r\n"} {
		var buf [ChunkHeadRoom]byte
		if got := string(buf[PutChunkHead(buf[:], len(buf), n):]); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestDecodeStopsWhenFull(t *testing.T) {
	var c Chunked
	src := []byte("5\r\nabcde\r\n0\r\n\r\n")
	dst := make([]byte, 2)
	var got []byte
	for range 10 {
		w, u, err := c.Decode(dst, src)
		if err != nil {
			t.Fatal(err)
		}
		got, src = append(got, dst[:w]...), src[u:]
	}
	if string(got) != "abcde" || !c.Done() || len(src) != 0 {
		t.Errorf("got %q, done %v, %d left", got, c.Done(), len(src))
	}
}
