package api

import (
	"context"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

// nodeActions tell about the node that answers, for which the vendor has no API.
func (s *Server) nodeActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("DescribeNode", s.describeNode),
		rpc.NewAction("DescribeMetrics", s.describeMetrics),
	}
}

type modeOut struct {
	Mode   string `out:"Mode"`
	Reason string `out:"Reason"`
}

type describeNodeResult struct {
	AccessLog           modeOut `out:"AccessLog"`
	ConnectionBudget    uint64  `out:"ConnectionBudget"`
	DescriptorLimit     int     `out:"DescriptorLimit"`
	DescriptorShortages uint64  `out:"DescriptorShortages"`
	DescriptorsInUse    int     `out:"DescriptorsInUse"`
	EventLoops          int     `out:"EventLoops"`
	RegionID            string  `out:"RegionId"`
	Revision            int64   `out:"Revision"`
	SourceAddress       modeOut `out:"SourceAddress"`
	StartTime           string  `out:"StartTime"`
	Tracing             modeOut `out:"Tracing"`
	// Uptime is in seconds.
	Uptime  int64  `out:"Uptime"`
	Version string `out:"Version"`
}

func (s *Server) describeNode(context.Context, *rpc.NoParams) (*describeNodeResult, error) {
	r := &describeNodeResult{RegionID: s.cfg.Region}
	if s.cfg.Facts == nil {
		return r, nil
	}
	f := s.cfg.Facts.Node()
	r.Version, r.StartTime, r.Uptime = f.Version, timeText(f.StartedAt), int64(s.now().Sub(f.StartedAt).Seconds())
	r.Revision, r.EventLoops, r.ConnectionBudget = f.Revision, f.Loops, f.ConnectionBudget
	r.DescriptorsInUse, r.DescriptorLimit, r.DescriptorShortages = f.DescriptorsInUse, f.DescriptorLimit, f.DescriptorShortages
	r.SourceAddress, r.AccessLog, r.Tracing = modeOut(f.SourceAddress), modeOut(f.AccessLog), modeOut(f.Tracing)
	return r, nil
}

type describeMetricsParams struct {
	loadBalancerParams
	ListenerPort     uint16       `param:"ListenerPort" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
	ListenerProtocol slb.Protocol `param:"ListenerProtocol" err:"InvalidParameter|400|The specified protocol is not valid."`
}

type metricOut struct {
	Average          float64 `out:"Average"`
	ListenerPort     int     `out:"ListenerPort,omitempty"`
	ListenerProtocol string  `out:"ListenerProtocol,omitempty"`
	Maximum          float64 `out:"Maximum"`
	MetricName       string  `out:"MetricName"`
	Minimum          float64 `out:"Minimum"`
	// Timestamp is where the minute begins.
	Timestamp string `out:"Timestamp"`
	Unit      string `out:"Unit"`
}

type describeMetricsResult struct {
	LoadBalancerID slb.LoadBalancerID `out:"LoadBalancerId"`
	Metrics        []metricOut        `out:"Metrics>Metric"`
}

// describeMetrics lists all figures of an instance and its listeners in the
// newest minute that is over. Given a port, those of its listeners alone.
func (s *Server) describeMetrics(_ context.Context, p *describeMetricsParams) (*describeMetricsResult, error) {
	_, lb, err := s.loadBalancer(&p.loadBalancerParams)
	if err != nil {
		return nil, err
	}
	r := &describeMetricsResult{LoadBalancerID: lb.ID}
	if s.cfg.Metrics == nil {
		return r, nil
	}
	now := s.now()
	for _, m := range s.cfg.Metrics.Metrics() {
		if m.OfInstance && (p.ListenerPort != 0 || p.ListenerProtocol != "") {
			continue
		}
		points := s.cfg.Metrics.MetricPoints(slb.MetricQuery{
			Name: m.Name, Instance: lb.ID, Port: p.ListenerPort, Protocol: p.ListenerProtocol,
			After: now.Add(-5 * time.Minute), To: now, Period: time.Minute,
		})
		for _, point := range newest(points) {
			r.Metrics = append(r.Metrics, metricOut{
				MetricName: m.Name, Unit: m.Unit, ListenerPort: int(point.Port), ListenerProtocol: string(point.Protocol),
				Timestamp: timeText(point.Begin), Minimum: point.Minimum, Average: point.Average, Maximum: point.Maximum,
			})
		}
	}
	return r, nil
}

// newest are the last points of each listener or instance; they are ordered by
// time before, and by listener after.
func newest(points []slb.MetricPoint) []slb.MetricPoint {
	type key struct {
		instance slb.LoadBalancerID
		port     uint16
		protocol slb.Protocol
	}
	last := map[key]int{}
	for i, p := range points {
		last[key{p.Instance, p.Port, p.Protocol}] = i
	}
	var out []slb.MetricPoint
	for i, p := range points {
		if last[key{p.Instance, p.Port, p.Protocol}] == i {
			out = append(out, p)
		}
	}
	return out
}
