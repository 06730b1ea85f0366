package rpc

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// span is a closed range of integers.
type span struct{ low, high int64 }

// String is the range in words.
func (s span) String() string {
	switch {
	case s.low == s.high:
		return strconv.FormatInt(s.low, 10)
	case s.low == math.MinInt64:
		return fmt.Sprintf("a whole number of at most %d", s.high)
	case s.high == math.MaxInt64:
		return fmt.Sprintf("a whole number of at least %d", s.low)
	}
	return fmt.Sprintf("a whole number from %d to %d", s.low, s.high)
}

// parseSpans reads the range tag: single numbers and low..high, separated by |,
// as in "-1|1..5120". Either end may be left out.
func parseSpans(text string) ([]span, error) {
	var spans []span
	for part := range strings.SplitSeq(text, "|") {
		low, high, isRange := strings.Cut(part, "..")
		if !isRange {
			high = low
		}
		s := span{math.MinInt64, math.MaxInt64}
		var err error
		if low != "" || !isRange {
			if s.low, err = strconv.ParseInt(low, 10, 64); err != nil {
				return nil, fmt.Errorf("range %q: %w", text, err)
			}
		}
		if high != "" || !isRange {
			if s.high, err = strconv.ParseInt(high, 10, 64); err != nil {
				return nil, fmt.Errorf("range %q: %w", text, err)
			}
		}
		if s.low > s.high {
			return nil, fmt.Errorf("range %q is empty", text)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

// within reports whether n lies in one of the spans; no spans allow everything.
func within(spans []span, n int64) bool {
	if len(spans) == 0 {
		return true
	}
	for _, s := range spans {
		if s.low <= n && n <= s.high {
			return true
		}
	}
	return false
}
