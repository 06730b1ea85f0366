package main

import (
	"slices"
	"strings"
)

// product is one API that a node serves. The version alone names it on the
// wire.
type product struct {
	name, version string
	// actions are those that tell the product; nil takes what nobody else has.
	actions []string
}

// products are what a node serves. A test compares them with the node.
var products = []product{
	{"OpenSLB", "2026-11-01", []string{
		"RegisterServer", "ModifyServer", "SetServerStatus", "DeregisterServer", "DescribeServers",
		"CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey",
		"DescribeNode", "DescribeMetrics",
	}},
	{"Cms", "2019-01-01", []string{"DescribeMetricList", "DescribeMetricLast", "DescribeMetricMetaList"}},
	{"Sts", "2015-04-01", []string{"GetCallerIdentity"}},
	{"Location", "2015-06-12", []string{"DescribeEndpoints"}},
	{"Vpc", "2016-04-28", []string{"DescribeVSwitchAttributes"}},
	{"Ecs", "2014-05-26", []string{"DescribeInstances"}},
	{"Slb", "2014-05-15", nil},
}

// versionOf is the version of the product that has the action.
func versionOf(action string) string {
	for _, p := range products {
		if p.actions == nil || slices.Contains(p.actions, action) {
			return p.version
		}
	}
	panic("openslb: the last product takes every action")
}

// versionOfProduct is the version of a product by its name, in any case.
func versionOfProduct(name string) (string, error) {
	known := make([]string, len(products))
	for i, p := range products {
		if strings.EqualFold(p.name, name) {
			return p.version, nil
		}
		known[i] = p.name
	}
	return "", mistakef("--product %q is not known; give its --version, or one of %s", name, strings.Join(known, ", "))
}
