package node

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/client"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/testutil"
)

// start starts a node that a cleanup stops.
func start(t testing.TB, cfg Config) *Node {
	t.Helper()
	n, err := tryStart(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func tryStart(t testing.TB, cfg Config) (*Node, error) {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Start(ctx, cfg)
}

func stop(t testing.TB, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// clientOf calls the node with its own credentials.
func clientOf(n *Node) *client.Client {
	c := n.Credentials()
	return &client.Client{
		Endpoint: c.Endpoint, KeyID: c.KeyID, Secret: c.Secret, Region: c.Region,
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// get fetches a page that must be there.
func get(t *testing.T, hc *http.Client, url string) string {
	t.Helper()
	resp, err := hc.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(text)
}

func TestStartAndStop(t *testing.T) {
	testutil.NoLeaks(t)
	n := start(t, Config{Data: t.TempDir()})
	c := clientOf(n)
	if err := c.Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
		t.Errorf("over http: %v", err)
	}
	trusting, err := client.HTTPClient(n.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	defer trusting.CloseIdleConnections()
	c.HTTP, c.Endpoint = trusting, strings.Replace(c.Endpoint, "http:", "https:", 1)
	if err := c.Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
		t.Errorf("over https on the same port: %v", err)
	}
	if got := get(t, c.HTTP, n.Endpoint()+"/healthz"); got != "ok\n" {
		t.Errorf("healthz says %q", got)
	}
	metrics := get(t, c.HTTP, n.Endpoint()+"/metrics")
	for _, part := range []string{
		`openslb_api_calls_total{action="DescribeRegions",code="",product="Slb"} 2`,
		"\nopenslb_store_commits_total ", "\nopenslb_store_revision ", "\nopenslb_connection_budget ", "\ngo_goroutines ",
	} {
		if !strings.Contains(metrics, part) {
			t.Errorf("metrics lack %q", part)
		}
	}

	stop(t, n)
	stop(t, n) // repeated calls do nothing more
	if conn, err := net.Dial("tcp", strings.TrimPrefix(n.Endpoint(), "http://")); err == nil {
		conn.Close()
		t.Error("the API port still accepts after Stop")
	}
}

func TestSecondNodeOnSameDataIsRefused(t *testing.T) {
	dir := t.TempDir()
	n := start(t, Config{Data: dir})
	_, err := tryStart(t, Config{Data: dir})
	if err == nil || !strings.Contains(err.Error(), "is in use by another openslb") {
		t.Errorf("second node: %v", err)
	}
	if err := clientOf(n).Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
		t.Errorf("the first node suffered: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	testutil.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	_, err = tryStart(t, Config{Data: dir, Listen: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()+" is in use") {
		t.Errorf("got %v", err)
	}
	// A failed start leaves the directory to the next one.
	l.Close()
	start(t, Config{Data: dir, Listen: l.Addr().String()})
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Data: dir})
	if !first.NewKey() {
		t.Error("the first start made no key")
	}
	var lb struct{ LoadBalancerId string }
	err := clientOf(first).Do(t.Context(), "CreateLoadBalancer", map[string]string{"LoadBalancerName": "kept"}, &lb)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, first)

	second := start(t, Config{Data: dir})
	got, want := second.Credentials(), first.Credentials()
	if got.KeyID != want.KeyID || got.Secret != want.Secret || second.NewKey() {
		t.Errorf("key pair changed from %v to %v, new: %v", want, got, second.NewKey())
	}
	var a struct{ LoadBalancerName string }
	err = clientOf(second).Do(t.Context(), "DescribeLoadBalancerAttribute", map[string]string{"LoadBalancerId": lb.LoadBalancerId}, &a)
	if err != nil || a.LoadBalancerName != "kept" {
		t.Errorf("after the restart: %+v, %v", a, err)
	}
	onDisk, err := ReadCredentials(dir)
	if err != nil || onDisk != second.Credentials() {
		t.Errorf("credentials file has %+v, %v; the node %+v", onDisk, err, second.Credentials())
	}
}

// TestFirstStartCutShort: a start that was killed beside the making of the first key,
// before it or after it, leaves a pair that works after the next start.
func TestFirstStartCutShort(t *testing.T) {
	dir := t.TempDir()
	pair := Credentials{KeyID: "LTAIbegun", Secret: "secretbegun"}
	if err := writeCredentials(dir, pair); err != nil {
		t.Fatal(err)
	}
	for _, isNew := range []bool{true, false} {
		n := start(t, Config{Data: dir})
		if got := n.Credentials(); got.KeyID != pair.KeyID || got.Secret != pair.Secret || n.NewKey() != isNew {
			t.Errorf("the pair is %v, new: %v", got, n.NewKey())
		}
		if err := clientOf(n).Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
			t.Error(err)
		}
		if keys := n.keys.List(); len(keys) != 1 {
			t.Errorf("%d keys", len(keys))
		}
		stop(t, n)
		if err := writeCredentials(dir, pair); err != nil { // as if it had been killed after it
			t.Fatal(err)
		}
	}
}

// TestDevKeyEndsWithDev: the fixed pair works only while the node is told so.
func TestDevKeyEndsWithDev(t *testing.T) {
	dir := t.TempDir()
	dev := start(t, Config{Data: dir, Dev: true})
	if k := dev.Credentials(); k.KeyID != DevKeyID || k.Secret != DevKeySecret || dev.NewKey() {
		t.Errorf("credentials %+v", k)
	}
	if err := clientOf(dev).Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
		t.Errorf("in development mode: %v", err)
	}
	stop(t, dev)

	strict := start(t, Config{Data: dir})
	if !strict.NewKey() {
		t.Error("no key was made at the first start without development mode")
	}
	c := clientOf(strict)
	if err := c.Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
		t.Errorf("with the new key: %v", err)
	}
	c.KeyID, c.Secret = DevKeyID, DevKeySecret
	var refused *client.Error
	if err := c.Do(t.Context(), "DescribeRegions", nil, nil); !errors.As(err, &refused) {
		t.Errorf("the development key was not refused: %v", err)
	}
	stop(t, strict)

	// Back in development mode, the real pair is neither lost nor refused.
	again := start(t, Config{Data: dir, Dev: true})
	if again.Credentials().KeyID != strict.Credentials().KeyID {
		t.Error("development mode has overwritten the real key pair")
	}
	for _, key := range []Credentials{again.Credentials(), {KeyID: DevKeyID, Secret: DevKeySecret}} {
		c := clientOf(again)
		c.KeyID, c.Secret = key.KeyID, key.Secret
		if err := c.Do(t.Context(), "DescribeRegions", nil, nil); err != nil {
			t.Errorf("%s in development mode: %v", key.KeyID, err)
		}
	}
}

func TestServersFileSeedsTheRegister(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "servers.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := func(n *Node, id string) *slb.Server {
		t.Helper()
		s, ok := n.Store().State().Servers.Get(id)
		if !ok {
			t.Fatalf("%s is not in the register", id)
		}
		return s
	}
	write("servers: [{id: i-a, addresses: [10.0.0.1]}, {id: i-b, addresses: [10.0.0.2], tags: {k: v}}]")
	n := start(t, Config{Data: dir, ServersFile: file})
	a, b := server(n, "i-a"), server(n, "i-b")
	if a.Addresses[0].String() != "10.0.0.1" || a.Status != slb.ServerRunning || a.CreatedAt.IsZero() {
		t.Errorf("i-a is %+v", a)
	}
	stop(t, n)

	// i-a moves, i-b is no longer named and stays.
	write("servers: [{id: i-a, addresses: [10.0.0.9], status: Stopped}]")
	n = start(t, Config{Data: dir, ServersFile: file})
	if s := server(n, "i-a"); s.Addresses[0].String() != "10.0.0.9" || s.Status != slb.ServerStopped || !s.CreatedAt.Equal(a.CreatedAt) {
		t.Errorf("i-a is %+v", s)
	}
	if s := server(n, "i-b"); s.Addresses[0] != b.Addresses[0] {
		t.Errorf("i-b is %+v", s)
	}
	revision := n.Store().State().Revision
	stop(t, n)

	// The same file once more writes nothing.
	n = start(t, Config{Data: dir, ServersFile: file})
	if got := n.Store().State().Revision; got != revision {
		t.Errorf("revision went from %d to %d", revision, got)
	}
	stop(t, n)

	write("servers: [{id: i-a}]")
	if _, err := tryStart(t, Config{Data: dir, ServersFile: file}); err == nil || !strings.Contains(err.Error(), "addresses are missing") {
		t.Errorf("bad file: %v", err)
	}
}

// TestFailedPartShows: a part that ends by itself is seen by who runs the node.
func TestFailedPartShows(t *testing.T) {
	n := start(t, Config{Data: t.TempDir()})
	n.listener.Close() // as if the API's socket broke
	select {
	case <-n.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("the failure was not noticed")
	}
	if err := n.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "API ended by itself") {
		t.Errorf("Stop says %v", err)
	}
	n.stopErr = nil // looked at; the cleanup has nothing to complain about
}
