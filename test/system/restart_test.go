package system

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

// TestRestart: a node that begins anew with listeners of before needs one good check
// of a server to give it traffic, and no more of it than that; servers and listeners
// that come later need what they always need. The checks are so patient that
// nothing else could let traffic through.
func TestRestart(t *testing.T) {
	testutil.NoLeaks(t)
	web := testutil.HTTPServers(t, ids("i", 3)...)
	cfg := node.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Dev: true, InternetPool: []netip.Prefix{testutil.AddressPool(t)}}
	c := &cluster{t: t}
	c.start(cfg)
	t.Cleanup(func() { c.stop() })
	c.register(web...)
	b := c.balancer("restart")
	patient := []any{"HealthCheckInterval", 50, "HealthCheckTimeout", 50, "HealthyThreshold", 10, "UnhealthyThreshold", 10, "HealthCheck", "on"}
	b.listen("HTTP", httpPort, web[0].Addr().Port(), patient...)
	b.add(entry{web[0].ID, 100}, entry{web[1].ID, 100})
	at := b.address(httpPort).String()
	status := func() int {
		t.Helper()
		answer, err := http.Get("http://" + at)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	probed := func(s *testutil.Server, before int64) {
		t.Helper()
		testutil.Eventually(t, 20*time.Second, "a check", func() bool { return s.Probes() > before })
	}
	probed(web[0], 0)
	probed(web[1], 0)
	if got := status(); got != 502 {
		t.Errorf("with servers that are new: %d", got)
	}

	c.stop()
	web[1].Fail(true)
	before := web[1].Probes()
	c.start(cfg)
	b.await(httpPort, web[0].ID, "normal")
	probed(web[1], before)
	if got := spread(t, b.address(httpPort), 50); got[web[0].ID] != 50 {
		t.Errorf("after the restart: %v", got)
	}
	if h := b.health(httpPort, web[1].ID); h != "unavailable" {
		t.Errorf("a server whose only check has failed is %s", h)
	}
	before = web[2].Probes()
	b.add(entry{web[2].ID, 100})
	probed(web[2], before)
	if got := spread(t, b.address(httpPort), 50); got[web[0].ID] != 50 {
		t.Errorf("with a server that is new: %v", got)
	}
	if h := b.health(httpPort, web[2].ID); h != "unavailable" {
		t.Errorf("a server that is new is %s after one check", h)
	}
}
