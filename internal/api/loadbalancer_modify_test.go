package api

import (
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

func withLog(w *world) string {
	lb := oneBalancer(w)
	w.ok("SetAccessLogsDownloadAttribute", "RegionId", "cn-hangzhou", "LogsDownloadAttributes", `[{"LogProject":"web-logs","LogStore":"slb","LoadBalancerId":"`+lb+`"}]`)
	return lb
}

func withMonitor(w *world) string {
	w.ok("EnableHighDefinationMonitor", "RegionId", "cn-hangzhou", "LogProject", "web-logs", "LogStore", "slb")
	return ""
}

func init() {
	const region = "cn-hangzhou"
	byBandwidth := func(w *world) string { return w.create("InternetChargeType", "paybybandwidth", "Bandwidth", "10") }
	goldens = append(goldens,
		golden{"ModifyLoadBalancerInstanceSpec", oneBalancer, []params{{"RegionId", region, "LoadBalancerId", "LB", "LoadBalancerSpec", "slb.s2.small", "AutoPay", "true"}}},
		golden{"ModifyLoadBalancerInstanceChargeType", oneBalancer, []params{{"RegionId", region, "LoadBalancerId", "LB", "InstanceChargeType", "PayByCLCU", "InternetChargeType", "paybytraffic"}}},
		golden{"ModifyLoadBalancerInternetSpec", oneBalancer, []params{{"RegionId", region, "LoadBalancerId", "LB", "InternetChargeType", "PayByBandwidth", "Bandwidth", "20"}}},
		golden{"ModifyLoadBalancerPayType", byBandwidth, []params{{"RegionId", region, "LoadBalancerId", "LB", "PayType", "PrePay", "Duration", "1", "PricingCycle", "month"}, {"RegionId", region, "LoadBalancerId", "LB"}}},
		golden{"MoveResourceGroup", oneBalancer, []params{{"RegionId", region, "ResourceType", "loadbalancer", "ResourceId", "LB", "NewResourceGroupId", "rg-2"}}},
		golden{"DescribeAvailableResource", nil, []params{{"RegionId", region}, {"RegionId", region, "AddressType", "classic-internet", "AddressIPVersion", "ipv4"}}},
		golden{"SetAccessLogsDownloadAttribute", oneBalancer, []params{{"RegionId", region, "LogsDownloadAttributes", `[{"logProject":"web-logs","LogStore":"slb","LoadBalancerId":"$LB"}]`}}},
		golden{"DeleteAccessLogsDownloadAttribute", withLog, []params{{"RegionId", region, "LogsDownloadAttributes", `[{"LogProject":"web-logs","LogStore":"slb","LoadBalancerId":"$LB"}]`}}},
		golden{"DescribeAccessLogsDownloadAttribute", withLog, []params{{"RegionId", region, "LogType", "layer7"}, {"RegionId", region, "LoadBalancerId", "lb-none"}}},
		golden{"EnableHighDefinationMonitor", nil, []params{{"RegionId", region, "LogProject", "web-logs", "LogStore", "slb"}}},
		golden{"ModifyHighDefinationMonitor", withMonitor, []params{{"RegionId", region, "LogProject", "other-logs", "LogStore", "slb_2"}}},
		golden{"DescribeHighDefinationMonitor", withMonitor, []params{{"RegionId", region}}},
	)
	wrongs = append(wrongs,
		row("spec", invalidError("LoadBalancerSpec"), "ModifyLoadBalancerInstanceSpec", "LoadBalancerId", "LB", "LoadBalancerSpec", "huge"),
		row("no spec", missingError("LoadBalancerSpec"), "ModifyLoadBalancerInstanceSpec", "LoadBalancerId", "LB"),
		row("type", invalidError("InstanceChargeType"), "ModifyLoadBalancerInstanceChargeType", "RegionId", region, "LoadBalancerId", "LB", "InstanceChargeType", "Free"),
		row("by bandwidth", invalidError("InternetChargeType"), "ModifyLoadBalancerInstanceChargeType", "RegionId", region, "LoadBalancerId", "LB", "InstanceChargeType", "PayByCLCU", "InternetChargeType", "paybybandwidth"),
		row("back without spec", missingError("LoadBalancerSpec"), "ModifyLoadBalancerInstanceChargeType", "RegionId", region, "LoadBalancerId", "LB", "InstanceChargeType", "PayBySpec"),
		row("bandwidth", slb.ErrBandwidth, "ModifyLoadBalancerInternetSpec", "LoadBalancerId", "LB", "Bandwidth", "5121"),
		row("no bandwidth", missingError("Bandwidth"), "ModifyLoadBalancerInternetSpec", "LoadBalancerId", "LB", "InternetChargeType", "paybybandwidth"),
		row("charge type", invalidError("InternetChargeType"), "ModifyLoadBalancerInternetSpec", "LoadBalancerId", "LB", "InternetChargeType", "free"),
		row("pay type", invalidError("PayType"), "ModifyLoadBalancerPayType", "RegionId", region, "LoadBalancerId", "LB", "PayType", "Later"),
		row("to what it is", slb.ErrOnlyToPrepay, "ModifyLoadBalancerPayType", "RegionId", region, "LoadBalancerId", "LB"),
		row("by traffic", slb.ErrTrafficToPrepay, "ModifyLoadBalancerPayType", "RegionId", region, "LoadBalancerId", "LB", "PayType", "PrePay"),
		row("cycle", invalidError("PricingCycle"), "ModifyLoadBalancerPayType", "RegionId", region, "LoadBalancerId", "LB", "PricingCycle", "day"),
		row("type", invalidError("ResourceType"), "MoveResourceGroup", "RegionId", region, "ResourceType", "instance", "ResourceId", "LB", "NewResourceGroupId", "rg-2"),
		row("no group", missingError("NewResourceGroupId"), "MoveResourceGroup", "RegionId", region, "ResourceType", "loadbalancer", "ResourceId", "LB"),
		row("unknown", slb.ErrLoadBalancerNotFound, "MoveResourceGroup", "RegionId", region, "ResourceType", "loadbalancer", "ResourceId", "lb-none", "NewResourceGroupId", "rg-2"),
		row("unknown", slb.ErrACLNotFound, "MoveResourceGroup", "RegionId", region, "ResourceType", "acl", "ResourceId", "acl-none", "NewResourceGroupId", "rg-2"),
		row("unknown", slb.ErrTaggedNotFound, "MoveResourceGroup", "RegionId", region, "ResourceType", "certificate", "ResourceId", "none", "NewResourceGroupId", "rg-2"),
		row("type", invalidError("AddressType"), "DescribeAvailableResource", "RegionId", region, "AddressType", "internet"),
		row("other region", slb.ErrRegionNotFound, "DescribeAvailableResource", "RegionId", "mars"),
		row("no JSON", invalidError("LogsDownloadAttributes"), "SetAccessLogsDownloadAttribute", "RegionId", region, "LogsDownloadAttributes", "web"),
		row("no project", missingError("LogProject"), "SetAccessLogsDownloadAttribute", "RegionId", region, "LogsDownloadAttributes", `[{"LogStore":"s","LoadBalancerId":"$LB"}]`),
		row("no store", missingError("LogStore"), "SetAccessLogsDownloadAttribute", "RegionId", region, "LogsDownloadAttributes", `[{"LogProject":"p","LoadBalancerId":"$LB"}]`),
		row("no instance", missingError("LoadBalancerId"), "SetAccessLogsDownloadAttribute", "RegionId", region, "LogsDownloadAttributes", `[{"LogProject":"p","LogStore":"s"}]`),
		row("one unknown", slb.ErrLoadBalancerNotFound, "SetAccessLogsDownloadAttribute", "RegionId", region, "LogsDownloadAttributes", `[{"LogProject":"p","LogStore":"s","LoadBalancerId":"$LB"},{"LogProject":"p","LogStore":"s","LoadBalancerId":"lb-none"}]`),
		row("unknown", slb.ErrLoadBalancerNotFound, "DeleteAccessLogsDownloadAttribute", "RegionId", region, "LogsDownloadAttributes", `[{"LoadBalancerId":"lb-none"}]`),
		row("log type", invalidError("LogType"), "DescribeAccessLogsDownloadAttribute", "RegionId", region, "LogType", "layer4"),
		row("off", slb.ErrMonitorOff, "ModifyHighDefinationMonitor", "RegionId", region, "LogProject", "project", "LogStore", "store"),
		row("short project", invalidError("LogProject"), "EnableHighDefinationMonitor", "RegionId", region, "LogProject", "abc", "LogStore", "store"),
		row("project", invalidError("LogProject"), "EnableHighDefinationMonitor", "RegionId", region, "LogProject", "-project", "LogStore", "store"),
		row("store", invalidError("LogStore"), "EnableHighDefinationMonitor", "RegionId", region, "LogProject", "project", "LogStore", "Store"),
	)
	for _, action := range []string{"ModifyLoadBalancerInstanceSpec", "ModifyLoadBalancerInstanceChargeType", "ModifyLoadBalancerInternetSpec", "ModifyLoadBalancerPayType"} {
		wrongs = append(wrongs, row("unknown", slb.ErrLoadBalancerNotFound, action, "RegionId", region, "LoadBalancerId", "lb-none", "LoadBalancerSpec", "slb.s1.small", "InstanceChargeType", "PayByCLCU", "PayType", "PrePay"))
	}
}

// TestModify follows an instance through the commercial actions.
func TestModify(t *testing.T) {
	w := newWorld(t)
	lb := w.create("LoadBalancerSpec", "slb.s2.small")
	p := func(more ...string) params {
		return append(params{"RegionId", "cn-hangzhou", "LoadBalancerId", lb}, more...)
	}
	check := func(name string, want any) {
		t.Helper()
		if got := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb)[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	w.ok("ModifyLoadBalancerInstanceSpec", p("LoadBalancerSpec", "slb.s1.small")...)
	check("LoadBalancerSpec", "slb.s1.small")
	// The controller sends a specification along.
	w.ok("ModifyLoadBalancerInstanceChargeType", p("InstanceChargeType", "PayByCLCU", "LoadBalancerSpec", "slb.s1.small")...)
	check("InstanceChargeType", "PayByCLCU")
	w.fails(invalidError("InternetChargeType"), "ModifyLoadBalancerInternetSpec", p("InternetChargeType", "paybybandwidth", "Bandwidth", "5")...)
	w.ok("ModifyLoadBalancerInstanceChargeType", p("InstanceChargeType", "PayBySpec")...)
	check("InstanceChargeType", "PayBySpec")
	// Quirk 21: Terraform spells it in capitals.
	w.ok("ModifyLoadBalancerInternetSpec", p("InternetChargeType", "PayByBandwidth", "Bandwidth", "10")...)
	check("InternetChargeType", "paybybandwidth")
	check("Bandwidth", 10.0)
	w.tcp(lb, 80, "Bandwidth", "8")
	w.fails(slb.ErrBandwidthExceeded, "ModifyLoadBalancerInternetSpec", p("Bandwidth", "7")...)
	w.ok("ModifyLoadBalancerPayType", p("PayType", "PrePay", "Duration", "9", "PricingCycle", "month")...)
	check("PayType", "PrePay")
	w.ok("ModifyLoadBalancerPayType", p("PayType", "PrePay")...)
	w.fails(slb.ErrOnlyToPrepay, "ModifyLoadBalancerPayType", p("PayType", "PayOnDemand")...)
	w.fails(slb.ErrBandwidthNotRaised, "ModifyLoadBalancerInternetSpec", p("Bandwidth", "9")...)
	w.fails(slb.ErrPrepayChargeType, "ModifyLoadBalancerInternetSpec", p("InternetChargeType", "paybytraffic")...)
	w.ok("ModifyLoadBalancerInternetSpec", p("Bandwidth", "20")...)
	w.ok("ModifyLoadBalancerInstanceSpec", p("LoadBalancerSpec", "slb.s3.large")...)
	w.fails(slb.ErrSpecNotRaised, "ModifyLoadBalancerInstanceSpec", p("LoadBalancerSpec", "slb.s3.medium")...)
	w.ok("ModifyLoadBalancerInstanceSpec", p("LoadBalancerSpec", "slb.s9.giant")...)
	inner := w.create("AddressType", "intranet")
	w.fails(slb.ErrIntranetBandwidth, "ModifyLoadBalancerInternetSpec", "LoadBalancerId", inner, "InternetChargeType", "paybybandwidth", "Bandwidth", "5")
	w.ok("ModifyLoadBalancerPayType", "RegionId", "cn-hangzhou", "LoadBalancerId", inner, "PayType", "PrePay")
}

// TestQuirk38ChargeTypeAfterChange: a digit in the list, a word elsewhere.
func TestQuirk38ChargeTypeAfterChange(t *testing.T) {
	w := newWorld(t)
	lb := w.create()
	for _, c := range []struct{ word, digit string }{{"paybybandwidth", "3"}, {"paybytraffic", "4"}} {
		w.ok("ModifyLoadBalancerInternetSpec", "LoadBalancerId", lb, "InternetChargeType", c.word, "Bandwidth", "5")
		l := w.ok("DescribeLoadBalancers", "RegionId", "cn-hangzhou")
		if l.text(t, "LoadBalancers", "LoadBalancer", 0, "InternetChargeType") != c.digit || l.text(t, "LoadBalancers", "LoadBalancer", 0, "InternetChargeTypeAlias") != c.word {
			t.Error(l)
		}
	}
}

// TestQuirk49AutoPay: it has no effect, whatever its default.
func TestQuirk49AutoPay(t *testing.T) {
	w := newWorld(t)
	lb := w.create()
	for _, pay := range []string{"true", "false", ""} {
		w.ok("ModifyLoadBalancerInternetSpec", "LoadBalancerId", lb, "Bandwidth", "7", "AutoPay", pay)
	}
}

// TestQuirk35MoveResourceGroup: one thing under two names; and every type moves.
func TestQuirk35MoveResourceGroup(t *testing.T) {
	w := newWorld(t)
	lb, acl := w.create(), w.acl("office")
	for _, c := range []struct{ kind, id string }{{"loadbalancer", lb}, {"acl", acl}} {
		w.ok("MoveResourceGroup", "RegionId", "cn-hangzhou", "ResourceType", c.kind, "ResourceId", c.id, "NewResourceGroupId", "rg-new", "access_key_id", "x")
	}
	if a := w.ok("DescribeLoadBalancerAttribute", "LoadBalancerId", lb); a["ResourceGroupId"] != "rg-new" {
		t.Error(a)
	}
	if a := w.ok("DescribeAccessControlLists", "RegionId", "cn-hangzhou", "ResourceGroupId", "rg-new"); a.at(t, "TotalCount") != 1.0 {
		t.Error(a)
	}
}

// TestQuirk97AddressType: hyphen or underscore.
func TestQuirk97AddressType(t *testing.T) {
	for _, zones := range [][]string{{"a"}, {"a", "b", "c"}} {
		w := newWorld(t, func(c *Config) { c.Zones = zones })
		for _, name := range []string{"classic_internet", "classic-internet", "Classic-Intranet", "vpc"} {
			for _, version := range []string{"ipv4", "ipv6"} {
				a := w.ok("DescribeAvailableResource", "RegionId", "cn-hangzhou", "AddressType", name, "AddressIPVersion", version)
				list := a.at(t, "AvailableResources", "AvailableResource").([]any)
				if want := max(1, len(zones)*(len(zones)-1)); len(list) != want {
					t.Errorf("%d pairs of %d zones", len(list), len(zones))
				}
				support := answer(list[0].(map[string]any)).at(t, "SupportResources", "SupportResource").([]any)
				if len(support) != 1 || support[0].(map[string]any)["AddressIPVersion"] != version {
					t.Error(support)
				}
			}
		}
	}
}

// TestQuirk3And98AccessLogs: keys in either case, and the newest fields alone.
func TestQuirk3And98AccessLogs(t *testing.T) {
	w := newWorld(t)
	lb, other := w.create("Tag.1.Key", "team"), w.create()
	w.ok("SetAccessLogsDownloadAttribute", "RegionId", "cn-hangzhou", "LogsDownloadAttributes",
		`[{'logProject':'p1','logStore':'s1','loadBalancerId':'`+lb+`'},{"LogProject":"p2","LogStore":"s2"}]`, "LoadBalancerId", other)
	a := w.ok("DescribeAccessLogsDownloadAttribute", "RegionId", "cn-hangzhou", "LoadBalancerId", lb)
	log := a.at(t, "LogsDownloadAttributes", "LogsDownloadAttribute", 0).(map[string]any)
	if log["LogProject"] != "p1" || log["LogStore"] != "s1" || log["LogType"] != "layer7" || log["Region"] != "cn-hangzhou" || len(log) != 5 {
		t.Error(log)
	}
	for _, c := range []struct {
		p    params
		want float64
	}{{nil, 2}, {params{"Tags", `[{"tagKey":"team"}]`}, 1}, {params{"PageSize", "1", "PageNumber", "2"}, 2}} {
		if a := w.ok("DescribeAccessLogsDownloadAttribute", append(params{"RegionId", "cn-hangzhou"}, c.p...)...); a.at(t, "TotalCount") != c.want {
			t.Errorf("%v: %v", c.p, a)
		}
	}
	w.ok("DeleteAccessLogsDownloadAttribute", "RegionId", "cn-hangzhou", "LogsDownloadAttributes", `[{"LoadBalancerId":"`+lb+`"}]`)
	if a := w.ok("DescribeAccessLogsDownloadAttribute", "RegionId", "cn-hangzhou", "LoadBalancerId", lb); a.at(t, "TotalCount") != 0.0 {
		t.Error(a)
	}
}

// TestQuirk27Monitor: misspelt for ever.
func TestQuirk27Monitor(t *testing.T) {
	w := newWorld(t)
	show := func() string {
		a := w.ok("DescribeHighDefinationMonitor", "RegionId", "cn-hangzhou")
		return a.text(t, "LogProject") + "/" + a.text(t, "LogStore") + " " + a.text(t, "Success")
	}
	if got := show(); got != "/ true" {
		t.Error(got)
	}
	w.ok("EnableHighDefinationMonitor", "RegionId", "cn-hangzhou", "LogProject", "web-logs", "LogStore", "slb_1")
	w.ok("ModifyHighDefinationMonitor", "RegionId", "cn-hangzhou", "LogProject", "other", "LogStore", "s2")
	if got := show(); got != "other/s2 true" {
		t.Error(got)
	}
}
