// Package metrics exports what the data plane saw to Prometheus. It is the one
// place that knows the names, labels and units; the parts that count know none
// of it.
//
// Everything is read when a scrape asks for it. Between scrapes the figures
// cost nothing here, and a frontend that is gone leaves no series behind.
package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Source is where the figures come from: a *dataplane.Engine.
type Source interface {
	FrontendFacts() []spec.FrontendFacts
	TargetFacts(instance string) []spec.TargetFacts
	Facts() spec.EngineFacts
}

// NewRegistry returns a registry of its own with the data plane, the process,
// the Go runtime and the build. More collectors may be registered on it.
func NewRegistry(s Source) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		NewCollector(s),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
		collectors.NewBuildInfoCollector(),
	)
	return r
}

// Labels. A listener is named by the first three, a server by all but class.
const (
	labelBalancer = "load_balancer"
	labelProtocol = "protocol" // tcp, udp, http, https
	labelPort     = "port"     // of the listener
	labelClass    = "class"    // of an answer: 1xx to 5xx, other
	labelReason   = "reason"   // of slow_clients: head, body, read; of refused_requests: streams, heads, memory
	labelPool     = "pool"
	labelServer   = "server"
	labelAddress  = "address" // ip:port of the server
	labelHealth   = "health"  // up, down, unknown
)

var frontendLabels = []string{labelBalancer, labelProtocol, labelPort}

// series is one metric with a single value per frontend.
type series struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	layer int // 0: every frontend; 4 and 7: those of that layer; udp, https: those of the protocol
	value func(*spec.FrontendFacts) uint64
}

const (
	udp   = 1
	https = 2
)

func frontendSeries(name, help string, kind prometheus.ValueType, layer int, value func(*spec.FrontendFacts) uint64) series {
	return series{prometheus.NewDesc("openslb_frontend_"+name, help, frontendLabels, nil), kind, layer, value}
}

// The metrics of a frontend. The vendor's name of the same figure is given
// where there is one.
var frontends = []series{
	frontendSeries("listening", "Whether the listener's socket is open: 1 or 0.", prometheus.GaugeValue, 0, func(f *spec.FrontendFacts) uint64 {
		if f.Listening {
			return 1
		}
		return 0
	}),
	frontendSeries("active_connections", "Client connections now open (ActiveConnection).", prometheus.GaugeValue, 0, func(f *spec.FrontendFacts) uint64 { return f.ActiveConnections }),
	frontendSeries("connections_total", "Client connections accepted (NewConnection).", prometheus.CounterValue, 0, func(f *spec.FrontendFacts) uint64 { return f.NewConnections }),
	frontendSeries("dropped_connections_total", "Client connections refused for want of a server or beyond a limit (DropConnection).", prometheus.CounterValue, 0, func(f *spec.FrontendFacts) uint64 { return f.DropConnections }),
	frontendSeries("short_connections_total", "Those of the dropped connections and flows for which the process had no room: no descriptors, or no place for a flow.", prometheus.CounterValue, 0, func(f *spec.FrontendFacts) uint64 { return f.ShortConnections }),
	frontendSeries("received_bytes_total", "Bytes received from clients (TrafficRX).", prometheus.CounterValue, 0, func(f *spec.FrontendFacts) uint64 { return f.BytesIn }),
	frontendSeries("sent_bytes_total", "Bytes sent to clients (TrafficTX).", prometheus.CounterValue, 0, func(f *spec.FrontendFacts) uint64 { return f.BytesOut }),
	frontendSeries("received_packets_total", "Datagrams received from clients and forwarded (PacketRX).", prometheus.CounterValue, udp, func(f *spec.FrontendFacts) uint64 { return f.PacketsIn }),
	frontendSeries("sent_packets_total", "Datagrams sent to clients (PacketTX).", prometheus.CounterValue, udp, func(f *spec.FrontendFacts) uint64 { return f.PacketsOut }),
	frontendSeries("dropped_received_packets_total", "Datagrams from clients that were dropped (DropPacketRX).", prometheus.CounterValue, udp, func(f *spec.FrontendFacts) uint64 { return f.DropPacketsIn }),
	frontendSeries("dropped_sent_packets_total", "Datagrams to clients that were dropped (DropPacketTX).", prometheus.CounterValue, udp, func(f *spec.FrontendFacts) uint64 { return f.DropPacketsOut }),
	frontendSeries("dropped_received_bytes_total", "Bytes from clients that were dropped (DropTrafficRX).", prometheus.CounterValue, udp, func(f *spec.FrontendFacts) uint64 { return f.DropBytesIn }),
	frontendSeries("dropped_sent_bytes_total", "Bytes to clients that were dropped (DropTrafficTX).", prometheus.CounterValue, udp, func(f *spec.FrontendFacts) uint64 { return f.DropBytesOut }),
	frontendSeries("evicted_flows_total", "Flows that were ended before their time to make room for others.", prometheus.CounterValue, udp, func(f *spec.FrontendFacts) uint64 { return f.EvictedFlows }),
	frontendSeries("tls_handshake_failures_total", "Clients with whom no agreement on TLS was reached.", prometheus.CounterValue, https, func(f *spec.FrontendFacts) uint64 { return f.HandshakeFailures }),
	frontendSeries("refused_tls_handshakes_total", "Those of the failed handshakes that were ended because unfinished ones held as much memory as they may in all.", prometheus.CounterValue, https, func(f *spec.FrontendFacts) uint64 { return f.RefusedHandshakes }),
	frontendSeries("http2_floods_total", "HTTP/2 connections ended because of floods of frames, requests given up by the hundred, heads beyond all measure, or answers that are not read.", prometheus.CounterValue, https, func(f *spec.FrontendFacts) uint64 { return f.Floods }),
	frontendSeries("source_fallbacks_total", "Connections to servers, and flows, that have the node's address although transparent mode is in force, as the client's was taken.", prometheus.CounterValue, 4, func(f *spec.FrontendFacts) uint64 { return f.SourceFallbacks }),
	frontendSeries("requests_total", "Requests received (Qps).", prometheus.CounterValue, 7, func(f *spec.FrontendFacts) uint64 { return f.Requests }),
}

var (
	descResponses = prometheus.NewDesc("openslb_frontend_responses_total", "Answers to clients by class of status (StatusCode2xx and so on).", append(frontendLabels[:3:3], labelClass), nil)
	descUpstream  = prometheus.NewDesc("openslb_frontend_upstream_errors_total", "Answers of servers of class 4xx and 5xx (UpstreamCode4xx, UpstreamCode5xx).", append(frontendLabels[:3:3], labelClass), nil)

	descSlow = prometheus.NewDesc("openslb_frontend_slow_clients_total", "Clients given up because they were too slow: with a request's head, with its body, or to read an answer.", append(frontendLabels[:3:3], labelReason), nil)

	descRefused = prometheus.NewDesc("openslb_frontend_refused_requests_total", "HTTP/2 requests refused with REFUSED_STREAM: beyond the streams of a connection, beyond what its heads may take, or beyond what the memory has for all connections.", append(frontendLabels[:3:3], labelReason), nil)

	descResponseTime = prometheus.NewDesc("slb_rt_seconds", "Time from a request to the last byte of its answer, of answers that clients got whole (Rt).", frontendLabels, nil)
	descUpstreamTime = prometheus.NewDesc("slb_upstream_rt_seconds", "Time from a request to the last byte of the server's answer (UpstreamRt).", frontendLabels, nil)

	descLoops       = prometheus.NewDesc("openslb_event_loops", "Event loops of each layer.", nil, nil)
	descDescriptors = prometheus.NewDesc("openslb_descriptors_in_use", "Descriptors that connections, flows and listeners hold.", nil, nil)
	descLimit       = prometheus.NewDesc("openslb_descriptors_limit", "Descriptors that connections, flows and listeners may hold.", nil, nil)
	descShortages   = prometheus.NewDesc("openslb_descriptor_shortages_total", "Connections, flows and listeners refused for want of a descriptor.", nil, nil)

	targetLabels  = []string{labelBalancer, labelPool, labelServer, labelAddress}
	descActive    = prometheus.NewDesc("openslb_server_active", "Connections or requests now on the server.", targetLabels, nil)
	descTotal     = prometheus.NewDesc("openslb_server_picks_total", "Connections or requests given to the server since it was added.", targetLabels, nil)
	descHealth    = prometheus.NewDesc("openslb_server_healthy", "Whether the health check finds the server well: 1 or 0. Absent while undecided or not checked.", targetLabels, nil)
	descPoolCount = prometheus.NewDesc("openslb_pool_servers", "Servers of the pool by health (HeathyServerCount, UnhealthyServerCount).", []string{labelBalancer, labelPool, labelHealth}, nil)
)

// classes are the labels of FrontendFacts.Status, by index.
var classes = [6]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}

// healths are the labels of spec.Health, by value.
var healths = [3]string{"unknown", "up", "down"}

// Collector reads the facts of a data plane.
type Collector struct{ source Source }

// NewCollector returns a collector of the source's facts.
func NewCollector(s Source) *Collector { return &Collector{s} }

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, s := range frontends {
		out <- s.desc
	}
	for _, d := range []*prometheus.Desc{descResponses, descUpstream, descSlow, descRefused, descResponseTime, descUpstreamTime, descActive, descTotal, descHealth, descPoolCount,
		descLoops, descDescriptors, descLimit, descShortages} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	collectEngine(out, c.source.Facts())
	facts := c.source.FrontendFacts()
	seen := make(map[string]bool)
	for i := range facts {
		f := &facts[i]
		collectFrontend(out, f)
		if id := f.ID.Instance; !seen[id] {
			seen[id] = true
			collectTargets(out, id, c.source.TargetFacts(id))
		}
	}
}

func collectEngine(out chan<- prometheus.Metric, f spec.EngineFacts) {
	out <- prometheus.MustNewConstMetric(descLoops, prometheus.GaugeValue, float64(f.Loops))
	out <- prometheus.MustNewConstMetric(descDescriptors, prometheus.GaugeValue, float64(f.DescriptorsInUse))
	out <- prometheus.MustNewConstMetric(descLimit, prometheus.GaugeValue, float64(f.DescriptorLimit))
	out <- prometheus.MustNewConstMetric(descShortages, prometheus.CounterValue, float64(f.DescriptorShortages))
}

// labelsOf are the values of frontendLabels.
func labelsOf(id spec.FrontendID) []string {
	return []string{id.Instance, string(id.Protocol), strconv.Itoa(int(id.Port))}
}

func collectFrontend(out chan<- prometheus.Metric, f *spec.FrontendFacts) {
	labels := labelsOf(f.ID)
	layer7 := f.ID.Protocol == spec.HTTP || f.ID.Protocol == spec.HTTPS
	for _, s := range frontends {
		if s.layer == 0 || s.layer == 7 && layer7 || s.layer == 4 && !layer7 || s.layer == udp && f.ID.Protocol == spec.UDP || s.layer == https && f.ID.Protocol == spec.HTTPS {
			out <- prometheus.MustNewConstMetric(s.desc, s.kind, float64(s.value(f)), labels...)
		}
	}
	if !layer7 {
		return
	}
	count := func(d *prometheus.Desc, of string, n uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append(labels[:3:3], of)...)
	}
	for i, n := range f.Status {
		count(descResponses, classes[i], n)
	}
	count(descUpstream, "4xx", f.Upstream4)
	count(descUpstream, "5xx", f.Upstream5)
	count(descSlow, "head", f.SlowHeads)
	count(descSlow, "body", f.SlowBodies)
	count(descSlow, "read", f.SlowReads)
	if f.ID.Protocol == spec.HTTPS {
		count(descRefused, "streams", f.RefusedStreams)
		count(descRefused, "heads", f.RefusedHeads)
		count(descRefused, "memory", f.RefusedMemory)
	}
	out <- histogram(descResponseTime, &f.ResponseTimes, labels)
	out <- histogram(descUpstreamTime, &f.UpstreamTimes, labels)
}

// histogram turns counts of classes into sums up to each bound.
func histogram(d *prometheus.Desc, t *spec.Times, labels []string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(spec.TimeBounds))
	sum := uint64(0)
	for i, bound := range spec.TimeBounds {
		sum += t.Classes[i]
		buckets[bound.Seconds()] = sum
	}
	return prometheus.MustNewConstHistogram(d, t.Count, t.Total.Seconds(), buckets, labels...)
}

func collectTargets(out chan<- prometheus.Metric, instance string, facts []spec.TargetFacts) {
	counts := make(map[string]*[3]int)
	var pools []string
	for i := range facts {
		t := &facts[i]
		labels := []string{instance, t.Pool, t.Target, t.Addr.String()}
		out <- prometheus.MustNewConstMetric(descActive, prometheus.GaugeValue, float64(t.Active), labels...)
		out <- prometheus.MustNewConstMetric(descTotal, prometheus.CounterValue, float64(t.Total), labels...)
		if t.Health != spec.HealthUnknown {
			up := 0.0
			if t.Health == spec.HealthUp {
				up = 1
			}
			out <- prometheus.MustNewConstMetric(descHealth, prometheus.GaugeValue, up, labels...)
		}
		if counts[t.Pool] == nil {
			counts[t.Pool] = new([3]int)
			pools = append(pools, t.Pool)
		}
		counts[t.Pool][t.Health]++
	}
	for _, p := range pools {
		for h, n := range counts[p] {
			out <- prometheus.MustNewConstMetric(descPoolCount, prometheus.GaugeValue, float64(n), instance, p, healths[h])
		}
	}
}
