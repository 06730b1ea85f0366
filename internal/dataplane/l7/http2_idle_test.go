package l7

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHTTP2IdleMemory: a connection between two requests has no buffers. Of its
// client nothing is kept here but the socket.
func TestHTTP2IdleMemory(t *testing.T) {
	if !overTLS {
		return
	}
	const n = 200
	p := newHTTP2Proxy(t, spec.HTTPOptions{}, hello(t))
	open := func() *net.TCPConn {
		r := p.dialHTTP2()
		r.head(1, true)
		r.untilEnd(1)
		return r.tcp
	}
	for range 8 { // whatever is made once is there now
		open()
	}
	memory, goroutines := used(), runtime.NumGoroutine()
	for range n {
		open()
	}
	eventually(t, "all are open", func() bool { return p.Facts().ActiveConnections == n+8 })
	settled := func() int { return runtime.NumGoroutine() - goroutines }
	eventually(t, "a goroutine for each", func() bool { return settled() <= n+maxSpare })
	time.Sleep(50 * time.Millisecond)
	each := (used() - memory) / n
	t.Logf("%d bytes for each connection", each)
	if !raceEnabled && each > 24<<10 {
		t.Errorf("%d bytes for each", each)
	}
}
