package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

// TestMetricPaging goes through an answer in pages of every length.
func TestMetricPaging(t *testing.T) {
	w := newWorld(t)
	for length := 1; length <= 7; length++ {
		var seen []string
		token := ""
		for range 10 {
			a := w.ok("DescribeMetricList", "Namespace", metricNamespace, "MetricName", "Qps", "Dimensions", `{"instanceId":"lb-1"}`, "Length", fmt.Sprint(length), "NextToken", token)
			if a.text(t, "Code") != "200" || a.at(t, "Success") != true || a.text(t, "Period") != "60" {
				t.Fatal(a)
			}
			var points []map[string]any
			if err := json.Unmarshal([]byte(a.text(t, "Datapoints")), &points); err != nil {
				t.Fatal(err)
			}
			for _, p := range points {
				seen = append(seen, fmt.Sprint(p["Average"]))
			}
			if token, _ = a["NextToken"].(string); token == "" {
				break
			}
			if len(points) != length {
				t.Errorf("a page of %d in the middle", len(points))
			}
		}
		if got := strings.Join(seen, " "); got != "0 1 2 3 4 5" {
			t.Errorf("pages of %d: %s", length, got)
		}
	}
}

// TestMetricQueries is what reaches the data plane of the spellings that clients
// use.
func TestMetricQueries(t *testing.T) {
	w := newWorld(t)
	half := time.Date(2026, 11, 23, 11, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		p    params
		want slb.MetricQuery
	}{
		{params{"StartTime", "2026-11-23T11:30:00Z"}, slb.MetricQuery{After: half}},
		{params{"StartTime", "2026-11-23 11:30:00"}, slb.MetricQuery{After: half}},
		{params{"StartTime", fmt.Sprint(half.UnixMilli()), "Period", "300"}, slb.MetricQuery{After: half, Period: 5 * time.Minute}},
		{params{"Dimensions", `[{"InstanceId":"lb-1","port":80,"protocol":"TCP","userId":"1"}]`}, slb.MetricQuery{Instance: "lb-1", Port: 80, Protocol: slb.TCP}},
		{params{"EndTime", "2026-11-23T11:30Z"}, slb.MetricQuery{To: half}},
		{params{"Dimensions", "[]"}, slb.MetricQuery{}},
	} {
		w.facts.asked = nil
		w.ok("DescribeMetricLast", append(params{"Namespace", metricNamespace, "MetricName", "Qps"}, c.p...)...)
		c.want.Name = "Qps"
		if c.want.To.IsZero() {
			c.want.To = w.clock.Now()
		}
		if c.want.Period == 0 {
			c.want.Period = time.Minute
		}
		if len(w.facts.asked) != 1 || !equalQuery(w.facts.asked[0], c.want) {
			t.Errorf("%v asks for %+v, want %+v", c.p, w.facts.asked, c.want)
		}
	}
	// One point is told once, however often it is asked for; vip chooses.
	a := w.ok("DescribeMetricLast", "Namespace", metricNamespace, "MetricName", "Qps", "Dimensions", `[{"instanceId":"lb-1","port":"80"},{"instanceId":"lb-1"}]`)
	if got := strings.Count(a.text(t, "Datapoints"), "timestamp"); got != 2 {
		t.Errorf("%d points: %v", got, a)
	}
	a = w.ok("DescribeMetricLast", "Namespace", metricNamespace, "MetricName", "Qps", "Dimensions", `[{"instanceId":"lb-1","vip":"127.1.0.2"}]`)
	if a.text(t, "Datapoints") != "[]" {
		t.Error(a)
	}
}

func equalQuery(a, b slb.MetricQuery) bool {
	same := a.After.Equal(b.After) && a.To.Equal(b.To)
	a.After, a.To, b.After, b.To = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && a == b
}

func TestWrongMetrics(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	for _, action := range []string{"DescribeMetricList", "DescribeMetricLast"} {
		w.fails(missingError("Namespace"), action, "MetricName", "Qps")
		w.fails(missingError("MetricName"), action, "Namespace", metricNamespace)
		for _, c := range []struct{ name, value string }{
			{"MetricName", "Speed"}, {"Namespace", "acs_ecs_dashboard"}, {"Period", "59"}, {"Period", "90"}, {"Period", "x"}, {"StartTime", "noon"}, {"EndTime", "2026-13-01T00:00:00Z"},
			{"EndTime", "-1"}, {"Dimensions", "lb-1"}, {"Dimensions", `["lb-1"]`}, {"Dimensions", `{"port":"0"}`}, {"Dimensions", `{"port":"65536"}`},
			{"Dimensions", `{"protocol":"sctp"}`}, {"Dimensions", "[" + strings.Repeat("{},", 100) + "{}]"}, {"Length", "0"}, {"Length", "1441"}, {"NextToken", "!"},
		} {
			w.fails(invalidError(c.name), action, append(params{"Namespace", metricNamespace, "MetricName", "Qps"}, c.name, c.value)...)
		}
		w.fails(invalidError("EndTime"), action, "Namespace", metricNamespace, "MetricName", "Qps", "StartTime", "2000", "EndTime", "1000")
	}
	w.fails(invalidError("PageSize"), "DescribeMetricMetaList", "PageSize", "10001")
	w.fails(missingError("LoadBalancerId"), "DescribeMetrics")
	w.fails(slb.ErrPort, "DescribeMetrics", "LoadBalancerId", lb, "ListenerPort", "65536")
}
