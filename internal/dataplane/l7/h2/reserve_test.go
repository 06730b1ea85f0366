package h2

import (
	"testing"

	"golang.org/x/net/http2"
)

// TestReserve: what several streams may read at the same time is never more than
// what can be sent of it, and what is not needed comes back.
func TestReserve(t *testing.T) {
	w := newWorld(t)
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	for id := uint32(1); id <= 5; id += 2 {
		w.request(id, true)
	}
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	w.c.TakeOutput(nil)
	a, b, c := w.streams[1], w.streams[3], w.streams[5]
	c.sendWindow = 10
	if n := w.c.Reserve(a, 40_000); n != 40_000 {
		t.Fatalf("%d", n)
	}
	if n := w.c.Reserve(b, 40_000); n != OutLimit-frameHead-40_000 {
		t.Errorf("%d are left", n)
	}
	if n := w.c.Reserve(c, 1); n != 0 || !w.c.Crowded(b, 30_000) || w.c.Crowded(b, 20_000) || !w.c.Crowded(c, 1) {
		t.Errorf("%d more; crowded %v %v", n, w.c.Crowded(b, 30_000), w.c.Crowded(c, 1))
	}
	if n := w.c.SendData(c, make([]byte, 1), true); n != 0 {
		t.Errorf("%d sent in others' room", n)
	}
	// More than was reserved goes as far as it can, which is no further.
	for _, row := range []struct{ ask, sent, reserved int }{{30_000, 30_000, 35_527}, {20_000, 10_000, 25_527}} {
		if n := w.c.SendData(a, make([]byte, row.ask), false); n != row.sent || w.c.reserved != row.reserved {
			t.Errorf("%d sent, %d reserved: want %+v", n, w.c.reserved, row)
		}
	}
	w.c.sendWindow += 1 << 20
	w.c.TakeOutput(nil)
	if n := w.c.Reserve(b, 100); n != 100 || w.c.reserved != 100 {
		t.Errorf("again: %d, %d in all", n, w.c.reserved)
	}
	// Whatever ends a stream gives it back.
	w.fr.WriteRSTStream(3, http2.ErrCodeCancel)
	if err := w.deliver(); err != nil || w.c.reserved != 0 || w.c.Reserve(b, 1) != 0 {
		t.Errorf("%v, %d reserved", err, w.c.reserved)
	}
	w.c.Reserve(a, 100)
	w.c.Release(a)
	if w.c.reserved != 0 || w.c.Sendable(c) != 10 {
		t.Errorf("%d reserved, %d can be sent", w.c.reserved, w.c.Sendable(c))
	}
}
