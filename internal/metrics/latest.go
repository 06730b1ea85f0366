package metrics

import (
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// LatestCollector exports the figures that have a name of the vendor's, as
// slb_active_connection is ActiveConnection: those of the newest step of a
// History, so that rates are those of the last quarter of a minute. It is for
// boards made for the vendor's figures; the counters say more to whoever can
// take rates of them.
type LatestCollector struct {
	history *History
	limits  func(instance string) spec.Limits
	descs   []*prometheus.Desc // by index of Definitions
}

// NewLatestCollector returns a collector. limits are as in Query.
func NewLatestCollector(h *History, limits func(instance string) spec.Limits) *LatestCollector {
	c := &LatestCollector{history: h, limits: limits}
	for i := range Definitions {
		d := &Definitions[i]
		labels := frontendLabels
		if d.Instance {
			labels = frontendLabels[:1]
		}
		help := strings.TrimSuffix(d.Help, ".") + ", in " + d.Unit + " (" + d.Name + ")."
		c.descs = append(c.descs, prometheus.NewDesc("slb_"+snake(d.Name), help, labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *LatestCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *LatestCollector) Collect(out chan<- prometheus.Metric) {
	listeners, instances := c.history.latest()
	for i := range Definitions {
		d := &Definitions[i]
		if d.Instance {
			for of, s := range instances[d.layer] {
				if v, ok := d.value(s, c.limits(of)); ok {
					out <- prometheus.MustNewConstMetric(c.descs[i], prometheus.GaugeValue, v, of)
				}
			}
			continue
		}
		for id, s := range listeners {
			if !d.appliesTo(id.Protocol) {
				continue
			}
			if v, ok := d.value(s, spec.Limits{}); ok {
				out <- prometheus.MustNewConstMetric(c.descs[i], prometheus.GaugeValue, v, labelsOf(id)...)
			}
		}
	}
}

// latest is the newest step of every listener, and their sums by the layer that
// figures are about and by instance.
func (h *History) latest() (listeners map[spec.FrontendID]*step, instances map[int]map[string]*step) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := len(h.times)
	if n < 2 {
		return nil, nil
	}
	seconds := h.times[n-1].Sub(h.times[n-2]).Seconds()
	newest := h.first + int64(n) - 1
	listeners = make(map[spec.FrontendID]*step, len(h.tracks))
	instances = make(map[int]map[string]*step)
	for id, t := range h.tracks {
		a, b := t.at(newest-1), t.at(newest)
		if a == nil || b == nil {
			continue
		}
		one := between(a, b, seconds)
		listeners[id] = &one
		for _, layer := range []int{0, udp, only7} {
			if d := (Definition{layer: layer}); !d.appliesTo(id.Protocol) {
				continue
			}
			if instances[layer] == nil {
				instances[layer] = make(map[string]*step)
			}
			sum := instances[layer][id.Instance]
			if sum == nil {
				sum = new(step)
				instances[layer][id.Instance] = sum
			}
			sum.add(&one)
		}
	}
	return listeners, instances
}

// snake writes a name of the vendor's the way Prometheus does: TrafficRXNew is
// traffic_rx_new, StatusCode2xx is status_code_2xx.
func snake(name string) string {
	var out strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && !unicode.IsLower(r) {
			before, nextIsLower := runes[i-1], i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if unicode.IsLower(before) || unicode.IsUpper(r) && unicode.IsUpper(before) && nextIsLower {
				out.WriteByte('_')
			}
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
