package balance

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// schedulers says what the suite may ask of each.
var schedulers = []struct {
	name      spec.Scheduler
	weighted  bool    // shares follow weights
	hash      bool    // equal keys give equal targets
	tolerance float64 // of a share, relative
}{
	{name: spec.WRR, weighted: true, tolerance: 0.001},
	{name: spec.RR, tolerance: 0.001},
	{name: spec.WLC, weighted: true, tolerance: 0.02},
	{name: spec.SCH, weighted: true, hash: true, tolerance: 0.06},
	{name: spec.TCH, weighted: true, hash: true, tolerance: 0.06},
	{name: spec.QCH, weighted: true, hash: true, tolerance: 0.06},
}

func idle(int) int64 { return 0 }

func names(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("i-%03d@10.0.0.%d:8080", i, i+1)
	}
	return ids
}

// key n of the suite: spread like real flow hashes.
func key(n int) uint64 { return mix(uint64(n) + 1) }

func counts(p Picker, targets, picks int) []int {
	got := make([]int, targets)
	for n := range picks {
		got[p.Pick(key(n))]++
	}
	return got
}

func TestTableHasEveryScheduler(t *testing.T) {
	if len(schedulers) != len(builders) {
		t.Errorf("suite covers %d schedulers, the table has %d", len(schedulers), len(builders))
	}
	for _, s := range schedulers {
		if !Known(s.name) {
			t.Errorf("%s has no row", s.name)
		}
		if UsesKey(s.name) != s.hash {
			t.Errorf("UsesKey(%s) = %v", s.name, UsesKey(s.name))
		}
	}
	if Known("none") {
		t.Error(`Known("none")`)
	}
	if got := New("none", []int{1, 1}, names(2), idle).Pick(0); got < 0 {
		t.Errorf("unknown scheduler picked %d", got)
	}
}

func TestShares(t *testing.T) {
	sets := [][]int{{1, 1}, {100, 100}, {90, 10}, {5, 1, 1}, {100, 50, 25, 25}, {7, 7, 7, 3, 3, 1}}
	for _, s := range schedulers {
		for _, weights := range sets {
			t.Run(fmt.Sprint(s.name, weights), func(t *testing.T) {
				const picks = 140_000 // a multiple of every sum of weights
				sum := 0
				for _, w := range weights {
					sum += w
				}
				got := counts(New(s.name, weights, names(len(weights)), idle), len(weights), picks)
				for i, w := range weights {
					want := float64(picks) / float64(len(weights))
					if s.weighted {
						want = float64(picks) * float64(w) / float64(sum)
					}
					if math.Abs(float64(got[i])-want) > want*s.tolerance {
						t.Errorf("target %d of weight %d: %d picks, want %.0f within %.1f%%", i, w, got[i], want, 100*s.tolerance)
					}
				}
			})
		}
	}
}

func TestFewAndNone(t *testing.T) {
	for _, s := range schedulers {
		if got := New(s.name, nil, nil, idle).Pick(7); got != -1 {
			t.Errorf("%s of nothing: %d", s.name, got)
		}
		if got := New(s.name, []int{3}, names(1), idle).Pick(7); got != 0 {
			t.Errorf("%s of one: %d", s.name, got)
		}
	}
}

func TestBadSetPanics(t *testing.T) {
	for name, build := range map[string]func(){
		"weight 0":    func() { New(spec.WRR, []int{1, 0}, names(2), idle) },
		"ids missing": func() { New(spec.WRR, []int{1, 1}, names(1), idle) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			build()
		})
	}
}

func TestConcurrentPicksKeepShares(t *testing.T) {
	for _, s := range schedulers {
		t.Run(string(s.name), func(t *testing.T) {
			weights := []int{3, 2, 1}
			p := New(s.name, weights, names(3), idle)
			const each = 12_000
			var got [3]atomic.Int64
			var wg sync.WaitGroup
			for w := range 4 {
				wg.Go(func() {
					for n := range each {
						got[p.Pick(key(w*each+n))].Add(1)
					}
				})
			}
			wg.Wait()
			for i, w := range weights {
				want := 4 * each / 3.0
				if s.weighted {
					want = 4 * each * float64(w) / 6
				}
				if math.Abs(float64(got[i].Load())-want) > want*max(s.tolerance, 0.01) {
					t.Errorf("target %d: %d picks, want %.0f", i, got[i].Load(), want)
				}
			}
		})
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, s := range schedulers {
		p := New(s.name, []int{3, 2, 1}, names(3), func(i int) int64 { return int64(i) })
		n := 0
		if got := testing.AllocsPerRun(1000, func() { n++; p.Pick(key(n)) }); got != 0 {
			t.Errorf("%s: %v allocations a pick", s.name, got)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, s := range schedulers {
		for _, n := range []int{2, 20, 200} {
			weights := make([]int, n)
			for i := range weights {
				weights[i] = 1 + i%10
			}
			p := New(s.name, weights, names(n), idle)
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				b.ReportAllocs()
				k := uint64(1)
				for b.Loop() {
					k += hashSeed
					p.Pick(k)
				}
			})
		}
	}
}

func BenchmarkPickParallel(b *testing.B) {
	for _, s := range schedulers {
		p := New(s.name, []int{3, 2, 1}, names(3), idle)
		b.Run(string(s.name), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				k := uint64(1)
				for pb.Next() {
					k += hashSeed
					p.Pick(k)
				}
			})
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, s := range schedulers[:4] {
		for _, n := range []int{3, 200} {
			weights := make([]int, n)
			for i := range weights {
				weights[i] = 100 - i%7
			}
			ids := names(n)
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					New(s.name, weights, ids, idle)
				}
			})
		}
	}
}
