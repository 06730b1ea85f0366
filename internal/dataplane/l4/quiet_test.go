package l4

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Probes that a client or a server sends keep a connection; those who send none
// are reset, and so is who does not read, although probes go on all the time.
func TestKeepAliveProbesKeepAConnection(t *testing.T) {
	probing := net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 60}
	silent := net.KeepAliveConfig{Enable: false}
	mute := func(config net.KeepAliveConfig) *pool.Pool {
		return pool.NewStatic(target("a", server(t, func(c *net.TCPConn) {
			if err := c.SetKeepAliveConfig(config); err != nil {
				t.Error(err)
			}
			io.WriteString(c, "x")
			io.Copy(io.Discard, onlyReader{c})
		})))
	}
	e := newEngine(t, Options{})
	const idle = 3 * time.Second
	for _, c := range []struct {
		name           string
		client, server net.KeepAliveConfig
		kept           bool
	}{
		{"the client's", probing, silent, true},
		{"the server's", silent, probing, true},
		{"nobody's", silent, silent, false},
	} {
		f := listen(t, e, spec.TCPOptions{IdleTimeout: idle}, mute(c.server))
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := dial(t, f)
			if err := k.SetKeepAliveConfig(c.client); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(k, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			wait := 2*idle + idle/2
			if !c.kept {
				wait = patience
			}
			k.SetReadDeadline(time.Now().Add(wait))
			begun := time.Now()
			_, err := k.Read(make([]byte, 1))
			if took := time.Since(begun); !c.kept && took < idle-100*time.Millisecond {
				t.Errorf("reset after %v", took)
			}
			if c.kept != errors.Is(err, os.ErrDeadlineExceeded) || !c.kept && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("after up to %v of silence: %v", wait, err)
			}
		})
	}
	t.Run("of who does not read", func(t *testing.T) {
		t.Parallel()
		f := listen(t, e, spec.TCPOptions{IdleTimeout: idle}, pool.NewStatic(target("a", server(t, func(c *net.TCPConn) { pseudo(c, 1, 1<<30) }))))
		k := dial(t, f)
		if err := k.SetKeepAliveConfig(probing); err != nil {
			t.Fatal(err)
		}
		eventually(t, "data", func() bool { return f.Facts().BytesOut > 0 })
		eventually(t, "the end", func() bool { return f.Facts().ActiveConnections == 0 })
	})
}
