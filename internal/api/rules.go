package api

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) ruleActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateRules", s.createRules),
		rpc.NewAction("DeleteRules", s.deleteRules),
		rpc.NewAction("SetRule", s.setRule),
		rpc.NewAction("DescribeRules", s.describeRules),
		rpc.NewAction("DescribeRuleAttribute", s.describeRule),
	}
}

// maxRulesPerCall is the most rules of one call. Source: CreateRules,
// DeleteRules.
const maxRulesPerCall = 10

// Every change of a rule writes the rule's listener as well, though nothing of
// the listener differs. Thereby rules of one listener cannot come into being
// side by side unseen, neither two with one name nor one on a listener that is
// being deleted, on whatever node; and whoever follows the listener learns that
// one of its rules is gone, which the rule's id alone does not tell.

// ruleParam is one element of RuleList.
type ruleParam struct {
	RuleName       string `param:"RuleName,required" maxlen:"40" pattern:"[\\p{L}\\p{N}/._-]+" form:"letters, digits, '/', '.', '_' and '-'" missing:"RuleListMalformed|400|the specified parameter RuleList is unavailable."`
	Domain         string `param:"Domain" err:"DomainMalformed|400|the specified domain in RuleList parameter is unavailable." maxlen:"253"`
	URL            string `param:"Url" err:"UrlMalformed|400|the specified url in RuleList parameter is unavailable." maxlen:"80"`
	VServerGroupID string `param:"VServerGroupId,required" maxlen:"64" missing:"RuleListMalformed|400|the specified parameter RuleList is unavailable."`
}

// domainPattern is a host name, or one whose first label is a wildcard.
var domainPattern = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// urlPattern takes all printable ASCII: the characters on the page are too few
// for real paths.
var urlPattern = regexp.MustCompile(`^/[!-~]*$`)

func (p *ruleParam) check() error {
	switch {
	case p.Domain == "" && p.URL == "":
		return slb.ErrRuleList.Because("Rule %s has neither Domain nor Url.", rpc.Shown(p.RuleName))
	case p.Domain != "" && !domainPattern.MatchString(p.Domain):
		return slb.ErrRuleDomain.Because("It is %s; it must be a host name, or one with '*' as its first label.", rpc.Shown(p.Domain))
	case p.URL == "/":
		return slb.ErrRuleURLNotAllowed.Because("It is \"/\"; a rule without Url is for all paths.")
	case p.URL != "" && !urlPattern.MatchString(p.URL):
		return slb.ErrRuleURL.Because("It is %s; it must be printable ASCII that begins with '/'.", rpc.Shown(p.URL))
	}
	return nil
}

// rulesListenerParams name the listener of rules.
type rulesListenerParams struct {
	protectionParams
	ListenerPort     uint16       `param:"ListenerPort,required" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
	ListenerProtocol slb.Protocol `param:"ListenerProtocol" err:"InvalidParameter|400|The specified protocol is not valid."`
}

// find picks the listener. Of those that share a port only one can have rules,
// so that the protocol is not needed; if it is given it must agree.
func (p *rulesListenerParams) find(get func(key string) (*slb.Listener, bool), wrongProtocol error) (*slb.Listener, error) {
	l, ok := get(slb.ListenerKey(p.LoadBalancerID, slb.TCP.Family(), p.ListenerPort))
	if ok && l.Protocol.IsL7() && (p.ListenerProtocol == "" || p.ListenerProtocol == l.Protocol) {
		return l, nil
	}
	if !ok || p.ListenerProtocol == slb.UDP {
		l, ok = get(slb.ListenerKey(p.LoadBalancerID, slb.UDP.Family(), p.ListenerPort))
	}
	if !ok || p.ListenerProtocol != "" && p.ListenerProtocol != l.Protocol {
		return nil, slb.ErrListenerNotFound
	}
	return nil, wrongProtocol
}

type createRulesParams struct {
	rulesListenerParams
	DryRun   bool        `param:"DryRun"`
	RuleList []ruleParam `param:"RuleList,required" jsonparam:"true" err:"RuleListMalformed|400|the specified parameter RuleList is unavailable."`
}

type createdRule struct {
	RuleID   string `out:"RuleId"`
	RuleName string `out:"RuleName"`
}

type createRulesResult struct {
	Rules []createdRule `out:"Rules>Rule"`
}

// createRules makes all rules of the list or none, and answers with those it
// made, in their order. With DryRun it answers with none.
func (s *Server) createRules(ctx context.Context, p *createRulesParams) (*createRulesResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	if n := len(p.RuleList); n == 0 || n > maxRulesPerCall {
		return nil, slb.ErrRuleList.Because("It has %d elements; it must have 1 to %d.", n, maxRulesPerCall)
	}
	var models []*slb.Rule
	for i := range p.RuleList {
		r := &p.RuleList[i]
		if err := r.check(); err != nil {
			return nil, err
		}
		models = append(models, &slb.Rule{
			ID: slb.NewRuleID(), LoadBalancerID: p.LoadBalancerID, ListenerPort: p.ListenerPort, Name: r.RuleName,
			Domain: r.Domain, URL: r.URL, VServerGroupID: r.VServerGroupID, ListenerSync: slb.On, CreatedAt: s.now(),
		})
	}
	r := &createRulesResult{}
	err := s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		if _, ok := tx.LoadBalancers.Get(string(p.LoadBalancerID)); !ok {
			return slb.ErrLoadBalancerNotFound
		}
		l, err := p.find(tx.Listeners.Edit, slb.ErrRuleProtocol)
		if err != nil {
			return err
		}
		rules := tx.State().RulesOf(l.Key())
		for _, model := range models {
			if err := ruleFits(tx, rules, model); err != nil {
				return err
			}
			rules = append(rules, model)
		}
		if exceeds(len(rules), s.cfg.Quotas.Rules) {
			return slb.ErrRuleQuota
		}
		if p.DryRun {
			return nil
		}
		r.Rules = nil
		for _, model := range models {
			tx.Rules.Put(model.Clone())
			r.Rules = append(r.Rules, createdRule{model.ID, model.Name})
		}
		tx.Listeners.Put(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// ruleFits judges a new rule, or one that was changed, beside the others of its
// listener. Domains that differ in case alone are the same, and so are paths that
// differ in their percent-encoding alone.
func ruleFits(tx *store.Tx, others []*slb.Rule, r *slb.Rule) error {
	for _, o := range others {
		switch {
		case o.ID == r.ID:
		case strings.EqualFold(o.Domain, r.Domain) && plainPath(o.URL) == plainPath(r.URL):
			return slb.ErrRuleExists
		case o.Name == r.Name:
			return invalidBecause("RuleName", "The listener has another rule of this name.")
		}
	}
	if !hasVServerGroup(tx, r.LoadBalancerID, r.VServerGroupID) {
		return slb.ErrVServerGroup
	}
	return nil
}

// plainPath is a path free of percent-encoding, as requests are compared with it:
// what is not well encoded stays as it is.
func plainPath(path string) string {
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			if n, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				c = byte(n)
				i += 2
			}
		}
		b = append(b, c)
	}
	return string(b)
}

type deleteRulesParams struct {
	RegionID string   `param:"RegionId,required"`
	RuleIDs  []string `param:"RuleIds,required" jsonparam:"true"`
}

// deleteRules deletes all rules of the list or none. They may be of several
// listeners, even of several instances.
func (s *Server) deleteRules(ctx context.Context, p *deleteRulesParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	if n := len(p.RuleIDs); n == 0 || n > maxRulesPerCall {
		return nil, invalidBecause("RuleIds", fmt.Sprintf("RuleIds has %d elements; it must have 1 to %d.", n, maxRulesPerCall))
	}
	seen, ok := s.cfg.Store.State().Rules.Get(p.RuleIDs[0])
	if !ok {
		return nil, slb.ErrRuleNotFound
	}
	return &rpc.Empty{}, s.update(ctx, string(seen.LoadBalancerID), func(tx *store.Tx) error {
		listeners := make(map[string]bool)
		for i, id := range p.RuleIDs {
			r, ok := tx.Rules.Get(id)
			if !ok {
				if containsBefore(p.RuleIDs, i) {
					continue
				}
				return slb.ErrRuleNotFound
			}
			tx.Rules.Delete(id)
			listeners[r.ListenerKey()] = true
		}
		for key := range listeners {
			if l, ok := tx.Listeners.Edit(key); ok {
				tx.Listeners.Put(l)
			}
		}
		return nil
	})
}

// containsBefore reports whether the element at i repeats an earlier one.
func containsBefore(list []string, i int) bool {
	for _, v := range list[:i] {
		if v == list[i] {
			return true
		}
	}
	return false
}

// rulesByAge is the order in which rules are told.
func rulesByAge(rules []*slb.Rule) []*slb.Rule {
	return byAge(rules, func(r *slb.Rule) (time.Time, string, string) { return r.CreatedAt, r.Name, r.ID })
}
