package node

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// forwardTimeout bounds a call that is passed on to another process.
const forwardTimeout = 60 * time.Second

// apiGate stands before the API. While it is closed, because the store belongs
// to another process, calls on connections that are open are passed on to the one
// that listens on the API's port, or will in a moment.
type apiGate struct {
	forward *http.Transport
	to      atomic.Pointer[string] // host:port

	mu    sync.Mutex
	inner http.Handler // nil: closed
	calls int          // under way in inner
	idle  chan struct{}
}

func newAPIGate() *apiGate {
	return &apiGate{
		// Each call has a connection of its own, so that none is to be closed later,
		// and goes through as it is.
		forward: &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext},
	}
}

// open has h answer calls.
func (g *apiGate) open(h http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inner = h
}

// passTo says where calls go while the gate is closed.
func (g *apiGate) passTo(hostPort string) { g.to.Store(&hostPort) }

// close waits until the calls under way have been answered; new ones are passed
// on. If ctx ends before, the gate is as it was.
func (g *apiGate) close(ctx context.Context) error {
	g.mu.Lock()
	was := g.inner
	g.inner = nil
	idle := make(chan struct{})
	if g.idle = idle; g.calls == 0 {
		close(idle)
	}
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		g.open(was)
		return errors.New("calls of the API did not end in time")
	}
}

func (g *apiGate) enter() http.Handler {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inner != nil {
		g.calls++
	}
	return g.inner
}

func (g *apiGate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls--; g.calls == 0 && g.inner == nil {
		close(g.idle)
	}
}

// ServeHTTP answers a call, here or by another process.
func (g *apiGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := g.enter(); h != nil {
		defer g.leave()
		h.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Connection", "close") // the next call goes there directly
	ctx, cancel := context.WithTimeout(r.Context(), forwardTimeout)
	defer cancel()
	out := r.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "http", *g.to.Load()
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // else one would be made up
	}
	answer, err := g.forward.RoundTrip(out)
	if err != nil {
		http.Error(w, "the node is being replaced, and its successor does not answer: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer answer.Body.Close()
	answer.Header.Del("Connection")
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // whoever asked may be gone
}
