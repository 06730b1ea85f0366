package l7

import (
	"bufio"
	"net"
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
	letGo()
	eventually(t, "all has ended", func() bool { return p.e.streams.running.Load() == 0 })
	for range 2 * fairShare {
		modest.ask(id, true, "GET", "a", "/small")
		modest.watchEnds(id)
		id += 2
	}
}
