package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/trace"
	"github.com/openslb/openslb/internal/trace/otlp"
)

// DefaultTraceService is what receivers of spans know the node by.
const DefaultTraceService = "openslb"

// Tracing has requests of HTTP and HTTPS listeners recorded as spans. The zero
// value has none recorded.
type Tracing struct {
	// Endpoint is the URL of a receiver of OpenTelemetry's spans: http, https, grpc
	// or grpcs, see otlp.Options. Empty: nothing is recorded, and what clients say
	// of traces is passed on as it came.
	Endpoint string
	// Ratio is the share of traces that begin at the node to be recorded, from 0 to
	// 1. Those that come with a request are recorded if its sender records them.
	Ratio float64
	// Parents says which clients' traces requests may be part of: "all", those of
	// "intranet" instances, or "none". Empty: all.
	Parents string
	// Service is the service.name of the spans. Empty: DefaultTraceService.
	Service string
}

// check tells which setting cannot be used, and why.
func (t Tracing) check() (setting, value string, err error) {
	if !(t.Ratio >= 0 && t.Ratio <= 1) { // NaN is neither
		return "trace-ratio", fmt.Sprint(t.Ratio), errors.New("want a number from 0 to 1")
	}
	switch trace.Parents(t.Parents) {
	case "", trace.AllParents, trace.IntranetParents, trace.NoParents:
	default:
		return "trace-parents", t.Parents, errors.New("want all, intranet or none")
	}
	if t.Endpoint == "" {
		return "", "", nil
	}
	return "trace-endpoint", t.Endpoint, otlp.Check(t.Endpoint)
}

// flushTimeout is how long the end of the node waits for spans to be exported.
const flushTimeout = 3 * time.Second

// openTracing starts what records requests, if they are to be.
func (n *Node) openTracing(context.Context) error {
	o := n.cfg.Trace
	if o.Endpoint == "" {
		return nil
	}
	exporter, err := otlp.New(otlp.Options{Endpoint: o.Endpoint, Service: cmp.Or(o.Service, DefaultTraceService), Node: n.traceNode(), Version: n.cfg.Version})
	if err != nil {
		return err
	}
	n.tracer = trace.New(trace.Options{Ratio: o.Ratio, Parents: trace.Parents(o.Parents), Export: exporter.Export, Logger: n.log.With("part", "tracing")})
	n.onStop("tracing", func(ctx context.Context) error {
		// The data plane may have used all of the time there was.
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		n.tracer.Close(flush)
		_ = exporter.Close(flush) // nothing is left to be sent
		return nil
	})
	return nil
}

// traceNode tells nodes of one service apart: host and port of the API, which are
// the same after a restart or a handover.
func (n *Node) traceNode() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(n.listener.Addr().String())
	return net.JoinHostPort(host, port)
}

// tracing is whether requests are recorded.
func (n *Node) tracing() slb.Mode {
	if n.tracer == nil {
		return slb.Mode{Mode: "off", Reason: "no --trace-endpoint is given"}
	}
	others := ", and those that clients record,"
	switch trace.Parents(n.cfg.Trace.Parents) {
	case trace.IntranetParents:
		others = ", and those that clients of intranet instances record,"
	case trace.NoParents:
		others = ""
	}
	return slb.Mode{Mode: "on", Reason: fmt.Sprintf("%v of the traces that begin here%s go to %s", n.cfg.Trace.Ratio, others, n.cfg.Trace.Endpoint)}
}

// registerTraceMetrics exports what became of the spans.
func registerTraceMetrics(r prometheus.Registerer, t *trace.Tracer) {
	for result, value := range map[string]func(trace.Stats) uint64{
		"exported": func(s trace.Stats) uint64 { return s.Exported },
		"dropped":  func(s trace.Stats) uint64 { return s.Dropped },
		"failed":   func(s trace.Stats) uint64 { return s.Failed },
	} {
		r.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{
				Name:        "openslb_trace_requests_total",
				Help:        "Requests recorded as spans: exported, dropped since the receiver was too slow, or failed to be exported.",
				ConstLabels: prometheus.Labels{"result": result},
			},
			func() float64 { return float64(value(t.Stats())) },
		))
	}
}
