package api

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// together runs fn n times side by side, each with its number.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

// TestParallelGroup: calls on one group lose no change of each other.
func TestParallelGroup(t *testing.T) {
	w := newWorld(t)
	w.servers(40)
	lb := oneBalancer(w)
	together(40, func(i int) {
		id := fmt.Sprintf("i-%d", i+1)
		one := func(text string) string { return strings.ReplaceAll(text, "ID", id) }
		w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", one(`["ID"]`))
		for range 3 {
			w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", one(fmt.Sprintf(`[{"ServerId":"ID","Weight":%d}]`, rand.IntN(101))))
		}
		w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", one(fmt.Sprintf(`[{"ServerId":"ID","Weight":%d}]`, i+1)))
		if i%2 == 0 {
			w.ok("RemoveBackendServers", "LoadBalancerId", lb, "BackendServers", one(`["ID"]`))
		}
	})
	v, _ := w.store.State().LoadBalancers.Get(lb)
	if len(v.BackendServers) != 20 {
		t.Errorf("%d servers", len(v.BackendServers))
	}
	for _, b := range v.BackendServers {
		if string(b.ServerID) != fmt.Sprintf("i-%d", b.Weight) || b.Weight%2 != 0 {
			t.Errorf("%s has weight %d", b.ServerID, b.Weight)
		}
	}
}

// TestParallelCreate: addresses are unique and the quota holds.
func TestParallelCreate(t *testing.T) {
	const quota, callers = 20, 50
	w := newWorld(t, func(c *Config) { c.Quotas.LoadBalancers = quota })
	var mu sync.Mutex
	addresses := map[string]bool{}
	refused := 0
	together(callers, func(i int) {
		status, a := w.try("CreateLoadBalancer", "RegionId", "cn-hangzhou")
		mu.Lock()
		defer mu.Unlock()
		switch {
		case status == 200:
			addresses[a["Address"].(string)] = true
		case a["Code"] == slb.ErrLoadBalancerQuota.Code:
			refused++
		default:
			t.Error(a)
		}
	})
	s := w.store.State()
	if len(addresses) != quota || refused != callers-quota || s.LoadBalancers.Len() != quota || s.Addresses.Len() != quota {
		t.Errorf("%d addresses, %d refused, %d instances, %d claims", len(addresses), refused, s.LoadBalancers.Len(), s.Addresses.Len())
	}
}

// TestParallelToken: one token makes one instance however many send it.
func TestParallelToken(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	ids := map[string]bool{}
	together(20, func(int) {
		id := w.ok("CreateLoadBalancer", "RegionId", "cn-hangzhou", "ClientToken", "same")["LoadBalancerId"].(string)
		mu.Lock()
		ids[id] = true
		mu.Unlock()
	})
	if len(ids) != 1 || w.store.State().LoadBalancers.Len() != 1 {
		t.Errorf("%d ids, %d instances", len(ids), w.store.State().LoadBalancers.Len())
	}
}

// TestParallelListeners: the quota of listeners and the port space hold.
func TestParallelListeners(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.Listeners = 10 })
	lb := oneBalancer(w)
	codes := make([]any, 40)
	together(40, func(i int) {
		kind := []string{"TCP", "HTTP"}[i%2]
		_, a := w.try("CreateLoadBalancer"+kind+"Listener", "LoadBalancerId", lb, "ListenerPort", fmt.Sprint(i/2+1), "BackendServerPort", "1", "HealthCheck", "on")
		codes[i] = a["Code"]
	})
	made := 0
	for _, c := range codes {
		switch c {
		case nil:
			made++
		case slb.ErrListenerQuota.Code, slb.ErrListenerExists.Code:
		default:
			t.Error(c)
		}
	}
	if got := w.store.State().Listeners.Len(); got != 10 || made != 10 {
		t.Errorf("%d listeners, %d answered well", got, made)
	}
}

// TestParallelAttachments: no server joins more instances than it may, though
// transactions of different instances do not meet in the store.
func TestParallelAttachments(t *testing.T) {
	const quota, balancers = 5, 24
	w := newWorld(t, func(c *Config) { c.Quotas.AttachmentsPerServer = quota })
	w.servers(3)
	ids := make([]string, balancers)
	for i := range ids {
		ids[i] = w.create()
	}
	together(balancers, func(i int) {
		w.try("AddBackendServers", "LoadBalancerId", ids[i], "BackendServers", `["i-1","i-2"]`)
		w.try("AddBackendServers", "LoadBalancerId", ids[i], "BackendServers", `["i-3"]`)
	})
	for _, id := range []slb.ServerID{"i-1", "i-2", "i-3"} {
		if got := len(w.store.State().LoadBalancersUsing(id)); got != quota {
			t.Errorf("%s joined %d instances", id, got)
		}
	}
}

// TestParallelDeregister: a server is either forgotten or attached, never both.
func TestParallelDeregister(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	for range 30 {
		w.servers(1)
		together(2, func(i int) {
			if i == 0 {
				w.try("DeregisterServer", "ServerId", "i-1")
			} else {
				w.try("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `["i-1"]`)
			}
		})
		_, registered := w.store.State().Servers.Get("i-1")
		if attached := w.group(lb) != ""; attached && !registered {
			t.Fatal("attached and forgotten")
		}
		w.try("DeregisterServer", "ServerId", "i-1", "Force", "true")
	}
}

// TestParallelKeys: of two enabled keys not both can go.
func TestParallelKeys(t *testing.T) {
	for range 10 {
		w := newWorld(t)
		w.ok("CreateAccessKey")
		w.ok("CreateAccessKey")
		together(2, func(i int) {
			if i == 0 {
				w.try("DeleteAccessKey", "UserAccessKeyId", "key1")
			} else {
				w.try("UpdateAccessKey", "UserAccessKeyId", "key2", "Status", "Inactive")
			}
		})
		enabled := 0
		for _, k := range w.store.State().AccessKeys.All() {
			if k.Enabled {
				enabled++
			}
		}
		if enabled != 1 {
			t.Fatalf("%d enabled keys", enabled)
		}
	}
}

// TestSearchMeetsEveryAddressOnce runs a pool full and checks what it gave.
func TestSearchMeetsEveryAddressOnce(t *testing.T) {
	p := &pool{AddressPool: AddressPool{Prefixes: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.5/29"), netip.MustParsePrefix("10.9.9.9/32"), netip.MustParsePrefix("fd00::/125"), netip.MustParsePrefix("10.0.1.0/31"),
	}}}
	taken := map[netip.Addr]bool{}
	free := func(a netip.Addr) bool { return !taken[a] }
	take := func() (string, bool) {
		a, ok := p.search(slb.IPv4, free)
		taken[a] = ok
		return a.String(), ok
	}
	var got []string
	for a, ok := take(); ok; a, ok = take() {
		got = append(got, a)
	}
	want := "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.9.9.9 10.0.1.0 10.0.1.1"
	if s := strings.Join(got, " "); s != want {
		t.Error(s)
	}
	// One is given back in a place that the search has passed.
	taken[netip.MustParseAddr("10.0.0.3")] = false
	if a, ok := take(); !ok || a != "10.0.0.3" {
		t.Error(a, ok)
	}
}
