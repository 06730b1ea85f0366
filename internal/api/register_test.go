package api

import (
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

func TestRegister(t *testing.T) {
	w := newWorld(t)
	register := []string{"ServerId", "i-1", "Address.1", "10.0.0.1", "ServerName", "one", "Tag.1.Key", "a", "Tag.1.Value", "b"}
	w.ok("RegisterServer", register...)
	before := w.store.State().Revision
	w.ok("RegisterServer", register...)
	if w.store.State().Revision != before {
		t.Error("the same again wrote something")
	}
	a := w.ok("ModifyServer", "ServerId", "i-1", "ServerName", "uno")
	if a.text(t, "ServerName") != "uno" || a.text(t, "Addresses", "Address", 0) != "10.0.0.1" || a.text(t, "Tags", "Tag", 0, "TagValue") != "b" {
		t.Error(a)
	}
	a = w.ok("ModifyServer", "ServerId", "i-1", "Address.1", "10.0.0.2", "Address.2", "10.0.0.3", "ServerName", "")
	if len(a.at(t, "Addresses", "Address").([]any)) != 2 || a.text(t, "ServerName") != "" {
		t.Error(a)
	}
	w.fails(invalidError("Address"), "ModifyServer", "ServerId", "i-1", "Address.1", "10.0.0.2", "Address.2", "10.0.0.2")
	w.ok("SetServerStatus", "ServerId", "i-1", "Status", "stopped")
	w.ok("DeregisterServer", "ServerId", "i-1")
	w.fails(slb.ErrServerNotFound, "DeregisterServer", "ServerId", "i-1")
}

func TestDeregisterAttached(t *testing.T) {
	w := newWorld(t)
	w.servers(2)
	one, two := w.create(), w.create()
	w.add(one, `["i-1","i-2"]`)
	w.add(two, `["i-1"]`)
	w.fails(slb.ErrServerAttached.With("i-1", 2), "DeregisterServer", "ServerId", "i-1")
	w.ok("DeregisterServer", "ServerId", "i-1", "Force", "true")
	if w.group(one) != "i-2=100" || w.group(two) != "" {
		t.Error(w.group(one), w.group(two))
	}
}

func TestDescribeServersFilters(t *testing.T) {
	w := newWorld(t)
	w.ok("RegisterServer", "ServerId", "i-1", "Address.1", "10.0.0.1", "ServerName", "one", "ZoneId", "z1", "Tag.1.Key", "a")
	w.ok("RegisterServer", "ServerId", "i-2", "Address.1", "10.0.0.2", "Address.2", "10.0.0.1", "VpcId", "vpc-1")
	w.ok("RegisterServer", "ServerId", "i-3", "Address.1", "10.0.0.3", "Status", "Stopped")
	lb := oneBalancer(w)
	w.add(lb, `["i-2"]`)
	for _, c := range []struct{ filter, want string }{
		{"", "i-1 i-2 i-3"},
		{"ServerId=i-3,i-1,i-9", "i-1 i-3"},
		{"ServerName=one", "i-1"},
		{"Address=10.0.0.1", "i-1 i-2"},
		{"Status=Stopped", "i-3"},
		{"ZoneId=z1", "i-1"},
		{"VpcId=vpc-1", "i-2"},
		{"LoadBalancerId=" + lb, "i-2"},
		{"Tag.1.Key=a", "i-1"},
		{"PageSize=2&PageNumber=2", "i-3"},
		{"Status=Stopped&ZoneId=z1", ""},
	} {
		var p []string
		for pair := range strings.SplitSeq(c.filter, "&") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				p = append(p, name, value)
			}
		}
		a := w.ok("DescribeServers", p...)
		var got []string
		for i := range a.at(t, "Servers", "Server").([]any) {
			got = append(got, a.text(t, "Servers", "Server", i, "ServerId"))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", c.filter, s, c.want)
		}
	}
	// The view of another product, by token.
	a := w.ok("DescribeInstances", "MaxResults", "2")
	token := a.text(t, "NextToken")
	if token == "" || len(a.at(t, "Instances", "Instance").([]any)) != 2 {
		t.Error(a)
	}
	a = w.ok("DescribeInstances", "MaxResults", "2", "NextToken", token)
	if a.text(t, "NextToken") != "" || a.text(t, "Instances", "Instance", 0, "InstanceId") != "i-3" {
		t.Error(a)
	}
	a = w.ok("DescribeInstances", "PrivateIpAddresses", `["10.0.0.1"]`, "VpcId", "vpc-1")
	if a.at(t, "TotalCount") != 1.0 || a.text(t, "Instances", "Instance", 0, "VpcAttributes", "PrivateIpAddress", "IpAddress", 1) != "10.0.0.1" {
		t.Error(a)
	}
}

func TestLastEnabledKeyStays(t *testing.T) {
	w := newWorld(t)
	w.ok("CreateAccessKey")
	w.ok("CreateAccessKey")
	w.ok("UpdateAccessKey", "UserAccessKeyId", "key1", "Status", "Inactive")
	w.fails(slb.ErrLastAccessKey, "DeleteAccessKey", "UserAccessKeyId", "key2")
	w.ok("UpdateAccessKey", "UserAccessKeyId", "key1", "Status", "Inactive")
	w.ok("DeleteAccessKey", "UserAccessKeyId", "key1")
	w.ok("UpdateAccessKey", "UserAccessKeyId", "key2", "Status", "Active")
	a := w.ok("ListAccessKeys")
	if len(a.at(t, "AccessKeys", "AccessKey").([]any)) != 1 || strings.Contains(strings.ToLower(strings.Join(keysOf(a), " ")), "secret") {
		t.Error(a)
	}
}

func keysOf(a answer) []string {
	var out []string
	for _, k := range a["AccessKeys"].(map[string]any)["AccessKey"].([]any) {
		for name := range k.(map[string]any) {
			out = append(out, name)
		}
	}
	return out
}
