package h2

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestBegun: what has begun is timed from its first byte to the end of its last
// frame, and what begins behind it on its own.
func TestBegun(t *testing.T) {
	w := newWorld(t)
	at := func(now time.Duration, p []byte, since time.Duration, open bool) {
		t.Helper()
		if err := w.c.Receive(now, p); err != nil {
			t.Fatal(err)
		}
		if got, is := w.c.Begun(); is != open || open && got != since {
			t.Errorf("at %d: since %d, %v; want %d, %v", now, got, is, since, open)
		}
	}
	said := func(write func()) []byte {
		w.in.Reset()
		write()
		return append([]byte(nil), w.in.Bytes()...)
	}
	start := append([]byte(nil), w.in.Bytes()...)
	at(1, start[:5], 1, true)
	at(2, start[5:24], 1, true) // the preface without settings
	at(3, start[24:30], 1, true)
	at(4, start[30:], 0, false)

	block := w.fragment(get...)
	head := said(func() {
		w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:2]})
		w.fr.WriteContinuation(1, false, block[2:3])
		w.fr.WriteContinuation(1, true, block[3:])
	})
	at(10, head[:3], 10, true)
	at(11, head[3:10], 10, true)
	at(12, head[10:11], 10, true)
	at(13, head[11:20], 10, true)
	at(14, head[20:len(head)-1], 10, true)
	second := said(func() { w.request(3, true) })
	at(15, append(head[len(head)-1:], second[:12]...), 15, true)
	at(16, second[12:], 0, false)

	data := said(func() { w.fr.WriteData(1, false, make([]byte, 100)) })
	at(20, data[:4], 20, true)
	at(21, data[4:50], 0, false) // bodies have other limits
	ping := said(func() { w.fr.WritePing(false, [8]byte{}) })
	at(22, append(data[50:], ping[:15]...), 22, true)
	at(23, ping[15:], 0, false)
}
