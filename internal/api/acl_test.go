package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// acl makes a list with the entries; one whose name ends in v6 is of IPv6.
func (w *world) acl(name string, entries ...string) string {
	w.t.Helper()
	p := params{"RegionId", "cn-hangzhou", "AclName", name}
	if strings.HasSuffix(name, "v6") {
		p = append(p, "AddressIPVersion", "ipv6")
	}
	id := w.ok("CreateAccessControlList", p...).text(w.t, "AclId")
	if len(entries) > 0 {
		w.ok("AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", id, "AclEntrys", aclEntrys(entries...))
	}
	return id
}

func aclEntrys(entries ...string) string {
	var out []string
	for _, e := range entries {
		out = append(out, fmt.Sprintf(`{"entry":%q,"comment":"c"}`, e))
	}
	return "[" + strings.Join(out, ",") + "]"
}

// entriesOf are the entries of a list as answers tell them.
func (w *world) entriesOf(id string) string {
	w.t.Helper()
	var out []string
	for _, e := range w.ok("DescribeAccessControlListAttribute", "RegionId", "cn-hangzhou", "AclId", id).at(w.t, "AclEntrys", "AclEntry").([]any) {
		out = append(out, e.(map[string]any)["AclEntryIP"].(string))
	}
	return strings.Join(out, " ")
}

func withACL(w *world) string {
	lb := withListeners(w)
	id := w.acl("office", "10.0.0.0/8", "192.168.1.1")
	w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000", "AclStatus", "on", "AclType", "white", "AclId", id)
	w.acl("spare")
	return lb
}

func init() {
	const region = "cn-hangzhou"
	goldens = append(goldens,
		golden{"CreateAccessControlList", nil, []params{
			{"RegionId", region, "AclName", "office", "ResourceGroupId", "rg-1", "Tag.1.Key", "team", "Tag.1.Value", "web"},
			{"RegionId", region, "AclName", "office", "AddressIPVersion", "ipv6"},
		}},
		golden{"SetAccessControlListAttribute", withACL, []params{{"RegionId", region, "AclId", "$ACL", "AclName", "branch"}, {"RegionId", region, "AclId", "acl-none", "AclName", "x"}}},
		golden{"DeleteAccessControlList", withACL, []params{{"RegionId", region, "AclId", "$ACL"}, {"RegionId", region, "AclId", "acl-none"}}},
		golden{"DescribeAccessControlLists", withACL, []params{{"RegionId", region, "AclName", "off"}, {"RegionId", region, "AclName", "nobody"}}},
		golden{"DescribeAccessControlListAttribute", withACL, []params{{"RegionId", region, "AclId", "$ACL"}, {"RegionId", region, "AclId", "acl-none"}}},
		golden{"AddAccessControlListEntry", withACL, []params{
			{"RegionId", region, "AclId", "$ACL", "AclEntrys", `[{"entry":"172.16.0.0/12","comment":"x"},{"entry":"10.0.0.0/8","comment":"again"}]`},
			{"RegionId", region, "AclId", "$ACL", "AclEntrys", `[{"entry":"here"}]`},
		}},
		golden{"RemoveAccessControlListEntry", withACL, []params{{"RegionId", region, "AclId", "$ACL", "AclEntrys", `[{"entry":"10.0.0.0/8"},{"entry":"192.168.1.1/32"}]`}, {"RegionId", region, "AclId", "$ACL", "AclEntrys", `[{"entry":"10.0.0.0/8"}]`}}},
	)
	wrongs = append(wrongs, wrongACLs()...)
}

// wrongACLs: $ACL is a list "office" of two entries.
func wrongACLs() []wrong {
	const region = "cn-hangzhou"
	out := []wrong{
		row("no region", missingError("RegionId"), "CreateAccessControlList", "AclName", "x"),
		row("no name", missingError("AclName"), "CreateAccessControlList", "RegionId", region),
		row("name", invalidError("AclName"), "CreateAccessControlList", "RegionId", region, "AclName", "two words"),
		row("long name", invalidError("AclName"), "CreateAccessControlList", "RegionId", region, "AclName", strings.Repeat("n", 81)),
		row("used name", slb.ErrACLNameTaken, "CreateAccessControlList", "RegionId", region, "AclName", "office"),
		row("version", invalidError("AddressIPVersion"), "CreateAccessControlList", "RegionId", region, "AclName", "x", "AddressIPVersion", "ipv5"),
		row("tag", invalidError("Tag"), "CreateAccessControlList", "RegionId", region, "AclName", "x", "Tag.1.Key", "aliyun"),
		row("other region", slb.ErrRegionNotFound, "CreateAccessControlList", "RegionId", "mars", "AclName", "x"),
		row("used name", slb.ErrACLNameTaken, "SetAccessControlListAttribute", "RegionId", region, "AclId", "$ACL", "AclName", "office6-v6"),
		row("page size", invalidError("PageSize"), "DescribeAccessControlLists", "RegionId", region, "PageSize", "51"),
		row("page size", invalidError("PageSize"), "DescribeAccessControlListAttribute", "RegionId", region, "AclId", "$ACL", "PageSize", "51"),
		row("page", invalidError("Page"), "DescribeAccessControlListAttribute", "RegionId", region, "AclId", "$ACL", "Page", "0"),
	}
	for _, action := range []string{"SetAccessControlListAttribute", "DeleteAccessControlList", "DescribeAccessControlListAttribute", "AddAccessControlListEntry", "RemoveAccessControlListEntry"} {
		out = append(out,
			row("unknown", slb.ErrACLNotFound, action, "RegionId", region, "AclId", "acl-none", "AclName", "x"),
			row("no id", missingError("AclId"), action, "RegionId", region, "AclName", "x"),
			row("no region", missingError("RegionId"), action, "AclId", "$ACL", "AclName", "x"))
	}
	for _, action := range []string{"AddAccessControlListEntry", "RemoveAccessControlListEntry"} {
		for _, text := range []string{
			`nonsense`, `[{"entry":"here"}]`, `[{"entry":"10.0.0.0/33"}]`, `[{"entry":"fd00::/8"}]`, `[{"entry":"::ffff:10.0.0.1"}]`, `[{"comment":"alone"}]`,
			`[{"entry":"10.9.0.0/16"},{"entry":""}]`, `[{"entry":"10.0.0.1","comment":"` + strings.Repeat("c", 257) + `"}]`,
		} {
			out = append(out, row(text, slb.ErrACLEntry, action, "RegionId", region, "AclId", "$ACL", "AclEntrys", text))
		}
		out = append(out, row("51 entries", slb.ErrACLEntryQuota, action, "RegionId", region, "AclId", "$ACL", "AclEntrys", aclEntrys(manyRanges(0, 51)...)))
	}
	for _, v := range []struct {
		name string
		p    params
		want *slb.Error
	}{
		{"four lists", params{"AclId", "a,b,c,d"}, invalidError("AclId")},
		{"unknown list", params{"AclId", "$ACL,acl-none", "AclStatus", "on", "AclType", "white"}, slb.ErrACLNotFound},
		{"unknown list, off", params{"AclId", "acl-none"}, slb.ErrACLNotFound},
		{"no type", params{"AclId", "$ACL", "AclStatus", "on"}, missingError("AclType")},
		{"no list", params{"AclType", "black", "AclStatus", "on"}, missingError("AclId")},
	} {
		for action, p := range map[string]params{
			"CreateLoadBalancerTCPListener":        {"LoadBalancerId", "LB", "ListenerPort", "9001", "BackendServerPort", "1"},
			"CreateLoadBalancerHTTPListener":       {"LoadBalancerId", "LB", "ListenerPort", "81", "BackendServerPort", "1", "HealthCheck", "on"},
			"SetLoadBalancerTCPListenerAttribute":  {"LoadBalancerId", "LB", "ListenerPort", "9000"},
			"SetLoadBalancerHTTPListenerAttribute": {"LoadBalancerId", "LB", "ListenerPort", "80"},
		} {
			out = append(out, wrong{v.name, action, append(p, v.p...), v.want})
		}
	}
	return out
}

// manyRanges are n distinct ranges, beginning with a number.
func manyRanges(from, n int) []string {
	var out []string
	for i := from; i < from+n; i++ {
		out = append(out, fmt.Sprintf("11.%d.%d.0/24", i/250, i%250))
	}
	return out
}

func TestQuirk7And28EmptyListsOfACLs(t *testing.T) {
	w := newWorld(t)
	a := w.ok("DescribeAccessControlLists", "RegionId", "cn-hangzhou")
	if l, ok := a.at(t, "Acls", "Acl").([]any); !ok || len(l) != 0 {
		t.Error(a)
	}
	id := w.acl("empty")
	a = w.ok("DescribeAccessControlListAttribute", "RegionId", "cn-hangzhou", "AclId", id)
	for _, path := range [][]any{{"AclEntrys", "AclEntry"}, {"RelatedListeners", "RelatedListener"}, {"Tags", "Tag"}} {
		if l, ok := a.at(t, path...).([]any); !ok || len(l) != 0 {
			t.Errorf("%v: %v", path, a)
		}
	}
	if a.at(t, "TotalAclEntry") != 0.0 {
		t.Error(a)
	}
}

// TestQuirk34Page: Page here, and everything where none is asked for.
func TestQuirk34Page(t *testing.T) {
	w := newWorld(t)
	id := w.acl("office", manyRanges(0, 25)...)
	for _, c := range []struct {
		p    params
		want int
	}{
		{nil, 25}, {params{"Page", "3"}, 5}, {params{"Page", "2", "PageSize", "20"}, 5}, {params{"PageSize", "20"}, 20},
		{params{"PageNumber", "2"}, 25}, {params{"AclEntryComment", "c"}, 25}, {params{"AclEntryComment", "d"}, 0},
	} {
		a := w.ok("DescribeAccessControlListAttribute", append(params{"RegionId", "cn-hangzhou", "AclId", id}, c.p...)...)
		if got := len(a.at(t, "AclEntrys", "AclEntry").([]any)); got != c.want {
			t.Errorf("%v: %d entries, want %d", c.p, got, c.want)
		}
	}
	for i := range 12 {
		w.acl(fmt.Sprint("more-", i))
	}
	for _, c := range []struct {
		p           params
		count, size float64
	}{{nil, 13, 50}, {params{"PageNumber", "2"}, 3, 10}, {params{"PageNumber", "1", "PageSize", "50"}, 13, 50}} {
		a := w.ok("DescribeAccessControlLists", append(params{"RegionId", "cn-hangzhou"}, c.p...)...)
		if a.at(t, "Count") != c.count || a.at(t, "PageSize") != c.size || a.at(t, "TotalCount") != 13.0 {
			t.Errorf("%v: %v of %v", c.p, a["Count"], a["PageSize"])
		}
	}
}

// TestQuirk57CommaList: several ids in one parameter, both forms in answers.
func TestQuirk57CommaList(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	one, two := w.acl("one", "10.0.0.0/8"), w.acl("two", "11.0.0.0/8")
	w.tcp(lb, 9000, "AclId", one+", "+two, "AclStatus", "on", "AclType", "black")
	a := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000")
	if a.text(t, "AclId") != one+","+two || a.text(t, "AclIds", "AclId", 1) != two || a.text(t, "AclStatus") != "on" || a.text(t, "AclType") != "black" {
		t.Error(a)
	}
	r := w.ok("DescribeAccessControlListAttribute", "RegionId", "cn-hangzhou", "AclId", two)
	if r.at(t, "RelatedListeners", "RelatedListener", 0, "ListenerPort") != 9000.0 || r.text(t, "RelatedListeners", "RelatedListener", 0, "Protocol") != "tcp" {
		t.Error(r)
	}
}

// TestQuirk86Entries: what is there already or not there at all is no error; an
// address is a range of one.
func TestQuirk86Entries(t *testing.T) {
	w := newWorld(t)
	id := w.acl("office", "10.1.2.3", "10.0.0.7/8", "10.1.2.3/32", "10.0.0.0/8")
	if got := w.entriesOf(id); got != "10.1.2.3/32 10.0.0.7/8" {
		t.Error(got)
	}
	revision := w.store.State().Revision
	w.ok("AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", id, "AclEntrys", `[{"entry":"10.1.2.3","comment":"other"}]`)
	w.ok("RemoveAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", id, "AclEntrys", `[{"entry":"99.1.2.3"}]`)
	w.ok("RemoveAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", id)
	if w.store.State().Revision != revision {
		t.Error("nothing to do was written")
	}
	w.ok("RemoveAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", id, "AclEntrys", `[{'entry':'10.1.2.3/32'},{'entry':'10.0.0.0/8'}]`)
	w.fails(slb.ErrACLEntryEmpty, "RemoveAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", id, "AclEntrys", `[{"entry":"10.1.2.3"}]`)
	six := w.acl("six-v6", "2001:DB8::1", "fd00::/8")
	if got := w.entriesOf(six); got != "2001:db8::1/128 fd00::/8" {
		t.Error(got)
	}
}

func TestACLQuotas(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Quotas.ACLs, c.Quotas.ACLEntries, c.Quotas.ACLEntriesPerListener, c.Quotas.ListenersPerACL = 4, 60, 80, 2
	})
	lb := oneBalancer(w)
	first := w.acl("first", manyRanges(0, 50)...)
	add := params{"RegionId", "cn-hangzhou", "AclId", first, "AclEntrys", aclEntrys(manyRanges(45, 16)...)}
	w.fails(slb.ErrACLEntryQuota, "AddAccessControlListEntry", add...)
	second := w.acl("second", manyRanges(100, 20)...)
	w.tcp(lb, 1, "AclId", first+","+second)
	w.fails(slb.ErrACLEntryQuota, "AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", second, "AclEntrys", aclEntrys(manyRanges(200, 11)...))
	w.ok("AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", second, "AclEntrys", aclEntrys(manyRanges(200, 10)...))
	// The lists of one listener do not overlap.
	w.fails(slb.ErrACLEntryTwice, "AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", second, "AclEntrys", aclEntrys(manyRanges(0, 1)...))
	third := w.acl("third", manyRanges(0, 1)...)
	w.fails(slb.ErrACLEntryTwice, "CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "2", "BackendServerPort", "1", "AclId", first+","+third)
	w.tcp(lb, 2, "AclId", first)
	w.fails(slb.ErrQuota, "CreateLoadBalancerTCPListener", "LoadBalancerId", lb, "ListenerPort", "3", "BackendServerPort", "1", "AclId", first)
	w.acl("fourth")
	w.fails(slb.ErrACLQuota, "CreateAccessControlList", "RegionId", "cn-hangzhou", "AclName", "fifth")
}

// TestACLInUse: a list that is switched on stays; one that is merely named goes
// and is forgotten.
func TestACLInUse(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	id, other := w.acl("office", "10.0.0.0/8"), w.acl("other")
	w.tcp(lb, 9000, "AclId", id+","+other, "AclStatus", "on", "AclType", "white")
	w.fails(slb.ErrACLInUse, "DeleteAccessControlList", "RegionId", "cn-hangzhou", "AclId", id)
	w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000", "AclStatus", "off")
	a := w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000")
	if a.text(t, "AclId") != id+","+other || a.text(t, "AclStatus") != "off" {
		t.Error(a)
	}
	w.ok("DeleteAccessControlList", "RegionId", "cn-hangzhou", "AclId", id)
	a = w.ok("DescribeLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000")
	if a.text(t, "AclId") != other {
		t.Error(a)
	}
	w.fails(slb.ErrACLNotFound, "DeleteAccessControlList", "RegionId", "cn-hangzhou", "AclId", id)
	w.fails(slb.ErrACLFamily, "SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "9000", "AclId", w.acl("six-v6"))
}

// TestParallelACLDeletion: no listener ends up naming a list that is gone.
func TestParallelACLDeletion(t *testing.T) {
	w := newWorld(t)
	const balancers = 8
	var lbs []string
	for range balancers {
		lb := w.create()
		w.tcp(lb, 80)
		lbs = append(lbs, lb)
	}
	for round := range 15 {
		id := w.acl(fmt.Sprint("round-", round), "10.0.0.0/8")
		status := []string{"on", "off"}[round%2]
		together(balancers+1, func(i int) {
			if i == balancers {
				w.try("DeleteAccessControlList", "RegionId", "cn-hangzhou", "AclId", id)
				return
			}
			w.try("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lbs[i], "ListenerPort", "80", "AclStatus", status, "AclType", "white", "AclId", id)
			w.try("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lbs[i], "ListenerPort", "80", "AclStatus", "on", "AclType", "white")
		})
		s := w.store.State()
		for _, l := range s.Listeners.All() {
			for _, named := range l.ACL.IDs {
				if _, ok := s.AccessControlLists.Get(named); !ok {
					t.Fatalf("round %d: %s names %s, which is gone", round, l.Key(), named)
				}
			}
			if l.ACL.Status == slb.On && len(l.ACL.IDs) == 0 {
				t.Fatalf("round %d: %s is on and names nothing", round, l.Key())
			}
		}
		for _, lb := range lbs {
			w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80", "AclStatus", "off")
		}
	}
}

// TestParallelACLEntries: neither the entries of a list nor its listeners can be
// raced past their quotas, nor can two lists of a listener come to share an
// entry.
func TestParallelACLEntries(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.ACLEntries, c.Quotas.ListenersPerACL = 40, 5 })
	a, b := w.acl("a"), w.acl("b")
	together(20, func(i int) {
		w.try("AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", a, "AclEntrys", aclEntrys(manyRanges(10*i, 10)...))
	})
	v, _ := w.store.State().AccessControlLists.Get(a)
	if len(v.Entries) != 40 {
		t.Errorf("%d entries", len(v.Entries))
	}
	var lbs []string
	for range 12 {
		lb := w.create()
		w.tcp(lb, 80)
		lbs = append(lbs, lb)
	}
	together(12, func(i int) {
		w.try("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lbs[i], "ListenerPort", "80", "AclStatus", "on", "AclType", "white", "AclId", a)
	})
	if got := len(w.store.State().ListenersUsingACL(a)); got != 5 {
		t.Errorf("%d listeners", got)
	}
	c := w.acl("c")
	lb := oneBalancer(w)
	w.tcp(lb, 80)
	together(3, func(i int) {
		switch i {
		case 0:
			w.try("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "80", "AclStatus", "on", "AclType", "white", "AclId", b+","+c)
		default:
			w.try("AddAccessControlListEntry", "RegionId", "cn-hangzhou", "AclId", []string{b, c}[i-1], "AclEntrys", aclEntrys("10.0.0.0/8"))
		}
	})
	l, _ := w.store.State().Listeners.Get(slb.ListenerKey(slb.LoadBalancerID(lb), "tcp", 80))
	if slices.Contains(l.ACL.IDs, b) && w.entriesOf(b) != "" && w.entriesOf(b) == w.entriesOf(c) {
		t.Error("two lists of one listener hold one entry")
	}
}
