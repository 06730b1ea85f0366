package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Query asks for one figure over time.
type Query struct {
	Metric *Definition
	// Instance, Port and Protocol choose listeners; what is empty chooses all. A
	// figure of instances looks at Instance alone.
	Instance string
	Port     uint16
	Protocol spec.Protocol
	// After and To bound the beginnings of periods: After < beginning <= To.
	After, To time.Time
	// Period is a multiple of a minute.
	Period time.Duration
	// Limits are those of an instance's specification.
	Limits func(instance string) spec.Limits
}

// Point is a figure of one period of the clock. Of the ID of an instance's figure
// only the instance is set.
type Point struct {
	Begin                     time.Time
	ID                        spec.FrontendID
	Minimum, Average, Maximum float64
}

// Points answers a query with the periods that are over, by beginning and then by
// listener. Periods of which nothing is known are left out.
func (h *History) Points(q Query) []Point {
	h.mu.RLock()
	defer h.mu.RUnlock()
	groups := map[spec.FrontendID][]*track{}
	for id, s := range h.tracks {
		if q.Instance != "" && id.Instance != q.Instance || !q.Metric.appliesTo(id.Protocol) {
			continue
		}
		if q.Metric.Instance {
			id = spec.FrontendID{Instance: id.Instance}
		} else if q.Port != 0 && id.Port != q.Port || q.Protocol != "" && id.Protocol != q.Protocol {
			continue
		}
		groups[id] = append(groups[id], s)
	}
	var out []Point
	for id, all := range groups {
		out = append(out, h.pointsOfLocked(&q, id, all)...)
	}
	slices.SortFunc(out, func(a, b Point) int {
		return cmp.Or(a.Begin.Compare(b.Begin), cmp.Compare(a.ID.Instance, b.ID.Instance), cmp.Compare(a.ID.Port, b.ID.Port), cmp.Compare(a.ID.Protocol, b.ID.Protocol))
	})
	return out
}

func (h *History) pointsOfLocked(q *Query, id spec.FrontendID, all []*track) []Point {
	var limits spec.Limits
	if q.Limits != nil {
		limits = q.Limits(id.Instance)
	}
	var out []Point
	var p Point
	n := 0.0
	for i := 1; i < len(h.times); i++ {
		// Samples may be late a little: the middle between two tells the period.
		seconds := h.times[i].Sub(h.times[i-1])
		begin := h.times[i].Add(-seconds / 2).Truncate(q.Period)
		over := !h.times[len(h.times)-1].Before(begin.Add(q.Period))
		if !over || !begin.After(q.After) || begin.After(q.To) {
			continue
		}
		var sum step
		found := false
		for _, s := range all {
			a, b := s.at(h.first+int64(i-1)), s.at(h.first+int64(i))
			if a == nil || b == nil {
				continue
			}
			one := between(a, b, seconds.Seconds())
			sum.add(&one)
			found = true
		}
		if !found || sum.seconds <= 0 {
			continue
		}
		v, ok := q.Metric.value(&sum, limits)
		if !ok {
			continue
		}
		if n == 0 || p.Begin != begin {
			if n > 0 {
				out = append(out, p)
			}
			p, n = Point{Begin: begin, ID: id, Minimum: v, Maximum: v}, 0
		}
		p.Minimum, p.Maximum = min(p.Minimum, v), max(p.Maximum, v)
		p.Average = (p.Average*n + v) / (n + 1)
		n++
	}
	if n > 0 {
		out = append(out, p)
	}
	return out
}
