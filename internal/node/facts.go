package node

import (
	"fmt"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/metrics"
	"github.com/openslb/openslb/internal/plan"
	"github.com/openslb/openslb/internal/slb"
)

// facts answers the API's questions about what this node and its data plane see.
type facts struct{ n *Node }

// ServerHealth implements api.Facts.
func (f facts) ServerHealth(id slb.LoadBalancerID) []slb.ServerHealth {
	return plan.ServerHealth(f.n.store.State(), id, f.n.engine.TargetFacts(string(id)))
}

// Node implements api.Facts.
func (f facts) Node() slb.NodeFacts {
	e := f.n.engine.Facts()
	return slb.NodeFacts{
		Version: f.n.cfg.Version, StartedAt: f.n.startedAt, Revision: f.n.store.State().Revision,
		ConnectionBudget: f.n.budget,
		DescriptorsInUse: e.DescriptorsInUse, DescriptorLimit: e.DescriptorLimit, DescriptorShortages: e.DescriptorShortages,
		Loops:         e.Loops,
		SourceAddress: f.n.sourceAddress(),
		AccessLog:     f.n.accessLog(),
		Tracing:       f.n.tracing(),
	}
}

// sourceAddress is whose address servers of TCP and UDP listeners see.
func (n *Node) sourceAddress() slb.Mode {
	f := n.engine.SourceFacts()
	return slb.Mode{Mode: string(f.InForce), Reason: f.Reason}
}

// accessLog is whether requests are logged: those of instances that ask for it.
func (n *Node) accessLog() slb.Mode {
	on := 0
	for _, lb := range n.store.State().LoadBalancers.All() {
		if lb.AccessLog != nil {
			on++
		}
	}
	if on == 0 {
		return slb.Mode{Mode: "off", Reason: "no instance asks for it by SetAccessLogsDownloadAttribute"}
	}
	return slb.Mode{Mode: "on", Reason: fmt.Sprintf("%d instances ask for it; the files are in %s", on, n.accessLogDir())}
}

// Metrics implements api.Metrics.
func (f facts) Metrics() []slb.Metric {
	out := make([]slb.Metric, len(metrics.Definitions))
	for i := range metrics.Definitions {
		d := &metrics.Definitions[i]
		out[i] = slb.Metric{Name: d.Name, Unit: d.Unit, Description: d.Help, OfInstance: d.Instance}
	}
	return out
}

// MetricPoints implements api.Metrics.
func (f facts) MetricPoints(q slb.MetricQuery) []slb.MetricPoint {
	state := f.n.store.State()
	var definition *metrics.Definition
	for i := range metrics.Definitions {
		if metrics.Definitions[i].Name == q.Name {
			definition = &metrics.Definitions[i]
		}
	}
	if definition == nil {
		return nil
	}
	points := f.n.history.Points(metrics.Query{
		Metric: definition, Instance: string(q.Instance), Port: q.Port, Protocol: spec.Protocol(q.Protocol),
		After: q.After, To: q.To, Period: q.Period,
		Limits: f.n.limits,
	})
	out := make([]slb.MetricPoint, len(points))
	for i, p := range points {
		out[i] = slb.MetricPoint{
			Begin: p.Begin, Instance: slb.LoadBalancerID(p.ID.Instance), Port: p.ID.Port, Protocol: slb.Protocol(p.ID.Protocol),
			Minimum: p.Minimum, Average: p.Average, Maximum: p.Maximum,
		}
		if lb, ok := state.LoadBalancers.Get(p.ID.Instance); ok {
			out[i].Address = lb.Address
		}
	}
	return out
}

// limits are those of an instance's specification.
func (n *Node) limits(instance string) spec.Limits {
	if lb, ok := n.store.State().LoadBalancers.Get(instance); ok {
		return plan.Limits(lb)
	}
	return spec.Limits{}
}

// historySource is what the history of figures reads.
type historySource struct{ n *Node }

// FrontendFacts implements metrics.HistorySource.
func (s historySource) FrontendFacts() []spec.FrontendFacts { return s.n.engine.FrontendFacts() }

// Servers implements metrics.HistorySource.
func (s historySource) Servers(instance string) map[spec.FrontendID]metrics.Servers {
	out := map[spec.FrontendID]metrics.Servers{}
	for _, h := range facts(s).ServerHealth(slb.LoadBalancerID(instance)) {
		id := spec.FrontendID{Instance: instance, Protocol: spec.Protocol(h.Protocol), Port: h.ListenerPort}
		n := out[id]
		switch h.Status {
		case slb.HealthNormal:
			n.Up++
		case slb.HealthAbnormal:
			n.Down++
		}
		out[id] = n
	}
	return out
}

// startHistory begins to remember figures, or goes on with it.
func (n *Node) startHistory() {
	if n.history == nil {
		n.history = metrics.NewHistory(historySource{n})
	}
	n.goes("history of figures", n.history.Run)
}
