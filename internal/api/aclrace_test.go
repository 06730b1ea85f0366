package api

import (
	"fmt"
	"testing"

	"github.com/openslb/openslb/internal/slb"
)

// wrongACL names what is wrong about the lists of listeners, given a quota of
// one listener per list and of three entries per list and listener.
func wrongACL(s *slb.State) []string {
	var out []string
	users := map[string]int{}
	for key, l := range s.Listeners.All() {
		seen := rangeSet{}
		for _, id := range l.ACL.IDs {
			users[id]++
			acl, ok := s.AccessControlLists.Get(id)
			if !ok {
				out = append(out, key+" names "+id+", which is gone")
				continue
			}
			for _, e := range acl.Entries {
				if seen[e.Prefix.Masked()] {
					out = append(out, key+" has an entry twice")
				}
				seen[e.Prefix.Masked()] = true
			}
		}
		if len(seen) > 3 {
			out = append(out, fmt.Sprint(key, " has ", len(seen), " entries"))
		}
		if l.ACL.Status == slb.On && len(l.ACL.IDs) == 0 {
			out = append(out, key+" is on and names nothing")
		}
	}
	for id, n := range users {
		if n > 1 {
			out = append(out, fmt.Sprint(n, " listeners name ", id))
		}
	}
	names := map[string]bool{}
	for id, acl := range s.AccessControlLists.All() {
		if names[acl.Name] || len(acl.Entries) > 3 {
			out = append(out, id+" has a name of others, or too many entries")
		}
		names[acl.Name] = true
	}
	return out
}

// TestACLsBesideEachOther puts each of two calls between the reading and the
// commit of the other, which runs on another node: no listener ends up naming a
// list that is gone, and no quota is passed.
func TestACLsBesideEachOther(t *testing.T) {
	const region = "cn-hangzhou"
	set := func(port string, more ...string) params {
		return append(params{"SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", "LB", "ListenerPort", port}, more...)
	}
	use := func(port, ids string) params { return set(port, "AclStatus", "on", "AclType", "white", "AclId", ids) }
	add := func(id string, entries ...string) params {
		return params{"AddAccessControlListEntry", "RegionId", region, "AclId", id, "AclEntrys", aclEntrys(entries...)}
	}
	remove := params{"DeleteAccessControlList", "RegionId", region, "AclId", "$ACL"}
	// Listener 3 names $OFF and is off; listener 4 uses $ON and $ALSO.
	for _, c := range []struct{ one, two params }{
		{use("1", "$ACL"), remove},
		{set("1", "AclId", "$ACL"), remove},
		{params{"CreateLoadBalancerTCPListener", "LoadBalancerId", "LB", "ListenerPort", "9", "BackendServerPort", "1", "AclId", "$ACL"}, remove},
		{set("3", "AclStatus", "on"), params{"DeleteAccessControlList", "RegionId", region, "AclId", "$OFF"}},
		{set("3", "AclId", "$ACL"), params{"DeleteAccessControlList", "RegionId", region, "AclId", "$OFF"}},
		{use("1", "$ACL"), use("2", "$ACL")},
		{use("1", "$ACL,$OTHER"), add("$ACL", "99.0.0.1")}, // $OTHER has it
		{use("1", "$ACL,$OTHER"), add("$ACL", "1.0.0.1", "1.0.0.2", "1.0.0.3")},
		{add("$ON", "5.0.0.1"), add("$ALSO", "5.0.0.1")},
		{add("$ON", "5.0.0.1", "5.0.0.2"), add("$ALSO", "5.0.0.3", "5.0.0.4")},
		{add("$ACL", "5.0.0.1", "5.0.0.2"), add("$ACL", "5.0.0.3", "5.0.0.4")},
		{use("4", "$ON"), add("$ALSO", "5.0.0.1")},
		{params{"CreateAccessControlList", "RegionId", region, "AclName", "new"}, params{"SetAccessControlListAttribute", "RegionId", region, "AclId", "$ACL", "AclName", "new"}},
		{params{"CreateAccessControlList", "RegionId", region, "AclName", "new"}, params{"CreateAccessControlList", "RegionId", region, "AclName", "new"}},
	} {
		for _, order := range [][2]params{{c.one, c.two}, {c.two, c.one}} {
			t.Run(fmt.Sprintf("%v beside %v", order[1], order[0]), func(t *testing.T) {
				worlds, paused := twoNodes(t)
				w := worlds[0]
				for _, node := range worlds {
					node.server.cfg.Quotas.ListenersPerACL, node.server.cfg.Quotas.ACLEntries, node.server.cfg.Quotas.ACLEntriesPerListener = 1, 3, 3
				}
				lb := w.create()
				ids := map[string]string{"LB": lb, "$ACL": w.acl("acl"), "$OTHER": w.acl("other", "99.0.0.1"), "$OFF": w.acl("off"), "$ON": w.acl("on"), "$ALSO": w.acl("also")}
				for port := 1; port <= 4; port++ {
					w.tcp(lb, port)
				}
				w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "3", "AclId", ids["$OFF"], "AclType", "black")
				w.ok("SetLoadBalancerTCPListenerAttribute", "LoadBalancerId", lb, "ListenerPort", "4", "AclId", ids["$ON"]+","+ids["$ALSO"], "AclType", "black", "AclStatus", "on")
				settle(t, worlds)
				fill := func(p params) params {
					var out params
					for _, v := range p {
						switch {
						case v == "$ACL,$OTHER":
							v = ids["$ACL"] + "," + ids["$OTHER"]
						case ids[v] != "":
							v = ids[v]
						}
						out = append(out, v)
					}
					return out
				}
				first, second := fill(order[0]), fill(order[1])
				between := func() {
					if status, a := worlds[1].try(second[0], second[1:]...); status != 200 {
						t.Errorf("between: %d %v", status, a)
					}
				}
				paused.before.Store(&between)
				if status, a := w.try(first[0], first[1:]...); status >= 500 {
					t.Errorf("%d %v", status, a)
				}
				if paused.before.Load() != nil {
					t.Error("nothing was committed")
				}
				if got := wrongACL(settle(t, worlds)); len(got) > 0 {
					t.Error(got)
				}
			})
		}
	}
}
