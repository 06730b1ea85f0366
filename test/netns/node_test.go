package netns

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
	"github.com/openslb/openslb/internal/testutil/netns"
)

// TestNode has a whole node in transparent mode, made through its API, and looks
// at what it has on the host while it runs and after it stopped.
func TestNode(t *testing.T) {
	testutil.Root(t)
	testutil.NoLeaks(t)
	w := &world{t: t, here: netns.Here(t), log: new(logText)}
	w.here.Address("lo", front4.String()+"/32")
	w.client, w.a = w.host("client", 1), w.host("a", 2)
	w.a.serve(t, w.a.v4, 7000, tellPeer(false))
	w.a.packets(t, w.a.v4, 7000, tellSender(false))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := node.Start(ctx, node.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Dev: true, SourceMode: string(spec.SourceTransparent),
		InternetPool: []netip.Prefix{netip.PrefixFrom(front4, 32)},
		Logger:       slog.New(slog.NewTextHandler(w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	defer stop()
	if f := n.Engine().SourceFacts(); f.InForce != spec.SourceTransparent || w.log.has("source_mode=transparent", "must lead through this node") != 1 {
		t.Errorf("the node says %+v", f)
	}
	api := client.Client{Endpoint: n.Endpoint(), KeyID: node.DevKeyID, Secret: node.DevKeySecret, Region: node.DefaultRegion}
	var out struct {
		LoadBalancerID string `json:"LoadBalancerId"`
	}
	call := func(action string, params map[string]string) {
		t.Helper()
		if params == nil {
			params = map[string]string{}
		}
		if out.LoadBalancerID != "" {
			params["LoadBalancerId"] = out.LoadBalancerID
		}
		c := api
		if action == "RegisterServer" {
			c.Version = "2026-11-01"
		}
		if err := c.Do(ctx, action, params, &out); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
	}
	call("RegisterServer", map[string]string{"ServerId": "i-a", "Address.1": w.a.v4.String()})
	call("CreateLoadBalancer", map[string]string{"Address": front4.String(), "AddressType": "internet"})
	call("AddBackendServers", map[string]string{"BackendServers": `[{"ServerId":"i-a","Weight":100}]`})
	for _, kind := range []string{"TCP", "UDP"} {
		port := map[string]string{"TCP": "101", "UDP": "102"}[kind]
		call("CreateLoadBalancer"+kind+"Listener", map[string]string{"ListenerPort": port, "BackendServerPort": "7000", "Bandwidth": "-1", "HealthCheckSwitch": "off"})
		call("StartLoadBalancerListener", map[string]string{"ListenerPort": port})
	}
	for i, network := range []string{"tcp", "udp"} {
		c := w.client.mustDial(t, network, netip.AddrPortFrom(front4, uint16(101+i)), 0)
		if source, _ := ask(t, c); source != c.LocalAddr().String() {
			t.Errorf("%s: the server sees %s in place of %s", network, source, c.LocalAddr())
		}
	}
	host := func() string {
		var all strings.Builder
		for _, args := range []string{"nft list ruleset", "ip rule show priority 8680", "ip -6 rule show priority 8680"} {
			f := strings.Fields(args)
			text, err := exec.Command(testutil.Tool(t, f[0]), f[1:]...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", args, err, text)
			}
			fmt.Fprintf(&all, "%s\n", strings.TrimSpace(string(text)))
		}
		return strings.TrimSpace(all.String())
	}
	if text := host(); !strings.Contains(text, "socket transparent 1") || strings.Count(text, "lookup 868000") != 2 {
		t.Errorf("on the host:\n%s", text)
	}
	stop()
	if text := host(); text != "" {
		t.Errorf("left on the host:\n%s", text)
	}
}
