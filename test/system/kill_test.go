package system

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/node"
	"github.com/openslb/openslb/internal/testutil"
)

// process is the real program, serving.
type process struct {
	*exec.Cmd
	endpoint string
	done     chan struct{} // closed when its output ended
}

func serve(t testing.TB, bin, data, pool string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(bin, "serve", "--dev", "--data", data, "--listen", "127.0.0.1:0", "--internet-pool", pool, "--log-level", "error"), done: make(chan struct{})}
	var stderr strings.Builder
	p.Stderr = &stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		defer close(p.done)
		defer close(ready)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "ready endpoint="); ok {
				ready <- strings.Fields(rest)[0]
			}
		}
	}()
	select {
	case p.endpoint = <-ready:
	case <-time.After(time.Minute):
	}
	if p.endpoint == "" {
		p.kill()
		t.Fatalf("the program is not ready: %s", stderr.String())
	}
	return p
}

// kill ends the process as a power cut would, seen from its files.
func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.done
	_ = p.Wait()
}

// TestKill kills the real program at random moments under concurrent writes.
// Whatever was acknowledged is there after the restart, and traffic flows again.
func TestKill(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	bin, err := testutil.BuildProgram(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	data, pool := t.TempDir(), testutil.AddressPool(t)
	web := testutil.HTTPServers(t, ids("i", 3)...)

	httpClient := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 20}, Timeout: 10 * time.Second}
	defer httpClient.CloseIdleConnections()
	connect := func(p *process) *cluster {
		return &cluster{t: t, api: client.Client{Endpoint: p.endpoint, KeyID: node.DevKeyID, Secret: node.DevKeySecret, Region: node.DefaultRegion, HTTP: httpClient}}
	}
	p := serve(t, bin, data, pool.String())
	defer func() { p.kill() }()
	c := connect(p)
	c.register(web...)
	b := c.balancer("kept")
	addr := b.listen("HTTP", httpPort, web[0].Addr().Port(), off...)
	b.add(entry{web[0].ID, 100}, entry{web[1].ID, 50})
	spread(t, addr, 3)

	acked := &acks{names: map[string]string{}, weights: map[string]int{}, gone: map[string]bool{}}
	var writers []*balancer
	for i := range 6 {
		w := c.balancer(fmt.Sprintf("writer-%d", i))
		w.add(entry{web[0].ID, 0})
		writers = append(writers, w)
		acked.names[w.id], acked.weights[w.id] = fmt.Sprintf("writer-%d", i), 0
	}
	for round := range rounds {
		before := acked.count()
		acked.write(c, writers, web[0].ID, round)
		// The kill comes when a random number of writes has been acknowledged, at
		// whatever the others are just doing.
		moment := before + 20 + rand.IntN(300)
		testutil.Eventually(t, 30*time.Second, "acknowledged writes", func() bool { return acked.count() >= moment })
		p.kill()
		acked.writers.Wait()

		began := time.Now()
		p = serve(t, bin, data, pool.String())
		t.Logf("round %d: %d acknowledged writes, ready %v after the kill", round, acked.count(), time.Since(began).Round(time.Millisecond))
		c = connect(p)
		for _, w := range writers {
			w.cluster = c
		}
		acked.check(t, c, writers, web[0].ID)
		spread(t, addr, 30)
	}
	// The instance that nobody wrote to is as it was.
	b.cluster = c
	if got := spread(t, addr, 300); got[web[0].ID] < 190 || got[web[0].ID] > 210 {
		t.Errorf("weights after %d kills: %v, want 2 to 1", rounds, got)
	}
}

// acks remembers what the server has acknowledged.
type acks struct {
	writers sync.WaitGroup

	mu      sync.Mutex // guards all below
	n       int
	names   map[string]string // by instance; the last acknowledged
	weights map[string]int
	pending map[string]any  // sent and not acknowledged: may be there or not
	made    []string        // instances whose creation was acknowledged
	gone    map[string]bool // and whose deletion was
}

func (a *acks) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

// write starts a writer for each instance. They end with the server.
func (a *acks) write(c *cluster, writers []*balancer, server string, round int) {
	a.mu.Lock()
	a.pending = map[string]any{}
	a.mu.Unlock()
	for _, w := range writers {
		a.writers.Go(func() {
			for i := 0; ; i++ {
				if err := a.one(c, w, server, round, i); err != nil {
					return // killed; what was under way stays pending
				}
			}
		})
	}
}

func (a *acks) one(c *cluster, w *balancer, server string, round, i int) error {
	switch i % 3 {
	case 0:
		name := fmt.Sprintf("name-%d-%d", round, i)
		a.begin(w.id+"/name", name)
		if err := c.try("SetLoadBalancerName", "LoadBalancerId", w.id, "LoadBalancerName", name); err != nil {
			return err
		}
		a.done(w.id+"/name", func() { a.names[w.id] = name })
	case 1:
		weight := (i / 3) % 101
		a.begin(w.id+"/weight", weight)
		if err := c.try("SetBackendServers", "LoadBalancerId", w.id, "BackendServers", list(entry{server, weight})); err != nil {
			return err
		}
		a.done(w.id+"/weight", func() { a.weights[w.id] = weight })
	case 2:
		var out struct {
			LoadBalancerID string `json:"LoadBalancerId"`
		}
		if err := c.do("CreateLoadBalancer", &out, "LoadBalancerName", "made"); err != nil {
			return err
		}
		a.done("", func() { a.made = append(a.made, out.LoadBalancerID) })
		a.begin(out.LoadBalancerID, nil)
		if err := c.try("DeleteLoadBalancer", "LoadBalancerId", out.LoadBalancerID); err != nil {
			return err
		}
		a.done(out.LoadBalancerID, func() { a.gone[out.LoadBalancerID] = true })
	}
	return nil
}

func (a *acks) begin(key string, value any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending[key] = value
}

func (a *acks) done(key string, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n++
	delete(a.pending, key)
	f()
}

// check compares what the restarted server has with what was acknowledged, and
// takes over what it had just been asked when it was killed.
func (a *acks) check(t *testing.T, c *cluster, writers []*balancer, server string) {
	t.Helper()
	type attribute struct {
		LoadBalancerName string
		Address          netip.Addr
		BackendServers   struct {
			BackendServer []entry
		}
	}
	for _, w := range writers {
		var got attribute
		if err := c.do("DescribeLoadBalancerAttribute", &got, "LoadBalancerId", w.id); err != nil {
			t.Fatalf("an acknowledged instance is gone: %v", err)
		}
		if want := a.names[w.id]; got.LoadBalancerName != want && got.LoadBalancerName != a.pending[w.id+"/name"] {
			t.Errorf("%s: name %q, acknowledged was %q, under way %v", w.id, got.LoadBalancerName, want, a.pending[w.id+"/name"])
		}
		a.names[w.id] = got.LoadBalancerName
		if len(got.BackendServers.BackendServer) != 1 || got.BackendServers.BackendServer[0].ServerID != server {
			t.Fatalf("%s: servers %v", w.id, got.BackendServers)
		}
		weight := got.BackendServers.BackendServer[0].Weight
		if want := a.weights[w.id]; weight != want && any(weight) != a.pending[w.id+"/weight"] {
			t.Errorf("%s: weight %d, acknowledged was %d, under way %v", w.id, weight, want, a.pending[w.id+"/weight"])
		}
		a.weights[w.id] = weight
	}
	addresses := map[netip.Addr]string{}
	for _, id := range a.made {
		_, deleting := a.pending[id]
		var got attribute
		err := c.do("DescribeLoadBalancerAttribute", &got, "LoadBalancerId", id)
		switch {
		case err == nil && a.gone[id]:
			t.Errorf("%s is back after its deletion was acknowledged", id)
		case err != nil && !a.gone[id] && !deleting:
			t.Errorf("%s is gone after its creation was acknowledged: %v", id, err)
		case err == nil:
			if other := addresses[got.Address]; other != "" {
				t.Errorf("%s and %s have one address", id, other)
			}
			addresses[got.Address] = id
			if err := c.try("DeleteLoadBalancer", "LoadBalancerId", id); err != nil { // also: nothing half-done stands in the way
				t.Error(err)
			}
		}
	}
	a.made, a.pending = nil, map[string]any{}
}
