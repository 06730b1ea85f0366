package api

import (
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// wrongGroups are the rows about server groups. The world is that of withGroups.
func wrongGroups() []wrong {
	group := func(more ...string) params {
		return append(params{"RegionId", testRegion, "VServerGroupId", "$VGROUP"}, more...)
	}
	of := func(more ...string) params {
		return append(params{"RegionId", testRegion, "LoadBalancerId", "LB"}, more...)
	}
	var out []wrong
	many := "[" + strings.Repeat(`{"ServerId":"i-1","Port":80},`, 40) + `{"ServerId":"i-1","Port":80}]`
	lists := []struct {
		text string
		want *slb.Error
	}{
		{`nonsense`, slb.ErrBackendServersMalformed},
		{`[{"ServerId":"i-3","Port":80`, slb.ErrBackendServersMalformed},
		{`{"ServerId":"i-3","Port":80}`, slb.ErrBackendServersMalformed},
		{`["i-3"]`, slb.ErrBackendServersMalformed},
		{`[{"ServerId":"i-3"}]`, slb.ErrBackendServersMalformed},
		{`[{"Port":80}]`, slb.ErrBackendServersMalformed},
		{`[{"ServerId":"","Port":80}]`, slb.ErrBackendServersMalformed},
		{`[{"ServerId":"i-3","Port":0}]`, slb.ErrGroupServerPort},
		{`[{"ServerId":"i-3","Port":"65536"}]`, slb.ErrGroupServerPort},
		{`[{"ServerId":"i-3","Port":"http"}]`, slb.ErrGroupServerPort},
		{`[{"ServerId":"i-3","Port":80,"Weight":101}]`, slb.ErrWeight},
		{`[{"ServerId":"i-3","Port":80,"Weight":"-1"}]`, slb.ErrWeight},
		{`[{"ServerId":"i-3","Port":80,"Type":"vm"}]`, slb.ErrServerType},
		{`[{"ServerId":"i-3","Port":80,"ServerIp":"ten"}]`, slb.ErrBackendServersMalformed},
		{`[{"ServerId":"i-3","Port":80,"Description":"two words"}]`, slb.ErrBackendServersMalformed},
		{many, slb.ErrTooManyGroupServers.With(40)},
	}
	unusable := []struct {
		text string
		want *slb.Error
	}{
		{`[{"ServerId":"i-none","Port":80}]`, slb.ErrServerNotRunning},
		{`[{"ServerId":"eni-1","Type":"eni","ServerIp":"0.0.0.0","Port":80}]`, slb.ErrServerNotRunning},
		{`[{"ServerId":"eni-1","Type":"eni","ServerIp":"255.255.255.255","Port":80}]`, slb.ErrServerNotRunning},
		{`[{"ServerId":"i-3","Port":80},{"ServerId":"i-stop","Port":80}]`, slb.ErrServerNotRunning},
		{`[{"ServerId":"i-3","Port":80,"ServerIp":"10.66.0.1"}]`, slb.ErrServerNotRunning},
		{`[{"ServerId":"i-v6","Port":80}]`, slb.ErrNetworkType},
	}
	for _, v := range lists {
		name := v.text[:min(len(v.text), 60)]
		for _, action := range []string{"SetVServerGroupAttribute", "AddVServerGroupBackendServers", "RemoveVServerGroupBackendServers"} {
			out = append(out, wrong{name, action, group("BackendServers", v.text), v.want})
		}
		out = append(out,
			wrong{name, "CreateVServerGroup", of("BackendServers", v.text), v.want},
			wrong{"old " + name, "ModifyVServerGroupBackendServers", group("OldBackendServers", v.text), v.want},
			wrong{"new " + name, "ModifyVServerGroupBackendServers", group("NewBackendServers", v.text), v.want})
	}
	for _, v := range unusable {
		out = append(out,
			wrong{v.text, "AddVServerGroupBackendServers", group("BackendServers", v.text), v.want},
			wrong{v.text, "CreateVServerGroup", of("BackendServers", v.text), v.want},
			wrong{v.text, "ModifyVServerGroupBackendServers", group("NewBackendServers", v.text), v.want})
	}
	for _, action := range []string{"SetVServerGroupAttribute", "DeleteVServerGroup", "DescribeVServerGroupAttribute",
		"AddVServerGroupBackendServers", "RemoveVServerGroupBackendServers", "ModifyVServerGroupBackendServers"} {
		out = append(out,
			row("no region", missingError("RegionId"), action, "VServerGroupId", "$VGROUP", "BackendServers", "[]"),
			row("other region", slb.ErrRegionNotFound, action, "RegionId", "mars", "VServerGroupId", "$VGROUP", "BackendServers", "[]"),
			row("no group", missingError("VServerGroupId"), action, "RegionId", testRegion),
			row("unknown group", slb.ErrVServerGroup, action, "RegionId", testRegion, "VServerGroupId", "rsp-none", "BackendServers", "[]"),
			row("a pair", slb.ErrVServerGroup, action, "RegionId", testRegion, "VServerGroupId", "$PAIR", "BackendServers", "[]"))
	}
	for _, action := range []string{"DeleteMasterSlaveServerGroup", "DescribeMasterSlaveServerGroupAttribute"} {
		out = append(out,
			row("no region", missingError("RegionId"), action, "MasterSlaveServerGroupId", "$PAIR"),
			row("no group", missingError("MasterSlaveServerGroupId"), action, "RegionId", testRegion),
			row("unknown group", slb.ErrMasterSlaveGroup, action, "RegionId", testRegion, "MasterSlaveServerGroupId", "rsp-none"),
			row("a vserver group", slb.ErrMasterSlaveGroup, action, "RegionId", testRegion, "MasterSlaveServerGroupId", "$VGROUP"))
	}
	for _, action := range []string{"CreateVServerGroup", "DescribeVServerGroups", "CreateMasterSlaveServerGroup", "DescribeMasterSlaveServerGroups"} {
		pair := pairOf("i-1", "i-2")
		out = append(out,
			row("no region", missingError("RegionId"), action, "LoadBalancerId", "LB", "MasterSlaveBackendServers", pair),
			row("other region", slb.ErrRegionNotFound, action, "RegionId", "mars", "LoadBalancerId", "LB", "MasterSlaveBackendServers", pair),
			row("no instance", missingError("LoadBalancerId"), action, "RegionId", testRegion),
			row("unknown instance", slb.ErrLoadBalancerNotFound, action, "RegionId", testRegion, "LoadBalancerId", "lb-none", "MasterSlaveBackendServers", pair))
	}
	long := strings.Repeat("n", 81)
	out = append(out,
		wrong{"no servers", "AddVServerGroupBackendServers", group(), missingError("BackendServers")},
		wrong{"no servers", "RemoveVServerGroupBackendServers", group(), missingError("BackendServers")},
		wrong{"name", "CreateVServerGroup", of("VServerGroupName", "two words"), invalidError("VServerGroupName")},
		wrong{"long name", "CreateVServerGroup", of("VServerGroupName", long), invalidError("VServerGroupName")},
		wrong{"long name", "SetVServerGroupAttribute", group("VServerGroupName", long), invalidError("VServerGroupName")},
		wrong{"tag", "CreateVServerGroup", of("Tag.1.Key", "acs:x"), invalidError("Tag")},
		wrong{"include", "DescribeVServerGroups", of("IncludeListener", "perhaps"), invalidError("IncludeListener")},
		wrong{"in use", "DeleteVServerGroup", group(), slb.ErrGroupUsedByListener},
		wrong{"in use", "DeleteMasterSlaveServerGroup", params{"RegionId", testRegion, "MasterSlaveServerGroupId", "$PAIR"}, slb.ErrGroupUsedByListener},
		wrong{"name", "CreateMasterSlaveServerGroup", of("MasterSlaveServerGroupName", long, "MasterSlaveBackendServers", pairOf("i-1", "i-2")), invalidError("MasterSlaveServerGroupName")},
		wrong{"tag", "CreateMasterSlaveServerGroup", of("Tag.1.Key", "acs:x", "MasterSlaveBackendServers", pairOf("i-1", "i-2")), invalidError("Tag")})
	return append(out, wrongPairs(of)...)
}

// wrongPairs are the lists that make no master and slave.
func wrongPairs(of func(more ...string) params) []wrong {
	const master, slave = `{"ServerId":"i-1","Port":80,"ServerType":"Master"}`, `{"ServerId":"i-2","Port":80,"ServerType":"Slave"}`
	var out []wrong
	for _, v := range []struct {
		text string
		want *slb.Error
	}{
		{``, slb.ErrPairNotTwo},
		{`[]`, slb.ErrPairNotTwo},
		{`[` + master + `]`, slb.ErrPairNotTwo},
		{`[` + master + `,` + slave + `,` + slave + `]`, slb.ErrPairNotTwo},
		{`[` + master + `,{"ServerId":"i-1","Port":80,"ServerType":"Slave"}]`, slb.ErrPairSame},
		{`[` + master + `,` + master + `]`, slb.ErrPairSame},
		{`[` + master + `,{"ServerId":"i-2","Port":80,"ServerType":"Master"}]`, slb.ErrPairRoles},
		{`[` + slave + `,{"ServerId":"i-1","Port":80,"ServerType":"Slave"}]`, slb.ErrPairRoles},
		{`[` + master + `,{"Port":80,"ServerType":"Slave"}]`, slb.ErrPairServerID},
		{`[` + master + `,{"ServerId":"","Port":80,"ServerType":"Slave"}]`, slb.ErrPairServerID},
		{`[` + master + `,{"ServerId":"i-2","Port":80,"ServerType":"Backup"}]`, slb.ErrPairServerType},
		{`[` + master + `,{"ServerId":"i-2","Port":80}]`, slb.ErrPairServerType},
		{`[` + master + `,{"ServerId":"i-2","ServerType":"Slave"}]`, slb.ErrPairPort},
		{`[` + master + `,{"ServerId":"i-2","Port":0,"ServerType":"Slave"}]`, slb.ErrPairPortInvalid},
		{`[` + master + `,{"ServerId":"i-2","Port":"65536","ServerType":"Slave"}]`, slb.ErrPairPortInvalid},
		{`[` + master + `,{"ServerId":"i-2","Port":80,"Weight":101,"ServerType":"Slave"}]`, slb.ErrWeight},
		{`[` + master + `,{"ServerId":"i-stop","Port":80,"ServerType":"Slave"}]`, slb.ErrServerNotRunning},
		{`nonsense`, invalidError("MasterSlaveBackendServers")},
	} {
		out = append(out, wrong{v.text, "CreateMasterSlaveServerGroup", of("MasterSlaveBackendServers", v.text), v.want})
	}
	return out
}

func TestWrongGroupsAndRules(t *testing.T) {
	w := newWorld(t)
	lb := withGroups(w)
	w.ok("RegisterServer", "ServerId", "i-stop", "Address.1", "10.0.1.1", "Status", "Stopped")
	w.ok("RegisterServer", "ServerId", "i-v6", "Address.1", "fd00::1")
	for _, r := range append(wrongGroups(), wrongRules()...) {
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
