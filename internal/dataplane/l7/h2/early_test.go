package h2

import (
	"slices"
	"testing"
)

// TestEarlyAnswer: clients whose requests are answered before their end are told
// that they need not go on, apart from the answers. The streams are over at once.
func TestEarlyAnswer(t *testing.T) {
	w := newWorld(t)
	w.keep = true
	for id := uint32(1); id <= 5; id += 2 {
		w.request(id, id == 5)
	}
	if err := w.deliver(); err != nil {
		t.Fatal(err)
	}
	w.said()
	for id, s := range w.streams {
		w.c.SendHead(s, []byte("HTTP/1.1 200 OK\r\n\r\n"), id == 3)
		if id != 3 {
			w.c.SendData(s, []byte("x"), true)
		}
		w.c.Release(s)
	}
	if w.c.Open() != 0 {
		t.Errorf("%d streams are open", w.c.Open())
	}
	got := w.said()
	slices.Sort(got)
	if want := []string{"DATA 1 1 end", "DATA 5 1 end", "HEADERS 1", "HEADERS 3 end", "HEADERS 5"}; !slices.Equal(got, want) {
		t.Errorf("answers: %q, want %q", got, want)
	}
	got = w.said()
	slices.Sort(got)
	if want := []string{"RST_STREAM 1 NO_ERROR", "RST_STREAM 3 NO_ERROR"}; !slices.Equal(got, want) {
		t.Errorf("behind them: %q, want %q", got, want)
	}
	if got := w.said(); len(got) != 0 || w.c.Pending() != 0 {
		t.Errorf("and then %q", got)
	}
	// What was on its way is no error.
	w.fr.WriteData(1, true, []byte("late"))
	w.fr.WriteData(3, true, nil)
	if err := w.deliver(); err != nil {
		t.Error(err)
	}
}
