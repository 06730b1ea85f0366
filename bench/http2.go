package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// http2Streams is HTTP/2 over TLS, with sixteen streams on each connection. The
// load is made by h2load, whose CPU stands in place of our helper's.
const http2Streams loadMode = "http2"

var h2loadCounts = regexp.MustCompile(`requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded`)

// h2load puts load on the proxy for a time. It returns how many requests were
// answered by 2xx and how many were not, and the CPU time of h2load.
func h2load(ctx context.Context, s settings, sc scenario, p *proxy, d time.Duration) (good, bad int, used time.Duration, err error) {
	tool, err := exec.LookPath("h2load")
	if err != nil {
		return 0, 0, 0, fmt.Errorf("h2load is not installed; see \"make peers\": %w", err)
	}
	cmd := exec.CommandContext(ctx, tool, "-D", fmt.Sprintf("%dms", d.Milliseconds()), "-c", strconv.Itoa(sc.conns), "-m", "16", "https://"+p.https.String()+"/bench")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := startPinned(cmd, s.loadCPU); err != nil {
		return 0, 0, 0, err
	}
	if err := cmd.Wait(); err != nil {
		return 0, 0, 0, fmt.Errorf("h2load: %w: %s", err, out.Bytes())
	}
	m := h2loadCounts.FindSubmatch(out.Bytes())
	if m == nil {
		return 0, 0, 0, fmt.Errorf("h2load says %q", out.Bytes())
	}
	total, _ := strconv.Atoi(string(m[1])) // digits
	good, _ = strconv.Atoi(string(m[2]))
	return good, total - good, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// measureHTTP2 is measure for http2Streams.
func measureHTTP2(ctx context.Context, s settings, sc scenario, p *proxy, b *backendProc) (measurement, error) {
	if _, _, _, err := h2load(ctx, s, sc, p, s.warm); err != nil {
		return measurement{}, err
	}
	began, cpu, all, backend := time.Now(), p.cpu(), busyTime(), cpuTime(b.cmd.Process.Pid).all
	good, bad, load, err := h2load(ctx, s, sc, p, s.duration)
	if err != nil {
		return measurement{}, err
	}
	used, took := p.cpu().since(cpu), time.Since(began)
	others := busyTime() - all - used.all - load - (cpuTime(b.cmd.Process.Pid).all - backend)
	if good == 0 {
		return measurement{}, fmt.Errorf("nothing went through; %d faults", bad)
	}
	return measurement{
		figure: sc.figure(used.all, int64(good)),
		user:   sc.figure(used.user, int64(good)),
		rate:   float64(good) / took.Seconds(),
		core:   used.all.Seconds() / took.Seconds(),
		others: max(0, others.Seconds()/took.Seconds()),
		faults: bad,
	}, nil
}
