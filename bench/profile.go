package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/google/pprof/profile"
)

// profiler asks a node for its profiles and gathers those of all measurements.
type profiler struct {
	http *http.Client
	url  string // of the node's API
	all  []*profile.Profile
}

// watch takes a profile of a proxy while a scenario runs, if one is wanted. The
// function that it returns waits for the profile.
func (p *proxy) watch(ctx context.Context, s settings, sc scenario) func() error {
	if p.profiler == nil || sc.idle {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		taken, err := p.profiler.take(ctx, s.warm+s.duration)
		p.profiler.all = append(p.profiler.all, taken)
		done <- err
	}()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("take a profile: %w", err)
		}
		return nil
	}
}

func (p *profiler) take(ctx context.Context, d time.Duration) (*profile.Profile, error) {
	url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", p.url, max(1, int(d.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := *p.http
	client.Timeout += d
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the node answers %s", resp.Status)
	}
	return profile.Parse(resp.Body)
}

// syscalls are where a program waits for the kernel, most of its time. Compilers
// can do nothing there, and would take little else for hot.
var syscalls = regexp.MustCompile(`^(internal/runtime/)?syscall(/linux)?\.(Raw)?Syscall6?$`)

// writeProfile merges what was taken into one file for the compiler. It names
// functions and lines, but no file of this machine.
func writeProfile(file string, proxies []*proxy) error {
	if file == "" {
		return nil
	}
	var all []*profile.Profile
	for _, p := range proxies {
		if p.profiler != nil {
			all = append(all, p.profiler.all...)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("no profile: OpenSLB was not measured under load")
	}
	merged, err := profile.Merge(all)
	if err != nil {
		return fmt.Errorf("merge profiles: %w", err)
	}
	merged.FilterSamplesByName(nil, syscalls, nil, nil)
	if err := merged.Aggregate(true, true, false, true, false, false); err != nil {
		return fmt.Errorf("aggregate profiles: %w", err)
	}
	for _, m := range merged.Mapping {
		m.File, m.BuildID = "openslb", ""
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(merged.Compact().Write(f), f.Close())
}
