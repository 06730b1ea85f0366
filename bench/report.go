package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results holds the measurements by scenario and proxy.
type results map[string]map[string]map[sample]measurement

// sample is a round of a start of all proxies.
type sample struct{ start, round int }

func (r results) add(scenario, proxy string, at sample, m measurement) {
	if r[scenario] == nil {
		r[scenario] = map[string]map[sample]measurement{}
	}
	if r[scenario][proxy] == nil {
		r[scenario][proxy] = map[sample]measurement{}
	}
	r[scenario][proxy][at] = m
}

// column gathers one value of all rounds of a proxy.
func (r results) column(scenario, proxy string, f func(measurement) float64) []float64 {
	var out []float64
	for _, m := range r[scenario][proxy] {
		out = append(out, f(m))
	}
	return out
}

// estimate is a mean with its standard error, which is NaN for a single value.
type estimate struct{ mean, deviation float64 }

func (e estimate) String() string {
	if math.IsNaN(e.deviation) {
		return fmt.Sprintf("%.3f", e.mean)
	}
	return fmt.Sprintf("%.3f ± %.3f", e.mean, e.deviation)
}

// ratio is the geometric mean of the ratios inside the rounds, which is steadier
// than the ratio of two means. With several starts it is the mean of theirs, and
// their differences make the error: rounds of one start have much in common.
func (r results) ratio(scenario, proxy, base string) (estimate, bool) {
	logs := map[int][]float64{} // by start
	for at, m := range r[scenario][proxy] {
		if b, ok := r[scenario][base][at]; ok && m.figure > 0 && b.figure > 0 {
			logs[at.start] = append(logs[at.start], math.Log(m.figure/b.figure))
		}
	}
	var values []float64
	for _, l := range logs {
		if len(logs) == 1 {
			values = l
			break
		}
		values = append(values, mean(l))
	}
	if len(values) == 0 {
		return estimate{}, false
	}
	middle, squares, n := mean(values), 0.0, float64(len(values))
	for _, v := range values {
		squares += (v - middle) * (v - middle)
	}
	e := estimate{mean: math.Exp(middle)}
	e.deviation = e.mean * math.Sqrt(squares/(n-1)/n) // 0/0 for a single value
	return e, true
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// report prints one Markdown table.
func report(w io.Writer, s settings, chosen []scenario, proxies []*proxy, absent []string, r results) {
	where := "loopback"
	if s.netns {
		where = "namespaces over veth"
	}
	fmt.Fprintf(w, "%d starts of %d rounds of %v on %s, interleaved; proxy on core %d, load and backends on core %d; %s, %s.\n",
		s.starts, s.rounds, s.duration, where, s.proxyCPU, s.loadCPU, kernel(), runtime.Version())
	for _, p := range proxies {
		fmt.Fprintf(w, "%s: %s, %.1f MB before any traffic. ", p.name, p.version, float64(p.atRest)/1e6)
	}
	for _, a := range absent {
		fmt.Fprintf(w, "Left out: %s. ", a)
	}
	bases := []string{"haproxy", "nginx"}
	if s.before != "" {
		bases = append(bases, "before")
	}
	fmt.Fprintf(w, "\n\n| scenario | proxy | figure | least to most | outside the kernel | × %s | per second | core used | by others | p50 / p99 | faults |\n%s|\n",
		strings.Join(bases, " | × "), strings.Repeat("|---", 10+len(bases)))
	for _, sc := range chosen {
		for _, p := range proxies {
			figures := r.column(sc.name, p.name, func(m measurement) float64 { return m.figure })
			if len(figures) == 0 {
				fmt.Fprintf(w, "| %s | %s | not measured | | | | | | | | | |\n", sc.name, p.name)
				continue
			}
			faults := 0
			for _, m := range r[sc.name][p.name] {
				faults += m.faults
			}
			fmt.Fprintf(w, "| %s | %s | %s %s | %s–%s | %s | %s | %s | %s | %s | %s | %d |\n",
				sc.name, p.name, number(median(figures)), sc.unit, number(slices.Min(figures)), number(slices.Max(figures)), r.userText(sc, p.name),
				r.ratioTexts(sc.name, p.name, bases),
				r.rateText(sc, p.name), r.shareText(sc, p.name, func(m measurement) float64 { return m.core }),
				r.shareText(sc, p.name, func(m measurement) float64 { return m.others }), r.latencyText(sc, p.name), faults)
		}
	}
	fmt.Fprintln(w)
	for _, sc := range chosen {
		fmt.Fprintf(w, "- %s: %s.\n", sc.name, sc.title)
	}
}

// ratioTexts are the cells of a proxy beside the bases.
func (r results) ratioTexts(scenario, proxy string, bases []string) string {
	var cells []string
	for _, base := range bases {
		cell := "–"
		if v, ok := r.ratio(scenario, proxy, base); ok && proxy != base {
			cell = v.String()
		}
		cells = append(cells, cell)
	}
	return strings.Join(cells, " | ")
}

func (r results) userText(sc scenario, proxy string) string {
	if sc.idle {
		return "–"
	}
	return number(median(r.column(sc.name, proxy, func(m measurement) float64 { return m.user })))
}

func (r results) rateText(sc scenario, proxy string) string {
	if sc.idle {
		return "–"
	}
	v := median(r.column(sc.name, proxy, func(m measurement) float64 { return m.rate }))
	if sc.mode == tcpBulk {
		return fmt.Sprintf("%.2f GB", v/1e9)
	}
	return fmt.Sprintf("%.0f", v)
}

func (r results) shareText(sc scenario, proxy string, f func(measurement) float64) string {
	if sc.idle {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*median(r.column(sc.name, proxy, f)))
}

func (r results) latencyText(sc scenario, proxy string) string {
	if sc.idle || sc.mode == tcpBulk {
		return "–"
	}
	part := func(f func(measurement) time.Duration) string {
		ns := median(r.column(sc.name, proxy, func(m measurement) float64 { return float64(f(m)) }))
		return fmt.Sprintf("%.2f", ns/1e6)
	}
	return part(func(m measurement) time.Duration { return m.p50 }) + " / " + part(func(m measurement) time.Duration { return m.p99 }) + " ms"
}

// number prints three significant digits.
func number(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown kernel"
	}
	return "Linux " + strings.TrimSpace(string(text))
}
