package system

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/store/etcdkv"
	"github.com/openslb/openslb/internal/testutil"
)

// page is what the API's port answers to people and supervisors.
func (c *cluster) page(path string) string {
	c.t.Helper()
	r, err := c.api.HTTP.Get(c.node.Endpoint() + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprint(r.StatusCode, " ", string(text))
}

// lockedText is a log that can be read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// TestOutsideStoreGone: a node whose etcd is gone goes on with the traffic and with
// what it has read, refuses changes with the vendor's error for what will pass, says
// that it is not ready, and once why; and takes changes when the etcd is back.
func TestOutsideStoreGone(t *testing.T) {
	t.Parallel() // most of it is waiting
	dir := t.TempDir()
	open := func() *etcdkv.KV {
		k, err := etcdkv.Open(t.Context(), etcdkv.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	etcd := open()
	t.Cleanup(func() { // runs when the node has ended
		if err := etcd.Close(); err != nil {
			t.Error(err)
		}
	})
	var log lockedText
	web := testutil.HTTPServers(t, ids("i", 2)...)
	c := startNode(t, func(cfg *node.Config) {
		cfg.StoreEndpoints = []string{"unix://" + filepath.Join(dir, "etcd.sock")}
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	c.register(web...)
	b := c.balancer("b")
	addr := b.listen("HTTP", 8080, web[0].Addr().Port(), off...)
	b.add(entry{ServerID: web[0].ID, Weight: 100})
	spread(t, addr, 10)
	if got := c.page("/readyz"); got != "200 ok\n" {
		t.Errorf("readyz says %q", got)
	}

	if err := etcd.Close(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := c.try("CreateLoadBalancer"); apiCode(err) != "ServiceUnavailable" {
		t.Errorf("a change: %v", err)
	}
	testutil.Eventually(t, 20*time.Second, "the node to say that it is not ready", func() bool {
		return strings.HasPrefix(c.page("/readyz"), "503 the store cannot be reached since ")
	})
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	err := c.try("CreateLoadBalancer")
	if apiCode(err) != "ServiceUnavailable" || !strings.Contains(err.Error(), "(HTTP 503") || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("a change: %v", err)
	}
	c.call("DescribeLoadBalancerAttribute", "LoadBalancerId", b.id)
	spread(t, addr, 100)
	if got := c.page("/healthz"); got != "200 ok\n" {
		t.Errorf("healthz says %q", got)
	}
	if !strings.Contains(c.page("/metrics"), "openslb_store_reachable 0\n") {
		t.Error("the metric does not tell")
	}
	if n := log.count("cannot be reached: changes are refused"); n != 1 || log.count("etcd.sock") == 0 {
		t.Errorf("the log tells it %d times", n)
	}

	etcd = open()
	testutil.Eventually(t, 30*time.Second, "the node to be ready again", func() bool { return c.page("/readyz") == "200 ok\n" })
	c.register(web[1])
	b.add(entry{ServerID: web[1].ID, Weight: 100})
	if got := spread(t, addr, 20); len(got) != 2 {
		t.Errorf("a change that came after: %v", got)
	}
	if !strings.Contains(c.page("/metrics"), "openslb_store_reachable 1\n") {
		t.Error("the metric does not tell that it is back")
	}
	if n := log.count("can be reached again"); n != 1 {
		t.Errorf("the log tells %d times that it is back", n)
	}
}
