package plan

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

func aclState(listener *slb.Listener, lists ...*slb.AccessControlList) *slb.State {
	s := stateOf(balancer("lb", "127.1.0.1"), listener)
	for _, a := range lists {
		slb.Set(s, &s.AccessControlLists, a.Key(), a, 0)
	}
	return s
}

func list(id string, entries ...string) *slb.AccessControlList {
	a := &slb.AccessControlList{ID: id}
	for _, e := range entries {
		a.Entries = append(a.Entries, slb.ACLEntry{Prefix: netip.MustParsePrefix(e)})
	}
	return a
}

func TestQuirk58AccessControl(t *testing.T) {
	on := func(t slb.ACLType, ids ...string) func(*slb.Listener) {
		return func(l *slb.Listener) { l.ACL = slb.ListenerACL{Status: slb.On, Type: t, IDs: ids} }
	}
	one, two, empty := list("acl-1", "10.0.0.0/8"), list("acl-2", "11.0.0.0/8", "12.0.0.1/32"), list("acl-0")
	prefixes := func(texts ...string) []netip.Prefix {
		var out []netip.Prefix
		for _, p := range texts {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	for _, c := range []struct {
		name   string
		change func(*slb.Listener)
		want   *spec.ACL
	}{
		{"none", func(*slb.Listener) {}, nil},
		{"white", on(slb.White, "acl-1"), &spec.ACL{Type: spec.ACLWhite, Prefixes: prefixes("10.0.0.0/8")}},
		{"black of several", on(slb.Black, "acl-1", "acl-0", "acl-2"), &spec.ACL{Type: spec.ACLBlack, Prefixes: prefixes("10.0.0.0/8", "11.0.0.0/8", "12.0.0.1/32")}},
		{"white, empty", on(slb.White, "acl-0"), nil},
		{"black, empty", on(slb.Black, "acl-0"), nil},
		{"off", func(l *slb.Listener) {
			on(slb.White, "acl-1")(l)
			l.ACL.Status = slb.Off
		}, nil},
		{"white list", func(l *slb.Listener) { l.WhiteList = slb.WhiteList{Open: true, Items: prefixes("10.0.0.1/32")} }, &spec.ACL{Type: spec.ACLWhite, Prefixes: prefixes("10.0.0.1/32")}},
		{"white list, closed", func(l *slb.Listener) { l.WhiteList.Items = prefixes("10.0.0.1/32") }, nil},
		{"white list, open and empty", func(l *slb.Listener) { l.WhiteList.Open = true }, &spec.ACL{Type: spec.ACLWhite}},
	} {
		for _, protocol := range []slb.Protocol{slb.TCP, slb.UDP, slb.HTTP} {
			t.Run(c.name+"/"+string(protocol), func(t *testing.T) {
				s := aclState(listener("lb", protocol, 80, c.change), one, two, empty)
				got := Instance(s, "lb").Frontends[0].ACL
				if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
					t.Errorf("access control differs (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestAffectedByACL(t *testing.T) {
	use := func(l *slb.Listener) {
		l.ACL = slb.ListenerACL{Status: slb.On, Type: slb.White, IDs: []string{"acl-1"}}
	}
	s := stateOf(balancer("lb", "127.1.0.1"), balancer("lb-2", "127.1.0.2"), balancer("lb-3", "127.1.0.3"),
		listener("lb", slb.TCP, 80, use), listener("lb", slb.HTTP, 81, use), listener("lb-2", slb.TCP, 80), listener("lb-3", slb.TCP, 80, use))
	if got, want := Affected(s, slb.KindAccessControlList, "acl-1"), []slb.LoadBalancerID{"lb-3", "lb"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Affected = %v, want %v", got, want)
	}
	if got := Affected(s, slb.KindAccessControlList, "acl-2"); got != nil {
		t.Errorf("Affected = %v", got)
	}
}
