// Package conformance drives a whole node through its public port with clients
// that are not ours: the vendor's own classic Go SDK, and an ACS3 client that
// was written from the published description alone and shares no line with
// package rpc.
package conformance

import (
	"context"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

const (
	region    = "cn-hangzhou"
	keyID     = node.DevKeyID
	keySecret = node.DevKeySecret

	slbVersion     = "2014-05-15"
	openslbVersion = "2026-11-01"
)

// startNode runs a node in this process and ends it with the test.
func startNode(t *testing.T) *node.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := node.Start(ctx, node.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Dev: true, Region: region,
		InternetPool: []netip.Prefix{testutil.AddressPool(t)},
		IntranetPool: []netip.Prefix{testutil.AddressPool(t)},
	})
	if err != nil {
		t.Fatalf("start a node: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Errorf("stop the node: %v", err)
		}
	})
	return n
}

// hostPort is the node's API without a scheme, as SDKs want it.
func hostPort(t *testing.T, n *node.Node) string {
	t.Helper()
	u, err := url.Parse(n.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// addrOf joins an address from an answer with a port.
func addrOf(t *testing.T, address any, port uint16) netip.AddrPort {
	t.Helper()
	text, _ := address.(string)
	ip, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatalf("address in the answer: %v", err)
	}
	return netip.AddrPortFrom(ip, port)
}
