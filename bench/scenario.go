package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// scenario is one thing to measure.
type scenario struct {
	name  string
	title string
	mode  loadMode
	conns int
	size  int     // of the body asked for; 0: a hundred bytes
	rate  int     // paced at so many a second instead of as fast as answers come; paced: at settings.rate
	log   bool    // each request goes to a log file
	rules bool    // likewise, and is forwarded by one of many rules
	idle  bool    // memory of idle connections instead of CPU
	unit  string  // of the figure
	per   float64 // operations that make one unit of the figure
}

// paced stands for the rate of the settings.
const paced = -1

// The figure is CPU microseconds per operation, except for bulk (CPU seconds per
// GB) and idle (bytes per connection).
var scenarios = []scenario{
	{name: "l7-keepalive", title: "HTTP keep-alive, 64 connections, 99 requests on each, then another; 100 B answer", mode: httpKeep, conns: 64, unit: "CPU µs/request", per: 1},
	{name: "l7-logged", title: "the same with an access log, JSON lines to a file", mode: httpKeep, conns: 64, log: true, unit: "CPU µs/request", per: 1},
	{name: "l7-serving", title: "the same with an access log and 40 forwarding rules", mode: httpKeep, conns: 64, rules: true, unit: "CPU µs/request", per: 1},
	{name: "l7-serving-newconn", title: "the same with a new client connection for each request", mode: httpNew, conns: 32, rules: true, unit: "CPU µs/request", per: 1},
	{name: "l7-serving-steady", title: "the same as l7-serving at a steady rate (-rate)", mode: httpKeep, conns: 64, rate: paced, rules: true, unit: "CPU µs/request", per: 1},
	{name: "l7-1k", title: "HTTP keep-alive, 64 connections, bodies of 1 KB", mode: httpKeep, conns: 64, size: 1 << 10, unit: "CPU µs/request", per: 1},
	{name: "l7-16k", title: "HTTP keep-alive, 64 connections, bodies of 16 KB", mode: httpKeep, conns: 64, size: 16 << 10, unit: "CPU µs/request", per: 1},
	{name: "l7-1m", title: "HTTP keep-alive, 8 connections, bodies of 1 MB", mode: httpKeep, conns: 8, size: 1 << 20, unit: "CPU µs/request", per: 1},
	{name: "l7-newconn", title: "HTTP, a new client connection for each request", mode: httpNew, conns: 32, unit: "CPU µs/request", per: 1},
	{name: "l7-steady", title: "HTTP keep-alive at a steady rate (-rate)", mode: httpKeep, conns: 64, rate: paced, unit: "CPU µs/request", per: 1},
	{name: "l7-steady-5k", title: "HTTP keep-alive at 5,000 requests a second", mode: httpKeep, conns: 64, rate: 5000, unit: "CPU µs/request", per: 1},
	{name: "l7-steady-25k", title: "HTTP keep-alive at 25,000 requests a second", mode: httpKeep, conns: 64, rate: 25000, unit: "CPU µs/request", per: 1},
	{name: "https-keepalive", title: "HTTPS (TLS 1.3, P-256), 32 connections, 99 requests on each, then a resumed session", mode: httpsKeep, conns: 32, unit: "CPU µs/request", per: 1},
	{name: "https-serving", title: "the same with an access log and 40 forwarding rules", mode: httpsKeep, conns: 32, rules: true, unit: "CPU µs/request", per: 1},
	{name: "https-full", title: "HTTPS, a full handshake for each request", mode: httpsNew, conns: 16, unit: "CPU µs/handshake", per: 1},
	{name: "https-resumed", title: "HTTPS, a resumed handshake for each request", mode: httpsResume, conns: 16, unit: "CPU µs/handshake", per: 1},
	{name: "http2", title: "HTTP/2 over TLS 1.3, 4 connections of 16 streams, by h2load", mode: http2Streams, conns: 4, unit: "CPU µs/request", per: 1},
	{name: "tcp-newconn", title: "TCP, new connection with one 64 B exchange", mode: tcpNew, conns: 32, unit: "CPU µs/connection", per: 1},
	{name: "tcp-exchange", title: "TCP, 64 B exchange on 64 open connections", mode: tcpEcho, conns: 64, unit: "CPU µs/exchange", per: 1},
	{name: "tcp-bulk", title: "TCP, bulk from server to client, 4 connections", mode: tcpBulk, conns: 4, unit: "CPU s/GB", per: 1e9},
	{name: "udp-exchange", title: "UDP, 64 B exchange on 64 flows", mode: udpEcho, conns: 64, unit: "CPU µs/exchange", per: 1},
	{name: "l7-idle", title: "HTTP, idle keep-alive connections", mode: httpKeep, idle: true, unit: "bytes/connection"},
	{name: "https-idle", title: "HTTPS, idle keep-alive connections", mode: httpsKeep, idle: true, unit: "bytes/connection"},
	{name: "tcp-idle", title: "TCP, idle connections", mode: tcpEcho, idle: true, unit: "bytes/connection"},
}

func scenarioNames() []string {
	var out []string
	for _, s := range scenarios {
		out = append(out, s.name)
	}
	return out
}

func chooseScenarios(s settings) ([]scenario, error) {
	if s.scenarios == "all" {
		return scenarios, nil
	}
	var out []scenario
	for _, name := range strings.Split(s.scenarios, ",") {
		found := false
		for _, sc := range scenarios {
			if sc.name == strings.TrimSpace(name) {
				out, found = append(out, sc), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no scenario %q; there are %s", name, strings.Join(scenarioNames(), ", "))
		}
	}
	return out, nil
}

// measurement is one proxy in one scenario in one round.
type measurement struct {
	figure   float64 // in the scenario's unit
	user     float64 // the part of it that is not the kernel's
	rate     float64 // operations (bytes for bulk) per second
	core     float64 // share of its core that the proxy used
	others   float64 // cores that nobody of ours used and that were busy all the same
	p50, p99 time.Duration
	faults   int
}

// disturbed is the share of a core above which others spoil a measurement.
const disturbed = 0.15

// quietly repeats a measurement that others on the machine have disturbed, a few
// times, and returns the least disturbed.
func quietly(ctx context.Context, s settings, sc scenario, p *proxy, b *backendProc) (measurement, error) {
	best, err := measure(ctx, s, sc, p, b)
	for range s.retries {
		if err != nil || best.others <= disturbed {
			break
		}
		var m measurement
		if m, err = measure(ctx, s, sc, p, b); err == nil && m.others < best.others {
			best = m
		}
	}
	return best, err
}

// measure runs one scenario against one proxy.
func measure(ctx context.Context, s settings, sc scenario, p *proxy, b *backendProc) (measurement, error) {
	target := p.http
	switch sc.mode {
	case tcpNew, tcpEcho:
		target = p.tcp
	case tcpBulk:
		target = p.bulk
	case httpsKeep, httpsNew, httpsResume, http2Streams:
		target = p.https
	case udpEcho:
		target = p.udp
	}
	switch {
	case sc.rules && sc.mode == httpsKeep:
		target = p.servingTLS
	case sc.rules:
		target = p.serving
	case sc.log:
		target = p.logged
	}
	if !target.IsValid() {
		return measurement{}, fmt.Errorf("not offered by this proxy")
	}
	if sc.mode == http2Streams {
		return measureHTTP2(ctx, s, sc, p, b)
	}
	job := loadJob{Mode: sc.mode, Addr: target, Conns: sc.conns, Size: sc.size, Rate: sc.rate, Warm: s.warm, Duration: s.duration}
	if sc.rate == paced {
		job.Rate = s.rate
	}
	if sc.idle {
		return measureIdle(ctx, s, p, b, job)
	}
	load, err := startLoad(ctx, s, b, job)
	if err != nil {
		return measurement{}, err
	}
	defer load.stop()
	if err := load.expect("begin"); err != nil {
		return measurement{}, err
	}
	helpers := func() time.Duration {
		used := cpuTime(b.cmd.Process.Pid).all
		if !load.backend {
			used += cpuTime(load.cmd.Process.Pid).all
		}
		return used
	}
	began, cpu, all, ours := time.Now(), p.cpu(), busyTime(), helpers()
	res, err := load.result()
	if err != nil {
		return measurement{}, err
	}
	used, took := p.cpu().since(cpu), time.Since(began)
	others := busyTime() - all - used.all - (helpers() - ours)
	if res.Operations == 0 {
		return measurement{}, fmt.Errorf("nothing went through; %d faults, first: %s", res.Faults, res.FirstFault)
	}
	return measurement{
		figure: sc.figure(used.all, res.Operations),
		user:   sc.figure(used.user, res.Operations),
		rate:   float64(res.Operations) / took.Seconds(),
		core:   used.all.Seconds() / took.Seconds(),
		others: max(0, others.Seconds()/took.Seconds()),
		p50:    res.P50, p99: res.P99,
		faults: res.Faults,
	}, nil
}

// figure is processor time for n operations in the scenario's unit.
func (sc *scenario) figure(used time.Duration, n int64) float64 {
	f := used.Seconds() / float64(n) * sc.per
	if sc.per == 1 {
		f *= 1e6
	}
	return f
}

// measureIdle opens connections, lets each do one exchange, and compares the
// proxy's memory (proportional set size) with that before. A first small batch
// pays for what is allocated once.
func measureIdle(ctx context.Context, s settings, p *proxy, b *backendProc, job loadJob) (measurement, error) {
	open := func(n int) (*loadProc, error) {
		job.Idle, job.Conns = true, n
		load, err := startLoad(ctx, s, b, job)
		if err != nil {
			return nil, err
		}
		if err := load.expect("begin"); err != nil {
			load.stop()
			return nil, err
		}
		return load, nil
	}
	first, err := open(100)
	if err != nil {
		return measurement{}, err
	}
	first.stop()
	pause(ctx, settled)
	before, err := p.memory()
	if err != nil {
		return measurement{}, err
	}
	load, err := open(s.idle)
	if err != nil {
		return measurement{}, err
	}
	defer load.stop()
	pause(ctx, settled)
	after, err := p.memory()
	if err != nil {
		return measurement{}, err
	}
	return measurement{figure: float64(after-before) / float64(s.idle)}, nil
}

// settled is how long a proxy is left alone before its memory is looked at:
// OpenSLB gives back what it does not need when it has been quiet for some
// seconds.
const settled = 10 * time.Second

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
