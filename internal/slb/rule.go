package slb

import (
	"slices"
	"time"
)

// Rule sends the requests of an HTTP or HTTPS listener for a domain, a path
// prefix, or both, to a server group.
type Rule struct {
	ID             string // rule-...
	LoadBalancerID LoadBalancerID
	ListenerPort   uint16
	Name           string
	Domain         string `json:",omitempty"`
	URL            string `json:",omitempty"`
	VServerGroupID string
	// ListenerSync on: scheduler, stickiness and health check are the listener's.
	ListenerSync Switch
	// The rest counts when ListenerSync is off.
	Scheduler         Scheduler         `json:",omitempty"`
	StickySession     Switch            `json:",omitempty"`
	StickySessionType StickySessionType `json:",omitempty"`
	CookieTimeout     time.Duration     `json:",omitempty"`
	Cookie            string            `json:",omitempty"`
	HealthCheck       HealthCheck
	CreatedAt         time.Time
}

// Key is the resource's key in the store.
func (r *Rule) Key() string { return r.ID }

// Clone returns a copy that shares nothing mutable with r.
func (r *Rule) Clone() *Rule {
	c := *r
	c.HealthCheck.HTTPCodes = slices.Clone(r.HealthCheck.HTTPCodes)
	return &c
}

// ListenerKey is the key of the rule's listener.
func (r *Rule) ListenerKey() string { return ListenerKey(r.LoadBalancerID, "tcp", r.ListenerPort) }

// IndexKeys are the entries of the rule in State's index.
func (r *Rule) IndexKeys() []string {
	return []string{
		indexKey(indexRulesOf, r.ListenerKey(), r.ID),
		indexKey(indexGroupRules, r.VServerGroupID, r.ID),
	}
}

// NewRuleID returns a fresh identifier of the vendor's form.
func NewRuleID() string { return "rule-" + RandomToken(11) }
