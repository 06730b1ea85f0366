package api

import (
	"context"
	"slices"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) tlsPolicyActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateTLSCipherPolicy", s.createTLSPolicy),
		rpc.NewAction("DeleteTLSCipherPolicy", s.deleteTLSPolicy),
		rpc.NewAction("ListTLSCipherPolicies", s.listTLSPolicies),
		rpc.NewAction("SetTLSCipherPolicyAttribute", s.setTLSPolicy),
	}
}

// tlsVersion and tlsCipher are names out of the reference's lists, in any case.
type (
	tlsVersion string
	tlsCipher  string
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *tlsVersion) UnmarshalText(b []byte) error { return oneOf(b, v, slb.TLSVersions) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *tlsCipher) UnmarshalText(b []byte) error { return oneOf(b, c, slb.TLSCiphers) }

func oneOf[T ~string](text []byte, into *T, names []string) error {
	for _, n := range names {
		if strings.EqualFold(n, string(text)) {
			*into = T(n)
			return nil
		}
	}
	return &slb.NotAmong{Text: string(text), Allowed: names}
}

// tlsSuites are versions and cipher suites of a policy. Suites that this server
// has no code for are taken by name, as the policy is the caller's.
type tlsSuites struct {
	Ciphers     []tlsCipher  `param:"Ciphers.N,required" listmax:"32"`
	TLSVersions []tlsVersion `param:"TLSVersions.N,required" listmax:"4"`
}

// apply stores both lists without doublets. Every suite has to belong to one of
// the versions. Source: CreateTLSCipherPolicy.
func (p *tlsSuites) apply(policy *slb.TLSCipherPolicy) error {
	policy.TLSVersions, policy.Ciphers = nil, nil
	for _, v := range p.TLSVersions {
		if !slices.Contains(policy.TLSVersions, string(v)) {
			policy.TLSVersions = append(policy.TLSVersions, string(v))
		}
	}
	for _, c := range p.Ciphers {
		fits := func(version string) bool { return slices.Contains(slb.CiphersOfVersion(version), string(c)) }
		if !slices.ContainsFunc(policy.TLSVersions, fits) {
			return invalid("Ciphers", string(c), "a suite of "+strings.Join(policy.TLSVersions, " or "))
		}
		if !slices.Contains(policy.Ciphers, string(c)) {
			policy.Ciphers = append(policy.Ciphers, string(c))
		}
	}
	return nil
}

type createTLSPolicyParams struct {
	tlsSuites
	RegionID string `param:"RegionId,required"`
	Name     string `param:"Name,required" minlen:"2" maxlen:"200" pattern:"\\p{L}[\\p{L}\\p{N}._-]*" form:"a letter, then letters, digits, '.', '_' and '-'"`
}

type createTLSPolicyResult struct {
	TLSCipherPolicyID string `out:"TLSCipherPolicyId"`
}

func (s *Server) createTLSPolicy(ctx context.Context, p *createTLSPolicyParams) (*createTLSPolicyResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	policy := &slb.TLSCipherPolicy{ID: slb.NewTLSCipherPolicyID(), Name: p.Name, RegionID: s.cfg.Region, CreatedAt: s.now()}
	if err := p.apply(policy); err != nil {
		return nil, err
	}
	err := s.update(ctx, "", func(tx *store.Tx) error {
		tx.TLSCipherPolicies.Put(policy.Clone())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &createTLSPolicyResult{policy.ID}, nil
}

// tlsPolicyParams name a custom policy.
type tlsPolicyParams struct {
	RegionID          string `param:"RegionId,required"`
	TLSCipherPolicyID string `param:"TLSCipherPolicyId,required" maxlen:"64"`
}

type setTLSPolicyParams struct {
	tlsPolicyParams
	tlsSuites
	Name string `param:"Name,required" minlen:"2" maxlen:"128" pattern:"\\p{L}[\\p{L}\\p{N}._-]*" form:"a letter, then letters, digits, '.', '_' and '-'"`
}

type setTLSPolicyResult struct {
	TaskID string `out:"TaskId"`
}

// setTLSPolicy replaces all that a policy consists of. The task it answers is
// done by then; its id is the request's. Where listeners use the policy something
// must be left that they can be served by.
func (s *Server) setTLSPolicy(ctx context.Context, p *setTLSPolicyParams) (*setTLSPolicyResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	err := s.update(ctx, "", func(tx *store.Tx) error {
		policy, ok := tx.TLSCipherPolicies.Edit(p.TLSCipherPolicyID)
		if !ok {
			return slb.ErrResourceNotFound
		}
		policy.Name = p.Name
		if err := p.apply(policy); err != nil {
			return err
		}
		if !policy.Servable() {
			tx.Listeners.Prefix("")
			if len(tx.State().ListenersUsingPolicy(policy.ID)) > 0 {
				return invalidBecause("Ciphers", "This server has none of these suites, and listeners use the policy.")
			}
		}
		tx.TLSCipherPolicies.Put(policy)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &setTLSPolicyResult{rpc.CallerFrom(ctx).RequestID}, nil
}

// deleteTLSPolicy reads the range of listeners as deleteServerCertificate does.
func (s *Server) deleteTLSPolicy(ctx context.Context, p *tlsPolicyParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	id := p.TLSCipherPolicyID
	return &rpc.Empty{}, s.update(ctx, "", func(tx *store.Tx) error {
		if _, ok := tx.TLSCipherPolicies.Get(id); !ok {
			return slb.ErrResourceNotFound
		}
		tx.Listeners.Prefix("")
		if len(tx.State().ListenersUsingPolicy(id)) > 0 {
			return slb.ErrTLSCipherPolicyUsed
		}
		tx.TLSCipherPolicies.Delete(id)
		return nil
	})
}

type listTLSPoliciesParams struct {
	RegionID          string `param:"RegionId,required"`
	IncludeListener   bool   `param:"IncludeListener"`
	MaxItems          int    `param:"MaxItems" default:"20" range:"1..100"`
	Name              string `param:"Name" maxlen:"200"`
	NextToken         string `param:"NextToken" maxlen:"256"`
	TLSCipherPolicyID string `param:"TLSCipherPolicyId"`
}

type relatedListenerOut struct {
	LoadBalancerID string `out:"LoadBalancerId"`
	Port           int    `out:"Port"`
	Protocol       string `out:"Protocol"`
}

// tlsPolicyOut has its time as a number alone, unlike all other answers.
type tlsPolicyOut struct {
	Ciphers         []string             `out:"Ciphers"`
	CreateTime      int64                `out:"CreateTime"` // milliseconds
	InstanceID      string               `out:"InstanceId"`
	Name            string               `out:"Name"`
	RelateListeners []relatedListenerOut `out:"RelateListeners"`
	Status          string               `out:"Status"`
	TLSVersions     []string             `out:"TLSVersions"`
}

type listTLSPoliciesResult struct {
	IsTruncated bool           `out:"IsTruncated"`
	NextToken   string         `out:"NextToken,omitempty"`
	Policies    []tlsPolicyOut `out:"TLSCipherPolicies"`
	TotalCount  int            `out:"TotalCount"`
}

// listTLSPolicies lists custom policies in the order of ids, so that a page goes
// on where the last one ended whatever was deleted meanwhile. IsTruncated says
// that there is more, as its name does, and not the reverse as its description.
func (s *Server) listTLSPolicies(_ context.Context, p *listTLSPoliciesParams) (*listTLSPoliciesResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	after, err := readToken("TLS policies", p.NextToken)
	if err != nil {
		return nil, err
	}
	state := s.cfg.Store.State()
	r := &listTLSPoliciesResult{}
	last := ""
	for policy := range oneOrAll(state.TLSCipherPolicies, p.TLSCipherPolicyID) {
		if p.Name != "" && p.Name != policy.Name {
			continue
		}
		r.TotalCount++
		switch {
		case policy.ID <= after:
		case len(r.Policies) == p.MaxItems:
			r.IsTruncated = true
		default:
			r.Policies = append(r.Policies, tlsPolicyOutOf(state, policy, p.IncludeListener))
			last = policy.ID
		}
	}
	if r.IsTruncated {
		r.NextToken = writeToken("TLS policies", last)
	}
	return r, nil
}

func tlsPolicyOutOf(state *slb.State, policy *slb.TLSCipherPolicy, listeners bool) tlsPolicyOut {
	out := tlsPolicyOut{
		Ciphers:     policy.Ciphers,
		CreateTime:  policy.CreatedAt.UnixMilli(),
		InstanceID:  policy.ID,
		Name:        policy.Name,
		Status:      "normal",
		TLSVersions: policy.TLSVersions,
	}
	if listeners {
		for _, l := range state.ListenersUsingPolicy(policy.ID) {
			out.RelateListeners = append(out.RelateListeners, relatedListenerOut{string(l.LoadBalancerID), int(l.Port), string(l.Protocol)})
		}
	}
	return out
}
