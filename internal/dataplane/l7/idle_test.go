package l7

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestIdleConnections: on a loop a connection between two requests has neither a
// goroutine nor a buffer; with a goroutine, and inside of TLS, it has no buffer of
// ours. What the test's own side takes is in the figures, too.
func TestIdleConnections(t *testing.T) {
	const n = 300
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{IdleTimeout: time.Minute}, target(b))
	one := p.dial() // whatever is made once is there now
	one.send(simple)
	one.want(200, "x")
	memory, goroutines := used(), runtime.NumGoroutine()
	answer := make([]byte, 1024)
	for range n {
		c := net.Conn(p.dial())
		io.WriteString(c, simple)
		if got, err := c.Read(answer); err != nil || got < 20 {
			t.Fatalf("%q, %v", answer[:got], err)
		}
	}
	eventually(t, "all are open and idle", func() bool { return p.Facts().ActiveConnections == n+1 })
	more := runtime.NumGoroutine() - goroutines
	each := (used() - memory) / n
	t.Logf("%d goroutines more, %d bytes for each connection and its client", more, each)
	limit := int64(4 << 10)
	switch {
	case overTLS:
		limit = 48 << 10 // a stack, and the states of two TLS connections
	case driver == Goroutines:
		limit = 16 << 10 // a stack
	}
	if !raceEnabled && each > limit {
		t.Errorf("%d bytes for each, more than %d", each, limit)
	}
	if driver == Loops && more > 30 {
		t.Errorf("%d goroutines for %d idle connections", more, n)
	}
}

// used is what heap and stacks take once the garbage is gone.
func used() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
