package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

// TestQuirk31HeaderSwitches: one of them is in lower case.
func TestQuirk31HeaderSwitches(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	names := []string{"XForwardedFor_SLBID", "XForwardedFor_SLBIP", "XForwardedFor_SLBPORT", "XForwardedFor_ClientSrcPort", "XForwardedFor_proto"}
	var p []string
	for _, name := range names {
		p = append(p, name, "on")
	}
	w.http(lb, 80, p...)
	w.http(lb, 81, "XForwardedFor_Proto", "on")
	a := w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80")
	for _, name := range names {
		if a.text(t, name) != "on" {
			t.Errorf("%s is %v", name, a[name])
		}
	}
	if got := w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "81").text(t, "XForwardedFor_proto"); got != "off" {
		t.Errorf("another spelling switched it %s", got)
	}
}

// TestQuirk41Bandwidth: told as the upper limit on instances without one, and
// optional on listeners.
func TestQuirk41Bandwidth(t *testing.T) {
	w := newWorld(t)
	lb := w.create("InternetChargeType", "paybytraffic")
	if got := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb).at(t, "Bandwidth"); got != 5120.0 {
		t.Error(got)
	}
	w.ok("CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "1", "BackendServerPort", "1")
	w.ok("CreateLoadBalancerUDPListener", "LoadBalancerId", lb, "ListenerPort", "2", "BackendServerPort", "1", "Bandwidth", "5120")
	w.ok("CreateLoadBalancerHTTPListener", "LoadBalancerId", lb, "ListenerPort", "3", "BackendServerPort", "1", "HealthCheck", "off")
	for action, want := range map[string]float64{"TCP 1": -1, "UDP 2": 5120, "HTTP 3": -1} {
		protocol, port, _ := strings.Cut(action, " ")
		if got := w.ok("DescribeLoadBalancer"+protocol+"ListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port).at(t, "Bandwidth"); got != want {
			t.Errorf("%s: %v", protocol, got)
		}
	}
}

// TestQuirk42Times: in text and in milliseconds, and never means 2999.
func TestQuirk42Times(t *testing.T) {
	w := newWorld(t)
	a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", oneBalancer(w))
	if a.text(t, "CreateTime") != "2026-11-23T12:00:00Z" || a.at(t, "CreateTimeStamp") != 1795435200000.0 ||
		a.text(t, "EndTime") != "2999-09-08T16:00:00Z" || a.at(t, "EndTimeStamp") != 32493801600000.0 {
		t.Error(a)
	}
}

// TestQuirk47ClientToken: 24 hours of the same answer to the same question, also
// with the instance gone, and a conflict for another question.
func TestQuirk47ClientToken(t *testing.T) {
	w := newWorld(t)
	make := func(name string) (int, answer) {
		return w.try("CreateLoadBalancer", "RegionId", "cn-hangzhou", "ClientToken", "token-1", "LoadBalancerName", name)
	}
	_, first := make("web")
	id := first.text(t, "LoadBalancerId")
	w.clock.Advance(24*time.Hour - time.Minute)
	if status, a := make("web"); status != 200 || a["LoadBalancerId"] != id || a["Address"] != first["Address"] {
		t.Errorf("the same within a day: %d %v", status, a)
	}
	if status, a := make("other"); status != 400 || a["Code"] != slb.ErrTokenConflict.Code {
		t.Errorf("other parameters: %d %v", status, a)
	}
	w.ok("DeleteLoadBalancer", "LoadBalancerId", id)
	if status, a := make("web"); status != 200 || a["LoadBalancerId"] != id {
		t.Errorf("the same when the instance is gone: %d %v", status, a)
	}
	if n := w.store.State().LoadBalancers.Len(); n != 0 {
		t.Errorf("%d instances", n)
	}
	w.clock.Advance(2 * time.Minute)
	if status, a := make("web"); status != 200 || a["LoadBalancerId"] == id {
		t.Errorf("after a day: %d %v", status, a)
	}
	// Without a token, every call makes one.
	if one, other := oneBalancer(w), oneBalancer(w); one == other {
		t.Error("one instance from two calls")
	}
}

// TestQuirk48Specifications: newer names than the pages have.
func TestQuirk48Specifications(t *testing.T) {
	w := newWorld(t)
	for _, spec := range []string{"slb.s1.small", "slb.s3.large", "slb.s4.large", "slb.s3.xxlarge"} {
		if got := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", w.create("LoadBalancerSpec", spec)).text(t, "LoadBalancerSpec"); got != spec {
			t.Errorf("%s became %s", spec, got)
		}
	}
}

// TestQuirk51And52States: stopped at first, no passing state ever seen, and
// deleted in both.
func TestQuirk51And52States(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.tcp(lb, 1)
	w.tcp(lb, 2)
	w.ok("StartLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", "2")
	for port, want := range map[string]string{"1": "stopped", "2": "running"} {
		if got := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port).text(t, "Status"); got != want {
			t.Errorf("%s is %s", port, got)
		}
		w.ok("DeleteLoadBalancerListener", "LoadBalancerId", lb, "ListenerPort", port)
		w.fails(slb.ErrResourceNotFound, "DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", port)
	}
}

// TestQuirk63And64Layer7: stickiness is optional, and the bounds of times.
func TestQuirk63And64Layer7(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	w.http(lb, 80)
	w.tcp(lb, 9000)
	a := w.ok("DescribeLoadBalancerHTTPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80")
	if a.text(t, "StickySession") != "off" || a.at(t, "IdleTimeout") != 15.0 || a.at(t, "RequestTimeout") != 60.0 {
		t.Error(a)
	}
	if got := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000").at(t, "EstablishedTimeout"); got != 900.0 {
		t.Error(got)
	}
	for _, b := range []struct {
		kind, port, name string
		least, most      int
		with             params
	}{
		{"HTTP", "80", "IdleTimeout", 1, 60, nil}, {"HTTP", "80", "RequestTimeout", 1, 180, nil},
		{"HTTP", "80", "CookieTimeout", 1, 86400, params{"StickySession", "on", "StickySessionType", "insert"}},
		{"TCP", "9000", "PersistenceTimeout", 0, 3600, nil}, {"TCP", "9000", "EstablishedTimeout", 10, 900, nil},
		{"TCP", "9000", "ConnectionDrainTimeout", 10, 900, params{"ConnectionDrain", "on"}},
	} {
		for value, good := range map[int]bool{b.least - 1: false, b.least: true, b.most: true, b.most + 1: false} {
			status, _ := w.try("SetLoadBalancer"+b.kind+"ListenerAttribute", append(params{"LoadBalancerId", lb, "ListenerPort", b.port, b.name, fmt.Sprint(value)}, b.with...)...)
			if (status == 200) != good {
				t.Errorf("%s=%d: %d", b.name, value, status)
			}
		}
	}
}

// TestQuirk68And69Duplicates: of two entries in a call the first counts, and a
// server that is there already stays as it is.
func TestQuirk68And69Duplicates(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-1","Weight":10},{"ServerId":"i-1","Weight":20},{"ServerId":"i-2"}]`)
	if got := w.group(lb); got != "i-1=10 i-2=100" {
		t.Error(got)
	}
	a := w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `[{"ServerId":"i-2","Weight":7},{"ServerId":"i-3","Weight":8}]`)
	if got := w.group(lb); got != "i-1=10 i-2=100 i-3=8" || len(a.at(t, "BackendServers", "BackendServer").([]any)) != 3 {
		t.Error(got, a)
	}
}

// TestQuirk71And72Servers: only running ones, and what is mandatory.
func TestQuirk71And72Servers(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	w.ok("SetServerStatus", "ServerId", "i-1", "Status", "Stopped")
	w.fails(slb.ErrServerNotRunning, "AddBackendServers", "LoadBalancerId", lb, "BackendServers", `["i-1"]`)
	if e := slb.ErrServerNotRunning; e.Status != 400 || e.Code != "ObtainIpFail" ||
		e.Message != "The specified BackendServers is invalid; some of the specified backend servers do not exist or are not running." {
		t.Error(e)
	}
	w.fails(missingError("BackendServers"), "AddBackendServers", "LoadBalancerId", lb)
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `["i-2"]`) // without RegionId
	w.ok("AddBackendServers", "LoadBalancerId", lb, "BackendServers", `["i-3"]`, "RegionId", "cn-hangzhou")
}

// TestQuirk73And74And77Answers: the whole group after each change, with weights
// as numbers, 100 when not given and 0 allowed, and a description only when set.
func TestQuirk73And74And77Answers(t *testing.T) {
	w := newWorld(t)
	lb := withServers(w)
	for _, c := range []struct{ action, list, want string }{
		{"AddBackendServers", `[{"ServerId":"i-1"},{"ServerId":"i-2","Weight":"0","Description":"old"}]`, "i-1=100 i-2=0(old)"},
		{"SetBackendServers", `[{"ServerId":"i-1","Weight":"0"},{"ServerId":"i-2","Weight":"100"}]`, "i-1=0 i-2=100(old)"},
		{"RemoveBackendServers", `["i-1"]`, "i-2=100(old)"},
	} {
		var got []string
		for _, v := range w.ok(c.action, "LoadBalancerId", lb, "BackendServers", c.list).at(t, "BackendServers", "BackendServer").([]any) {
			s := v.(map[string]any)
			text := fmt.Sprintf("%v=%v", s["ServerId"], s["Weight"].(float64))
			if d, there := s["Description"]; there {
				text += fmt.Sprintf("(%v)", d)
			}
			got = append(got, text)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s answers %s, want %s", c.action, text, c.want)
		}
	}
}

// TestQuirk80Health: one entry for each listener and server, all ports when none
// is named.
func TestQuirk80Health(t *testing.T) {
	w := newWorld(t)
	lb := withHealth(w)
	for port, want := range map[string]string{"": "[unavailable normal abnormal]", "80": "[unavailable]", "9000": "[normal abnormal]"} {
		var got []any
		for _, v := range w.ok("DescribeHealthStatus", "LoadBalancerId", lb, "ListenerPort", port).at(t, "BackendServers", "BackendServer").([]any) {
			got = append(got, v.(map[string]any)["ServerHealthStatus"])
		}
		if fmt.Sprint(got) != want {
			t.Errorf("port %q: %v, want %s", port, got, want)
		}
	}
}

// TestQuirk91And92And93And94Tags: All decides what goes, a value without a key is
// wrong, all pairs must fit, and listeners have ids of their own.
func TestQuirk91And92And93And94Tags(t *testing.T) {
	w := newWorld(t)
	lb := w.create("Tag.1.Key", "a", "Tag.1.Value", "1", "Tag.2.Key", "b", "Tag.2.Value", "2")
	w.http(lb, 80)
	w.ok("TagResources", "RegionId", "cn-hangzhou", "ResourceType", "listener", "ResourceId.1", lb+"_http_80", "Tag.1.Key", "c", "Tag.1.Value", "3")
	tags := func(kind, id string) int {
		return len(w.ok("ListTagResources", "RegionId", "cn-hangzhou", "ResourceType", kind, "ResourceId.1", id).at(t, "TagResources", "TagResource").([]any))
	}
	if tags("listener", lb+"_http_80") != 1 || tags("instance", lb) != 2 {
		t.Error("tags are not where they were put")
	}
	for filter, found := range map[string]float64{
		`[{"TagKey":"a","TagValue":"1"}]`: 1, `[{"TagKey":"a","TagValue":"1"},{"TagKey":"b","TagValue":"2"}]`: 1, `[{"TagKey":"a","TagValue":"1"},{"TagKey":"b","TagValue":"1"}]`: 0,
	} {
		if got := w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou", "Tags", filter).at(t, "TotalCount"); got != found {
			t.Errorf("%s finds %v", filter, got)
		}
	}
	if status, a := w.try("ListTagResources", "RegionId", "cn-hangzhou", "ResourceType", "instance", "Tag.1.Value", "1"); status != 400 {
		t.Errorf("a value without a key: %d %v", status, a)
	}
	w.ok("UntagResources", "RegionId", "cn-hangzhou", "ResourceType", "instance", "ResourceId.1", lb)
	if tags("instance", lb) != 2 {
		t.Error("untagged without being asked")
	}
	w.ok("UntagResources", "RegionId", "cn-hangzhou", "ResourceType", "instance", "ResourceId.1", lb, "All", "true")
	if tags("instance", lb) != 0 {
		t.Error("All left something")
	}
}

// TestQuirk99AcceptLanguage: any language gets the one name.
func TestQuirk99AcceptLanguage(t *testing.T) {
	w := newWorld(t)
	one := w.ok("DescribeZones", "RegionId", "cn-hangzhou").text(t, "Zones", "Zone", 0, "LocalName")
	for _, language := range []string{"zh-CN", "en-US"} {
		if got := w.ok("DescribeZones", "RegionId", "cn-hangzhou", "AcceptLanguage", language).text(t, "Zones", "Zone", 0, "LocalName"); got != one {
			t.Errorf("%s: %s", language, got)
		}
	}
}
