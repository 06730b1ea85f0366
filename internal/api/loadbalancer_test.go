package api

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

func TestClientToken(t *testing.T) {
	w := newWorld(t)
	create := func(p ...string) (int, answer) {
		return w.try("CreateLoadBalancer", append([]string{"RegionId", "cn-hangzhou", "ClientToken", "tf-1"}, p...)...)
	}
	_, first := create("LoadBalancerName", "a", "Tag.1.Key", "k", "Tag.1.Value", "v")
	_, again := create("LoadBalancerName", "a", "Tag.1.Key", "k", "Tag.1.Value", "v")
	delete(first, "RequestId")
	delete(again, "RequestId")
	if fmt.Sprint(first) != fmt.Sprint(again) {
		t.Errorf("%v\n%v", first, again)
	}
	for _, p := range [][]string{{"LoadBalancerName", "b"}, {"LoadBalancerName", "a"}, {"LoadBalancerName", "a", "Tag.1.Key", "k", "Tag.1.Value", "w"}} {
		w.fails(slb.ErrTokenConflict, "CreateLoadBalancer", append([]string{"RegionId", "cn-hangzhou", "ClientToken", "tf-1"}, p...)...)
	}
	// The answer stays the same when the instance is gone.
	w.ok("DeleteLoadBalancer", "LoadBalancerId", first.text(t, "LoadBalancerId"))
	if _, a := create("LoadBalancerName", "a", "Tag.1.Key", "k", "Tag.1.Value", "v"); a.text(t, "LoadBalancerId") != first.text(t, "LoadBalancerId") {
		t.Error(a)
	}
	w.clock.Advance(24*time.Hour - time.Second)
	w.fails(slb.ErrTokenConflict, "CreateLoadBalancer", "RegionId", "cn-hangzhou", "ClientToken", "tf-1")
	w.clock.Advance(time.Second)
	if status, a := create(); status != 200 || a.text(t, "LoadBalancerId") == first.text(t, "LoadBalancerId") {
		t.Error(status, a)
	}
}

func TestClientTokensAreSwept(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.ClientTokenSweepPerRun = 3 })
	for i := range 7 {
		w.create("ClientToken", fmt.Sprint("t", i))
	}
	w.clock.Advance(25 * time.Hour)
	for _, want := range []int{4, 1, 0, 0} {
		w.create()
		if got := w.store.State().ClientTokens.Len(); got != want {
			t.Errorf("%d tokens, want %d", got, want)
		}
	}
}

func TestAddressesAreGivenAndTakenBack(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Pools = []AddressPool{
			{Type: slb.Internet, Prefixes: []netip.Prefix{netip.MustParsePrefix("127.5.0.0/30"), netip.MustParsePrefix("127.6.0.9/32")}},
			{Type: slb.Intranet, Prefixes: []netip.Prefix{netip.MustParsePrefix("127.7.0.8/31")}, VSwitchID: "vsw-1"},
			{Prefixes: []netip.Prefix{netip.MustParsePrefix("fd00::/126")}},
		}
	})
	address := func(lb string) string {
		return w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb).text(t, "Address")
	}
	var ids []string
	for _, want := range []string{"127.5.0.1", "127.5.0.2", "127.6.0.9"} {
		lb := w.create()
		ids = append(ids, lb)
		if got := address(lb); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	w.fails(slb.ErrNoAddress, "CreateLoadBalancer", "RegionId", "cn-hangzhou")
	w.ok("DeleteLoadBalancer", "LoadBalancerId", ids[1])
	if got := address(w.create()); got != "127.5.0.2" {
		t.Error(got)
	}
	w.create("VSwitchId", "vsw-1")
	w.create("VSwitchId", "vsw-1", "Address", "127.7.0.9")
	w.fails(slb.ErrNoVSwitchAddress, "CreateLoadBalancer", "RegionId", "cn-hangzhou", "VSwitchId", "vsw-1")
	w.fails(slb.ErrNoAddress, "CreateLoadBalancer", "RegionId", "cn-hangzhou", "VSwitchId", "vsw-2")
	if got := address(w.create("AddressIPVersion", "ipv6")); got != "fd00::1" {
		t.Error(got)
	}
	// Freed addresses rest: the search goes on where it stopped.
	fresh := newWorld(t)
	one := fresh.create()
	fresh.ok("DeleteLoadBalancer", "LoadBalancerId", one)
	if got := fresh.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", fresh.create()).text(t, "Address"); got != "127.1.0.2" {
		t.Error(got)
	}
}

func TestSharedAddress(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Pools = []AddressPool{{Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Shared: true}}
	})
	one, two := w.create(), w.create()
	a := w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "Address", "127.0.0.1")
	if a.at(t, "TotalCount") != 2.0 {
		t.Error(a)
	}
	w.ok("DeleteLoadBalancer", "LoadBalancerId", one)
	w.ok("DeleteLoadBalancer", "LoadBalancerId", two)
	if n := w.store.State().Addresses.Len(); n != 0 {
		t.Errorf("%d claims left", n)
	}
}

func TestDeleteTakesEverythingAlong(t *testing.T) {
	w := newWorld(t)
	lb := withListeners(w)
	other := w.create()
	w.tcp(other, 9000)
	w.ok("DeleteLoadBalancer", "LoadBalancerId", lb)
	s := w.store.State()
	if s.LoadBalancers.Len() != 1 || s.Listeners.Len() != 1 || s.Addresses.Len() != 1 || len(s.LoadBalancersUsing("i-1")) != 0 {
		t.Errorf("left: %d instances, %d listeners, %d addresses", s.LoadBalancers.Len(), s.Listeners.Len(), s.Addresses.Len())
	}
}

func TestInstanceQuota(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.LoadBalancers = 2 })
	lb := w.create()
	w.create()
	w.fails(slb.ErrLoadBalancerQuota, "CreateLoadBalancer", "RegionId", "cn-hangzhou")
	w.ok("DeleteLoadBalancer", "LoadBalancerId", lb)
	w.create()
}

// TestFilters checks every filter alone, and two of them together.
func TestFilters(t *testing.T) {
	w := newWorld(t)
	w.servers(2)
	web := w.create("LoadBalancerName", "web", "MasterZoneId", "z1", "SlaveZoneId", "z2", "ResourceGroupId", "rg-1", "Tag.1.Key", "env", "Tag.1.Value", "prod", "Tag.2.Key", "bare")
	inner := w.create("LoadBalancerName", "inner", "VSwitchId", "vsw-1", "Tag.1.Key", "env", "Tag.1.Value", "test")
	paid := w.create("LoadBalancerName", "paid", "InternetChargeType", "paybybandwidth", "PayType", "PrePay")
	w.add(web, `["i-1"]`)
	w.add(inner, `["i-1","i-2"]`)
	w.add(paid, `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.0.0.77"}]`)
	w.ok("SetLoadBalancerStatus", "LoadBalancerId", paid, "LoadBalancerStatus", "inactive")
	names := map[string]string{web: "web", inner: "inner", paid: "paid"}
	for _, c := range []struct{ filter, want string }{
		{"", "inner paid web"},
		{"Address=127.1.0.1", "web"},
		{"Address=127.9.9.9", ""},
		{"AddressIPVersion=ipv4", "inner paid web"},
		{"AddressIPVersion=ipv6", ""},
		{"AddressType=intranet", "inner"},
		{"InternetChargeType=PayByBandwidth", "paid"},
		{"LoadBalancerId=" + web + "," + paid, "paid web"},
		{"LoadBalancerName=web,paid,none", "paid web"},
		{"LoadBalancerStatus=inactive", "paid"},
		{"MasterZoneId=z1", "web"},
		{"SlaveZoneId=z2", "web"},
		{"NetworkType=Classic", "paid web"},
		{"NetworkType=vpc", "inner"},
		{"PayType=PrePay", "paid"},
		{"ResourceGroupId=rg-1", "web"},
		{"ServerId=i-1", "inner web"},
		{"ServerId=i-2", "inner"},
		{"ServerId=i-9", ""},
		{"ServerIntranetAddress=10.0.0.2", "inner web"},
		{"ServerIntranetAddress=10.0.0.3,10.0.0.77", "inner paid"},
		{"Tag.1.Key=env", "inner web"},
		{"Tag.1.Key=env&Tag.1.Value=prod", "web"},
		{"Tag.1.Key=env&Tag.1.Value=prod&Tag.2.Key=bare", "web"},
		{"Tag.1.Key=env&Tag.1.Value=none", ""},
		{`Tags=[{"TagKey":"env","TagValue":"test"}]`, "inner"},
		{`Tags=[{"TagKey":"env","TagValue":"prod"},{"TagKey":"bare","TagValue":""}]`, "web"},
		{`Tags=[{"TagKey":"bare","TagValue":"x"}]`, ""},
		{"VSwitchId=vsw-1", "inner"},
		{"VpcId=vpc-1", "inner"},
		{"ServerId=i-1&AddressType=internet", "web"},
		{"LoadBalancerId=" + web + "&LoadBalancerName=inner", ""},
	} {
		p := []string{"RegionId", "cn-hangzhou"}
		for pair := range strings.SplitSeq(c.filter, "&") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				p = append(p, name, value)
			}
		}
		a := w.ok("DescribeLoadBalancers", p...)
		found := map[string]bool{}
		list := a.at(t, "LoadBalancers", "LoadBalancer").([]any)
		for i := range list {
			found[names[a.text(t, "LoadBalancers", "LoadBalancer", i, "LoadBalancerId")]] = true
		}
		var got []string
		for _, n := range []string{"inner", "paid", "web"} {
			if found[n] {
				got = append(got, n)
			}
		}
		if s := strings.Join(got, " "); s != c.want || a.at(t, "TotalCount") != float64(len(list)) {
			t.Errorf("%s finds %q, want %q", c.filter, s, c.want)
		}
	}
}

func TestRegionChecks(t *testing.T) {
	for _, c := range []struct {
		check          RegionCheck
		create, rename int
	}{{"", 404, 200}, {RegionCheckAll, 404, 404}, {RegionCheckOff, 200, 200}} {
		w := newWorld(t, func(cfg *Config) { cfg.RegionCheck = c.check })
		lb := oneBalancer(w)
		if status, _ := w.try("CreateLoadBalancer", "RegionId", "mars"); status != c.create {
			t.Errorf("%q: create %d", c.check, status)
		}
		if status, _ := w.try("SetLoadBalancerName", "RegionId", "mars", "LoadBalancerId", lb, "LoadBalancerName", "x"); status != c.rename {
			t.Errorf("%q: rename %d", c.check, status)
		}
		w.ok("SetLoadBalancerName", "LoadBalancerId", lb, "LoadBalancerName", "y")
	}
}

// TestWritesWaitForTraffic: every write ends with the wait for its revision.
func TestWritesWaitForTraffic(t *testing.T) {
	w := newWorld(t)
	lb := withListeners(w)
	for _, c := range [][]string{
		{"SetLoadBalancerName", "LoadBalancerName", "x"},
		{"SetLoadBalancerStatus", "LoadBalancerStatus", "inactive"},
		{"AddBackendServers", "BackendServers", `["i-3"]`},
		{"SetBackendServers", "BackendServers", `[{"ServerId":"i-3","Weight":3}]`},
		{"RemoveBackendServers", "BackendServers", `["i-3"]`},
		{"CreateLoadBalancerTCPListener", "ListenerPort", "1", "BackendServerPort", "1"},
		{"SetLoadBalancerTCPListenerAttribute", "ListenerPort", "1", "Bandwidth", "3"},
		{"StartLoadBalancerListener", "ListenerPort", "1"},
		{"StopLoadBalancerListener", "ListenerPort", "1"},
		{"DeleteLoadBalancerListener", "ListenerPort", "1"},
		{"DeleteLoadBalancer"},
	} {
		before := w.store.State().Revision
		w.ok(c[0], append([]string{"LoadBalancerId", lb}, c[1:]...)...)
		if now := w.store.State().Revision; now == before || w.applier.last() != now {
			t.Errorf("%s: waited for %d, the store is at %d, was at %d", c[0], w.applier.last(), now, before)
		}
	}
}

// TestWaitIsBounded: traffic that does not follow makes a call slow, not wrong.
func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.applier.hang = true
		begin := time.Now()
		w.ok("CreateLoadBalancer", "RegionId", "cn-hangzhou")
		if took := time.Since(begin); took != applyLimit {
			t.Errorf("took %v", took)
		}
		if w.store.State().LoadBalancers.Len() != 1 {
			t.Error("not committed")
		}
	})
}

func TestBinderIsAskedBeforeStart(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 80)
	w.tcp(lb, 8080)
	w.binder.refused = map[uint16]error{80: errors.New("ports below 1024 need CAP_NET_BIND_SERVICE")}
	want := slb.ErrListenerBind.With("ports below 1024 need CAP_NET_BIND_SERVICE")
	w.fails(want, "StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "80")
	if len(w.binder.asked) != 2 || w.binder.asked[0].String() != "127.1.0.1:80" { // once more when all is applied
		t.Errorf("asked %v", w.binder.asked)
	}
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "8080")
	asked := len(w.binder.asked)
	// It runs already: its port is taken, by itself.
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "8080")
	if len(w.binder.asked) != asked {
		t.Error("asked about a listener that runs")
	}
	// An inactive instance listens nowhere; the question comes when it wakes.
	w.ok("SetLoadBalancerStatus", "LoadBalancerId", lb, "LoadBalancerStatus", "inactive")
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "80")
	w.fails(want, "SetLoadBalancerStatus", "LoadBalancerId", lb, "LoadBalancerStatus", "active")
	w.ok("StopLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "80")
	w.ok("SetLoadBalancerStatus", "LoadBalancerId", lb, "LoadBalancerStatus", "active")
}

// TestPortOfTheDeparting: a port is free for a call that comes between the
// deletion of the listener that has it and its end.
func TestPortOfTheDeparting(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 8080)
	w.binder.refused = map[uint16]error{8080: errors.New("in use")}
	w.applier.applied = func() {
		w.binder.mu.Lock()
		defer w.binder.mu.Unlock()
		w.binder.refused = nil
	}
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "8080")
	if len(w.binder.asked) != 2 {
		t.Errorf("asked %v", w.binder.asked)
	}
}

func TestLockedInstance(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 9000)
	lock(w, lb)
	for _, action := range []string{"StartLoadBalancerListener", "StopLoadBalancerListener"} {
		w.fails(slb.ErrLocked, action, "LoadBalancerId", lb, "ListenerPort", "9000")
	}
	w.fails(slb.ErrLocked, "SetLoadBalancerStatus", "LoadBalancerId", lb, "LoadBalancerStatus", "active")
}
