package api

import (
	"context"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

type ruleIDParams struct {
	RegionID string `param:"RegionId,required"`
	RuleID   string `param:"RuleId,required" maxlen:"64"`
}

// setRuleParams: domain and path of a rule cannot change.
type setRuleParams struct {
	ruleIDParams
	probeSettings
	Cookie            *string                `param:"Cookie" maxlen:"200" pattern:"[!#%&'*+.^_|~0-9A-Za-z-][!#$%&'*+.^_|~0-9A-Za-z-]*" form:"the name of a cookie, not beginning with '$'"`
	CookieTimeout     *time.Duration         `param:"CookieTimeout" range:"1..86400" unit:"s"`
	DryRun            bool                   `param:"DryRun"`
	HealthCheck       *slb.Switch            `param:"HealthCheck"`
	HealthTimeout     *time.Duration         `param:"HealthCheckTimeout" range:"1..300" unit:"s"`
	ListenerSync      *slb.Switch            `param:"ListenerSync"`
	RuleName          *string                `param:"RuleName" maxlen:"40" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'"`
	Scheduler         *slb.Scheduler         `param:"Scheduler"`
	StickySession     *slb.Switch            `param:"StickySession"`
	StickySessionType *slb.StickySessionType `param:"StickySessionType"`
	VServerGroupID    *string                `param:"VServerGroupId" maxlen:"64"`
}

// apply changes r. While the rule follows its listener it has no settings of its
// own, and such as are sent along are passed over. The call that makes it stop
// following must bring all that the rule needs; later ones change what they
// give.
func (p *setRuleParams) apply(r *slb.Rule) error {
	set(&r.Name, p.RuleName)
	set(&r.VServerGroupID, p.VServerGroupID)
	followed := r.ListenerSync != slb.Off
	set(&r.ListenerSync, p.ListenerSync)
	if r.ListenerSync != slb.Off {
		*r = slb.Rule{
			ID: r.ID, LoadBalancerID: r.LoadBalancerID, ListenerPort: r.ListenerPort, Name: r.Name, Domain: r.Domain, URL: r.URL,
			VServerGroupID: r.VServerGroupID, ListenerSync: slb.On, CreatedAt: r.CreatedAt,
		}
		return nil
	}
	if followed {
		switch {
		case p.Scheduler == nil:
			return missing("Scheduler")
		case p.StickySession == nil:
			return missing("StickySession")
		case p.HealthCheck == nil:
			return missing("HealthCheck")
		}
		r.HealthCheck = slb.HealthCheck{
			Type: slb.CheckHTTP, Timeout: slb.DefaultCheckTimeout, Interval: slb.DefaultCheckInterval,
			HealthyThreshold: slb.DefaultThreshold, UnhealthyThreshold: slb.DefaultThreshold,
		}
	}
	if p.Scheduler != nil {
		if !p.Scheduler.Fits(slb.HTTP) {
			return invalidBecause("Scheduler", string(*p.Scheduler)+" is not for rules.")
		}
		r.Scheduler = *p.Scheduler
	}
	if err := p.applyCheck(&r.HealthCheck); err != nil {
		return err
	}
	set(&r.StickySession, p.StickySession)
	set(&r.StickySessionType, p.StickySessionType)
	set(&r.Cookie, p.Cookie)
	set(&r.CookieTimeout, p.CookieTimeout)
	return checkSticky(r.StickySession, r.StickySessionType, r.Cookie, r.CookieTimeout)
}

// applyCheck: a check that is on must be told its path once.
func (p *setRuleParams) applyCheck(h *slb.HealthCheck) error {
	if err := p.probeSettings.apply(h); err != nil {
		return err
	}
	if p.HealthCheck != nil {
		h.Enabled = *p.HealthCheck == slb.On
	}
	set(&h.Timeout, p.HealthTimeout)
	if !h.Enabled {
		return nil
	}
	if h.URI == "" {
		return missing("HealthCheckURI")
	}
	h.SetDefaults(slb.HTTP)
	return nil
}

// setRule changes what is given. With DryRun it checks and changes nothing.
func (s *Server) setRule(ctx context.Context, p *setRuleParams) (*rpc.Empty, error) {
	seen, err := s.rule(&p.ruleIDParams)
	if err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, string(seen.LoadBalancerID), func(tx *store.Tx) error {
		r, ok := tx.Rules.Edit(p.RuleID)
		if !ok {
			return slb.ErrRuleNotFound
		}
		l, ok := tx.Listeners.Edit(r.ListenerKey())
		if !ok {
			return slb.ErrRuleNotFound
		}
		if err := p.apply(r); err != nil {
			return err
		}
		if err := ruleFits(tx, tx.State().RulesOf(l.Key()), r); err != nil {
			return err
		}
		if !p.DryRun {
			tx.Rules.Put(r)
			tx.Listeners.Put(l)
		}
		return nil
	})
}

// rule finds the rule in the state, for reading alone.
func (s *Server) rule(p *ruleIDParams) (*slb.Rule, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	r, ok := s.cfg.Store.State().Rules.Get(p.RuleID)
	if !ok {
		return nil, slb.ErrRuleNotFound
	}
	return r, nil
}
