package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// Hosts reach their neighbours and nobody else, and leave nothing behind.
func TestNamespaces(t *testing.T) {
	testutil.Root(t)
	testutil.Tool(t, "ip")
	n, remove, err := inNamespaces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	var l net.Listener
	at := netip.AddrPortFrom(n.backends[1], 7)
	if err := n.server.do(func() (err error) {
		l, err = net.Listen("tcp", at.String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := n.proxy.dial(t.Context(), "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if c, err := n.client.dial(ctx, "tcp", at.String()); err == nil {
		c.Close()
		t.Error("the client reaches the servers past the proxy")
	}
	remove()
	for _, h := range []host{n.client, n.proxy, n.server} {
		if _, err := os.Stat("/run/netns/" + h.name); err == nil {
			t.Errorf("%s is left", h.name)
		}
	}
}
