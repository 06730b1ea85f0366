package handover

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/store/etcdkv"
	"github.com/openslb/openslb/internal/testutil"
)

// TestReplaceWithOutsideStore replaces a process whose store is an etcd
// elsewhere, which goes on whoever serves. A new process that fails while it has
// the store open as well changes nothing, and what was acknowledged before is
// there afterwards.
func TestReplaceWithOutsideStore(t *testing.T) {
	t.Parallel() // most of it is waiting
	dir := t.TempDir()
	etcd, err := etcdkv.Open(t.Context(), etcdkv.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // runs when the processes have ended
		if err := etcd.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, "--store-endpoints", "unix://"+filepath.Join(dir, "etcd.sock"))
	ip, id := w.balance()
	if pairs, _, err := etcd.List(t.Context(), "/openslb/"); err != nil || len(pairs) == 0 {
		t.Fatalf("the node keeps nothing in the outside store: %d pairs, %v", len(pairs), err)
	}
	l := w.load(ip, id)
	l.goesOn()
	first := w.owner()
	w.takeOver()
	l.goesOn()
	second := w.owner()
	failed := w.play("held")
	_ = failed.Process.Kill()
	<-failed.done
	l.goesOn()
	if got := w.owner(); got != second || first == second {
		t.Errorf("process %d has the data directory, want %d, behind %d", got, second, first)
	}
	testutil.Eventually(t, patience, "API and store to have come back", func() bool { return w.log.count("the API is served again") == 1 })
	w.signalled()
	l.goesOn()
	l.end()
	w.api.HTTP.CloseIdleConnections()
	w.gone()
	var out struct {
		BackendServers struct {
			BackendServer []struct{ ServerID string }
		}
	}
	w.call("DescribeLoadBalancerAttribute", &out, "LoadBalancerId", id)
	if n := len(out.BackendServers.BackendServer); n != 2 {
		t.Errorf("%d servers are left", n)
	}
}

// TestNoHandoverWithoutTheStore: a process whose outside store is gone is not
// replaced, since the new one could not start and this one could not open its store
// again; its traffic goes on.
func TestNoHandoverWithoutTheStore(t *testing.T) {
	t.Parallel() // most of it is waiting
	dir := t.TempDir()
	etcd, err := etcdkv.Open(t.Context(), etcdkv.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	w := newWorld(t, "--store-endpoints", "unix://"+filepath.Join(dir, "etcd.sock"))
	ip, id := w.balance()
	l := testutil.StartLoad(t)
	l.HTTP(netip.AddrPortFrom(ip, httpPort), 4, 3*time.Millisecond)
	goesOn := func() {
		t.Helper()
		before := l.Requests()
		testutil.Eventually(t, patience, "the traffic to go on", func() bool { return l.Requests() >= before+100 })
	}
	goesOn()
	first := w.owner()
	if err := etcd.Close(); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, patience, "the outage to be known", func() bool { return w.log.count("changes are refused until it can") == 1 })
	if err := syscall.Kill(first, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, patience, "the end of the new process", func() bool { return w.log.count("the process that was to take over has ended") == 1 })
	w.call("DescribeLoadBalancerAttribute", nil, "LoadBalancerId", id) // from what it has read
	if w.log.count("which the new process would need") != 1 || w.owner() != first || !alive(first) {
		t.Errorf("process %d has the data directory, want %d", w.owner(), first)
	}
	goesOn()
	l.Stop()
	if n, faults := l.Faults(); n > 0 {
		t.Errorf("%d faults: %v", n, faults)
	}
}
