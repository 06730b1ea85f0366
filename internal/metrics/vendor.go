package metrics

import "github.com/openslb/openslb/internal/dataplane/spec"

// Definition is one figure under the vendor's name.
type Definition struct {
	Name, Unit, Help string
	// Instance says that it is one of a whole instance, else of a listener.
	Instance bool

	layer int // as of series
	// value is the figure of a step; false when there is none.
	value func(s *step, l spec.Limits) (float64, bool)
}

// Definitions are all figures, in the order of the vendor's page. The names are
// those of the namespace acs_slb_dashboard, the misspelt one included.
var Definitions = definitions()

// only7 marks figures of layer 7.
const only7 = 7

func definitions() []Definition {
	gauge := func(cs ...column) func(*step, spec.Limits) (float64, bool) {
		return func(s *step, _ spec.Limits) (sum float64, ok bool) {
			for _, c := range cs {
				sum += float64(s.v[c])
			}
			return sum, true
		}
	}
	rate := func(c column, factor float64) func(*step, spec.Limits) (float64, bool) {
		return func(s *step, _ spec.Limits) (float64, bool) { return factor * s.rate(c), true }
	}
	average := func(count, time column) func(*step, spec.Limits) (float64, bool) {
		return func(s *step, _ spec.Limits) (float64, bool) { return s.milliseconds(count, time) }
	}
	const bits = 8
	both := []Definition{
		{Name: "PacketRX", Unit: "packets/s", Help: "Datagrams from clients.", layer: udp, value: rate(colPacketsIn, 1)},
		{Name: "PacketTX", Unit: "packets/s", Help: "Datagrams to clients.", layer: udp, value: rate(colPacketsOut, 1)},
		{Name: "TrafficRX", Unit: "bit/s", Help: "Traffic from clients.", value: rate(colBytesIn, bits)},
		{Name: "TrafficTX", Unit: "bit/s", Help: "Traffic to clients.", value: rate(colBytesOut, bits)},
		{Name: "ActiveConnection", Unit: "count", Help: "Connections of TCP, HTTP and HTTPS.", value: gauge(colActive)},
		{Name: "InactiveConnection", Unit: "count", Help: "Flows of UDP.", value: gauge(colInactive)},
		{Name: "NewConnection", Unit: "count/s", Help: "New connections and flows.", value: rate(colNew, 1)},
		{Name: "MaxConnection", Unit: "count", Help: "Connections and flows.", value: gauge(colActive, colInactive)},
		{Name: "DropConnection", Unit: "count/s", Help: "Connections refused for want of a server or beyond a limit.", value: rate(colDrop, 1)},
		{Name: "DropPacketRX", Unit: "packets/s", Help: "Datagrams from clients that were dropped.", layer: udp, value: rate(colDropPacketsIn, 1)},
		{Name: "DropPacketTX", Unit: "packets/s", Help: "Datagrams to clients that were dropped.", layer: udp, value: rate(colDropPacketsOut, 1)},
		{Name: "DropTrafficRX", Unit: "bit/s", Help: "Traffic from clients that was dropped.", layer: udp, value: rate(colDropBytesIn, bits)},
		{Name: "DropTrafficTX", Unit: "bit/s", Help: "Traffic to clients that was dropped.", layer: udp, value: rate(colDropBytesOut, bits)},
		{Name: "Qps", Unit: "count/s", Help: "Requests.", layer: only7, value: rate(colRequests, 1)},
		{Name: "Rt", Unit: "ms", Help: "Average time from a request to the end of its answer.", layer: only7, value: average(colResponses, colResponseTime)},
		{Name: "UpstreamRt", Unit: "ms", Help: "Average time from a request to the end of the server's answer.", layer: only7, value: average(colUpstreams, colUpstreamTime)},
		{Name: "StatusCode2xx", Unit: "count/s", Help: "Answers of class 2xx.", layer: only7, value: rate(colStatus2, 1)},
		{Name: "StatusCode3xx", Unit: "count/s", Help: "Answers of class 3xx.", layer: only7, value: rate(colStatus3, 1)},
		{Name: "StatusCode4xx", Unit: "count/s", Help: "Answers of class 4xx.", layer: only7, value: rate(colStatus4, 1)},
		{Name: "StatusCode5xx", Unit: "count/s", Help: "Answers of class 5xx.", layer: only7, value: rate(colStatus5, 1)},
		{Name: "StatusCodeOther", Unit: "count/s", Help: "Answers of other classes.", layer: only7, value: func(s *step, _ spec.Limits) (float64, bool) {
			return s.rate(colStatus) + s.rate(colStatus1), true
		}},
		{Name: "UpstreamCode4xx", Unit: "count/s", Help: "Answers of servers of class 4xx.", layer: only7, value: rate(colUpstream4, 1)},
		{Name: "UpstreamCode5xx", Unit: "count/s", Help: "Answers of servers of class 5xx.", layer: only7, value: rate(colUpstream5, 1)},
	}
	out := []Definition{
		{Name: "HeathyServerCount", Unit: "count", Help: "Servers that the listener's check finds well.", value: gauge(colUp)},
		{Name: "UnhealthyServerCount", Unit: "count", Help: "Servers that the listener's check finds down.", value: gauge(colDown)},
	}
	for _, d := range both {
		of := d
		if of.Name == "TrafficRX" || of.Name == "TrafficTX" {
			of.Name += "New" // of a port alone
		}
		out = append(out, of)
	}
	for _, d := range both {
		d.Name, d.Instance = "Instance"+d.Name, true
		out = append(out, d)
	}
	return append(out,
		share("InstanceMaxConnectionUtilization", "Connections in relation to the specification.", gauge(colActive, colInactive), func(l spec.Limits) int { return l.Connections }),
		share("InstanceNewConnectionUtilization", "New connections in relation to the specification.", rate(colNew, 1), func(l spec.Limits) int { return l.ConnectionRate }),
		share("InstanceQpsUtilization", "Requests in relation to the specification.", rate(colRequests, 1), func(l spec.Limits) int { return l.RequestRate }))
}

// share is a figure in percent of a limit; there is none without the limit.
func share(name, help string, value func(*step, spec.Limits) (float64, bool), limit func(spec.Limits) int) Definition {
	return Definition{Name: name, Unit: "%", Help: help, Instance: true, value: func(s *step, l spec.Limits) (float64, bool) {
		most := limit(l)
		if most <= 0 {
			return 0, false
		}
		v, ok := value(s, l)
		return 100 * v / float64(most), ok
	}}
}

// appliesTo tells whether listeners of the protocol have the figure.
func (d *Definition) appliesTo(p spec.Protocol) bool {
	switch d.layer {
	case only7:
		return p == spec.HTTP || p == spec.HTTPS
	case udp:
		return p == spec.UDP
	}
	return true
}
