package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// The numbers are those of the list of oddities that the reference and real
// clients impose.

func TestQuirk1SingleQuotes(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{'ServerId':'i-1','Weight':'90', 'Type': 'ecs'}, {'ServerId':'i-2','Weight':'10', 'Type': 'ecs'}]`)
	if got := w.group(lb); got != "i-1=90 i-2=10" {
		t.Error(got)
	}
	w.ok("SetBackendServers", "LoadBalancerId", lb, "BackendServers", `[{'ServerId':'i-1','Weight':'5', 'Type': 'ecs'}]`)
	w.ok("RemoveBackendServers", "LoadBalancerId", lb, "BackendServers", `['i-2']`)
	if got := w.group(lb); got != "i-1=5" {
		t.Error(got)
	}
}

func TestQuirk2NumbersAsNumberOrText(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-1","Weight":7},{"ServerId":"i-2","Weight":"8","Port":"80"}]`)
	if got := w.group(lb); got != "i-1=7 i-2=8" {
		t.Error(got)
	}
}

func TestQuirk3KeysOfAnyCase(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers",
		`[{"IsUserManaged":false,"NodeName":null,"description":"k8s/30801/svc","serverId":"i-1","serverIp":"","weight":60,"port":30801,"type":"ecs","TargetRef":null,"Invalid":false}]`)
	if got := w.group(lb); got != "i-1=60" {
		t.Error(got)
	}
	tagged := w.create("Tag.1.Key", "kubernetes.do.not.delete", "Tag.1.Value", "a5e4", "Tag.2.Key", "x", "Tag.2.Value", "y")
	for _, tags := range []string{`[{"TagValue":"a5e4","TagKey":"kubernetes.do.not.delete"}]`, `[{'tagKey':'x','tagValue':'y'}]`} {
		a := w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "Tags", tags)
		if a.text(t, "LoadBalancers", "LoadBalancer", 0, "LoadBalancerId") != tagged || a.at(t, "TotalCount") != 1.0 {
			t.Errorf("%s finds %v", tags, a)
		}
	}
}

// TestQuirk6And7Types checks numbers, no null anywhere, and lists that are there
// when empty, as one that casts without looking would.
func TestQuirk6And7Types(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
	for _, path := range [][]any{
		{"BackendServers", "BackendServer"}, {"ListenerPorts", "ListenerPort"}, {"Tags", "Tag"},
		{"ListenerPortsAndProtocal", "ListenerPortAndProtocal"}, {"ListenerPortsAndProtocol", "ListenerPortAndProtocol"},
	} {
		if l, ok := a.at(t, path...).([]any); !ok || len(l) != 0 {
			t.Errorf("%v is no empty list", path)
		}
	}
	w.tcp(lb, 9000, "PersistenceTimeout", "30", "HealthCheckConnectPort", "81")
	w.http(lb, 80, "StickySession", "on", "StickySessionType", "insert", "CookieTimeout", "100")
	w.http(lb, 81, "ListenerForward", "on")
	numbers := strings.Fields("ListenerPort BackendServerPort Bandwidth CookieTimeout PersistenceTimeout EstablishedTimeout HealthCheckConnectPort HealthyThreshold UnhealthyThreshold HealthCheckTimeout HealthCheckConnectTimeout HealthCheckInterval IdleTimeout RequestTimeout ForwardPort")
	seen := map[string]bool{}
	for _, l := range []answer{
		w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000"),
		w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80"),
		w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "81"),
	} {
		for name, v := range l {
			if v == nil {
				t.Errorf("%s is null", name)
			}
			if _, isNumber := v.(float64); isNumber != slices.Contains(numbers, name) && name != "ForwardCode" {
				t.Errorf("%s is %T", name, v)
			}
			seen[name] = true
		}
		if _, ok := l.at(t, "AclIds", "AclId").([]any); !ok {
			t.Error("AclIds.AclId is no list")
		}
	}
	for _, name := range numbers {
		if !seen[name] {
			t.Errorf("%s was in no answer", name)
		}
	}
}

func TestQuirk8TwentyPerCall(t *testing.T) {
	w := newWorld(t)
	w.servers(21)
	lb := oneBalancer(w)
	var list []string
	for i := 1; i <= 21; i++ {
		list = append(list, fmt.Sprintf("i-%d", i))
	}
	text, _ := json.Marshal(list)
	w.fails(slb.ErrTooManyServers, "AddBackendServers", "LoadBalancerId", lb, "BackendServers", string(text))
	text, _ = json.Marshal(list[:20])
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", string(text))
	if got := len(strings.Fields(w.group(lb))); got != 20 {
		t.Error(got)
	}
}

func TestQuirk9Texts(t *testing.T) {
	for want, err := range map[string]*slb.Error{
		"The specified VServerGroupId does not exist":     slb.ErrVServerGroup,
		"The specified MasterSlaveGroupId does not exist": slb.ErrMasterSlaveGroup,
		"The specified resource does not exist":           slb.ErrResourceNotFound,
		"LoadBalancerId does not exist":                   slb.ErrLoadBalancerNotFound,
	} {
		if !strings.Contains(err.Message, want) {
			t.Errorf("%q lacks %q", err.Message, want)
		}
	}
	for _, err := range []*slb.Error{slb.ErrVServerGroup, slb.ErrMasterSlaveGroup, slb.ErrResourceNotFound} {
		if err.Code != "InvalidParameter" {
			t.Errorf("%v: code", err)
		}
	}
}

// TestQuirk12And13Life follows a listener as Terraform does.
func TestQuirk12And13Life(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 9000)
	status := func() string {
		return w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000").text(t, "Status")
	}
	for i, step := range []struct{ action, want string }{
		{"", "stopped"}, {"StartLoadBalancerListener", "running"}, {"StartLoadBalancerListener", "running"},
		{"StopLoadBalancerListener", "stopped"}, {"StopLoadBalancerListener", "stopped"}, {"StartLoadBalancerListener", "running"},
	} {
		if step.action != "" {
			w.ok(step.action, "LoadBalancerId", lb, "ListenerPort", "9000")
		}
		if got := status(); got != step.want {
			t.Errorf("step %d: %s", i, got)
		}
	}
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9000")
	w.fails(slb.ErrResourceNotFound, "DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000")
}

func TestQuirk14NoShortPages(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.LoadBalancers = Unlimited })
	made := map[string]bool{}
	for i := range 25 {
		name := "odd"
		if i%2 == 0 {
			name = "even"
		}
		id := w.create("LoadBalancerName", name)
		made[id] = name == "even"
	}
	for _, c := range []struct {
		filter string
		total  int
	}{{"", 25}, {"even", 13}} {
		seen := map[string]bool{}
		for page := 1; ; page++ {
			a := w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "LoadBalancerName", c.filter, "PageSize", "6", "PageNumber", fmt.Sprint(page))
			if a.at(t, "TotalCount") != float64(c.total) {
				t.Errorf("TotalCount %v", a.at(t, "TotalCount"))
			}
			list := a.at(t, "LoadBalancers", "LoadBalancer").([]any)
			for i := range list {
				seen[a.text(t, "LoadBalancers", "LoadBalancer", i, "LoadBalancerId")] = true
			}
			if len(list) < 6 {
				break
			}
		}
		if len(seen) != c.total {
			t.Errorf("%q: %d of %d seen before the first short page", c.filter, len(seen), c.total)
		}
	}
}

func TestQuirk21AnyCaseOfValues(t *testing.T) {
	w := newWorld(t)
	lb := w.create("InternetChargeType", "PayByBandwidth", "Bandwidth", "10", "DeleteProtection", "ON", "AddressType", "INTERNET")
	a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
	if a.text(t, "InternetChargeType") != "paybybandwidth" || a.text(t, "DeleteProtection") != "on" || a.text(t, "AddressType") != "internet" {
		t.Error(a)
	}
}

func TestQuirk26ThreeSpellings(t *testing.T) {
	w := newWorld(t)
	lb := withListeners(w)
	a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
	for i := range 3 {
		port := a.at(t, "ListenerPorts", "ListenerPort", i)
		if a.at(t, "ListenerPortsAndProtocal", "ListenerPortAndProtocal", i, "ListenerPort") != port ||
			a.at(t, "ListenerPortsAndProtocol", "ListenerPortAndProtocol", i, "ListenerPort") != port {
			t.Errorf("listener %d", i)
		}
		protocol := a.at(t, "ListenerPortsAndProtocol", "ListenerPortAndProtocol", i, "ListenerProtocol")
		if a.at(t, "ListenerPortsAndProtocal", "ListenerPortAndProtocal", i, "ListenerProtocal") != protocol {
			t.Errorf("listener %d: %v", i, protocol)
		}
	}
	if a.text(t, "ListenerPortsAndProtocol", "ListenerPortAndProtocol", 2, "Description") != "k8s/9000/echo" ||
		a.at(t, "ListenerPortsAndProtocol", "ListenerPortAndProtocol", 1, "ForwardPort") != 443.0 {
		t.Error(a)
	}
}

func TestQuirk29LowerCaseInterval(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 9000, "healthCheckInterval", "7")
	w.tcp(lb, 9001, "HealthCheckInterval", "8")
	w.http(lb, 80, "healthCheckInterval", "9")
	for _, c := range []struct {
		kind, port string
		want       float64
	}{{"TCP", "9000", 7}, {"TCP", "9001", 8}, {"HTTP", "80", 9}} {
		a := w.ok("DescribeLoadBalancer"+c.kind+"ListenerAttribute", "LoadBalancerId", lb, "ListenerPort", c.port)
		if a.at(t, "HealthCheckInterval") != c.want {
			t.Errorf("%s: %v", c.port, a.at(t, "HealthCheckInterval"))
		}
	}
}

func TestQuirk30SwitchAndTimeoutByLayer(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	// HealthCheck means nothing to a TCP listener.
	w.tcp(lb, 9000, "HealthCheckSwitch", "off", "HealthCheck", "on", "HealthCheckConnectTimeout", "11")
	w.http(lb, 80, "HealthCheck", "on", "HealthCheckTimeout", "12", "HealthCheckConnectTimeout", "13")
	a := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000")
	if a.text(t, "HealthCheck") != "off" || a.at(t, "HealthCheckConnectTimeout") != 11.0 {
		t.Error(a)
	}
	a = w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80")
	if a.text(t, "HealthCheck") != "on" || a.at(t, "HealthCheckTimeout") != 12.0 {
		t.Error(a)
	}
}

func TestQuirk38And39ChargeTypeAndRegion(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ charge, digit string }{{"paybytraffic", "4"}, {"paybybandwidth", "3"}} {
		lb := w.create("InternetChargeType", c.charge)
		a := w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "LoadBalancerId", lb)
		one := answer(a.at(t, "LoadBalancers", "LoadBalancer", 0).(map[string]any))
		if one.text(t, "InternetChargeType") != c.digit || one.text(t, "InternetChargeTypeAlias") != c.charge {
			t.Error(one)
		}
		if one.text(t, "RegionId") != "cn-hangzhou" || one.text(t, "RegionIdAlias") != "cn-hangzhou" {
			t.Error(one)
		}
		if got := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb).text(t, "InternetChargeType"); got != c.charge {
			t.Error(got)
		}
	}
}

func TestQuirk40VSwitchMeansIntranet(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		params       params
		kind, vpc    string
		network, own string
	}{
		{params{"VSwitchId", "vsw-7"}, "intranet", "vpc-7", "vpc", "127.1.128.1"},
		{params{"VSwitchId", "vsw-7", "AddressType", "internet"}, "internet", "vpc-7", "vpc", "127.1.0.1"},
		{params{}, "internet", "", "classic", "127.1.0.2"},
		{params{"VpcId", "vpc-other", "VSwitchId", "vsw-7"}, "intranet", "vpc-other", "vpc", "127.1.128.2"},
	} {
		a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", w.create(c.params...))
		if a.text(t, "AddressType") != c.kind || a.text(t, "VpcId") != c.vpc || a.text(t, "NetworkType") != c.network || a.text(t, "Address") != c.own {
			t.Errorf("%v: %v", c.params, a)
		}
	}
	// What a client asks for first agrees with what it gets.
	if got := w.ok("DescribeVSwitchAttributes", "VSwitchId", "vsw-7").text(t, "VpcId"); got != "vpc-7" {
		t.Error(got)
	}
}

func TestQuirk43LastListenerMakesInactive(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	status := func() string {
		return w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb).text(t, "LoadBalancerStatus")
	}
	if status() != "active" {
		t.Fatal("a new instance is not active")
	}
	w.tcp(lb, 9000)
	w.tcp(lb, 9001)
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9000")
	w.ok("SetLoadBalancerStatus", "LoadBalancerId", lb, "LoadBalancerStatus", "inactive")
	if got := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000").text(t, "Status"); got != "running" {
		t.Errorf("listener of an inactive instance is %s", got)
	}
	w.ok("SetLoadBalancerStatus", "LoadBalancerId", lb, "LoadBalancerStatus", "active")
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9000")
	if status() != "active" {
		t.Error("inactive with a listener left")
	}
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9001")
	if status() != "inactive" {
		t.Error("active without listeners")
	}
	// A listener made later does not wake the instance.
	w.tcp(lb, 9000)
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9000")
	if status() != "inactive" {
		t.Error("active again by itself")
	}
}

func TestQuirk44Paging(t *testing.T) {
	w := newWorld(t)
	a := w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou")
	if a.at(t, "PageNumber") != 1.0 || a.at(t, "PageSize") != 50.0 || a.at(t, "TotalCount") != 0.0 {
		t.Error(a)
	}
	one, two := w.create(), w.create()
	w.create()
	a = w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "LoadBalancerId", one+","+two+","+one+",lb-none")
	if a.at(t, "TotalCount") != 2.0 {
		t.Error(a)
	}
	a = w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "PageNumber", "9")
	if a.at(t, "TotalCount") != 3.0 || len(a.at(t, "LoadBalancers", "LoadBalancer").([]any)) != 0 {
		t.Error(a)
	}
}

func TestQuirk45DeleteProtection(t *testing.T) {
	w := newWorld(t)
	lb := w.create("DeleteProtection", "on")
	w.tcp(lb, 9000)
	w.fails(slb.ErrDeleteProtection, "DeleteLoadBalancer", "LoadBalancerId", lb)
	w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "9000")
	w.ok("SetLoadBalancerDeleteProtection", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "DeleteProtection", "off")
	w.ok("DeleteLoadBalancer", "LoadBalancerId", lb)
}

func TestQuirk46ModificationProtection(t *testing.T) {
	w := newWorld(t)
	lb := w.create("ModificationProtectionStatus", "ConsoleProtection", "ModificationProtectionReason", "managed.by.ack")
	a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
	if a.text(t, "ModificationProtectionReason") != "managed.by.ack" {
		t.Error(a)
	}
	w.ok("SetLoadBalancerName", "LoadBalancerId", lb, "LoadBalancerName", "still-works")
	w.ok("SetLoadBalancerModificationProtection", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "ModificationProtectionStatus", "NonProtection")
	a = w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)
	if _, there := a["ModificationProtectionReason"]; there || a.text(t, "ModificationProtectionStatus") != "NonProtection" {
		t.Error(a)
	}
}

func TestQuirk50UnknownParametersPass(t *testing.T) {
	w := newWorld(t)
	w.create("EnableVpcVipFlow", "x", "SupportPrivateLink", "true", "Ratio", "3", "OwnerAccount", "nobody", "Tags", "[]")
}

func TestQuirk53PortOfTwoProtocols(t *testing.T) {
	tcp := &slb.Listener{Port: 53, Protocol: slb.TCP}
	udp := &slb.Listener{Port: 53, Protocol: slb.UDP}
	http := &slb.Listener{Port: 80, Protocol: slb.HTTP}
	all := []*slb.Listener{tcp, udp, http}
	for _, c := range []struct {
		port     uint16
		protocol slb.Protocol
		want     *slb.Listener
		err      error
	}{
		{53, "", nil, errAmbiguous},
		{53, slb.UDP, udp, nil},
		{53, slb.TCP, tcp, nil},
		{80, "", http, nil},
		{80, slb.HTTPS, nil, slb.ErrResourceNotFound},
		{81, "", nil, slb.ErrResourceNotFound},
	} {
		got, err := resolveListener(all, c.port, c.protocol)
		if got != c.want || !reflect.DeepEqual(err, c.err) {
			t.Errorf("%d %q: %v, %v", c.port, c.protocol, got, err)
		}
	}
}

func TestQuirk54RedirectHasNoServerPort(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.ok("CreateLoadBalancerHTTPListener", "LoadBalancerId", lb, "ListenerPort", "80", "ListenerForward", "on", "ForwardPort", "8443", "", "80", "BackendServerPort", "80", "Bandwidth", "-1", "HealthCheck", "on")
	a := w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80")
	if _, there := a["BackendServerPort"]; there || a.at(t, "ForwardPort") != 8443.0 || a.text(t, "HealthCheck") != "on" {
		t.Error(a)
	}
	// With nothing but the redirect it works too.
	w.ok("CreateLoadBalancerHTTPListener", "LoadBalancerId", lb, "ListenerPort", "81", "ListenerForward", "on")
}

func TestQuirk55CheckPort(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	for i, c := range []struct {
		sent string
		want float64
	}{{"-520", -520}, {"0", -520}, {"8081", 8081}} {
		port := fmt.Sprint(9000 + i)
		w.tcp(lb, 9000+i, "HealthCheckConnectPort", c.sent)
		if got := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port).at(t, "HealthCheckConnectPort"); got != c.want {
			t.Errorf("%s: %v", c.sent, got)
		}
	}
}

func TestQuirk59TimeoutBelowInterval(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 9000, "HealthCheckInterval", "9", "HealthCheckConnectTimeout", "3")
	// Told as sent; that the interval counts is for package plan to say.
	if got := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000").at(t, "HealthCheckConnectTimeout"); got != 3.0 {
		t.Error(got)
	}
}

func TestQuirk61And62(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.http(lb, 80, "HealthCheck", "on", "HealthCheckURI", "/")
	w.tcp(lb, 9000, "Scheduler", "wlc")
	w.tcp(lb, 9001, "Scheduler", "tch")
	set := func(port, scheduler string) (int, answer) {
		return w.try("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port, "Scheduler", scheduler)
	}
	for _, c := range []struct {
		port, scheduler string
		status          int
	}{{"9000", "rr", 200}, {"9000", "wrr", 200}, {"9000", "sch", 400}, {"9001", "tch", 200}, {"9001", "sch", 400}, {"9001", "wrr", 400}} {
		if status, a := set(c.port, c.scheduler); status != c.status {
			t.Errorf("%s to %s: %d %v", c.port, c.scheduler, status, a)
		}
	}
}

func TestQuirk70And75Remove(t *testing.T) {
	w := newWorld(t)
	lb := withGroup(w)
	for _, c := range []struct{ list, want string }{
		{`["i-3"]`, "i-1=100 i-2=50"},
		{`[{"ServerId":"i-9","Weight":"1"}]`, "i-1=100 i-2=50"},
		{`[]`, "i-1=100 i-2=50"},
		{`[{"ServerId":"i-2","Type":"ecs","Weight":"100"}]`, "i-1=100"},
		{`['i-1']`, ""},
	} {
		w.ok("RemoveBackendServers", "LoadBalancerId", lb, "BackendServers", c.list)
		if got := w.group(lb); got != c.want {
			t.Errorf("%s leaves %q", c.list, got)
		}
	}
}
