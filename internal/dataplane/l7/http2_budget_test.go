package l7

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/openslb/openslb/internal/dataplane/l7/h2"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHTTP2Budget: where there are too many requests in all, connections that have
// many get no more, and those that have few are served.
func TestHTTP2Budget(t *testing.T) {
	if !overTLS {
		return
	}
	const most = fairShare + 4
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) { unmoved(c, br, release) })
	t.Cleanup(letGo) // before the server is waited for
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
	said := p.expectLog()
	if n := p.e.streams.most.Load(); n < 1000 {
		t.Errorf("%d are many", n)
	}
	p.e.streams.most.Store(most)
	small := func() {
		t.Helper()
		if _, got := fetch(t, p.http2Client(), p.request("GET", "/small", nil)); string(got) != "small" {
			t.Errorf("others get %q", got)
		}
	}
	small()
	greedy, modest := p.dialHTTP2(), p.dialHTTP2()
	hostileAnswers("/silent")(greedy)
	eventually(t, "no room is left", func() bool { return p.e.streams.running.Load() == most })
	id := uint32(1)
	for ; id <= 2*fairShare+1; id += 2 {
		modest.ask(id, true, "GET", "a", "/silent")
	}
	for r, n := range map[*http2Raw]int{greedy: h2.MaxStreams - most, modest: 1} {
		r.watch("refusals", func(w *watched) bool {
			for id, code := range w.reset {
				if code != http2.ErrCodeRefusedStream {
					t.Errorf("%d: %v", id, code)
				}
			}
			return len(w.reset) == n
		})
	}
	small()
	if f := p.Facts(); f.RefusedMemory != h2.MaxStreams-most+1 || f.RefusedStreams+f.RefusedHeads+f.Floods != 0 {
		t.Errorf("facts %+v", f)
	}
	said.mu.Lock()
	if n := strings.Count(said.String(), "HTTP/2 requests refused"); n != 1 {
		t.Errorf("said %d times: %s", n, said)
	}
	said.mu.Unlock()
	letGo()
	eventually(t, "all has ended", func() bool { return p.e.streams.running.Load() == 0 })
	for range 2 * fairShare {
		modest.ask(id, true, "GET", "a", "/small")
		modest.watchEnds(id)
		id += 2
	}
}

// TestHTTP2Refusals: what is refused because it is too much for one connection is
// counted by its reason.
func TestHTTP2Refusals(t *testing.T) {
	if !overTLS {
		return
	}
	release := make(chan struct{})
	b := newBackend(t, func(b *backend, c net.Conn, br *bufio.Reader) { unmoved(c, br, release) })
	defer close(release)
	for _, row := range []struct {
		name string
		do   func(r *http2Raw)
		want spec.FrontendFacts
	}{
		{"streams", func(r *http2Raw) {
			hostileAnswers("/silent")(r)
			r.ask(2*h2.MaxStreams+1, true, "GET", "a", "/silent")
			r.ask(2*h2.MaxStreams+3, true, "GET", "a", "/silent")
		}, spec.FrontendFacts{RefusedStreams: 2}},
		{"heads", func(r *http2Raw) {
			long := strings.Repeat("a", 3800) // a byte each, but for the first
			for n := range uint32(40) {
				r.ask(2*n+1, true, "GET", "a", "/silent", "x", long, "x", long, "x", long, "x", long, "x", long, "x", long, "x", long)
			}
		}, spec.FrontendFacts{RefusedHeads: 1}},
		{"frames", func(r *http2Raw) {
			for range 10_000 {
				if r.fr.WritePing(false, [8]byte{}) != nil {
					return // the end has come
				}
			}
		}, spec.FrontendFacts{Floods: 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newHTTP2Proxy(t, spec.HTTPOptions{}, target(b))
			row.do(p.dialHTTP2())
			eventually(t, "the refusals", func() bool {
				f := p.Facts()
				heads := min(f.RefusedHeads, 1) // as many as do not fit
				return f.RefusedStreams == row.want.RefusedStreams && heads == row.want.RefusedHeads && f.Floods == row.want.Floods && f.RefusedMemory == 0
			})
		})
	}
}
