package l7

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/testutil"
)

// TestIdleConnections: a connection between two requests has neither a goroutine
// nor a buffer.
func TestIdleConnections(t *testing.T) {
	type row struct {
		kind  string
		limit int64 // bytes of the heap for each connection
	}
	var rows []row
	switch {
	case overTLS: // nearly all of it is crypto/tls, and tables of HTTP/2
		rows = []row{{"TLS 1.2", 6 << 10}, {"TLS 1.3", 6 << 10}, {"HTTP/2", 8 << 10}}
	case driver == Loops:
		rows = []row{{"plain", 1 << 10}}
	default:
		rows = []row{{"plain", 2 << 10}}
	}
	for _, c := range rows {
		t.Run(c.kind, func(t *testing.T) {
			const n = 300
			b := answering(t, func(m *message) string { return ok("x") })
			p := newProxy(t, spec.HTTPOptions{IdleTimeout: time.Minute}, target(b))
			if overTLS {
				p.enableHTTP2()
			}
			p.crowd(c.kind, 10) // whatever is made once is there now
			memory, goroutines := used(), runtime.NumGoroutine()
			p.crowd(c.kind, n)
			each := (used() - memory) / n
			more := runtime.NumGoroutine() - goroutines
			t.Logf("%d goroutines more, %d bytes for each connection", more, each)
			if !raceEnabled && each > c.limit {
				t.Errorf("%d bytes for each, more than %d", each, c.limit)
			}
			if more > maxSpare+20 {
				t.Errorf("%d goroutines for %d idle connections", more, n)
			}
		})
	}
}

// used is what the heap takes once the garbage is gone.
func used() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// crowd has n clients do an exchange each and then stay until the test ends. They
// are a process of their own, so that what they take is not in the figures.
func (p *proxy) crowd(kind string, n int) {
	t := p.t
	t.Helper()
	open := p.Facts().ActiveConnections
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crowdVariable+"=1")
	var idle int
	testutil.StartChild(t, "the crowd", cmd).Ask(t, crowd{kind, p.Addr().String(), n}, &idle)
	if open := p.Facts().ActiveConnections - open; open != uint64(n) {
		t.Fatalf("%d connections open", open)
	}
	served := func() (n int) {
		p.each(func(c *conn) {
			if !c.away.Load() {
				n++
			}
		})
		return n
	}
	eventually(t, "all are parked", func() bool { return served() == 0 })
	p.eachReactor(func(*reactor) {}) // and watched
}

// crowdVariable marks the process of a crowd.
const crowdVariable = "L7_CROWD"

// crowd is what its process is asked for.
type crowd struct {
	Kind, Addr string
	N          int
}

// runCrowd is the process of a crowd. It tells how many clients are idle.
func runCrowd() error {
	in := json.NewDecoder(os.Stdin)
	var want crowd
	if err := in.Decode(&want); err != nil {
		return err
	}
	var all []any // to be kept from the collector
	for range want.N {
		c, err := visit(want.Kind, want.Addr)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	if err := json.NewEncoder(os.Stdout).Encode(len(all)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(all)
	return err
}

// visit does one exchange and gives the connection.
func visit(kind, addr string) (any, error) {
	config := &tls.Config{InsecureSkipVerify: true}
	if kind == "HTTP/2" {
		client := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
		client.Protocols.SetHTTP2(true)
		resp, err := (&http.Client{Transport: client}).Get("https://" + addr + "/")
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return client, err
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "TLS 1.2":
		config.MaxVersion = tls.VersionTLS12
		fallthrough
	case "TLS 1.3":
		c = tls.Client(c, config)
	}
	if _, err := io.WriteString(c, simple); err != nil {
		return nil, err
	}
	_, err = readMessage(bufio.NewReader(c), false)
	return c, err
}
