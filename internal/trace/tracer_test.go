package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTracer makes a tracer with the given exporter, which the test closes.
func newTracer(ratio float64, export func(context.Context, []*Span) error) *Tracer {
	return New(Options{Ratio: ratio, Export: export})
}

func eventually(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !fn(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come true", what)
		}
	}
}

func TestRatio(t *testing.T) {
	for _, ratio := range []float64{-1, 0, 0.001, 0.25, 0.5, 1, 2} {
		tr := newTracer(ratio, nil)
		const n = 40000
		sampled := 0
		seen := map[Context]bool{}
		for range n {
			c := tr.Begin()
			if c.Flags&Sampled != 0 {
				sampled++
			}
			if c.Span == 0 || c.Span+maxAttempts < c.Span || c.Trace == [16]byte{} || seen[c] {
				t.Fatalf("context %+v", c)
			}
			seen[c] = true
		}
		want := min(max(ratio, 0), 1)
		// Six standard deviations: one test in a thousand million fails by chance.
		if off := math.Abs(float64(sampled)/n - want); off > 6*math.Sqrt(want*(1-want)/n) {
			t.Errorf("ratio %v: %d of %d are recorded", ratio, sampled, n)
		}
		tr.Close(context.Background())
	}
}

// maxAttempts is more than a request has.
const maxAttempts = 100

func TestSpansArrive(t *testing.T) {
	var mu sync.Mutex
	got, biggest := map[int64]int{}, 0
	tr := newTracer(1, func(_ context.Context, spans []*Span) error {
		mu.Lock()
		defer mu.Unlock()
		biggest = max(biggest, len(spans))
		for _, s := range spans {
			if string(s.Method) != "GET" || len(s.Attempts) != 1 {
				t.Errorf("span %+v", s)
			}
			got[s.Start]++
		}
		return nil
	})
	var producers sync.WaitGroup
	const each = 3000
	for p := range 4 {
		producers.Go(func() {
			for i := range each {
				s := tr.NewSpan()
				s.Method, s.Start = Keep(s.Method, []byte("GET")), int64(p*each+i)
				s.Attempts = append(s.Attempts, Attempt{})
				for !s.Finish() { // it is full: the span was given back
					time.Sleep(time.Millisecond)
					s = tr.NewSpan()
					s.Method, s.Start = Keep(s.Method, []byte("GET")), int64(p*each+i)
					s.Attempts = append(s.Attempts, Attempt{})
				}
			}
		})
	}
	producers.Wait()
	eventually(t, "exported without Close", func() bool { return tr.Stats().Exported == 4*each })
	tr.Close(context.Background())
	if len(got) != 4*each || biggest > batchSize {
		t.Errorf("%d spans, batches of %d", len(got), biggest)
	}
	for i, n := range got {
		if n != 1 {
			t.Fatalf("span %d came %d times", i, n)
		}
	}
}

// TestNeverWaits: with an exporter that takes its time, spans are dropped and
// counted.
func TestNeverWaits(t *testing.T) {
	release := make(chan struct{})
	var asked atomic.Int64
	tr := newTracer(1, func(context.Context, []*Span) error {
		asked.Add(1)
		<-release
		return nil
	})
	dropped, taken := 0, 0
	for dropped < 100 {
		if tr.NewSpan().Finish() {
			taken++
		} else {
			dropped++
		}
	}
	if taken > queueSize+batchSize {
		t.Errorf("%d spans held", taken)
	}
	if s := tr.Stats(); s.Dropped != 100 {
		t.Errorf("stats %+v", s)
	}
	close(release)
	tr.Close(context.Background()) // and what was held goes out
	if s := tr.Stats(); s.Exported != uint64(taken) || s.Failed != 0 {
		t.Errorf("stats %+v, %d taken", s, taken)
	}
}

// TestCloseGivesUp: an exporter that hangs holds up the end as long as it may,
// and spans that are lost are counted.
func TestCloseGivesUp(t *testing.T) {
	tr := newTracer(1, func(ctx context.Context, _ []*Span) error {
		<-ctx.Done()
		return ctx.Err()
	})
	for range batchSize + 10 {
		tr.NewSpan().Finish()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	tr.Close(ctx)
	if took := time.Since(begun); took < 100*time.Millisecond || took > exportTimeout/2 {
		t.Errorf("Close took %v", took)
	}
	if s := tr.Stats(); s.Failed != batchSize+10 || s.Exported != 0 {
		t.Errorf("stats %+v", s)
	}
	tr.NewSpan().Finish() // is of no use, and does no harm
}

// TestRejected: of a batch that was taken but for some spans, no more are lost
// than were rejected.
func TestRejected(t *testing.T) {
	for _, row := range []struct {
		rejected int
		want     Stats
	}{{0, Stats{Exported: 5}}, {2, Stats{Exported: 3, Failed: 2}}, {9, Stats{Failed: 5}}} {
		var log bytes.Buffer
		tr := New(Options{Ratio: 1, Delay: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil)), Export: func(context.Context, []*Span) error {
			return fmt.Errorf("export: %w", &Rejected{row.rejected, errors.New("too long a name")})
		}})
		for range 5 {
			tr.NewSpan().Finish()
		}
		tr.Close(context.Background())
		if got := tr.Stats(); got != row.want || !strings.Contains(log.String(), "too long a name") {
			t.Errorf("%d rejected: %+v, log %s", row.rejected, got, log.String())
		}
	}
}

func TestFailuresAreLoggedSeldom(t *testing.T) {
	var log bytes.Buffer
	tr := New(Options{Ratio: 1, Logger: slog.New(slog.NewTextHandler(&log, nil)), Export: func(context.Context, []*Span) error { return errors.New("no collector") }})
	for i := range uint64(3) {
		for range batchSize {
			tr.NewSpan().Finish()
		}
		eventually(t, "failure", func() bool { return tr.Stats().Failed == (i+1)*batchSize })
	}
	tr.Close(context.Background())
	if text := log.String(); strings.Count(text, "no collector") != 1 {
		t.Errorf("log:\n%s", text)
	}
}

func TestKeep(t *testing.T) {
	if got := Keep([]byte("old"), bytes.Repeat([]byte("x"), MaxText+1)); len(got) != MaxText || got[0] != 'x' {
		t.Errorf("%d bytes", len(got))
	}
}

// TestNoAllocations: neither what is done for each request allocates nor, with
// memory to use again, what is done for a recorded one.
func TestNoAllocations(t *testing.T) {
	tr := newTracer(0.5, func(context.Context, []*Span) error { return nil })
	defer tr.Close(context.Background())
	text, line := []byte(example), make([]byte, 0, Size)
	var sink Context
	if n := testing.AllocsPerRun(1000, func() {
		c, _ := Parse(text)
		sink = Join(c)
		sink = tr.Begin()
		line = sink.Append(line[:0])
		SetSpan(line, 7)
	}); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	if n := testing.AllocsPerRun(1000, func() {
		s := tr.NewSpan()
		s.Method = Keep(s.Method, text)
		s.Attempts = append(s.Attempts, Attempt{})
		s.free()
	}); n > 0.1 {
		t.Errorf("%v allocations for each recorded request", n)
	}
}

func BenchmarkUnsampled(b *testing.B) {
	tr := newTracer(0, nil)
	defer tr.Close(context.Background())
	line := make([]byte, 0, Size)
	b.ReportAllocs()
	for b.Loop() {
		c := tr.Begin()
		line = c.Append(line[:0])
	}
}

func BenchmarkFinish(b *testing.B) {
	tr := newTracer(1, func(context.Context, []*Span) error { return nil })
	defer tr.Close(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		s := tr.NewSpan()
		s.Method = Keep(s.Method, []byte("GET"))
		s.Finish()
	}
	b.ReportMetric(float64(tr.Stats().Dropped)/float64(b.N), "dropped")
}
