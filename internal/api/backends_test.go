package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (w *world) add(lb, list string) answer {
	w.t.Helper()
	return w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", list)
}

func TestAddFirstOfDuplicatesCounts(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.add(lb, `[{"ServerId":"i-1","Weight":"10"},{"ServerId":"i-2"},{"ServerId":"i-1","Weight":"20"},{"ServerId":"i-1","Weight":"30"}]`)
	if got := w.group(lb); got != "i-1=10 i-2=100" {
		t.Error(got)
	}
}

func TestAddDefaultsAndLimits(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.add(lb, `[{"ServerId":"i-1"},{"ServerId":"i-2","Weight":"0"},{"ServerId":"i-3","Weight":100}]`)
	if got := w.group(lb); got != "i-1=100 i-2=0 i-3=100" {
		t.Error(got)
	}
}

// TestAddAttachedStaysAsItIs: quirk 69.
func TestAddAttachedStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.add(lb, `[{"ServerId":"i-1","Weight":"10","Description":"first"}]`)
	before := w.store.State().Revision
	a := w.add(lb, `[{"ServerId":"i-1","Weight":"90","Description":"second"}]`)
	if got := w.group(lb); got != "i-1=10" || a.text(t, "BackendServers", "BackendServer", 0, "Description") != "first" {
		t.Error(got, a)
	}
	if after := w.store.State().Revision; after != before {
		t.Error("a call that changes nothing wrote something")
	}
	// Those that are new are added all the same; and a member that has stopped
	// since is no obstacle.
	w.ok("SetServerStatus", "ServerId", "i-1", "Status", "Stopped")
	w.add(lb, `[{"ServerId":"i-1","Weight":"90"},{"ServerId":"i-2"}]`)
	if got := w.group(lb); got != "i-1=10 i-2=100" {
		t.Error(got)
	}
}

// TestAddAnswersWithWholeGroup: quirk 74.
func TestAddAnswersWithWholeGroup(t *testing.T) {
	w := newWorld(t)
	lb := withGroup(w)
	a := w.add(lb, `[{"ServerId":"i-3"}]`)
	if l := a.at(t, "BackendServers", "BackendServer").([]any); len(l) != 3 {
		t.Error(l)
	}
	if _, there := a.at(t, "BackendServers", "BackendServer", 0).(map[string]any)["Description"]; there {
		t.Error("a description that nobody gave")
	}
	if a.text(t, "LoadBalancerId") != lb {
		t.Error(a)
	}
	if got := w.add(lb, `[]`); len(got.at(t, "BackendServers", "BackendServer").([]any)) != 3 {
		t.Error(got)
	}
}

func TestAddDefaultsToXML(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	status, body := w.send("", "AddBackendServers", params{"LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-1"}]`})
	if status != 200 || !strings.Contains(body, "<AddBackendServersResponse>") {
		t.Error(status, body)
	}
}

// TestAddNetworkType gives the page's error row its meaning.
func TestAddNetworkType(t *testing.T) {
	w := newWorld(t)
	for id, vpc := range map[string]string{"i-a": "vpc-a", "i-b": "vpc-b", "i-classic": ""} {
		w.ok("RegisterServer", "ServerId", id, "Address.1", "10.1.1.1", "VpcId", vpc)
	}
	w.ok("RegisterServer", "ServerId", "i-v6", "Address.1", "fd00::1")
	w.ok("RegisterServer", "ServerId", "i-dual", "Address.1", "fd00::2", "Address.2", "10.1.1.2")
	inA := w.create("VSwitchId", "vsw-a")
	classic := w.create()
	for _, c := range []struct {
		lb, server string
		want       *slb.Error
	}{
		{inA, "i-a", nil},
		{inA, "i-b", slb.ErrNetworkType},
		{inA, "i-classic", nil},
		{inA, "i-v6", slb.ErrNetworkType},
		{inA, "i-dual", nil},
		{classic, "i-a", nil},
		{classic, "i-b", slb.ErrNetworkMixed},
		{classic, "i-classic", nil},
		{classic, "i-v6", slb.ErrNetworkType},
	} {
		p := []string{"LoadBalancerId", c.lb, "BackendServers", `["` + c.server + `"]`}
		if c.want == nil {
			w.ok("AddBackendServers", p...)
		} else {
			w.fails(c.want, "AddBackendServers", p...)
		}
	}
	v6 := &slb.LoadBalancer{AddressIPVersion: slb.IPv6}
	if !v6.AcceptsNetwork("", netip.MustParseAddr("fd00::1")) || !v6.AcceptsNetwork("", netip.MustParseAddr("10.0.0.1")) {
		t.Error("an IPv6 instance reaches both families")
	}
}

// TestAddAddresses: which servers may name an address, and which entries are
// the same then.
func TestAddAddresses(t *testing.T) {
	w := newWorld(t)
	w.ok("RegisterServer", "ServerId", "i-1", "Address.1", "10.0.0.1", "Address.2", "10.0.0.2")
	w.ok("RegisterServer", "ServerId", "eni-s", "Address.1", "10.0.0.8", "Status", "Stopped")
	lb := oneBalancer(w)
	w.add(lb, `[{"ServerId":"i-1","ServerIp":"10.0.0.2"},{"ServerId":"i-1","ServerIp":"10.0.0.1"}]`)
	w.add(lb, `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.1"},{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.2"},{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.1"}]`)
	w.add(lb, `[{"ServerId":"eci-1","Type":"eci","ServerIp":"10.7.0.3"}]`)
	// The same two addresses in another notation.
	w.add(lb, `[{"ServerId":"eci-1","Type":"eci","ServerIp":"::ffff:10.7.0.3"},{"ServerId":"i-1","ServerIp":"::ffff:10.0.0.2"}]`)
	w.fails(slb.ErrServerNotRunning, "AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"eni-s","Type":"eni","ServerIp":"10.0.0.8"}]`)
	if got := w.group(lb); got != "i-1=100 eni-1=100 eni-1=100 eci-1=100" {
		t.Error(got)
	}
	a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
	if a.text(t, "BackendServers", "BackendServer", 0, "ServerIp") != "10.0.0.2" || a.text(t, "BackendServers", "BackendServer", 2, "ServerIp") != "10.7.0.2" {
		t.Error(a)
	}
	w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.2","Weight":5},{"ServerId":"i-1","Weight":6}]`)
	if got := w.group(lb); got != "i-1=6 eni-1=100 eni-1=5 eci-1=100" {
		t.Error(got)
	}
	w.ok("RemoveBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.1"}]`)
	w.ok("RemoveBackendServers", "LoadBalancerId", lb, "BackendServers", `["eci-1"]`)
	if got := w.group(lb); got != "i-1=6 eni-1=5" {
		t.Error(got)
	}

	strict := newWorld(t, func(c *Config) { c.AllowForeignENI = false })
	lb = oneBalancer(strict)
	strict.fails(slb.ErrServerNotRunning, "AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.7.0.1"}]`)
}

func TestSetChangesOnlyWhatIsGiven(t *testing.T) {
	w := newWorld(t)
	lb := withGroup(w)
	before := w.store.State().Revision
	w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-2"}]`)
	w.ok("SetBackendServers", "LoadBalancerId", lb)
	w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", "")
	if w.store.State().Revision != before {
		t.Error("calls that change nothing wrote something")
	}
	w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-2","Weight":"0"},{"ServerId":"i-2","Weight":"9"},{"ServerId":"i-1","Description":"one"}]`)
	v, _ := w.store.State().LoadBalancers.Get(lb)
	if got := fmt.Sprint(v.BackendServers); got != fmt.Sprint([]slb.BackendServer{
		{ServerID: "i-1", Weight: 100, Type: slb.ECS, Description: "one"},
		{ServerID: "i-2", Weight: 0, Type: slb.ECS, Description: "second"},
	}) {
		t.Error(got)
	}
}

func TestBackendQuotas(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.BackendServers, c.Quotas.AttachmentsPerServer = 3, 2 })
	w.servers(6)
	one, two, three := w.create(), w.create(), w.create()
	w.add(one, `["i-1","i-2"]`)
	w.fails(slb.ErrServerQuota, "AddBackendServers", "LoadBalancerId", one, "BackendServers", `["i-3","i-4"]`)
	w.add(one, `["i-3"]`)
	w.add(two, `["i-1"]`)
	w.fails(slb.ErrQuota, "AddBackendServers", "LoadBalancerId", three, "BackendServers", `["i-1"]`)
	w.ok("RemoveBackendServers", "LoadBalancerId", two, "BackendServers", `["i-1"]`)
	w.add(three, `["i-1"]`)
}

// TestStopWhileAttaching: an entry must not slip in beside a change of the
// register that forbids it.
func TestStopWhileAttaching(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	first := true
	// The call is made by hand, with the other change between its reading and its
	// commit.
	_, err := w.server.changeBackends(t.Context(), &loadBalancerParams{LoadBalancerID: slb.LoadBalancerID(lb)},
		[]backendParam{{ServerID: "i-1"}}, func(tx *store.Tx, lb *slb.LoadBalancer, p []backendParam) (bool, error) {
			changed, err := w.server.attach(tx, lb, p)
			if first {
				first = false
				w.ok("SetServerStatus", "ServerId", "i-1", "Status", "Stopped")
			}
			return changed, err
		})
	var refused *slb.Error
	if !errors.As(err, &refused) || refused.Code != slb.ErrServerNotRunning.Code {
		t.Errorf("got %v", err)
	}
	if got := w.group(lb); got != "" {
		t.Error(got)
	}
}

// BackendServers is what strangers send.
func FuzzBackendServers(f *testing.F) {
	for _, seed := range []string{`[{"ServerId":"i-1","Weight":"100"}]`, `[{'ServerId':'i-1'}]`, `["i-1"]`, `[]`, `[null]`, `{"a":[`, `[{"ServerId":"eni-1","Type":"eni","ServerIp":"10.0.0.1","Weight":0}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := newWorld(t)
		lb := withServers(w)
		status, body := w.send("JSON", "AddBackendServers", params{"LoadBalancerId", lb, "BackendServers", text})
		var a answer
		if err := json.Unmarshal([]byte(body), &a); err != nil || status >= 500 {
			t.Fatalf("%d %s", status, body)
		}
		v, _ := w.store.State().LoadBalancers.Get(lb)
		seen := map[string]bool{}
		for _, b := range v.BackendServers {
			key := fmt.Sprint(b.ServerID, b.ServerIP)
			if b.Weight < 0 || b.Weight > 100 || seen[key] {
				t.Errorf("%q made %v", text, v.BackendServers)
			}
			seen[key] = true
		}
	})
}
