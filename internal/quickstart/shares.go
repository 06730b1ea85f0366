package quickstart

import (
	"fmt"
	"math"
	"strings"
)

// tolerance is how far, in percentage points, a share may be from what the
// weights promise. The scheduler is exact; what is left is where in its cycle
// a measurement begins and ends.
const tolerance = 3.0

// share is one server of a distribution table.
type share struct {
	id     string
	weight int
	down   bool // not in service, whatever its weight
}

// effective is the weight that counts.
func (s share) effective() int {
	if s.down {
		return 0
	}
	return s.weight
}

// expected is the part of the traffic, in percent, that s should get among
// shares.
func expected(shares []share, s share) float64 {
	sum := 0
	for _, other := range shares {
		sum += other.effective()
	}
	if sum == 0 {
		return 0
	}
	return 100 * float64(s.effective()) / float64(sum)
}

// column is one kind of traffic of a distribution table.
type column struct {
	title string
	tally tally
}

// table lays the distribution out as text.
func table(shares []share, columns []column) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-24s %6s %8s", "server", "weight", "promised")
	for _, c := range columns {
		fmt.Fprintf(&b, "  %18s", c.title)
	}
	for _, s := range shares {
		fmt.Fprintf(&b, "\n  %-24s %6d %7.1f%%", s.id, s.weight, expected(shares, s))
		for _, c := range columns {
			fmt.Fprintf(&b, "  %9d (%5.1f%%)", c.tally.count[s.id], c.tally.percent(s.id))
		}
	}
	return b.String()
}

// check compares a tally with the weights. It returns one error per fault.
func check(shares []share, c column) []error {
	var errs []error
	if c.tally.failed > 0 {
		errs = append(errs, fmt.Errorf("%s: %d of %d requests failed, one with: %w",
			c.title, c.tally.failed, c.tally.total, c.tally.firstFailure))
	}
	known := 0
	for _, s := range shares {
		known += c.tally.count[s.id]
		want, got := expected(shares, s), c.tally.percent(s.id)
		switch {
		case s.effective() == 0 && c.tally.count[s.id] > 0:
			errs = append(errs, fmt.Errorf("%s: %s got %d requests and should have none", c.title, s.id, c.tally.count[s.id]))
		case math.Abs(want-got) > tolerance:
			errs = append(errs, fmt.Errorf("%s: %s got %.1f%% and its weight promises %.1f%%", c.title, s.id, got, want))
		}
	}
	if rest := c.tally.total - c.tally.failed - known; rest > 0 {
		errs = append(errs, fmt.Errorf("%s: %d requests went to servers that are not in the group", c.title, rest))
	}
	return errs
}
