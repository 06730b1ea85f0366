package handover

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/openslb/openslb/internal/testutil"
	"github.com/openslb/openslb/internal/testutil/collector"
)

// TestTracesGoOn replaces a process that records its requests, while some are
// under way. When both processes have ended, each request that a client had an
// answer to is at the receiver, once, from what to the receiver is one node.
func TestTracesGoOn(t *testing.T) {
	t.Parallel() // most of it is waiting
	c := collector.New(t, nil)
	w := newWorld(t, "--trace-endpoint", c.URL)
	ip, _ := w.balance()
	clients := []*http.Client{ // one keeps its connection, so that the old process has requests to the end
		{Transport: &http.Transport{}, Timeout: patience},
		{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience},
	}
	answered := 0
	ask := func() {
		for _, client := range clients {
			answered++
			resp, err := client.Get(fmt.Sprintf("http://%s:%d/request/%d", ip, httpPort, answered))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s, %v", resp.Status, err)
			}
			resp.Body.Close()
		}
	}
	ask()
	first := w.owner()
	p := w.start("--take-over")
	for w.log.count("ready endpoint=") < 2 && alive(p.Process.Pid) {
		ask()
	}
	w.serves(p)
	for range 10 {
		ask()
	}
	for _, client := range clients {
		client.CloseIdleConnections()
	}
	w.api.HTTP.CloseIdleConnections()
	w.gone()
	last := w.owner()
	if first == last {
		t.Error("nothing was replaced")
	}
	if err := syscall.Kill(last, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, patience, "the end of the last process", func() bool { return !alive(last) })

	servers, nodes := map[string]int{}, map[any]bool{}
	for _, s := range c.Spans() {
		nodes[s.Resource["service.instance.id"]] = true
		if path, ok := s.Attributes["url.path"].(string); ok && strings.HasPrefix(path, "/request/") {
			servers[path]++
		}
	}
	for n := range answered {
		path := fmt.Sprintf("/request/%d", n+1)
		if servers[path] != 1 {
			t.Errorf("%s is recorded %d times", path, servers[path])
		}
	}
	if len(nodes) != 1 {
		t.Errorf("the spans are of %v", nodes)
	}
	t.Logf("%d requests", answered)
}
