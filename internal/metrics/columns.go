package metrics

import "github.com/openslb/openslb/internal/dataplane/spec"

// column is one figure of a listener that the history keeps.
type column int

const (
	// Gauges.
	colActive column = iota
	colInactive
	colUp
	colDown
	// Counters.
	colNew
	colDrop
	colBytesIn
	colBytesOut
	colPacketsIn
	colPacketsOut
	colDropPacketsIn
	colDropPacketsOut
	colDropBytesIn
	colDropBytesOut
	colRequests
	colStatus // of the six classes that FrontendFacts.Status has
	colStatus1
	colStatus2
	colStatus3
	colStatus4
	colStatus5
	colUpstream4
	colUpstream5
	colResponses
	colResponseTime // nanoseconds
	colUpstreams
	colUpstreamTime // nanoseconds
	columns

	firstCounter = colNew
)

// row is one sample of a listener.
type row [columns]uint64

func rowOf(f *spec.FrontendFacts, s Servers) row {
	var r row
	if f.ID.Protocol == spec.UDP {
		r[colInactive] = f.ActiveConnections // the vendor counts flows so
	} else {
		r[colActive] = f.ActiveConnections
	}
	r[colUp], r[colDown] = uint64(s.Up), uint64(s.Down)
	r[colNew], r[colDrop] = f.NewConnections, f.DropConnections
	r[colBytesIn], r[colBytesOut] = f.BytesIn, f.BytesOut
	r[colPacketsIn], r[colPacketsOut] = f.PacketsIn, f.PacketsOut
	r[colDropPacketsIn], r[colDropPacketsOut] = f.DropPacketsIn, f.DropPacketsOut
	r[colDropBytesIn], r[colDropBytesOut] = f.DropBytesIn, f.DropBytesOut
	r[colRequests] = f.Requests
	copy(r[colStatus:], f.Status[:])
	r[colUpstream4], r[colUpstream5] = f.Upstream4, f.Upstream5
	r[colResponses], r[colResponseTime] = f.ResponseTimes.Count, uint64(f.ResponseTimes.Total)
	r[colUpstreams], r[colUpstreamTime] = f.UpstreamTimes.Count, uint64(f.UpstreamTimes.Total)
	return r
}

// step is what happened between two samples: gauges as they were at its end,
// counters by how much they grew. Steps of several listeners can be added.
type step struct {
	v       row
	seconds float64
}

func between(a, b *row, seconds float64) step {
	s := step{v: *b, seconds: seconds}
	for c := firstCounter; c < columns; c++ {
		if b[c] >= a[c] { // else the listener was made anew
			s.v[c] -= a[c]
		}
	}
	return s
}

func (s *step) add(o *step) {
	s.seconds = o.seconds
	for c := range s.v {
		s.v[c] += o.v[c]
	}
}

func (s *step) rate(c column) float64 { return float64(s.v[c]) / s.seconds }

// milliseconds is the average time of what was counted.
func (s *step) milliseconds(count, time column) (float64, bool) {
	if s.v[count] == 0 {
		return 0, false
	}
	return float64(s.v[time]) / float64(s.v[count]) / 1e6, true
}
