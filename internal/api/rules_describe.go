package api

import (
	"context"
	"strconv"
	"strings"

	"github.com/openslb/openslb/internal/slb"
)

// ruleOut is a forwarding rule as its listener tells it.
type ruleOut struct {
	Domain         string `out:"Domain,omitempty"`
	RuleID         string `out:"RuleId"`
	RuleName       string `out:"RuleName"`
	URL            string `out:"Url,omitempty"`
	VServerGroupID string `out:"VServerGroupId"`
}

// rulesOut are the rules of a listener.
func rulesOut(state *slb.State, l *slb.Listener) []ruleOut {
	var out []ruleOut
	for _, r := range rulesByAge(state.RulesOf(l.Key())) {
		out = append(out, ruleOut{r.Domain, r.ID, r.Name, r.URL, r.VServerGroupID})
	}
	return out
}

// ruleAttributes are told of a rule in lists and alone. A rule that follows its
// listener has no settings of its own to tell.
type ruleAttributes struct {
	Cookie                 string `out:"Cookie,omitempty"`
	CookieTimeout          int    `out:"CookieTimeout,omitempty"` // seconds, as all timeouts
	Domain                 string `out:"Domain,omitempty"`
	HealthCheck            string `out:"HealthCheck,omitempty"`
	HealthCheckConnectPort int    `out:"HealthCheckConnectPort,omitempty"`
	HealthCheckDomain      string `out:"HealthCheckDomain,omitempty"`
	HealthCheckHTTPCode    string `out:"HealthCheckHttpCode,omitempty"`
	HealthCheckInterval    int    `out:"HealthCheckInterval,omitempty"`
	HealthCheckTimeout     int    `out:"HealthCheckTimeout,omitempty"`
	HealthCheckURI         string `out:"HealthCheckURI,omitempty"`
	HealthyThreshold       int    `out:"HealthyThreshold,omitempty"`
	ListenerSync           string `out:"ListenerSync"`
	RuleID                 string `out:"RuleId"`
	RuleName               string `out:"RuleName"`
	Scheduler              string `out:"Scheduler,omitempty"`
	StickySession          string `out:"StickySession,omitempty"`
	StickySessionType      string `out:"StickySessionType,omitempty"`
	UnhealthyThreshold     int    `out:"UnhealthyThreshold,omitempty"`
	URL                    string `out:"Url,omitempty"`
	VServerGroupID         string `out:"VServerGroupId"`
}

func ruleAttributesOf(r *slb.Rule) ruleAttributes {
	out := ruleAttributes{
		Domain:         r.Domain,
		ListenerSync:   string(r.ListenerSync),
		RuleID:         r.ID,
		RuleName:       r.Name,
		URL:            r.URL,
		VServerGroupID: r.VServerGroupID,
	}
	if r.ListenerSync != slb.Off {
		return out
	}
	out.Scheduler = string(r.Scheduler)
	out.StickySession = string(r.StickySession)
	if r.StickySession == slb.On {
		out.StickySessionType = string(r.StickySessionType)
		out.Cookie = r.Cookie
		out.CookieTimeout = seconds(r.CookieTimeout)
	}
	h := &r.HealthCheck
	out.HealthCheck = string(slb.SwitchOf(h.Enabled))
	if !h.Enabled {
		return out
	}
	out.HealthCheckConnectPort = int(h.ConnectPort)
	if h.ConnectPort == 0 {
		out.HealthCheckConnectPort = sameAsServer
	}
	out.HealthCheckDomain = h.Domain
	out.HealthCheckHTTPCode = strings.Join(h.HTTPCodes, ",")
	out.HealthCheckInterval = seconds(h.Interval)
	out.HealthCheckTimeout = seconds(h.Timeout)
	out.HealthCheckURI = h.URI
	out.HealthyThreshold = h.HealthyThreshold
	out.UnhealthyThreshold = h.UnhealthyThreshold
	return out
}

type describeRulesResult struct {
	Rules []ruleAttributes `out:"Rules>Rule"`
}

// describeRules lists the rules of a listener in the order of their creation.
func (s *Server) describeRules(_ context.Context, p *rulesListenerParams) (*describeRulesResult, error) {
	state, _, err := s.instanceToList(&p.protectionParams)
	if err != nil {
		return nil, err
	}
	l, err := p.find(state.Listeners.Get, slb.ErrFixedProtocolPort)
	if err != nil {
		return nil, err
	}
	r := &describeRulesResult{}
	for _, rule := range rulesByAge(state.RulesOf(l.Key())) {
		r.Rules = append(r.Rules, ruleAttributesOf(rule))
	}
	return r, nil
}

// describeRuleResult has the port as text, here alone.
type describeRuleResult struct {
	ruleAttributes
	ListenerPort   string             `out:"ListenerPort"`
	LoadBalancerID slb.LoadBalancerID `out:"LoadBalancerId"`
}

func (s *Server) describeRule(_ context.Context, p *ruleIDParams) (*describeRuleResult, error) {
	r, err := s.rule(p)
	if err != nil {
		return nil, err
	}
	return &describeRuleResult{ruleAttributesOf(r), strconv.Itoa(int(r.ListenerPort)), r.LoadBalancerID}, nil
}
