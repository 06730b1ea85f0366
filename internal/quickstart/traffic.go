package quickstart

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// tally counts the answers per server.
type tally struct {
	count  map[string]int
	total  int
	failed int
	// firstFailure explains one of the failed requests.
	firstFailure error
}

// Each measurement sends this many requests, by this many clients at once.
const (
	requests = 400
	clients  = 8
)

// send sends requests to url and tallies who answered. fresh opens a new
// connection for each request, else every client keeps its own.
func send(ctx context.Context, url string, fresh bool) tally {
	t := tally{count: make(map[string]int)}
	var (
		mu sync.Mutex // guards t
		wg sync.WaitGroup
	)
	for range clients {
		wg.Go(func() {
			transport := &http.Transport{DisableKeepAlives: fresh, Proxy: nil}
			defer transport.CloseIdleConnections()
			hc := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			for range requests / clients {
				id, err := ask(ctx, hc, url)
				mu.Lock()
				t.total++
				if err == nil {
					t.count[id]++
				} else {
					t.failed++
					if t.firstFailure == nil {
						t.firstFailure = err
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return t
}

// ask sends one request and returns the identifier of the server that answered.
func ask(ctx context.Context, hc *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	id := resp.Header.Get(serverHeader)
	if resp.StatusCode != http.StatusOK || id == "" {
		return "", fmt.Errorf("status %s", resp.Status)
	}
	return id, nil
}

// percent is a server's share of the answers.
func (t tally) percent(id string) float64 {
	if t.total == 0 {
		return 0
	}
	return 100 * float64(t.count[id]) / float64(t.total)
}
