package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
)

// metricNamespace is the one that the vendor's monitoring has load balancers in.
const metricNamespace = "acs_slb_dashboard"

// cmsActions are those of the vendor's monitoring by which its clients read
// figures.
func (s *Server) cmsActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("DescribeMetricList", s.describeMetricList),
		rpc.NewAction("DescribeMetricLast", s.describeMetricLast),
		rpc.NewAction("DescribeMetricMetaList", s.describeMetricMetaList),
	}
}

type describeMetricParams struct {
	Namespace  string `param:"Namespace,required" maxlen:"64"`
	MetricName string `param:"MetricName,required" maxlen:"64"`
	// Dimensions is a JSON object, or an array of them, with instanceId, port, vip
	// and protocol.
	Dimensions string `param:"Dimensions" maxlen:"65536" lines:"true"`
	// Period is in seconds, a multiple of 60.
	Period int `param:"Period" default:"60" range:"60..3600"`
	// StartTime and EndTime are milliseconds since 1970, or text in UTC. A period
	// counts when StartTime < its beginning <= EndTime.
	StartTime string `param:"StartTime" maxlen:"32"`
	EndTime   string `param:"EndTime" maxlen:"32"`
	Length    int    `param:"Length" default:"1000" range:"1..1440"`
	NextToken string `param:"NextToken" maxlen:"256"`
	RegionID  string `param:"RegionId"`
}

type describeMetricResult struct {
	rpc.Verdict
	Datapoints string `out:"Datapoints"` // JSON
	NextToken  string `out:"NextToken,omitempty"`
	Period     string `out:"Period"`
}

// datapoint is one element of Datapoints.
type datapoint struct {
	Timestamp  int64              `json:"timestamp"` // of the beginning, milliseconds
	UserID     string             `json:"userId"`
	InstanceID slb.LoadBalancerID `json:"instanceId"`
	Port       string             `json:"port,omitempty"`
	Protocol   string             `json:"protocol,omitempty"`
	VIP        string             `json:"vip,omitempty"`
	Minimum    float64
	Average    float64
	Maximum    float64
}

// metricTimes are the forms of times beside milliseconds.
var metricTimes = []string{time.RFC3339, "2006-01-02T15:04Z", "2006-01-02 15:04:05"}

func metricTime(name, text string, absent time.Time) (time.Time, error) {
	if text == "" {
		return absent, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 && ms < 1<<53 {
		return time.UnixMilli(ms), nil
	}
	for _, form := range metricTimes {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid(name, text, "milliseconds since 1970, or a time like 2006-01-02T15:04:05Z")
}

// dimension is one element of Dimensions, all in text.
type dimension struct {
	instance slb.LoadBalancerID
	port     uint16
	protocol slb.Protocol
	vip      string
}

// maxDimensions bounds the elements of Dimensions.
const maxDimensions = 100

// readDimensions takes numbers as numbers or text, and keys of any case.
func readDimensions(text string) ([]dimension, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return []dimension{{}}, nil
	}
	if strings.HasPrefix(text, "{") {
		text = "[" + text + "]"
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, invalid("Dimensions", text, "a JSON object, or an array of objects")
	}
	if len(list) > maxDimensions {
		return nil, invalidBecause("Dimensions", fmt.Sprintf("Dimensions may have at most %d elements.", maxDimensions))
	}
	out := make([]dimension, 0, len(list))
	for _, fields := range list {
		var d dimension
		for name, value := range fields {
			text := fmt.Sprint(value)
			switch strings.ToLower(name) {
			case "instanceid":
				d.instance = slb.LoadBalancerID(text)
			case "vip":
				d.vip = text
			case "port":
				n, err := strconv.ParseUint(text, 10, 16)
				if err != nil || n == 0 {
					return nil, invalidBecause("Dimensions", fmt.Sprintf("A port in it is %.20q; it must be a whole number from 1 to 65535.", text))
				}
				d.port = uint16(n)
			case "protocol":
				if err := d.protocol.UnmarshalText([]byte(text)); err != nil {
					return nil, invalidBecause("Dimensions", fmt.Sprintf("A protocol in it is %.20q; it must be tcp, udp, http or https.", text))
				}
			}
		}
		out = append(out, d)
	}
	if len(out) == 0 {
		out = append(out, dimension{})
	}
	return out, nil
}

// metricPoints are what a call asks for, by time and then by listener.
func (s *Server) metricPoints(p *describeMetricParams) ([]slb.MetricPoint, error) {
	if p.Namespace != metricNamespace {
		return nil, invalid("Namespace", p.Namespace, metricNamespace)
	}
	if p.Period%60 != 0 {
		return nil, invalid("Period", strconv.Itoa(p.Period), "a multiple of 60")
	}
	if s.cfg.Metrics == nil || !slices.ContainsFunc(s.cfg.Metrics.Metrics(), func(m slb.Metric) bool { return m.Name == p.MetricName }) {
		return nil, invalid("MetricName", p.MetricName, "one of those that DescribeMetricMetaList tells")
	}
	after, err := metricTime("StartTime", p.StartTime, time.Time{})
	if err != nil {
		return nil, err
	}
	to, err := metricTime("EndTime", p.EndTime, s.now())
	if err != nil {
		return nil, err
	}
	if to.Before(after) {
		return nil, invalid("EndTime", p.EndTime, "no earlier than StartTime")
	}
	dimensions, err := readDimensions(p.Dimensions)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var out []slb.MetricPoint
	for _, d := range dimensions {
		for _, point := range s.cfg.Metrics.MetricPoints(slb.MetricQuery{
			Name: p.MetricName, Instance: d.instance, Port: d.port, Protocol: d.protocol, After: after, To: to, Period: time.Duration(p.Period) * time.Second,
		}) {
			if d.vip != "" && (!point.Address.IsValid() || point.Address.String() != d.vip) {
				continue
			}
			if place := placeOf(&point); !seen[place] {
				seen[place] = true
				out = append(out, point)
			}
		}
	}
	slices.SortFunc(out, func(a, b slb.MetricPoint) int { return cmp.Compare(placeOf(&a), placeOf(&b)) })
	return out, nil
}

// placeOf names a point in the order of an answer.
func placeOf(p *slb.MetricPoint) string {
	return fmt.Sprintf("%013d %s %05d %s", p.Begin.UnixMilli(), p.Instance, p.Port, p.Protocol)
}

func (s *Server) metricAnswer(p *describeMetricParams, points []slb.MetricPoint) (*describeMetricResult, error) {
	r := &describeMetricResult{Verdict: rpc.Good, Period: strconv.Itoa(p.Period)}
	list := "points of " + p.MetricName
	last, err := readToken(list, p.NextToken)
	if err != nil {
		return nil, err
	}
	if last != "" {
		at, found := slices.BinarySearchFunc(points, last, func(p slb.MetricPoint, last string) int { return cmp.Compare(placeOf(&p), last) })
		if found {
			at++
		}
		points = points[at:]
	}
	if len(points) > p.Length {
		points = points[:p.Length]
		r.NextToken = writeToken(list, placeOf(&points[len(points)-1]))
	}
	data := make([]datapoint, len(points))
	for i := range points {
		q := &points[i]
		data[i] = datapoint{Timestamp: q.Begin.UnixMilli(), UserID: s.cfg.AccountID, InstanceID: q.Instance, Protocol: string(q.Protocol),
			Minimum: q.Minimum, Average: q.Average, Maximum: q.Maximum}
		if q.Port != 0 {
			data[i].Port = strconv.Itoa(int(q.Port))
		}
		if q.Address.IsValid() {
			data[i].VIP = q.Address.String()
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode figures: %w", err)
	}
	r.Datapoints = string(text)
	return r, nil
}

func (s *Server) describeMetricList(_ context.Context, p *describeMetricParams) (*describeMetricResult, error) {
	points, err := s.metricPoints(p)
	if err != nil {
		return nil, err
	}
	return s.metricAnswer(p, points)
}

// describeMetricLast answers with the newest period of each listener or instance.
func (s *Server) describeMetricLast(_ context.Context, p *describeMetricParams) (*describeMetricResult, error) {
	points, err := s.metricPoints(p)
	if err != nil {
		return nil, err
	}
	return s.metricAnswer(p, newest(points))
}

type describeMetricMetaListParams struct {
	Namespace  string `param:"Namespace" maxlen:"64"`
	MetricName string `param:"MetricName" maxlen:"64"`
	PageNumber int    `param:"PageNumber" default:"1" range:"1..1000000"`
	PageSize   int    `param:"PageSize" default:"30" range:"1..10000"`
	RegionID   string `param:"RegionId"`
}

type metricMetaOut struct {
	Description string `out:"Description"`
	Dimensions  string `out:"Dimensions"`
	Labels      string `out:"Labels"`
	MetricName  string `out:"MetricName"`
	Namespace   string `out:"Namespace"`
	Periods     string `out:"Periods"`
	Statistics  string `out:"Statistics"`
	Unit        string `out:"Unit"`
}

type describeMetricMetaListResult struct {
	rpc.Verdict
	Resources  []metricMetaOut `out:"Resources>Resource"`
	TotalCount string          `out:"TotalCount"`
}

// describeMetricMetaList lists what figures there are.
func (s *Server) describeMetricMetaList(_ context.Context, p *describeMetricMetaListParams) (*describeMetricMetaListResult, error) {
	r := &describeMetricMetaListResult{Verdict: rpc.Good}
	var all []metricMetaOut
	if s.cfg.Metrics != nil && (p.Namespace == "" || p.Namespace == metricNamespace) {
		for _, m := range s.cfg.Metrics.Metrics() {
			if p.MetricName != "" && m.Name != p.MetricName {
				continue
			}
			o := metricMetaOut{Description: m.Description, Dimensions: "userId,instanceId,port,vip", Labels: "[]", MetricName: m.Name,
				Namespace: metricNamespace, Periods: "60,300,900,3600", Statistics: "Average,Minimum,Maximum", Unit: m.Unit}
			if m.OfInstance {
				o.Dimensions = "userId,instanceId"
			}
			all = append(all, o)
		}
	}
	r.TotalCount = strconv.Itoa(len(all))
	from := min((p.PageNumber-1)*p.PageSize, len(all))
	r.Resources = all[from:min(from+p.PageSize, len(all))]
	return r, nil
}
