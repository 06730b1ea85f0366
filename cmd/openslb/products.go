package main

// productOf is the product and version that serve an action. What is not
// listed belongs to the load balancer itself.
func productOf(action string) (name, version string) {
	for _, p := range otherProducts {
		for _, a := range p.actions {
			if a == action {
				return p.name, p.version
			}
		}
	}
	return "Slb", "2014-05-15"
}

// otherProducts are the products beside Slb. A test compares them with what a
// node serves.
var otherProducts = []struct {
	name, version string
	actions       []string
}{
	{"OpenSLB", "2026-11-01", []string{
		"RegisterServer", "DeregisterServer", "DescribeServers", "SetServerStatus",
		"CreateAccessKey", "DescribeAccessKeys", "SetAccessKeyStatus", "DeleteAccessKey",
	}},
	{"Sts", "2015-04-01", []string{"GetCallerIdentity"}},
	{"Location", "2015-06-12", []string{"DescribeEndpoints"}},
	{"Vpc", "2016-04-28", []string{"DescribeVSwitchAttributes"}},
	{"Ecs", "2014-05-26", []string{"DescribeInstances"}},
}
