package plan

import (
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// rules returns the forwarding rules of an HTTP or HTTPS listener and the pools they send to.
// A pool occurs once, however many rules share it, and may be the listener's
// own. Rules without settings of their own have the listener's stickiness.
func rules(s *slb.State, lb *slb.LoadBalancer, l *slb.Listener, listenerSticky *spec.Sticky) ([]spec.Rule, []spec.Pool) {
	if l.Redirects() {
		return nil, nil
	}
	var out []spec.Rule
	var pools []spec.Pool
	seen := map[string]bool{poolID(l): true}
	for _, r := range s.RulesOf(l.Key()) {
		as := asListener(l, r)
		id := rulePoolID(as, r)
		rule := spec.Rule{ID: r.ID, Domain: r.Domain, Path: r.URL, Pool: id, Sticky: listenerSticky}
		if ownSettings(r) {
			rule.Sticky = sticky(r.StickySession, r.StickySessionType, r.CookieTimeout, r.Cookie)
		}
		out = append(out, rule)
		if !seen[id] {
			seen[id] = true
			p := pool(s, lb, as, vServerGroup(s, r.VServerGroupID))
			p.ID = id
			pools = append(pools, p)
		}
	}
	return out, pools
}

// asListener is the listener as it would be if it had nothing but the rule.
// Source: SetRule, parameter ListenerSync.
func asListener(l *slb.Listener, r *slb.Rule) *slb.Listener {
	as := *l
	as.VServerGroupID, as.MasterSlaveServerGroup = r.VServerGroupID, ""
	if ownSettings(r) {
		as.Scheduler, as.HealthCheck = r.Scheduler, r.HealthCheck
	}
	return &as
}

// ownSettings tells whether the rule does not share those of its listener.
func ownSettings(r *slb.Rule) bool { return r.ListenerSync == slb.Off }

// rulePoolID names the rule's group as the rule uses it: as the listener does,
// or by settings of its own, with a health of its own.
func rulePoolID(as *slb.Listener, r *slb.Rule) string {
	if ownSettings(r) {
		return poolID(as) + ":" + r.ID
	}
	return poolID(as)
}
