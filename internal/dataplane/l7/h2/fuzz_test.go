package h2

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// conversations are what honest and less honest peers say, behind the preface.
func conversations() [][]byte {
	var all [][]byte
	say := func(fn func(w *world)) {
		w := newWorld(nil)
		w.in.Next(len(http2.ClientPreface))
		fn(w)
		all = append(all, bytes.Clone(w.in.Bytes()))
	}
	say(func(w *world) { w.request(1, true, "cookie", "a=1", "cookie", "b=2") })
	say(func(w *world) {
		w.request(1, false, "content-length", "9")
		w.fr.WriteDataPadded(1, false, []byte("four"), make([]byte, 9))
		w.request(3, true)
		w.fr.WriteData(1, true, []byte("fivee"))
		w.fr.WriteWindowUpdate(0, 100)
		w.fr.WriteWindowUpdate(3, 100)
	})
	say(func(w *world) {
		p := w.fragment(append(slices.Clone(get), "x", strings.Repeat("y", 300))...)
		w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p[:10], Priority: http2.PriorityParam{StreamDep: 7, Weight: 3}})
		w.fr.WriteContinuation(1, false, p[10:20])
		w.fr.WriteContinuation(1, true, p[20:])
		w.fr.WriteData(1, false, []byte("body"))
		w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fragment("x-sum", "7"), EndStream: true, EndHeaders: true})
	})
	say(func(w *world) {
		w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		w.request(1, true)
		w.fr.WriteSettingsAck()
		w.fr.WritePing(false, [8]byte{1})
		w.fr.WriteRSTStream(1, http2.ErrCodeCancel)
		w.fr.WritePriority(1, http2.PriorityParam{StreamDep: 1})
		w.fr.WriteGoAway(0, http2.ErrCodeNo, []byte("bye"))
		w.fr.WriteRawFrame(0x10, 0, 0, []byte("\x00\x00\x00\x01u=1"))
	})
	say(func(w *world) { // what a server says
		w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fragment(":status", "103", "link", "x"), EndHeaders: true})
		w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fragment(":status", "200", "content-length", "4"), EndHeaders: true})
		w.fr.WriteData(1, false, []byte("body"))
		w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fragment("grpc-status", "0"), EndHeaders: true, EndStream: true})
	})
	return all
}

// answering is a world that answers every request and judges every head.
type answering struct{ *world }

func (a answering) Head(s *Stream, head []byte) {
	a.world.Head(s, head)
	lines := strings.Split(string(head), "\r\n")
	for i, l := range lines {
		if strings.ContainsAny(l, "\r\n\x00") || i > 0 && l != "" && !strings.Contains(l, ": ") {
			a.t.Errorf("line %q in the head %q", l, head)
		}
		if name, _, _ := strings.Cut(l, ":"); i > 0 && name != strings.ToLower(name) {
			a.t.Errorf("line %q in the head %q", l, head)
		}
	}
	if n := strings.Count(string(head), "\r\n\r\n"); n > 1 || n == 1 && !strings.HasSuffix(string(head), "\r\n\r\n") {
		a.t.Errorf("two heads in %q", head)
	}
	if a.c.client {
		return
	}
	a.c.SendHead(s, []byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"), false)
	a.c.SendData(s, []byte("body"), true)
}

func (a answering) Data(s *Stream, p []byte) {
	a.world.Data(s, p)
	a.c.Consumed(s, len(p))
}

// FuzzConn has a connection take anything, whole and in pieces: both times it
// must do the same, on either side of it.
func FuzzConn(f *testing.F) {
	for _, p := range conversations() {
		f.Add(p, uint16(1), false)
		f.Add(p, uint16(7), true)
	}
	f.Fuzz(func(t *testing.T, p []byte, size uint16, client bool) {
		run := func(pieces bool) (string, []byte) {
			w := &world{t: t, streams: map[uint32]*Stream{}, keep: true}
			if client {
				w.c.Connect(answering{w})
				w.c.SendRequest(new(Stream), []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), []byte("a"), true)
			} else {
				w.c.Serve(answering{w})
				if err := w.c.Receive(0, []byte(http2.ClientPreface)); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			for rest := p; len(rest) > 0 && err == nil; {
				n := len(rest)
				if pieces {
					n = min(n, int(size)+1)
				}
				err = w.c.Receive(0, bytes.Clone(rest[:n]))
				rest = rest[n:]
				w.c.Rest()
			}
			if w.c.recvWindow+int64(w.c.recvOwed) > connWindow {
				t.Errorf("window of %d", w.c.recvWindow)
			}
			return fmt.Sprint(w.events, err), w.c.TakeOutput(nil)
		}
		whole, out := run(false)
		parts, out2 := run(true)
		if whole != parts || !bytes.Equal(out, out2) {
			t.Errorf("whole: %s\nin pieces: %s", whole, parts)
		}
	})
}
