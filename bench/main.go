// Bench measures what a load balancer costs: CPU per request, per connection and
// per gigabyte, and memory per idle connection, for OpenSLB beside HAProxy and
// nginx in one run.
//
// Every proxy is pinned to one core alone with itself; the load and the backends
// are pinned to another and are this same program in a child process, one
// single-threaded epoll loop for both where that can be, so that the load is
// rarely what is measured. Rounds are interleaved: each proxy runs the same
// scenario directly after the others, so that a slow minute of the machine
// strikes all of them. Trust ratios more than figures.
//
// Everything stays on loopback, or in network namespaces made for the run, and is
// bounded in connections and in time. A proxy that is not installed is left out,
// and the report says so.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings of one run, from the flags.
type settings struct {
	openslb   string
	before    string
	proxies   string
	scenarios string
	starts    int
	rounds    int
	duration  time.Duration
	warm      time.Duration
	idle      int
	rate      int
	retries   int
	proxyCPU  int
	loadCPU   int
	raw       bool
	netns     bool
	profile   string

	net         network      // where everything is; set by run
	certificate *certificate // set by run
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2], os.Args[3:]))
	}
	var s settings
	flag.StringVar(&s.openslb, "openslb", "bin/openslb", "the OpenSLB `binary`")
	flag.StringVar(&s.before, "before", "", "another OpenSLB `binary` to measure beside it, as the proxy before")
	flag.StringVar(&s.proxies, "proxies", "openslb,haproxy,nginx", "comma-separated `list` of proxies to measure")
	flag.StringVar(&s.scenarios, "scenarios", "all", "comma-separated `list` of scenarios, or all: "+strings.Join(scenarioNames(), ", "))
	flag.IntVar(&s.starts, "starts", 1, "how often all proxies are started anew, each time for all rounds: where a process lies in memory makes some percent")
	flag.IntVar(&s.rounds, "rounds", 5, "interleaved rounds")
	flag.DurationVar(&s.duration, "duration", 1200*time.Millisecond, "measured time of each scenario in a round")
	flag.DurationVar(&s.warm, "warm", 300*time.Millisecond, "time before it that does not count")
	flag.IntVar(&s.idle, "idle", 2000, "idle connections for the memory scenarios, at most 9000")
	flag.IntVar(&s.rate, "rate", 10000, "requests a second of the scenario l7-steady")
	flag.IntVar(&s.retries, "retries", 1, "how often a measurement is repeated that others on the machine have disturbed")
	flag.IntVar(&s.proxyCPU, "proxy-cpu", 0, "core of the proxy")
	flag.IntVar(&s.loadCPU, "load-cpu", 1, "core of load and backends")
	flag.BoolVar(&s.netns, "netns", false, "put load, proxies and backends into network namespaces joined by virtual cables, rather than on loopback; needs root")
	flag.StringVar(&s.profile, "profile", "", "`file` for a profile of OpenSLB over all scenarios, for \"go build -pgo\"")
	flag.BoolVar(&s.raw, "raw", false, "print every single measurement to standard error")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// child runs one of the two helper roles.
func child(role string, args []string) int {
	var err error
	switch {
	case role == "backend" && len(args) > 0:
		var hosts []netip.Addr
		for _, a := range args {
			hosts = append(hosts, netip.MustParseAddr(a))
		}
		err = runBackend(hosts)
	case role == "load" && len(args) == 1:
		var job loadJob
		if err = json.Unmarshal([]byte(args[0]), &job); err == nil {
			err = runLoad(job)
		}
	default:
		err = fmt.Errorf("unknown role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench child:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, s settings) error {
	if s.starts < 1 || s.starts > 100 || s.rounds < 1 || s.rounds > 1000 || s.duration <= 0 || s.duration > time.Minute || s.idle < 1 || s.idle > 9000 || s.rate < 1 || s.rate > 100000 || s.retries < 0 || s.retries > 10 {
		return fmt.Errorf("out of bounds: starts 1-100, rounds 1-1000, duration up to 1m, idle 1-9000, rate 1-100000, retries 0-10")
	}
	chosen, err := chooseScenarios(s)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "openslb-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	if s.certificate, err = newCertificate(dir); err != nil {
		return err
	}
	s.net = onLoopback()
	if s.netns {
		net, remove, err := inNamespaces(ctx)
		if err != nil {
			return fmt.Errorf("make network namespaces: %w", err)
		}
		defer remove()
		s.net = net
	}
	backend, err := startBackend(ctx, s)
	if err != nil {
		return fmt.Errorf("start backends: %w", err)
	}
	defer backend.stop()

	results := results{}
	var measured []*proxy
	var last lineup
	for start := range s.starts {
		under := filepath.Join(dir, strconv.Itoa(start))
		if err := os.Mkdir(under, 0o755); err != nil { // nginx may change its user
			return err
		}
		if last, err = startProxies(ctx, s, under, backend); err == nil {
			measured = append(measured, last.proxies...)
			err = last.measure(ctx, s, chosen, backend, start, results)
		}
		last.stop()
		if err != nil {
			return err
		}
	}
	report(os.Stdout, s, chosen, last.proxies, last.absent, results)
	return writeProfile(s.profile, measured)
}

// lineup are the proxies that run beside each other, and why others do not.
type lineup struct {
	proxies []*proxy
	absent  []string
	started []*proxy // to be stopped: proxies, and those that failed
}

func startProxies(ctx context.Context, s settings, dir string, backend *backendProc) (lineup, error) {
	var l lineup
	names := strings.Split(s.proxies, ",")
	if s.before != "" {
		names = append(names, "before")
	}
	for _, name := range names {
		p, err := startProxy(ctx, s, strings.TrimSpace(name), dir, backend.addrs)
		if p != nil {
			l.started = append(l.started, p)
		}
		if err == nil {
			pause(ctx, time.Second)
			p.atRest, err = p.memory()
		}
		if err != nil {
			l.absent = append(l.absent, fmt.Sprintf("%s: %v", name, err))
			fmt.Fprintf(os.Stderr, "left out: %s: %v\n", name, err)
			continue
		}
		l.proxies = append(l.proxies, p)
	}
	if len(l.proxies) == 0 {
		return l, fmt.Errorf("no proxy to measure")
	}
	return l, nil
}

func (l *lineup) stop() {
	for _, p := range l.started {
		p.stop()
	}
}

// measure takes all rounds of one start.
func (l *lineup) measure(ctx context.Context, s settings, chosen []scenario, backend *backendProc, start int, into results) error {
	for round := range s.rounds {
		for _, sc := range chosen {
			if sc.idle && (round > 0 || start > 0) {
				continue // memory is taken once, it hardly varies
			}
			for i := range l.proxies {
				p := l.proxies[(i+round)%len(l.proxies)]
				profiled := p.watch(ctx, s, sc)
				m, err := quietly(ctx, s, sc, p, backend)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err := profiled(); err != nil {
					return err
				}
				if err != nil {
					fmt.Fprintf(os.Stderr, "start %d, round %d, %s, %s: %v\n", start+1, round+1, sc.name, p.name, err)
					continue
				}
				if s.raw {
					fmt.Fprintf(os.Stderr, "start %d, round %d, %s, %s: %+v\n", start+1, round+1, sc.name, p.name, m)
				}
				into.add(sc.name, p.name, sample{start, round}, m)
			}
		}
	}
	return nil
}
