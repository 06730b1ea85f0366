package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// tagsTold are the tags of a resource as ListTagResources tells them.
func (w *world) tagsTold(kind, id string) string {
	w.t.Helper()
	var out []string
	for _, v := range w.ok("ListTagResources", "RegionId", "cn-hangzhou", "ResourceType", kind, "ResourceId.1", id).at(w.t, "TagResources", "TagResource").([]any) {
		r := v.(map[string]any)
		if r["ResourceId"] != id || r["ResourceType"] != kind {
			w.t.Errorf("told of %v", r)
		}
		out = append(out, r["TagKey"].(string)+"="+r["TagValue"].(string))
	}
	return strings.Join(out, " ")
}

func withTagged(w *world) string {
	lb := withListeners(w)
	w.ok("TagResources", "RegionId", "cn-hangzhou", "ResourceType", "instance", "ResourceId.1", lb, "Tag.1.Key", "team", "Tag.1.Value", "web", "Tag.2.Key", "empty")
	w.ok("TagResources", "RegionId", "cn-hangzhou", "ResourceType", "listener", "ResourceId.1", lb+"_http_80", "Tag.1.Key", "team", "Tag.1.Value", "web")
	return lb
}

func init() {
	const region = "cn-hangzhou"
	goldens = append(goldens,
		golden{"TagResources", withListeners, []params{
			{"RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB", "Tag.1.Key", "team", "Tag.1.Value", "web"},
			{"RegionId", region, "ResourceType", "listener", "ResourceId.1", "$LB_http_80", "Tag.1.Key", "team"},
			{"RegionId", region, "ResourceType", "acl", "ResourceId.1", "acl-none", "Tag.1.Key", "team"},
		}},
		golden{"UntagResources", withTagged, []params{{"RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB", "TagKey.1", "team"}}},
		golden{"ListTagResources", withTagged, []params{
			{"RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB"},
			{"RegionId", region, "ResourceType", "listener", "Tag.1.Key", "team", "Tag.1.Value", "web"},
			{"RegionId", region, "ResourceType", "instance", "ResourceId.1", "lb-none"},
			{"RegionId", region, "ResourceType", "instance", "Tag.1.Value", "web"},
		}},
		golden{"AddTags", oneBalancer, []params{{"RegionId", region, "LoadBalancerId", "LB", "Tags", `[{"TagKey":"team","TagValue":"web"}]`}}},
		golden{"RemoveTags", withTagged, []params{{"RegionId", region, "LoadBalancerId", "LB", "Tags", `[{"TagKey":"team","TagValue":"web"}]`}}},
		golden{"DescribeTags", withTagged, []params{{"RegionId", region}, {"RegionId", region, "LoadBalancerId", "lb-none"}}},
	)
	six := `[` + strings.TrimSuffix(strings.Repeat(`{"TagKey":"k","TagValue":"v"},`, 6), ",") + `]`
	wrongs = append(wrongs,
		row("no type", missingError("ResourceType"), "TagResources", "RegionId", region, "ResourceId.1", "LB", "Tag.1.Key", "k"),
		row("no resource", missingError("ResourceId.1"), "TagResources", "RegionId", region, "ResourceType", "instance", "Tag.1.Key", "k"),
		row("no tag", missingError("Tag.1"), "TagResources", "RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB"),
		row("type", invalidError("ResourceType"), "TagResources", "RegionId", region, "ResourceType", "loadbalancer", "ResourceId.1", "LB", "Tag.1.Key", "k"),
		row("tag", invalidError("Tag"), "TagResources", "RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB", "Tag.1.Key", "acs:k"),
		row("long key", invalidError("Tag"), "TagResources", "RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB", "Tag.1.Key", strings.Repeat("k", 65)),
		row("key twice", invalidError("Tag"), "TagResources", "RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB", "Tag.1.Key", "k", "Tag.1.Value", "a", "Tag.2.Key", "k", "Tag.2.Value", "b"),
		row("key twice", invalidError("Tags"), "AddTags", "RegionId", region, "LoadBalancerId", "LB", "Tags", `[{"TagKey":"k"},{"TagKey":"k"}]`),
		row("value", invalidError("Tag"), "TagResources", "RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB", "Tag.1.Key", "k", "Tag.1.Value", strings.Repeat("v", 129)),
		row("eleven tags", invalidError("Tags"), "DescribeLoadBalancers", "RegionId", region, "Tags", "["+strings.Repeat(`{"TagKey":"k"},`, 11)+"]"),
		row("21 tags", slb.ErrTooManyTags, "RemoveTags", "RegionId", region, "LoadBalancerId", "LB", "Tags", "["+strings.Repeat(`{"TagKey":"k"},`, 21)+"]"),
		row("token", invalidError("NextToken"), "ListTagResources", "RegionId", region, "ResourceType", "instance", "NextToken", "*"),
		row("value alone", invalidError("Tag"), "ListTagResources", "RegionId", region, "ResourceType", "instance", "Tag.1.Value", "v"),
		row("six tags", slb.ErrTooManyTags, "AddTags", "RegionId", region, "LoadBalancerId", "LB", "Tags", six),
		row("tag", invalidError("Tags"), "AddTags", "RegionId", region, "LoadBalancerId", "LB", "Tags", `[{"TagKey":"aliyun"}]`),
		row("no JSON", invalidError("Tags"), "AddTags", "RegionId", region, "LoadBalancerId", "LB", "Tags", `team=web`),
		row("no tags", missingError("Tags"), "RemoveTags", "RegionId", region, "LoadBalancerId", "LB"),
		row("page size", invalidError("PageSize"), "DescribeTags", "RegionId", region, "PageSize", "101"),
	)
	for _, action := range []string{"TagResources", "UntagResources"} {
		for _, id := range []string{"lb-none", "lb-", "$LB_http_80", "i-1"} {
			wrongs = append(wrongs, row("unknown "+id, slb.ErrTaggedNotFound, action, "RegionId", region, "ResourceType", "instance", "ResourceId.1", id, "Tag.1.Key", "k"))
		}
		for _, id := range []string{"LB", "$LB_http_9000", "$LB_http_81", "$LB_80", "_http_80", "$LB_http_x"} {
			wrongs = append(wrongs, row("unknown "+id, slb.ErrTaggedNotFound, action, "RegionId", region, "ResourceType", "listener", "ResourceId.1", id, "Tag.1.Key", "k"))
		}
		// One that is unknown spoils the whole call.
		wrongs = append(wrongs, row("one of two", slb.ErrTaggedNotFound, action, "RegionId", region, "ResourceType", "instance", "ResourceId.1", "LB", "ResourceId.2", "lb-none", "Tag.1.Key", "k"))
	}
	for _, action := range []string{"AddTags", "RemoveTags"} {
		wrongs = append(wrongs, row("unknown", slb.ErrLoadBalancerNotFound, action, "RegionId", region, "LoadBalancerId", "lb-none", "Tags", `[{"TagKey":"k"}]`))
	}
}

// TestTagEveryType: what is tagged is told, found by its tag and untagged again,
// for every type of resource.
func TestTagEveryType(t *testing.T) {
	w := newWorld(t)
	lb := withListeners(w)
	w.udp(lb, "53")
	group := w.ok("CreateVServerGroup", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "VServerGroupName", "g").text(t, "VServerGroupId")
	pair := w.ok("CreateMasterSlaveServerGroup", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "MasterSlaveServerGroupName", "p",
		"MasterSlaveBackendServers", `[{"ServerId":"i-1","Port":"80","ServerType":"Master"},{"ServerId":"i-2","Port":"80","ServerType":"Slave"}]`).text(t, "MasterSlaveServerGroupId")
	for _, c := range []struct{ kind, id string }{
		{"instance", lb}, {"listener", lb + "_http_80"}, {"listener", lb + "_tcp_9000"}, {"listener", lb + "_udp_53"},
		{"vservergroup", group}, {"masterslaveservergroup", pair}, {"acl", w.acl("office")},
	} {
		if got := w.tagsTold(c.kind, c.id); got != "" {
			t.Errorf("%s %s has tags %s", c.kind, c.id, got)
		}
		p := params{"RegionId", "cn-hangzhou", "ResourceType", c.kind, "ResourceId.1", c.id}
		w.ok("TagResources", append(p, "Tag.1.Key", "team", "Tag.1.Value", "web", "Tag.2.Key", "x", "Tag.3.Key", "y", "Tag.3.Value", "z")...)
		w.ok("TagResources", append(p, "Tag.1.Key", "team", "Tag.1.Value", "shop")...)
		if got := w.tagsTold(c.kind, c.id); got != "team=shop x= y=z" {
			t.Errorf("%s: %s", c.kind, got)
		}
		for _, q := range []struct {
			p    params
			want int
		}{
			{params{"Tag.1.Key", "team", "Tag.1.Value", "shop"}, 3}, {params{"Tag.1.Key", "team", "Tag.1.Value", "web"}, 0},
			{params{"Tag.1.Key", "x"}, 3}, {params{"Tag.1.Key", "x", "Tag.2.Key", "y", "Tag.2.Value", "z"}, 3}, {params{"Tag.1.Key", "x", "Tag.2.Key", "none"}, 0}, {nil, 3},
		} {
			a := w.ok("ListTagResources", append(params{"RegionId", "cn-hangzhou", "ResourceType", c.kind}, q.p...)...)
			if got := len(a.at(t, "TagResources", "TagResource").([]any)); got != q.want {
				t.Errorf("%s by %v: %d tags, want %d", c.kind, q.p, got, q.want)
			}
		}
		w.ok("UntagResources", append(p, "TagKey.1", "x", "TagKey.2", "none")...)
		w.ok("UntagResources", p...)
		if got := w.tagsTold(c.kind, c.id); got != "team=shop y=z" {
			t.Errorf("%s: %s", c.kind, got)
		}
		w.ok("UntagResources", append(p, "All", "true")...)
		if got := w.tagsTold(c.kind, c.id); got != "" {
			t.Errorf("%s: %s", c.kind, got)
		}
	}
}

// TestQuirk90Limits: two families of actions with different limits act on the
// same tags.
func TestQuirk90Limits(t *testing.T) {
	w := newWorld(t)
	lb := oneBalancer(w)
	tags := func(from, n int) params {
		p := params{"RegionId", "cn-hangzhou", "ResourceType", "instance", "ResourceId.1", lb}
		for i := range n {
			p = append(p, fmt.Sprintf("Tag.%d.Key", i+1), fmt.Sprint("k", from+i))
		}
		return p
	}
	w.fails(slb.ErrTooManyTags, "TagResources", tags(0, 21)...)
	old := func(from, n int) params {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{'tagKey':'k%d','tagValue':'v'}`, from+i))
		}
		return params{"RegionId", "cn-hangzhou", "LoadBalancerId", lb, "Tags", "[" + strings.Join(list, ",") + "]"}
	}
	w.ok("AddTags", old(0, 5)...)
	w.ok("AddTags", old(5, 5)...)
	w.fails(slb.ErrTagQuota, "AddTags", old(10, 1)...)
	w.ok("AddTags", old(0, 5)...) // new values for old keys
	w.ok("TagResources", tags(0, 20)...)
	w.fails(slb.ErrTagQuota, "TagResources", tags(20, 1)...)
	w.ok("RemoveTags", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "Tags", `[{"TagKey":"k0","TagValue":"other"},{"TagKey":"k1"},{"TagKey":"k2","TagValue":""},{"TagKey":"none"}]`)
	if got := len(strings.Fields(w.tagsTold("instance", lb))); got != 18 {
		t.Errorf("%d tags: %s", got, w.tagsTold("instance", lb))
	}
	p := params{"RegionId", "cn-hangzhou", "ResourceType", "instance", "Tag.1.Key", "k"}
	for i := range 21 {
		p = append(p, fmt.Sprintf("ResourceId.%d", i+1), lb)
	}
	w.fails(invalidError("ResourceId"), "TagResources", p...)
}

// TestQuirk34Token: the list of tags goes on by token, though nobody can say how
// much it tells at once.
func TestQuirk34Token(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.LoadBalancers = Unlimited })
	want := map[string]bool{}
	for range taggedPage + 7 {
		want[w.create("Tag.1.Key", "team", "Tag.1.Value", "web")] = true
	}
	w.create()
	for _, filter := range []params{nil, {"Tag.1.Key", "team"}, {"Tag.1.Key", "team", "Tag.1.Value", "web"}} {
		seen, token, pages := map[string]bool{}, "", 0
		for {
			p := append(params{"RegionId", "cn-hangzhou", "ResourceType", "instance", "NextToken", token}, filter...)
			a := w.ok("ListTagResources", p...)
			for _, v := range a.at(t, "TagResources", "TagResource").([]any) {
				seen[v.(map[string]any)["ResourceId"].(string)] = true
			}
			pages++
			if token = a.text(t, "NextToken"); token == "" {
				break
			}
		}
		if len(seen) != len(want) || pages != 2 {
			t.Errorf("%v: %d of %d resources in %d pages", filter, len(seen), len(want), pages)
		}
	}
}

// TestQuirk92DescribeTags counts instances per tag.
func TestQuirk92DescribeTags(t *testing.T) {
	w := newWorld(t)
	first := w.create("Tag.1.Key", "team", "Tag.1.Value", "web", "Tag.2.Key", "env", "Tag.2.Value", "test")
	w.create("Tag.1.Key", "team", "Tag.1.Value", "web")
	w.create("Tag.1.Key", "team", "Tag.1.Value", "shop")
	for _, c := range []struct {
		p    params
		want string
	}{
		{nil, "env=test:1 team=shop:1 team=web:2"},
		{params{"DistinctKey", "true"}, "env=:1 team=:3"},
		{params{"LoadBalancerId", first}, "env=test:1 team=web:1"},
		{params{"Tags", `[{"TagKey":"team"}]`}, "team=shop:1 team=web:2"},
		{params{"Tags", `[{'tagKey':'team','tagValue':'web'}]`}, "team=web:2"},
		{params{"PageSize", "2", "PageNumber", "2"}, "team=web:2"},
		{params{"PageNumber", "9"}, ""},
	} {
		var got []string
		for _, v := range w.ok("DescribeTags", append(params{"RegionId", "cn-hangzhou"}, c.p...)...).at(t, "TagSets", "TagSet").([]any) {
			s := v.(map[string]any)
			got = append(got, fmt.Sprintf("%v=%v:%v", s["TagKey"], s["TagValue"], s["InstanceCount"]))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %v, want %s", c.p, got, c.want)
		}
	}
}

// TestParallelTags: no tag is lost, and the limit holds.
func TestParallelTags(t *testing.T) {
	w := newWorld(t)
	a, b := w.create(), w.create()
	together(30, func(i int) {
		w.try("TagResources", "RegionId", "cn-hangzhou", "ResourceType", "instance", "ResourceId.1", a, "ResourceId.2", b, "Tag.1.Key", fmt.Sprint("k", i))
	})
	if x, y := w.tagsTold("instance", a), w.tagsTold("instance", b); x != y || len(strings.Fields(x)) != 20 {
		t.Errorf("%s\n%s", x, y)
	}
}
