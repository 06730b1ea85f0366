// Package plan turns what users asked for (slb.State) into what the data plane
// shall run (spec.Config), and what the data plane saw back into the terms of
// the API. It is the one place that speaks both languages, and it is pure:
// equal states give equal plans.
package plan

import (
	"strings"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// Compile returns the plan of the whole state.
func Compile(s *slb.State) spec.Config {
	cfg := spec.Config{Instances: make(map[string]*spec.Instance)}
	for _, lb := range s.LoadBalancers.All() {
		if inst := instance(s, lb); inst != nil {
			cfg.Instances[inst.ID] = inst
		}
	}
	return cfg
}

// Instance returns the plan of one load balancer, or nil when it runs nothing:
// it does not exist, is not active, or has no running listener. Its cost grows
// with that load balancer alone.
func Instance(s *slb.State, id slb.LoadBalancerID) *spec.Instance {
	lb, ok := s.LoadBalancers.Get(string(id))
	if !ok {
		return nil
	}
	return instance(s, lb)
}

func instance(s *slb.State, lb *slb.LoadBalancer) *spec.Instance {
	if lb.Status != slb.Active {
		return nil
	}
	inst := &spec.Instance{ID: string(lb.ID), Limits: Limits(lb)}
	for _, l := range s.ListenersOf(lb.ID) {
		if l.Status != slb.Running {
			continue
		}
		f := frontend(lb, l)
		f.TLS = tlsOptions(s, l)
		f.ACL = accessControl(s, l)
		f.AccessLog = accessLog(lb, l)
		if f.Pool != "" {
			inst.Pools = append(inst.Pools, pool(s, lb, l, groupOf(s, lb, l)))
		}
		if l.Protocol.IsL7() {
			var more []spec.Pool
			f.HTTP.ClientCert = clientCert(l)
			f.HTTP.Rules, more = rules(s, lb, l, f.HTTP.Sticky)
			inst.Pools = append(inst.Pools, more...)
		}
		inst.Frontends = append(inst.Frontends, f)
	}
	if len(inst.Frontends) == 0 {
		return nil
	}
	unmarking(inst.Frontends)
	return inst
}

// Affected returns the load balancers whose plan may differ after a change to
// the resource, given the state after the change. Nothing outside them differs.
func Affected(s *slb.State, kind slb.Kind, key string) []slb.LoadBalancerID {
	switch kind {
	case slb.KindLoadBalancer:
		return []slb.LoadBalancerID{slb.LoadBalancerID(key)}
	case slb.KindListener:
		// Changes of its additional domains write the listener too.
		id, _, _ := strings.Cut(key, "/")
		return []slb.LoadBalancerID{slb.LoadBalancerID(id)}
	case slb.KindVServerGroup:
		// No listener and no rule names a group that is gone.
		if g, ok := s.VServerGroups.Get(key); ok {
			return []slb.LoadBalancerID{g.LoadBalancerID}
		}
	case slb.KindMasterSlaveGroup:
		if g, ok := s.MasterSlaveGroups.Get(key); ok {
			return []slb.LoadBalancerID{g.LoadBalancerID}
		}
	case slb.KindRule:
		// With a rule that goes, its listener is written.
		if r, ok := s.Rules.Get(key); ok {
			return []slb.LoadBalancerID{r.LoadBalancerID}
		}
	case slb.KindServer:
		// Whoever stopped naming the server has itself changed.
		return s.LoadBalancersUsing(slb.ServerID(key))
	case slb.KindServerCertificate, slb.KindCACertificate:
		return affectedByCertificate(s, key)
	case slb.KindTLSCipherPolicy:
		return affectedByPolicy(s, key)
	case slb.KindAccessControlList:
		return usingACL(s, key)
	}
	return nil
}
