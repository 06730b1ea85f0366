package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose width is a sixteenth of their
// value, so that a quantile is right to about 6 %.
type histogram struct {
	counts [64 * 16]int64
	total  int64
}

func bucket(ns int64) int {
	if ns < 16 {
		return int(max(ns, 0))
	}
	exp := bits.Len64(uint64(ns)) - 5 // ns>>exp is 16 to 31
	return exp*16 + int(ns>>exp)
}

// lower is the smallest duration that falls into the bucket.
func lower(b int) time.Duration {
	if b < 32 {
		return time.Duration(b)
	}
	exp := b/16 - 1
	return time.Duration(b-exp*16) << exp
}

func (h *histogram) add(ns int64) {
	h.counts[bucket(ns)]++
	h.total++
}

// quantile is the duration below which the share q of all lies; 0 when there is
// none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	left := int64(q*float64(h.total)) + 1
	for b, n := range h.counts {
		if left -= n; left <= 0 {
			return lower(b)
		}
	}
	return lower(len(h.counts) - 1)
}
