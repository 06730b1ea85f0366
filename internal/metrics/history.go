package metrics

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// What a History keeps. Figures of an hour fit into some 50 kB for a listener
// with traffic; one without takes hardly anything.
const (
	// SampleInterval is the time between samples; a minute has four, from which
	// its minimum, average and maximum come.
	SampleInterval = 15 * time.Second
	keptSamples    = int64(time.Hour/SampleInterval) + 1
	// maxRecords bounds memory, to about 45 MB: with more listeners under
	// traffic less than an hour is kept.
	maxRecords = 200_000
)

// Servers are the servers of a listener by health.
type Servers struct{ Up, Down int }

// HistorySource is where a History reads.
type HistorySource interface {
	FrontendFacts() []spec.FrontendFacts
	// Servers are the servers of an instance's listeners.
	Servers(instance string) map[spec.FrontendID]Servers
}

// History remembers what the data plane counted, so that figures under the
// vendor's names can be asked for. It is safe for concurrent use.
type History struct {
	source HistorySource
	limit  int // of records

	mu      sync.RWMutex
	times   []time.Time // of samples first to next-1
	first   int64
	tracks  map[spec.FrontendID]*track
	records int
}

// track is the samples of one listener. A sample that brings nothing new takes
// no record.
type track struct {
	records []record // by sample
	last    int64    // the sample in which the listener was seen last
}

type record struct {
	sample int64
	gone   bool // from here on there was no such listener
	row    row
}

// NewHistory returns an empty history.
func NewHistory(s HistorySource) *History {
	return &History{source: s, limit: maxRecords, tracks: map[spec.FrontendID]*track{}}
}

// Run takes samples until ctx ends, at full quarters of the minute, so that
// minutes are those of the clock.
func (h *History) Run(ctx context.Context) error {
	for {
		now := time.Now()
		h.Sample(now)
		t := time.NewTimer(now.Truncate(SampleInterval).Add(SampleInterval).Sub(now))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// Sample reads the source. A clock that was set back gives no samples until it has
// caught up.
func (h *History) Sample(now time.Time) {
	if !now.After(h.lastSample()) {
		return
	}
	facts := h.source.FrontendFacts()
	servers := map[spec.FrontendID]Servers{}
	for i := range facts {
		if id := facts[i].ID.Instance; i == 0 || facts[i-1].ID.Instance != id {
			for of, n := range h.source.Servers(id) {
				servers[of] = n
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.first + int64(len(h.times))
	h.times = append(h.times, now)
	for i := range facts {
		f := &facts[i]
		s := h.tracks[f.ID]
		if s == nil {
			s = &track{}
			h.tracks[f.ID] = s
		} else if s.last < n-1 {
			s.records = append(s.records, record{sample: s.last + 1, gone: true})
			h.records++
		}
		s.last = n
		r := rowOf(f, servers[f.ID])
		if k := len(s.records); k == 0 || s.records[k-1].gone || s.records[k-1].row != r {
			s.records = append(s.records, record{sample: n, row: r})
			h.records++
		}
	}
	h.forgetLocked(n + 1 - keptSamples)
	for h.records > h.limit && len(h.times) > 1 {
		h.forgetLocked(h.first + max(1, int64(len(h.times))/8))
	}
}

func (h *History) lastSample() time.Time {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.times) == 0 {
		return time.Time{}
	}
	return h.times[len(h.times)-1]
}

// forgetLocked drops the samples before first.
func (h *History) forgetLocked(first int64) {
	if first <= h.first {
		return
	}
	h.times = slices.Delete(h.times, 0, int(first-h.first))
	h.first = first
	for id, s := range h.tracks {
		if s.last < first {
			h.records -= len(s.records)
			delete(h.tracks, id)
			continue
		}
		// The newest record of what is dropped tells the first sample kept.
		drop := 0
		for drop+1 < len(s.records) && s.records[drop+1].sample <= first {
			drop++
		}
		s.records = slices.Delete(s.records, 0, drop)
		h.records -= drop
		if s.records[0].sample < first {
			s.records[0].sample = first
		}
	}
}

// at is the row of a sample, nil when the listener was not there.
func (s *track) at(sample int64) *row {
	if sample > s.last {
		return nil
	}
	i, found := slices.BinarySearchFunc(s.records, sample, func(r record, n int64) int { return int(r.sample - n) })
	if !found {
		i--
	}
	if i < 0 || s.records[i].gone {
		return nil
	}
	return &s.records[i].row
}
