package node

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openslb/openslb/internal/metrics"
	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/store"
)

// callBuckets are the bounds of the duration histogram in seconds: reads take
// fractions of a millisecond, writes some milliseconds, and a write whose effect
// on the traffic is late two seconds.
var callBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 2.5}

// callMetrics counts the calls of the API.
type callMetrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newCallMetrics(r prometheus.Registerer) *callMetrics {
	m := &callMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "openslb_api_calls_total",
			Help: "API calls by product, action and error code, which is empty for success.",
		}, []string{"product", "action", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "openslb_api_call_duration_seconds",
			Help:    "Time from an API call's arrival to its answer.",
			Buckets: callBuckets,
		}, []string{"product", "action"}),
	}
	r.MustRegister(m.calls, m.duration)
	return m
}

// observe is told of every call by package rpc, which leaves product and action
// empty where a stranger could otherwise invent names.
func (m *callMetrics) observe(c rpc.CallInfo) {
	m.calls.WithLabelValues(c.Product, c.Action, c.Code).Inc()
	m.duration.WithLabelValues(c.Product, c.Action).Observe(c.Duration.Seconds())
}

// registerStoreMetrics exports the figures that the store keeps anyway.
func registerStoreMetrics(r prometheus.Registerer, s *store.Store) {
	for name, row := range map[string]struct {
		help  string
		value func(store.Stats) int64
	}{
		"commits_total":        {"Transactions committed.", func(s store.Stats) int64 { return s.Commits }},
		"conflicts_total":      {"Runs of transactions repeated since what they had read had changed.", func(s store.Stats) int64 { return s.Conflicts }},
		"watch_restarts_total": {"Times that the watch ended or was found stuck.", func(s store.Stats) int64 { return s.WatchRestarts }},
		"missed_events_total":  {"Differences found by comparison with a full list.", func(s store.Stats) int64 { return s.MissedEvents }},
	} {
		r.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: "openslb_store_" + name, Help: row.help},
			func() float64 { return float64(row.value(s.Stats())) },
		))
	}
	r.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "openslb_store_revision", Help: "Revision of the store that the node has seen."},
		func() float64 { return float64(s.State().Revision) },
	))
}

// registerReach exports whether the store answers.
func registerReach(r prometheus.Registerer, s *store.Store) {
	r.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "openslb_store_reachable", Help: "1 while the store answers, 0 while it cannot be reached and changes are refused."},
		func() float64 {
			if ok, _ := s.Reachable(); ok {
				return 1
			}
			return 0
		},
	))
}

// registry gathers everything that /metrics shows.
func (n *Node) registry() *prometheus.Registry {
	r := metrics.NewRegistry(n.engine)
	r.MustRegister(metrics.NewLatestCollector(n.history, n.limits))
	registerStoreMetrics(r, n.store)
	registerReach(r, n.store)
	registerLogMetrics(r, "access", n.accessLogs)
	if n.connectionLog != nil {
		registerLogMetrics(r, "connection", n.connectionLog)
	}
	registerLogMetrics(r, "audit", n.auditLog)
	if n.tracer != nil {
		registerTraceMetrics(r, n.tracer)
	}
	r.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "openslb_connection_budget", Help: "Proxied connections that the limit of open files has room for."},
		func() float64 { return float64(n.budget) },
	))
	return r
}

func metricsHandler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r})
}
