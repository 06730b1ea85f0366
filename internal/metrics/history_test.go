package metrics

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// past is a source whose counters the test moves.
type past struct {
	facts   []spec.FrontendFacts
	servers map[spec.FrontendID]Servers
}

func (p *past) FrontendFacts() []spec.FrontendFacts        { return p.facts }
func (p *past) Servers(string) map[spec.FrontendID]Servers { return p.servers }

func frontend(protocol spec.Protocol, port uint16) spec.FrontendFacts {
	return spec.FrontendFacts{ID: spec.FrontendID{Instance: "lb-1", Protocol: protocol, Port: port}}
}

func definition(t *testing.T, name string) *Definition {
	t.Helper()
	for i := range Definitions {
		if Definitions[i].Name == name {
			return &Definitions[i]
		}
	}
	t.Fatalf("no figure %s", name)
	return nil
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// ask returns the answer as text: minute:port=minimum/average/maximum.
func ask(h *History, d *Definition, change ...func(*Query)) string {
	q := Query{Metric: d, To: noon.Add(24 * time.Hour), Period: time.Minute, Limits: func(string) spec.Limits {
		return spec.Limits{Connections: 1000, ConnectionRate: 10, RequestRate: 50}
	}}
	for _, c := range change {
		c(&q)
	}
	var out []string
	for _, p := range h.Points(q) {
		round := func(v float64) float64 { return math.Round(v*100) / 100 }
		out = append(out, fmt.Sprintf("%v:%d=%v/%v/%v", p.Begin.Sub(noon).Minutes(), p.ID.Port, round(p.Minimum), round(p.Average), round(p.Maximum)))
	}
	return strings.Join(out, " ")
}

// TestEveryFigure moves all counters and asks for every figure by name.
func TestEveryFigure(t *testing.T) {
	tcp, udp, http := frontend(spec.TCP, 1), frontend(spec.UDP, 2), frontend(spec.HTTP, 3)
	src := &past{facts: []spec.FrontendFacts{tcp, udp, http}, servers: map[spec.FrontendID]Servers{tcp.ID: {Up: 2, Down: 1}, http.ID: {Up: 4}}}
	h := NewHistory(src)
	h.Sample(noon)
	// In the first quarter of the minute nothing happens, then this in each.
	h.Sample(noon.Add(15 * time.Second))
	for i := range 3 {
		for j := range src.facts {
			f := &src.facts[j]
			f.ActiveConnections, f.NewConnections = 50, f.NewConnections+30
			f.DropConnections += 15
			f.BytesIn, f.BytesOut = f.BytesIn+1500, f.BytesOut+3000
			if f.ID.Protocol == spec.UDP {
				f.PacketsIn, f.PacketsOut = f.PacketsIn+15, f.PacketsOut+30
				f.DropPacketsIn, f.DropPacketsOut = f.DropPacketsIn+45, f.DropPacketsOut+60
				f.DropBytesIn, f.DropBytesOut = f.DropBytesIn+150, f.DropBytesOut+300
			}
			if f.ID.Protocol == spec.HTTP {
				f.Requests += 150
				for c := range f.Status {
					f.Status[c] += uint64(15 * (c + 1))
				}
				f.Upstream4, f.Upstream5 = f.Upstream4+15, f.Upstream5+30
				f.ResponseTimes.Count, f.ResponseTimes.Total = f.ResponseTimes.Count+10, f.ResponseTimes.Total+200*time.Millisecond
				f.UpstreamTimes.Count, f.UpstreamTimes.Total = f.UpstreamTimes.Count+10, f.UpstreamTimes.Total+100*time.Millisecond
			}
		}
		if i == 2 {
			if got := ask(h, definition(t, "Qps")); got != "" {
				t.Errorf("a minute that is not over: %s", got)
			}
		}
		// A little late, as on a busy machine.
		h.Sample(noon.Add(time.Duration(i+2)*15*time.Second + time.Duration(i/2)*time.Microsecond))
	}
	want := map[string]string{
		"HeathyServerCount":    "0:1=2/2/2 0:2=0/0/0 0:3=4/4/4",
		"UnhealthyServerCount": "0:1=1/1/1 0:2=0/0/0 0:3=0/0/0",
		"PacketRX":             "0:2=0/0.75/1", "PacketTX": "0:2=0/1.5/2",
		"DropPacketRX": "0:2=0/2.25/3", "DropPacketTX": "0:2=0/3/4",
		"DropTrafficRX": "0:2=0/60/80", "DropTrafficTX": "0:2=0/120/160",
		"TrafficRXNew":       "0:1=0/600/800 0:2=0/600/800 0:3=0/600/800",
		"TrafficTXNew":       "0:1=0/1200/1600 0:2=0/1200/1600 0:3=0/1200/1600",
		"ActiveConnection":   "0:1=0/37.5/50 0:2=0/0/0 0:3=0/37.5/50",
		"InactiveConnection": "0:1=0/0/0 0:2=0/37.5/50 0:3=0/0/0",
		"MaxConnection":      "0:1=0/37.5/50 0:2=0/37.5/50 0:3=0/37.5/50",
		"NewConnection":      "0:1=0/1.5/2 0:2=0/1.5/2 0:3=0/1.5/2",
		"DropConnection":     "0:1=0/0.75/1 0:2=0/0.75/1 0:3=0/0.75/1",
		"Qps":                "0:3=0/7.5/10",
		// Nothing was answered in the first quarter: there is no average of it.
		"Rt": "0:3=20/20/20", "UpstreamRt": "0:3=10/10/10",
		"StatusCode2xx": "0:3=0/2.25/3", "StatusCode3xx": "0:3=0/3/4", "StatusCode4xx": "0:3=0/3.75/5", "StatusCode5xx": "0:3=0/4.5/6",
		"StatusCodeOther": "0:3=0/2.25/3", "UpstreamCode4xx": "0:3=0/0.75/1", "UpstreamCode5xx": "0:3=0/1.5/2",

		"InstancePacketRX": "0:0=0/0.75/1", "InstancePacketTX": "0:0=0/1.5/2",
		"InstanceDropPacketRX": "0:0=0/2.25/3", "InstanceDropPacketTX": "0:0=0/3/4",
		"InstanceDropTrafficRX": "0:0=0/60/80", "InstanceDropTrafficTX": "0:0=0/120/160",
		"InstanceTrafficRX": "0:0=0/1800/2400", "InstanceTrafficTX": "0:0=0/3600/4800",
		"InstanceActiveConnection": "0:0=0/75/100", "InstanceInactiveConnection": "0:0=0/37.5/50", "InstanceMaxConnection": "0:0=0/112.5/150",
		"InstanceNewConnection": "0:0=0/4.5/6", "InstanceDropConnection": "0:0=0/2.25/3",
		"InstanceQps": "0:0=0/7.5/10", "InstanceRt": "0:0=20/20/20", "InstanceUpstreamRt": "0:0=10/10/10",
		"InstanceStatusCode2xx": "0:0=0/2.25/3", "InstanceStatusCode3xx": "0:0=0/3/4", "InstanceStatusCode4xx": "0:0=0/3.75/5",
		"InstanceStatusCode5xx": "0:0=0/4.5/6", "InstanceStatusCodeOther": "0:0=0/2.25/3",
		"InstanceUpstreamCode4xx": "0:0=0/0.75/1", "InstanceUpstreamCode5xx": "0:0=0/1.5/2",
		"InstanceMaxConnectionUtilization": "0:0=0/11.25/15", "InstanceNewConnectionUtilization": "0:0=0/45/60", "InstanceQpsUtilization": "0:0=0/15/20",
	}
	for i := range Definitions {
		d := &Definitions[i]
		if d.Unit == "" || d.Help == "" || want[d.Name] == "" {
			t.Errorf("%s: unit %q, help %q, expected %q", d.Name, d.Unit, d.Help, want[d.Name])
		}
	}
	if len(want) != len(Definitions) {
		t.Errorf("%d figures, %d expected", len(Definitions), len(want))
	}
	for name, w := range want {
		if got := ask(h, definition(t, name)); got != w {
			t.Errorf("%s is %s, want %s", name, got, w)
		}
	}
	// Without a specification there is nothing to be in relation to.
	if got := ask(h, definition(t, "InstanceQpsUtilization"), func(q *Query) { q.Limits = nil }); got != "" {
		t.Error(got)
	}
}

// TestServersOfNow: servers are counted by the health that they have at each
// sample, those of a listener that begins within a minute too.
func TestServersOfNow(t *testing.T) {
	old, young := frontend(spec.HTTP, 1), frontend(spec.TCP, 2)
	src := &past{facts: []spec.FrontendFacts{old}}
	h := NewHistory(src)
	for i, up := range []int{3, 3, 2, 0, 1} {
		if i == 2 {
			src.facts = append(src.facts, young)
		}
		src.servers = map[spec.FrontendID]Servers{old.ID: {Up: up, Down: 3 - up}, young.ID: {Up: 5}}
		h.Sample(noon.Add(time.Duration(i) * SampleInterval))
		if listeners, _ := h.latest(); i > 0 {
			if s := listeners[old.ID]; s.v[colUp] != uint64(up) || s.v[colDown] != uint64(3-up) {
				t.Errorf("sample %d: %d servers up, %d down", i, s.v[colUp], s.v[colDown])
			}
		}
	}
	for name, want := range map[string]string{"HeathyServerCount": "0:1=0/1.5/3 0:2=5/5/5", "UnhealthyServerCount": "0:1=0/1.5/3 0:2=0/0/0"} {
		if got := ask(h, definition(t, name)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// minutes samples n minutes in which a listener gets 60 connections each.
func minutes(h *History, src *past, from, n int) {
	for i := range 4 * n {
		if from+i > 0 {
			src.facts[0].NewConnections += 15
		}
		h.Sample(noon.Add(time.Duration(4*from+i) * SampleInterval))
	}
}

func TestQueryBounds(t *testing.T) {
	src := &past{facts: []spec.FrontendFacts{frontend(spec.TCP, 1), frontend(spec.UDP, 1)}}
	src.facts = append(src.facts, spec.FrontendFacts{ID: spec.FrontendID{Instance: "lb-2", Protocol: spec.TCP, Port: 7}})
	h := NewHistory(src)
	minutes(h, src, 0, 10)
	d := definition(t, "NewConnection")
	for name, tc := range map[string]struct {
		change func(*Query)
		want   string
	}{
		"port of two protocols": {func(q *Query) { q.Instance, q.Port, q.After = "lb-1", 1, noon.Add(7*time.Minute) }, "8:1=1/1/1 8:1=0/0/0"},
		"protocol": {func(q *Query) {
			q.Instance, q.Port, q.Protocol, q.After = "lb-1", 1, spec.UDP, noon.Add(7*time.Minute)
		}, "8:1=0/0/0"},
		"other instance": {func(q *Query) { q.Instance, q.After = "lb-2", noon.Add(7*time.Minute) }, "8:7=0/0/0"},
		"left-open": {func(q *Query) {
			q.Instance, q.Protocol, q.After, q.To = "lb-1", spec.TCP, noon, noon.Add(2*time.Minute)
		}, "1:1=1/1/1 2:1=1/1/1"},
		"five minutes":     {func(q *Query) { q.Instance, q.Protocol, q.Period = "lb-1", spec.TCP, 5*time.Minute }, "0:1=1/1/1"},
		"unknown instance": {func(q *Query) { q.Instance = "lb-3" }, ""},
		"everything":       {func(q *Query) { q.After = noon.Add(7 * time.Minute) }, "8:1=1/1/1 8:1=0/0/0 8:7=0/0/0"},
	} {
		if got := ask(h, d, tc.change); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// TestGoneAndBack: what a listener counted before it was deleted stays, and one
// that takes its place begins at zero.
func TestGoneAndBack(t *testing.T) {
	src := &past{facts: []spec.FrontendFacts{frontend(spec.TCP, 1)}}
	h := NewHistory(src)
	minutes(h, src, 0, 2)
	src.facts = nil
	for i := range 4 {
		h.Sample(noon.Add(time.Duration(8+i) * SampleInterval))
	}
	src.facts = []spec.FrontendFacts{frontend(spec.TCP, 1)}
	minutes(h, src, 3, 2)
	h.Sample(noon.Add(5 * time.Minute))
	// The first quarter after its return has no beginning to compare with.
	if got, want := ask(h, definition(t, "NewConnection")), "0:1=1/1/1 1:1=1/1/1 3:1=1/1/1 4:1=0/0.75/1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	src := &past{}
	for port := range uint16(50) {
		src.facts = append(src.facts, frontend(spec.TCP, port+1))
	}
	h := NewHistory(src)
	for i := range int(3 * keptSamples) {
		src.facts[0].NewConnections += 15 // the others are idle
		h.Sample(noon.Add(time.Duration(i) * SampleInterval))
	}
	if n := int64(len(h.times)); n != keptSamples {
		t.Errorf("%d samples kept", n)
	}
	if h.records > int(keptSamples)+60 {
		t.Errorf("%d records for one busy listener and 49 idle ones", h.records)
	}
	if got := strings.Count(ask(h, definition(t, "NewConnection"), func(q *Query) { q.Port = 50 }), "=0/0/0"); got != 60 {
		t.Errorf("%d minutes of an idle listener", got)
	}
	// With all busy and little room, time is what gives way.
	h = NewHistory(src)
	h.limit = 1000
	for i := range 200 {
		for j := range src.facts {
			src.facts[j].NewConnections += 15
		}
		h.Sample(noon.Add(time.Duration(i) * SampleInterval))
		n := 0
		for _, s := range h.tracks {
			n += len(s.records)
		}
		if n != h.records || n > 1000 {
			t.Fatalf("%d records, counted as %d", n, h.records)
		}
	}
	if got := ask(h, definition(t, "NewConnection"), func(q *Query) { q.Port = 50 }); !strings.Contains(got, "48:50=1/1/1") {
		t.Errorf("the newest minutes are missing: %s", got)
	}
	src.facts = nil
	for i := range int(keptSamples) {
		h.Sample(noon.Add(time.Duration(300+i) * SampleInterval))
	}
	if len(h.tracks) != 0 || h.records != 0 {
		t.Errorf("%d listeners that are gone are remembered", len(h.tracks))
	}
}

// TestRun samples at the quarters of the clock's minutes and ends when told.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(7 * time.Second)
		h := NewHistory(&past{facts: []spec.FrontendFacts{frontend(spec.TCP, 1)}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		time.Sleep(70 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(h.times) != 6 || !h.times[1].Equal(h.times[1].Truncate(SampleInterval)) {
			t.Errorf("samples at %v", h.times)
		}
	})
}

func BenchmarkSample(b *testing.B) {
	src := &past{}
	for port := range uint16(1000) {
		src.facts = append(src.facts, frontend(spec.HTTP, port+1))
	}
	h := NewHistory(src)
	for i := 0; b.Loop(); i++ {
		h.Sample(noon.Add(time.Duration(i) * SampleInterval))
	}
}
