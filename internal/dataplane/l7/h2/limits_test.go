package h2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// flood repeats something until the connection is ended, which must happen
// within the given number of times.
func flood(t *testing.T, w *world, most int, write func(i int)) error {
	t.Helper()
	for i := range most {
		write(i)
		if err := w.deliver(); err != nil {
			return err
		}
		w.c.TakeOutput(nil) // the client reads
	}
	t.Fatalf("not ended within %d", most)
	return nil
}

func TestRapidReset(t *testing.T) {
	w := newWorld(t)
	err := flood(t, w, resetBudget+1, func(i int) {
		w.request(uint32(2*i+1), true)
		w.fr.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
	})
	w.wantEnd(err, http2.ErrCodeEnhanceYourCalm)
}

// TestResetsOverTime: a client that gives up as many requests in a minute as a
// person may is left alone.
func TestResetsOverTime(t *testing.T) {
	w := newWorld(t)
	for i := range 4 * resetBudget {
		w.now += time.Second / (resetRefill / 2)
		w.request(uint32(2*i+1), true)
		w.fr.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		if err := w.deliver(); err != nil {
			t.Fatal(err)
		}
		w.c.TakeOutput(nil)
	}
}

// TestMadeYouReset: a client cannot get around the budget by having us reset.
func TestMadeYouReset(t *testing.T) {
	for name, fault := range map[string]func(w *world, id uint32){
		"window":    func(w *world, id uint32) { w.fr.WriteWindowUpdate(id, 0) },
		"overflow":  func(w *world, id uint32) { w.fr.WriteWindowUpdate(id, 1<<31-1) },
		"too long":  func(w *world, id uint32) { w.fr.WriteData(id, false, []byte("more")) },
		"priority":  func(w *world, id uint32) { w.fr.WritePriority(id, http2.PriorityParam{StreamDep: id}) },
		"half head": func(w *world, id uint32) { w.request(id, false) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			err := flood(t, w, resetBudget+1, func(i int) {
				id := uint32(2*i + 1)
				w.request(id, false, "content-length", "1")
				fault(w, id)
			})
			w.wantEnd(err, http2.ErrCodeEnhanceYourCalm)
		})
	}
}

func TestFloods(t *testing.T) {
	for name, frame := range map[string]func(w *world){
		"ping":         func(w *world) { w.fr.WritePing(false, [8]byte{}) },
		"pong":         func(w *world) { w.fr.WritePing(true, [8]byte{}) },
		"settings":     func(w *world) { w.fr.WriteSettings() },
		"settings ack": func(w *world) { w.fr.WriteSettingsAck() },
		"priority":     func(w *world) { w.fr.WritePriority(9, http2.PriorityParam{}) },
		"window":       func(w *world) { w.fr.WriteWindowUpdate(0, 1) },
		"empty data":   func(w *world) { w.fr.WriteData(1, false, nil) },
		"padding":      func(w *world) { w.fr.WriteDataPadded(1, false, nil, make([]byte, 200)) },
		"unknown":      func(w *world) { w.fr.WriteRawFrame(0xbe, 0, 1, []byte("x")) },
		"goaway":       func(w *world) { w.fr.WriteGoAway(0, http2.ErrCodeNo, nil) },
		"closed":       func(w *world) { w.fr.WriteRSTStream(3, http2.ErrCodeCancel) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.request(1, false)
			w.request(3, true)
			w.fr.WriteRSTStream(3, http2.ErrCodeCancel)
			err := flood(t, w, frameBudget+2, func(int) { frame(w) })
			w.wantEnd(err, http2.ErrCodeEnhanceYourCalm)
		})
	}
}

// TestAnswersNotRead: what we have to answer does not pile up.
func TestAnswersNotRead(t *testing.T) {
	w := newWorld(t)
	var err error
	for i := 0; err == nil && i < 1<<20; i++ {
		w.now += time.Second // no budget is in the way
		w.fr.WritePing(false, [8]byte{})
		err = w.deliver()
		if n := w.c.Pending(); n > maxOut+1000 {
			t.Fatalf("%d bytes wait", n)
		}
	}
	w.wantEnd(err, http2.ErrCodeEnhanceYourCalm)
}

// TestDownloadEarns: a client that acknowledges what it downloads in small steps
// never runs out of frames.
func TestDownloadEarns(t *testing.T) {
	w := newWorld(t)
	w.request(1, true)
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	s := w.streams[1]
	w.c.SendHead(s, []byte("HTTP/1.1 200 OK\r\n\r\n"), false)
	for range 10 * frameBudget {
		if n := w.c.SendData(s, make([]byte, 2<<10), false); n != 2<<10 {
			t.Fatalf("sent %d", n)
		}
		w.c.TakeOutput(nil)
		w.fr.WriteWindowUpdate(0, 1<<10)
		w.fr.WriteWindowUpdate(0, 1<<10)
		w.fr.WriteWindowUpdate(1, 2<<10)
		w.fr.WritePing(false, [8]byte{})
		if err := w.deliver(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContinuationFlood(t *testing.T) {
	for _, size := range []int{0, 1, 1000, FrameSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := newWorld(t)
			part := w.fragment("x", strings.Repeat("\x01", max(0, size-5)))[:size]
			if size > 100 {
				part = []byte(strings.Repeat("\x82", size)) // :method GET, over and over
			}
			w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fragment(get...)})
			if size == 1 {
				part = []byte{0x82}
			}
			err := flood(t, w, frameBudget+maxBlock, func(int) { w.fr.WriteContinuation(1, false, part) })
			w.wantEnd(err, http2.ErrCodeEnhanceYourCalm)
		})
	}
}

// TestCompressionBomb: a few bytes that stand for many, in a head of the largest
// size, cost neither memory nor the connection.
func TestCompressionBomb(t *testing.T) {
	w := newWorld(t)
	w.request(1, true, "x-bomb", strings.Repeat("b", 3900))
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	p := w.fragment(get...)
	bomb := append(p, []byte(strings.Repeat("\xbe", FrameSize-len(p)))...) // the newest of the table
	w.events = nil
	allocs := testing.AllocsPerRun(20, func() {
		id := w.c.lastID + 2
		w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: bomb, EndStream: true, EndHeaders: true})
		if err := w.deliver(); err != nil {
			t.Fatal(err)
		}
		w.c.Release(w.streams[id])
		w.c.TakeOutput(nil)
	})
	for _, e := range w.events {
		if len(e) > maxURI+maxHeader+10<<10 {
			t.Fatalf("a head of %d bytes", len(e))
		}
	}
	if allocs > 200 {
		t.Errorf("%.0f allocations", allocs)
	}
}

// TestEmptyFields: fields without a name are refused, and there is a limit to
// their number whatever their size.
func TestEmptyFields(t *testing.T) {
	w := newWorld(t)
	var many []string
	for range 3000 {
		many = append(many, "x", "")
	}
	w.request(1, true, many...)
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(w.events[0], `x: \r\n`); n < maxFields || n > maxFields+20 {
		t.Errorf("%d fields get through", n)
	}
}

func TestStreamLimit(t *testing.T) {
	w := newWorld(t)
	w.keep = true // servers are busy with what the client gave up
	id := uint32(1)
	open := func() string {
		w.request(id, true)
		id += 2
		if err := w.deliver(); err != nil {
			t.Fatal(err)
		}
		said := w.said()
		if len(said) == 0 {
			return ""
		}
		return said[len(said)-1]
	}
	for range MaxStreams {
		open()
	}
	if last := open(); last != fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", id-2) {
		t.Errorf("beyond the limit: %q", last)
	}
	for i := range MaxStreams {
		w.fr.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
	}
	for range MaxStreams {
		if last := open(); last != "" {
			t.Fatalf("after giving up: %q", last)
		}
	}
	w.fr.WriteRSTStream(id-2, http2.ErrCodeCancel)
	if last := open(); last != fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", id-2) {
		t.Errorf("with %d given up and still busy: %q", w.c.zombies, last)
	}
	for i := range MaxStreams {
		w.c.Release(w.streams[uint32(2*i+1)])
	}
	if last := open(); last != "" {
		t.Errorf("after their end: %q", last)
	}
}

// TestWindows: what has been consumed is given back, and no more than the window
// is ever accepted.
func TestWindows(t *testing.T) {
	w := newWorld(t)
	w.request(1, false)
	w.request(3, false)
	for range streamWindow / FrameSize {
		w.fr.WriteData(1, false, make([]byte, FrameSize))
	}
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	w.said()
	w.c.Consumed(w.streams[1], streamWindow/2)
	if got := w.said(); !slices.Equal(got, []string{fmt.Sprintf("WINDOW_UPDATE 1 +%d", streamWindow/2)}) {
		t.Errorf("said %q", got)
	}
	for range streamWindow / 2 / FrameSize {
		w.fr.WriteData(1, false, make([]byte, FrameSize))
	}
	if err := w.deliver(); err != nil || w.streams[1] == nil {
		t.Fatal(err)
	}
	w.fr.WriteData(1, false, make([]byte, 1))
	if err := w.deliver(); err != nil || w.streams[1] != nil {
		t.Fatalf("more than the window: %v, %q", err, w.events)
	}
	// What the ended stream held does not count against the others.
	if got := w.said(); !slices.Contains(got, "RST_STREAM 1 FLOW_CONTROL_ERROR") {
		t.Errorf("said %q", got)
	}
	if free := w.c.recvWindow + int64(w.c.recvOwed); free != connWindow {
		t.Errorf("%d of the connection's window are lost", connWindow-free)
	}
}

// TestLeaving: the graceful end answers what was sent before the client knew.
func TestLeaving(t *testing.T) {
	w := newWorld(t)
	w.request(1, true)
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	w.said()
	w.c.Leave()
	if got := w.said(); !slices.Equal(got, []string{"GOAWAY 0 NO_ERROR", "PING 0"}) {
		t.Errorf("said %q", got)
	}
	w.request(3, true)
	w.fr.WritePing(true, leavingPing)
	w.request(5, true)
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	if w.streams[3] == nil || w.streams[5] != nil || !w.c.Left() {
		t.Errorf("events %q", w.events)
	}
	for _, id := range []uint32{1, 3} {
		w.c.SendHead(w.streams[id], []byte("HTTP/1.1 204 No Content\r\n\r\n"), true)
	}
	if got := w.said(); !slices.Equal(got, []string{"GOAWAY 0 NO_ERROR", "HEADERS 1 end", "HEADERS 3 end"}) || w.c.Open() != 0 {
		t.Errorf("said %q, %d open", got, w.c.Open())
	}
}

// TestHeadsTogether: a few bytes can stand for a long head, so those of all requests
// are bounded together, and room comes with their end.
func TestHeadsTogether(t *testing.T) {
	w := newWorld(t)
	w.keep = true
	long := []string{"x-a", strings.Repeat("a", 3800), "x-b", "b"}
	for range 6 {
		long = append(long, "x-a", long[1])
	}
	opened := 0
	for id := uint32(1); ; id += 2 {
		w.request(id, true, long...)
		if err := w.deliver(); err != nil {
			t.Fatal(err)
		}
		if said := w.said(); slices.Contains(said, fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", id)) {
			break
		}
		if opened++; opened == MaxStreams {
			t.Fatal("all are accepted")
		}
	}
	if size := opened * 26_000; size < maxHeads/2 || size > maxHeads {
		t.Errorf("%d are accepted", opened)
	}
	w.fr.WriteRSTStream(1, http2.ErrCodeCancel)
	w.request(501, true, long...)
	if err := w.deliver(); err != nil || w.streams[501] != nil {
		t.Errorf("accepted before the memory is free: %v", err)
	}
	w.c.Release(w.streams[1])
	w.request(503, true, long...)
	w.request(505, true)
	if err := w.deliver(); err != nil || w.streams[503] == nil || w.streams[505] == nil {
		t.Errorf("not accepted afterwards: %v", err)
	}
}
