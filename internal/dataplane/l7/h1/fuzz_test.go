package h1

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// feed gives in to parse in growing prefixes cut at random, moving the bytes to
// another array each time as a growing buffer does.
func feed(in []byte, seed uint64, parse func([]byte) (bool, error)) (bool, error) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	for at := 0; ; {
		at = min(len(in), at+rnd.IntN(1+rnd.IntN(1+len(in)/3)+1))
		done, err := parse(bytes.Clone(in[:at]))
		if done || err != nil || at == len(in) {
			return done, err
		}
	}
}

// same checks that cutting made no difference.
func same(t *testing.T, in []byte, done1, done2 bool, err1, err2 error) {
	t.Helper()
	if done1 != done2 || !errors.Is(err2, err1) {
		t.Fatalf("%q: at once %v, %v; in pieces %v, %v", in, done1, err1, done2, err2)
	}
}

func checkRequest(t *testing.T, in []byte, seed uint64) {
	var a, b Request
	a.Reset()
	b.Reset()
	doneA, errA := a.Parse(in)
	doneB, errB := feed(in, seed, b.Parse)
	same(t, in, doneA, doneB, errA, errB)
	if !doneA {
		return
	}
	edits := &RequestEdits{ForwardedFor: []byte("192.0.2.1"), CountHops: true}
	outA, outB := a.AppendHead(nil, in, edits), b.AppendHead(nil, in, edits)
	if !bytes.Equal(outA, outB) {
		t.Fatalf("%q: rewritten as %q and as %q", in, outA, outB)
	}
	// The server must see exactly one head, of the same meaning.
	var c Request
	c.Reset()
	if done, err := c.Parse(outA); !done || err != nil || c.Len() != len(outA) {
		t.Fatalf("%q: what was written is not one head: %q, %v, %v", in, outA, done, err)
	}
	if c.Body != a.Body || c.BodyLength != a.BodyLength || c.WebSocket != a.WebSocket || !bytes.Equal(c.Method(outA), a.Method(in)) {
		t.Fatalf("%q: written with another meaning: %q", in, outA)
	}
	if n := bytes.Count(outA, []byte("\r\n\r\n")); n != 1 {
		t.Fatalf("%q: %d ends in %q", in, n, outA)
	}
}

func TestRequestInPieces(t *testing.T) {
	for seed := range uint64(40) {
		for _, c := range goodRequests {
			checkRequest(t, []byte(c.in+"rest"), seed)
		}
		for _, c := range badRequests {
			checkRequest(t, []byte(c.in), seed)
		}
	}
}

func checkResponse(t *testing.T, in []byte, seed uint64) {
	for _, asked := range []Asked{{}, {Head: true}, {WebSocket: true}} {
		var a, b Response
		a.Reset()
		b.Reset()
		doneA, errA := a.Parse(in, asked)
		doneB, errB := feed(in, seed, func(p []byte) (bool, error) { return b.Parse(p, asked) })
		same(t, in, doneA, doneB, errA, errB)
		if !doneA {
			continue
		}
		out := a.AppendHead(nil, in, &ResponseEdits{Chunked: a.Body == Chunks || a.Body == UntilClose && a.Status != 101})
		var c Response
		c.Reset()
		if done, err := c.Parse(out, asked); !done || err != nil || c.Len() != len(out) {
			t.Fatalf("%q: what was written is not one head: %q, %v, %v", in, out, done, err)
		}
		if a.Body == Length && (c.Body != Length || c.BodyLength != a.BodyLength) {
			t.Fatalf("%q: written with another length: %q", in, out)
		}
	}
}

func TestResponseInPieces(t *testing.T) {
	for seed := range uint64(40) {
		for _, c := range badResponses {
			checkResponse(t, []byte(c.in), seed)
		}
		checkResponse(t, []byte(get("HTTP/1.1 200 OK", "Content-Length: 5", "Connection: x, close", "X: y")+"abcde"), seed)
	}
}

func FuzzRequest(f *testing.F) {
	for _, c := range goodRequests {
		f.Add([]byte(c.in), uint64(1))
	}
	for _, c := range badRequests {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in), uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) { checkRequest(t, in, seed) })
}

func FuzzResponse(f *testing.F) {
	for _, c := range badResponses {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in), uint64(1))
		}
	}
	f.Add([]byte(get("HTTP/1.1 200 OK", "Content-Length: 5", "Connection: x, close", "X: y")), uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) { checkResponse(t, in, seed) })
}

func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), 1)
	f.Add([]byte("3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\nGET"), 3)
	f.Add([]byte("ffffffffffffffff\r\n"), 2)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if piece <= 0 {
			piece = 1
		}
		outA, usedA, doneA, errA := decode(string(in), len(in)+1)
		outB, _, doneB, errB := decode(string(in), piece)
		if outA != outB {
			t.Fatalf("%q: %q at once, %q in pieces", in, outA, outB)
		}
		same(t, in, doneA, doneB, errA, errB)
		if usedA > len(in) || len(outA) > usedA {
			t.Fatalf("%q: used %d for %d bytes", in, usedA, len(outA))
		}
	})
}
