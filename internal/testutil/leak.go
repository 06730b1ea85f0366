package testutil

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// NoLeaks fails the test when goroutines that it started are still there at its
// end. Call it first: what other helpers clean up is gone by then, since
// cleanups run in reverse order.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if t.Failed() {
			return // a failed test may leave early; its own message is the one to read
		}
		// Find waits a second or so by itself; a busy machine gets some more.
		err := goleak.Find(before)
		for range 4 {
			if err == nil {
				return
			}
			err = goleak.Find(before)
		}
		if err != nil {
			t.Errorf("goroutines left behind: %v", err)
		}
	})
}

// Eventually waits until ok answers true and fails the test with what otherwise.
// The limit only bounds a test that fails; it is no statement about speed.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; !ok(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(pause)
	}
}
