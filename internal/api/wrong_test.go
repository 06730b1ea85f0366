package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// wrong is a call that must be refused with a documented error and change
// nothing. LB stands for an instance with listeners tcp 9000, http 80 and a
// redirect on 8000, and servers i-1 and i-2; i-3 is registered, i-stop stopped.
type wrong struct {
	name   string
	action string
	params params
	want   *slb.Error
}

func missingError(name string) *slb.Error { return slb.ErrMissingParameter.With(name) }
func invalidError(name string) *slb.Error {
	return &slb.Error{Status: 400, Code: "InvalidParameter", Message: fmt.Sprintf(generalText+`%s" is not valid.`, name)}
}

func row(name string, want *slb.Error, action string, p ...string) wrong {
	return wrong{name, action, p, want}
}

var wrongs = func() []wrong {
	const region = "cn-hangzhou"
	out := []wrong{
		row("no region", missingError("RegionId"), "CreateLoadBalancer"),
		row("other region", slb.ErrRegionNotFound, "CreateLoadBalancer", "RegionId", "mars"),
		row("other region", slb.ErrRegionNotFound, "DescribeLoadBalancers", "RegionId", "mars"),
		row("other region", slb.ErrRegionNotFound, "DescribeZones", "RegionId", "mars"),
		row("other region", slb.ErrRegionNotFound, "SetLoadBalancerDeleteProtection", "RegionId", "mars", "LoadBalancerId", "LB", "DeleteProtection", "on"),
		row("no region", missingError("RegionId"), "SetLoadBalancerModificationProtection", "LoadBalancerId", "LB", "ModificationProtectionStatus", "NonProtection"),
		row("protection", invalidError("ModificationProtectionStatus"), "SetLoadBalancerModificationProtection", "RegionId", region, "LoadBalancerId", "LB", "ModificationProtectionStatus", "maybe"),
		row("reason", invalidError("ModificationProtectionReason"), "SetLoadBalancerModificationProtection", "RegionId", region, "LoadBalancerId", "LB", "ModificationProtectionStatus", "ConsoleProtection", "ModificationProtectionReason", "1st"),
		row("page size", invalidError("PageSize"), "DescribeLoadBalancers", "RegionId", region, "PageSize", "101"),
		row("page number", invalidError("PageNumber"), "DescribeLoadBalancers", "RegionId", region, "PageNumber", "0"),
		row("eleven ids", invalidError("LoadBalancerId"), "DescribeLoadBalancers", "RegionId", region, "LoadBalancerId", "a,b,c,d,e,f,g,h,i,j,k"),
		row("address of a server", invalidError("ServerIntranetAddress"), "DescribeLoadBalancers", "RegionId", region, "ServerIntranetAddress", "ten"),
		row("tags no JSON", invalidError("Tags"), "DescribeLoadBalancers", "RegionId", region, "Tags", "x"),
		row("delete protection", invalidError("DeleteProtection"), "SetLoadBalancerDeleteProtection", "RegionId", region, "LoadBalancerId", "LB", "DeleteProtection", "maybe"),
		row("no name", missingError("LoadBalancerName"), "SetLoadBalancerName", "LoadBalancerId", "LB"),
		row("name with space", invalidError("LoadBalancerName"), "SetLoadBalancerName", "LoadBalancerId", "LB", "LoadBalancerName", "a b"),
		row("long name", invalidError("LoadBalancerName"), "SetLoadBalancerName", "LoadBalancerId", "LB", "LoadBalancerName", strings.Repeat("x", 81)),
		row("status", invalidError("LoadBalancerStatus"), "SetLoadBalancerStatus", "LoadBalancerId", "LB", "LoadBalancerStatus", "locked"),

		row("no server id", missingError("ServerId"), "RegisterServer", "Address.1", "10.9.9.9"),
		row("server id", invalidError("ServerId"), "RegisterServer", "ServerId", "a/b", "Address.1", "10.9.9.9"),
		row("no address", missingError("Address.1"), "RegisterServer", "ServerId", "i-new"),
		row("address", invalidError("Address.1"), "RegisterServer", "ServerId", "i-new", "Address.1", "here"),
		row("unspecified address", invalidError("Address"), "RegisterServer", "ServerId", "i-new", "Address.1", "0.0.0.0"),
		row("other values", slb.ErrServerExists, "RegisterServer", "ServerId", "i-1", "Address.1", "10.9.9.9"),
		row("unknown server", slb.ErrServerNotFound, "ModifyServer", "ServerId", "i-none", "Address.1", "10.9.9.9"),
		row("unknown server", slb.ErrServerNotFound, "SetServerStatus", "ServerId", "i-none", "Status", "Stopped"),
		row("status", invalidError("Status"), "SetServerStatus", "ServerId", "i-1", "Status", "asleep"),
		row("unknown server", slb.ErrServerNotFound, "DeregisterServer", "ServerId", "i-none"),
		row("attached", slb.ErrServerAttached.With("i-1", 1), "DeregisterServer", "ServerId", "i-1"),
		row("unknown instance", slb.ErrLoadBalancerNotFound, "DescribeServers", "LoadBalancerId", "lb-none"),
		row("unknown key", slb.ErrAccessKeyUnknown, "UpdateAccessKey", "UserAccessKeyId", "none", "Status", "Active"),
		row("unknown key", slb.ErrAccessKeyUnknown, "DeleteAccessKey", "UserAccessKeyId", "none"),
		row("key status", invalidError("Status"), "UpdateAccessKey", "UserAccessKeyId", "key1", "Status", "on"),
		row("last key", slb.ErrLastAccessKey, "UpdateAccessKey", "UserAccessKeyId", "key1", "Status", "Inactive"),
		row("last key", slb.ErrLastAccessKey, "DeleteAccessKey", "UserAccessKeyId", "key1"),
		row("no vSwitch", missingError("VSwitchId"), "DescribeVSwitchAttributes"),
	}
	for _, v := range []struct {
		name, value string
		want        *slb.Error
	}{
		{"Address", "10.1.1.1", slb.ErrAddressNotInSubnet},
		{"Address", "127.1.0.1", slb.ErrAddressTaken},
		{"Address", "127.1.0.0", slb.ErrAddressNotInSubnet},
		{"Address", "nowhere", invalidError("Address")},
		{"AddressIPVersion", "ipv5", invalidError("AddressIPVersion")},
		{"AddressIPVersion", "ipv6", slb.ErrNoAddress},
		{"AddressType", "public", invalidError("AddressType")},
		{"AutoPay", "maybe", invalidError("AutoPay")},
		{"Bandwidth", "0", slb.ErrBandwidth},
		{"Bandwidth", "5121", slb.ErrBandwidth},
		{"Bandwidth", "lots", slb.ErrBandwidth},
		{"ClientToken", strings.Repeat("x", 65), invalidError("ClientToken")},
		{"DeleteProtection", "yes", invalidError("DeleteProtection")},
		{"Duration", "0", invalidError("Duration")},
		{"InstanceChargeType", "Free", invalidError("InstanceChargeType")},
		{"InternetChargeType", "free", invalidError("InternetChargeType")},
		{"LoadBalancerName", "1st", invalidError("LoadBalancerName")},
		{"LoadBalancerName", strings.Repeat("x", 81), invalidError("LoadBalancerName")},
		{"LoadBalancerSpec", "huge", invalidError("LoadBalancerSpec")},
		{"ModificationProtectionStatus", "x", invalidError("ModificationProtectionStatus")},
		{"PayType", "Later", invalidError("PayType")},
		{"PayType", "PrePay", slb.ErrPrepayInternetTraffic},
		{"PricingCycle", "day", invalidError("PricingCycle")},
		{"Tag.1.Key", "aliyun.x", invalidError("Tag")},
		{"Tag.1.Key", "acs:x", invalidError("Tag")},
		{"Tag.1.Key", "see-http://x", invalidError("Tag")},
		{"Tag.1.Key", strings.Repeat("k", 65), invalidError("Tag")},
		{"Tag.1.Value", "without key", invalidError("Tag")},
	} {
		out = append(out, row(v.name+"="+v.value, v.want, "CreateLoadBalancer", "RegionId", region, v.name, v.value))
	}
	out = append(out, row("prepaid intranet", slb.ErrPrepayIntranetCharge, "CreateLoadBalancer", "RegionId", region,
		"AddressType", "intranet", "PayType", "PrePay", "InternetChargeType", "paybybandwidth"))
	return append(out, wrongBackends()...)
}()

func wrongBackends() []wrong {
	var out []wrong
	many := "[" + strings.TrimSuffix(strings.Repeat(`{"ServerId":"i-3"},`, 21), ",") + "]"
	for _, action := range []string{"AddBackendServers", "SetBackendServers", "RemoveBackendServers"} {
		out = append(out,
			row("no instance", missingError("LoadBalancerId"), action, "BackendServers", "[]"),
			row("unknown instance", slb.ErrLoadBalancerNotFound, action, "LoadBalancerId", "lb-none", "BackendServers", `["i-3"]`),
			row("21 servers", slb.ErrTooManyServers, action, "LoadBalancerId", "LB", "BackendServers", many),
		)
		for _, v := range []struct {
			text string
			want *slb.Error
		}{
			{`nonsense`, slb.ErrBackendServers},
			{`[{"ServerId":"i-3"`, slb.ErrBackendServers},
			{`{"ServerId":"i-3"}`, slb.ErrBackendServers},
			{`[[]]`, slb.ErrBackendServers},
			{`[{"Weight":1}]`, slb.ErrServerIDEmpty},
			{`[{"ServerId":""}]`, slb.ErrServerIDEmpty},
			{`[{"ServerId":"i-3","Weight":"101"}]`, slb.ErrWeight},
			{`[{"ServerId":"i-3","Weight":-1}]`, slb.ErrWeight},
			{`[{"ServerId":"i-3","Weight":"heavy"}]`, slb.ErrWeight},
			{`[{"ServerId":"i-3","Weight":1.5}]`, slb.ErrWeight},
			{`[{"ServerId":"i-3","Type":"vm"}]`, slb.ErrServerType},
			{`[{"ServerId":"i-3","ServerIp":"ten"}]`, slb.ErrBackendServers},
			{`[{"ServerId":"i-3","Description":"two words"}]`, slb.ErrBackendServers},
		} {
			out = append(out, row(v.text, v.want, action, "LoadBalancerId", "LB", "BackendServers", v.text))
		}
	}
	add := func(text string, want *slb.Error) {
		out = append(out, row(text, want, "AddBackendServers", "LoadBalancerId", "LB", "BackendServers", text))
	}
	out = append(out,
		row("absent", missingError("BackendServers"), "AddBackendServers", "LoadBalancerId", "LB"),
		row("absent", missingError("BackendServers"), "RemoveBackendServers", "LoadBalancerId", "LB"))
	add(`[{"ServerId":"i-none"}]`, slb.ErrServerNotRunning)
	add(`[{"ServerId":"i-stop"}]`, slb.ErrServerNotRunning)
	// One bad entry spoils the whole call.
	add(`[{"ServerId":"i-3"},{"ServerId":"i-none"}]`, slb.ErrServerNotRunning)
	add(`[{"ServerId":"i-3","ServerIp":"10.66.0.1"}]`, slb.ErrServerNotRunning)
	add(`[{"ServerId":"eni-1","Type":"eni"}]`, slb.ErrServerNotRunning)
	add(`[{"ServerId":"i-x/y","Type":"eni","ServerIp":"10.66.0.1"}]`, slb.ErrServerNotRunning)
	// No host has such an address, and a dial of 0.0.0.0 would end at the node itself.
	for _, ip := range []string{"0.0.0.0", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"} {
		add(`[{"ServerId":"eni-1","Type":"eni","ServerIp":"`+ip+`"}]`, slb.ErrServerNotRunning)
	}
	add(`[{"ServerId":"i-v6"}]`, slb.ErrNetworkType)
	return append(out, row("not in the group", slb.ErrServerNotFound, "SetBackendServers",
		"LoadBalancerId", "LB", "BackendServers", `[{"ServerId":"i-1","Weight":1},{"ServerId":"i-3","Weight":1}]`))
}

// wrongWorld is the world that the rows speak of.
func wrongWorld(t *testing.T) (*world, string) {
	w := newWorld(t)
	lb := withListeners(w)
	w.ok("RegisterServer", "ServerId", "i-stop", "Address.1", "10.0.1.1", "Status", "Stopped")
	w.ok("RegisterServer", "ServerId", "i-v6", "Address.1", "fd00::1")
	w.ok("CreateAccessKey")
	w.acl("office", "10.0.0.0/8", "192.168.1.1")
	w.acl("office6-v6")
	w.udp(lb, "53")
	return w, lb
}

func TestWrongValues(t *testing.T) {
	w, lb := wrongWorld(t)
	for _, r := range append(wrongs, wrongListeners()...) {
		t.Run(r.action+"/"+r.name, func(t *testing.T) {
			p := make(params, len(r.params))
			for i, v := range r.params {
				p[i] = w.fill(v, lb)
			}
			w.t = t
			w.fails(r.want, r.action, p...)
		})
	}
}
