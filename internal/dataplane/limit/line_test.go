package limit

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Many goroutines that want to send at the same moment get the rate together,
// none of it at once, and even shares.
func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := instanceOf(spec.Limits{}, spec.Frontend{ID: id(1), Bandwidth: 8 * mbit})
		whole := &i.Frontend(id(1)).Out
		whole.own.paid.Store(clock()) // the bubble's time lies before the process's start
		var l Line
		l.Init(whole.Part(1))
		const goroutines, pieces, size = 50, 10, 4000
		start := time.Now()
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			sent [goroutines]int
		)
		for k := range goroutines {
			wg.Go(func() {
				for range pieces {
					if !l.Allow(size) {
						l.Wait(size, func() bool { return false })
					}
					mu.Lock()
					sent[k]++
					total := 0
					for _, n := range sent {
						total += n
					}
					// A tenth of a second's bytes and one piece may come at once.
					if total*size > int(time.Since(start).Seconds()*mbit)+mbit/10+2*size {
						t.Errorf("%d bytes after %v", total*size, time.Since(start))
					}
					if total == goroutines*pieces/2 && slices.Min(sent[:]) < pieces/4 {
						t.Errorf("half-way some have sent more than others: %v", sent)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d < 1880*time.Millisecond || d > 2100*time.Millisecond {
			t.Errorf("2 MB at 1 MB/s took %v", d)
		}
	})
}

// Who is told to stop goes, others keep their places, and a limit that is lifted
// lets all pass.
func TestLineStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := instanceOf(spec.Limits{}, spec.Frontend{ID: id(1), Bandwidth: 8000})
		whole := &i.Frontend(id(1)).Out
		whole.own.paid.Store(clock())
		var l Line
		l.Init(whole.Part(1))
		if !l.Allow(10_000) || l.Allow(1) { // ten seconds' worth
			t.Fatal("the first is not let through, or the second is")
		}
		start := time.Now()
		stop := make(chan struct{})
		var first, second time.Duration
		var wg sync.WaitGroup
		wg.Go(func() {
			l.Wait(1, func() bool {
				select {
				case <-stop:
					return true
				default:
					return false
				}
			})
			first = time.Since(start)
		})
		synctest.Wait()
		wg.Go(func() {
			l.Wait(1, func() bool { return false })
			second = time.Since(start)
		})
		time.Sleep(time.Second)
		close(stop)
		time.Sleep(time.Second)
		i.Update(&spec.Instance{Frontends: []spec.Frontend{{ID: id(1)}}})
		wg.Wait()
		if first > 1100*time.Millisecond || second < 2*time.Second || second > 2100*time.Millisecond {
			t.Errorf("the first went after %v, the second after %v", first, second)
		}
		if !l.Allow(1 << 40) {
			t.Error("without limit something is held up")
		}
	})
	var none Line
	none.Take(1 << 40)
	none.Wait(1, func() bool { return false })
	if none.Limited() || !none.Allow(1<<40) {
		t.Error("a zero line limits")
	}
}

func TestRequests(t *testing.T) {
	i := instanceOf(spec.Limits{RequestRate: 100}, spec.Frontend{ID: id(1)}, spec.Frontend{ID: id(2)})
	got := 0
	for range 100 {
		for _, port := range []uint16{1, 2} {
			if i.Frontend(id(port)).Request() {
				got++
			}
		}
	}
	if got < 100 || got > 110 { // some come due meanwhile
		t.Errorf("%d requests passed at 100 a second", got)
	}
	i.Update(&spec.Instance{Frontends: []spec.Frontend{{ID: id(1)}}})
	for range 1000 {
		if !i.Frontend(id(1)).Request() {
			t.Fatal("a limit that was lifted holds")
		}
	}
	var none Frontend
	if !none.Request() {
		t.Error("a zero frontend limits")
	}
}
