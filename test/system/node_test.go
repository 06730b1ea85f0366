// Package system drives a whole node in this process, over its public port and
// with real traffic, and watches what users of the traffic would see.
package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

// ownVersion is the version of the product OpenSLB, whose actions are those that
// the vendor has not.
const ownVersion = "2026-11-01"

// cluster is a node with a client for it.
type cluster struct {
	t    testing.TB
	node *node.Node
	api  client.Client
}

// startNode runs a node until the test ends. Settings can be changed before.
func startNode(t testing.TB, change ...func(*node.Config)) *cluster {
	t.Helper()
	c := &cluster{t: t}
	cfg := node.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Dev: true,
		InternetPool: []netip.Prefix{testutil.AddressPool(t)},
	}
	for _, fn := range change {
		fn(&cfg)
	}
	c.start(cfg)
	t.Cleanup(c.stop)
	return c
}

func (c *cluster) start(cfg node.Config) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := node.Start(ctx, cfg)
	if err != nil {
		c.t.Fatalf("start a node: %v", err)
	}
	c.node = n
	c.api = client.Client{Endpoint: n.Endpoint(), KeyID: node.DevKeyID, Secret: node.DevKeySecret, Region: node.DefaultRegion,
		HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 30 * time.Second}}
}

func (c *cluster) stop() {
	c.api.HTTP.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.node.Stop(ctx); err != nil {
		c.t.Errorf("stop the node: %v", err)
	}
}

// params are pairs of name and value.
func params(pairs ...any) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = fmt.Sprint(pairs[i+1])
	}
	return out
}

// try makes a call and returns its error.
func (c *cluster) try(action string, pairs ...any) error { return c.do(action, nil, pairs...) }

func (c *cluster) do(action string, out any, pairs ...any) error {
	api := c.api
	switch action {
	case "RegisterServer", "DeregisterServer", "SetServerStatus", "SetListenerBackendProtocol":
		api.Version = ownVersion
	}
	if err := api.Do(context.Background(), action, params(pairs...), out); err != nil {
		return fmt.Errorf("%s %v: %w", action, pairs, err)
	}
	return nil
}

// call makes a call that must succeed.
func (c *cluster) call(action string, pairs ...any) {
	c.t.Helper()
	if err := c.try(action, pairs...); err != nil {
		c.t.Fatal(err)
	}
}

// register puts servers into the register at the addresses of the given ones.
func (c *cluster) register(servers ...*testutil.Server) {
	c.t.Helper()
	for _, s := range servers {
		c.call("RegisterServer", "ServerId", s.ID, "Address.1", s.Addr().Addr())
	}
}

// balancer is one instance.
type balancer struct {
	*cluster
	id string
	ip netip.Addr
}

func (c *cluster) balancer(name string) *balancer {
	c.t.Helper()
	var out struct {
		LoadBalancerID string `json:"LoadBalancerId"`
		Address        netip.Addr
	}
	if err := c.do("CreateLoadBalancer", &out, "LoadBalancerName", name); err != nil {
		c.t.Fatal(err)
	}
	return &balancer{c, out.LoadBalancerID, out.Address}
}

// on is the settings of the quickest useful health check; off disables it.
var (
	on  = []any{"HealthCheckInterval", 1, "HealthCheckTimeout", 1, "HealthCheckConnectTimeout", 1, "HealthyThreshold", 2, "UnhealthyThreshold", 2, "HealthCheck", "on"}
	off = []any{"HealthCheck", "off", "HealthCheckSwitch", "off"}
)

// listen creates and starts a listener and returns where it takes traffic.
func (b *balancer) listen(kind string, port, backendPort uint16, more ...any) netip.AddrPort {
	b.t.Helper()
	args := append([]any{"LoadBalancerId", b.id, "ListenerPort", port, "BackendServerPort", backendPort, "Bandwidth", -1}, more...)
	if kind == "HTTP" {
		args = append(args, "StickySession", "off")
	}
	b.call("CreateLoadBalancer"+kind+"Listener", args...)
	b.call("StartLoadBalancerListener", "LoadBalancerId", b.id, "ListenerPort", port)
	return netip.AddrPortFrom(b.ip, port)
}

// address is where a listener takes traffic.
func (b *balancer) address(port uint16) netip.AddrPort { return netip.AddrPortFrom(b.ip, port) }

// entry is an element of BackendServers.
type entry struct {
	ServerID string `json:"ServerId"`
	Weight   int
}

func list(entries ...entry) string {
	text, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (b *balancer) add(entries ...entry) {
	b.t.Helper()
	b.call("AddBackendServers", "LoadBalancerId", b.id, "BackendServers", list(entries...))
}

func (b *balancer) set(entries ...entry) {
	b.t.Helper()
	b.call("SetBackendServers", "LoadBalancerId", b.id, "BackendServers", list(entries...))
}

// health is the status of a server on a listener, or "" when it is not listed.
func (b *balancer) health(port uint16, server string) string {
	b.t.Helper()
	var out struct {
		BackendServers struct {
			BackendServer []struct {
				ServerID           string `json:"ServerId"`
				ServerHealthStatus string
			}
		}
	}
	if err := b.do("DescribeHealthStatus", &out, "LoadBalancerId", b.id, "ListenerPort", port); err != nil {
		b.t.Fatal(err)
	}
	for _, s := range out.BackendServers.BackendServer {
		if s.ServerID == server {
			return s.ServerHealthStatus
		}
	}
	return ""
}

// await waits for a health status and returns how long it took.
func (b *balancer) await(port uint16, server, status string) time.Duration {
	b.t.Helper()
	began := time.Now()
	testutil.Eventually(b.t, 40*time.Second, server+" is "+status, func() bool { return b.health(port, server) == status })
	return time.Since(began)
}

// spread sends n HTTP requests over some connections and counts the answers by
// server. Every request must succeed.
func spread(t testing.TB, addr netip.AddrPort, n int) map[string]int {
	t.Helper()
	const conns = 5
	seen := map[string]int{}
	open := make([]*testutil.HTTPConn, conns)
	defer func() {
		for _, c := range open {
			if c != nil {
				c.Close()
			}
		}
	}()
	for i := range n {
		c := open[i%conns]
		if c == nil || c.Closing {
			if c != nil {
				c.Close()
			}
			var err error
			if c, err = testutil.DialHTTP(addr); err != nil {
				t.Fatalf("connect: %v", err)
			}
			open[i%conns] = c
		}
		r, err := c.Get("/")
		if err != nil || r.Status != 200 {
			t.Fatalf("request %d: %+v, %v", i, r, err)
		}
		seen[r.Body]++
	}
	return seen
}

// spreadTCP opens n connections one after the other and counts them by server.
func spreadTCP(t testing.TB, addr netip.AddrPort, n int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for i := range n {
		c, err := testutil.DialEcho(addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		seen[c.ServerID]++
		c.Close()
	}
	return seen
}

// apiCode is the code of an API error, or "".
func apiCode(err error) string {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// ids are names with a common beginning.
func ids(prefix string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%s%d", strings.TrimSuffix(prefix, "-")+"-", i+1))
	}
	return out
}
