package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// keepAliveClient is the user agent of the HTTP probes of TCP listeners, by
// which operators keep them out of their logs. Source: the vendor's FAQ on
// backend servers.
const keepAliveClient = "KeepAliveClient"

// ownAddress as the domain asks for the probed server's address as the Host.
const ownAddress = "$_ip"

// check returns the probe of a listener, nil when it is off. Fields that the
// kind has no use for stay zero, so that equal probes compare equal.
func check(l *slb.Listener) *spec.Check {
	h := &l.HealthCheck
	if !h.Enabled {
		return nil
	}
	c := &spec.Check{
		Kind:      spec.CheckKind(cmp.Or(h.Type, defaultCheckType(l.Protocol))),
		Port:      h.ConnectPort,
		Timeout:   cmp.Or(h.Timeout, defaultTimeout(l.Protocol)),
		Interval:  cmp.Or(h.Interval, defaultInterval(l.Protocol)),
		Healthy:   cmp.Or(h.HealthyThreshold, slb.DefaultThreshold),
		Unhealthy: cmp.Or(h.UnhealthyThreshold, slb.DefaultThreshold),
	}
	// A timeout below the interval is not used, the interval is. Sources:
	// CreateLoadBalancerHTTPListener, SetLoadBalancerTCPListenerAttribute.
	c.Timeout = max(c.Timeout, c.Interval)
	switch c.Kind {
	case spec.CheckHTTP:
		method := slb.MethodHead
		if !l.Protocol.IsL7() {
			method, c.UserAgent = slb.MethodGet, keepAliveClient
		}
		c.Method = strings.ToUpper(string(cmp.Or(h.Method, method)))
		c.HTTPVersion = cmp.Or(h.HTTPVersion, "1.0")
		c.URI = cmp.Or(h.URI, "/")
		if h.Domain != ownAddress {
			c.Host = h.Domain
		}
		c.Codes = codes(h.HTTPCodes)
	case spec.CheckUDP:
		c.Request, c.Expect = h.Request, h.Expect
	}
	return c
}

func defaultCheckType(p slb.Protocol) slb.HealthCheckType {
	switch p {
	case slb.HTTP, slb.HTTPS:
		return slb.CheckHTTP
	case slb.UDP:
		return slb.CheckUDP
	}
	return slb.CheckTCP
}

func defaultTimeout(p slb.Protocol) time.Duration {
	if p == slb.UDP {
		return slb.DefaultUDPCheckTimeout
	}
	return slb.DefaultCheckTimeout
}

func defaultInterval(p slb.Protocol) time.Duration {
	if p == slb.UDP {
		return slb.DefaultUDPCheckInterval
	}
	return slb.DefaultCheckInterval
}

// codes turns http_2xx and the like into bits; without any, http_2xx counts.
func codes(names []string) uint8 {
	var bits uint8
	for _, n := range names {
		if len(n) == len("http_2xx") && strings.HasPrefix(n, "http_") && '2' <= n[5] && n[5] <= '5' {
			bits |= 1 << (n[5] - '0')
		}
	}
	return cmp.Or(bits, 1<<2)
}

// ServerHealth returns the rows of DescribeHealthStatus for a load balancer,
// ordered by listener and then as the servers stand in the group. facts are
// what the data plane saw of the load balancer's pools.
//
// The groups of forwarding rules follow the listener's own. Rows do not tell of
// which rule they are, so that equal ones are one; two of one server differ if
// rules check it with different results.
//
// Stopped listeners and inactive instances have rows too: no check runs for
// them, which is what the state unavailable says. Redirects have none, as they
// have no servers.
func ServerHealth(s *slb.State, id slb.LoadBalancerID, facts []spec.TargetFacts) []slb.ServerHealth {
	lb, ok := s.LoadBalancers.Get(string(id))
	if !ok {
		return nil
	}
	seen := make(map[targetKey]spec.Health, len(facts))
	for _, f := range facts {
		seen[targetKey{f.Pool, spec.Target{ID: f.Target, Addr: f.Addr}}] = f.Health
	}
	var rows []slb.ServerHealth
	for _, l := range s.ListenersOf(id) {
		if l.Protocol.IsL7() && l.Redirects() {
			continue
		}
		uses := usesOf(s, lb, l)
		var told map[slb.ServerHealth]bool // a search among the rows of many rules would take long
		if len(uses) > 1 {
			told = make(map[slb.ServerHealth]bool)
		}
		for _, u := range uses {
			for i := range u.group.servers {
				b := &u.group.servers[i]
				t := u.group.target(s, lb, u.as, b)
				health := seen[targetKey{u.pool, spec.Target{ID: t.ID, Addr: t.Addr}}]
				row := slb.ServerHealth{
					ListenerPort: l.Port,
					Protocol:     l.Protocol,
					ServerID:     b.ServerID,
					Port:         b.Port,
					ServerIP:     t.Addr.Addr(),
					Type:         b.Type,
					Status:       status(lb, u.as, &t, health),
				}
				if u.as != l && told[row] {
					continue
				}
				rows = append(rows, row)
				if told != nil {
					told[row] = true
				}
			}
		}
	}
	return rows
}

// use is a group as a listener, or one of its rules, sends to it.
type use struct {
	as    *slb.Listener // with the settings that count
	pool  string
	group group
}

// usesOf lists the listener's own group and those of its rules, each pool once.
func usesOf(s *slb.State, lb *slb.LoadBalancer, l *slb.Listener) []use {
	out := []use{{l, poolID(l), groupOf(s, lb, l)}}
	for _, r := range s.RulesOf(l.Key()) {
		as := asListener(l, r)
		id := rulePoolID(as, r)
		if !slices.ContainsFunc(out, func(u use) bool { return u.pool == id }) {
			out = append(out, use{as, id, vServerGroup(s, r.VServerGroupID)})
		}
	}
	return out
}

type targetKey struct {
	pool   string
	target spec.Target // ID and Addr alone
}

// status is a server's health as one listener reports it. Weight 0 shows as
// abnormal on layer 4 and as the true state on layer 7; the vendor's Chinese
// FAQ on health checks says so, and the English one is not followed.
func status(lb *slb.LoadBalancer, l *slb.Listener, t *spec.Target, h spec.Health) slb.HealthStatus {
	switch {
	case lb.Status != slb.Active || l.Status != slb.Running:
		return slb.HealthUnavailable
	case t.Disabled:
		return slb.HealthAbnormal
	case !l.HealthCheck.Enabled, t.Unchecked:
		return slb.HealthUnavailable
	case t.Weight == 0 && !l.Protocol.IsL7():
		return slb.HealthAbnormal
	}
	switch h {
	case spec.HealthUp:
		return slb.HealthNormal
	case spec.HealthDown:
		return slb.HealthAbnormal
	}
	return slb.HealthUnavailable
}
