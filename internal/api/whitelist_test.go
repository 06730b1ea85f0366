package api

import (
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

func withWhiteList(w *world) string {
	lb := withListeners(w)
	w.ok("AddListenerWhiteListItem", "LoadBalancerId", lb, "ListenerPort", "80", "SourceItems", "10.0.0.0/8,192.168.1.1")
	return lb
}

func init() {
	goldens = append(goldens,
		golden{"AddListenerWhiteListItem", withListeners, []params{{"LoadBalancerId", "LB", "ListenerPort", "80", "SourceItems", "10.0.0.0/8, 192.168.1.1"}, {"LoadBalancerId", "LB", "ListenerPort", "80", "SourceItems", "0.0.0.0/0"}}},
		golden{"RemoveListenerWhiteListItem", withWhiteList, []params{{"LoadBalancerId", "LB", "ListenerPort", "80", "SourceItems", "192.168.1.1,172.16.0.1"}}},
		golden{"SetListenerAccessControlStatus", withWhiteList, []params{{"LoadBalancerId", "LB", "ListenerPort", "80", "AccessControlStatus", "open_white_list"}}},
		golden{"DescribeListenerAccessControlAttribute", withWhiteList, []params{{"LoadBalancerId", "LB", "ListenerPort", "80"}, {"LoadBalancerId", "LB", "ListenerPort", "7"}}},
	)
	for _, action := range []string{"AddListenerWhiteListItem", "RemoveListenerWhiteListItem"} {
		for _, items := range []string{"here", "10.0.0.1,,10.0.0.2", "0.0.0.0", "0.0.0.0/0", "10.0.0.0/33", "fd00::1", "10.0.0.1;10.0.0.2"} {
			wrongs = append(wrongs, row(items, slb.ErrSourceItems, action, "LoadBalancerId", "LB", "ListenerPort", "80", "SourceItems", items))
		}
		wrongs = append(wrongs, row("no items", missingError("SourceItems"), action, "LoadBalancerId", "LB", "ListenerPort", "80"))
	}
	wrongs = append(wrongs,
		row("301 items", slb.ErrSourceItemsQuota, "AddListenerWhiteListItem", "LoadBalancerId", "LB", "ListenerPort", "80", "SourceItems", strings.Join(manyRanges(0, 301), ",")),
		row("status", invalidError("AccessControlStatus"), "SetListenerAccessControlStatus", "LoadBalancerId", "LB", "ListenerPort", "80", "AccessControlStatus", "open"))
	for _, action := range []string{"AddListenerWhiteListItem", "RemoveListenerWhiteListItem", "SetListenerAccessControlStatus", "DescribeListenerAccessControlAttribute"} {
		wrongs = append(wrongs,
			row("unknown listener", slb.ErrListenerNotFound, action, "LoadBalancerId", "LB", "ListenerPort", "7", "SourceItems", "10.0.0.1", "AccessControlStatus", "close"),
			row("unknown instance", slb.ErrLoadBalancerNotFound, action, "LoadBalancerId", "lb-none", "ListenerPort", "80", "SourceItems", "10.0.0.1", "AccessControlStatus", "close"))
	}
}

// TestQuirk20And58WhiteList: the list and the ACLs of a listener exclude each
// other, by an error of status 500.
func TestQuirk20And58WhiteList(t *testing.T) {
	w := newWorld(t)
	lb := withWhiteList(w)
	id := w.acl("office", "10.0.0.0/8")
	show := func() string {
		a := w.ok("DescribeListenerAccessControlAttribute", "LoadBalancerId", lb, "ListenerPort", "80")
		return a.text(t, "AccessControlStatus") + " " + a.text(t, "SourceItems")
	}
	if got := show(); got != "close 10.0.0.0/8,192.168.1.1" {
		t.Error(got)
	}
	w.ok("SetListenerAccessControlStatus", "LoadBalancerId", lb, "ListenerPort", "80", "AccessControlStatus", "Open_White_List")
	w.ok("AddListenerWhiteListItem", "LoadBalancerId", lb, "ListenerPort", "80", "SourceItems", "192.168.1.1/32,11.0.0.0/8")
	if got := show(); got != "open_white_list 10.0.0.0/8,192.168.1.1,11.0.0.0/8" {
		t.Error(got)
	}
	on := params{"LoadBalancerId", lb, "ListenerPort", "80", "AclStatus", "on", "AclType", "white", "AclId", id}
	w.fails(slb.ErrAccessControlStatus, "SetLoadBalancerHTTPListenerAttribute", on...)
	w.ok("SetListenerAccessControlStatus", "LoadBalancerId", lb, "ListenerPort", "80", "AccessControlStatus", "close")
	w.ok("SetLoadBalancerHTTPListenerAttribute", on...)
	w.fails(slb.ErrAccessControlStatus, "SetListenerAccessControlStatus", "LoadBalancerId", lb, "ListenerPort", "80", "AccessControlStatus", "open_white_list")
	w.ok("RemoveListenerWhiteListItem", "LoadBalancerId", lb, "ListenerPort", "80", "SourceItems", "10.0.0.0/8,11.0.0.0/8,192.168.1.1,1.2.3.4")
	if got := show(); got != "close " {
		t.Error(got)
	}
}
