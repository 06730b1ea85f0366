package api

import (
	"context"
	"net/netip"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) loadBalancerActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateLoadBalancer", s.createLoadBalancer),
		rpc.NewAction("DeleteLoadBalancer", s.deleteLoadBalancer),
		rpc.NewAction("DescribeLoadBalancerAttribute", s.describeLoadBalancerAttribute),
		rpc.NewAction("SetLoadBalancerName", s.setLoadBalancerName),
		rpc.NewAction("SetLoadBalancerStatus", s.setLoadBalancerStatus),
		rpc.NewAction("SetLoadBalancerDeleteProtection", s.setDeleteProtection),
		rpc.NewAction("SetLoadBalancerModificationProtection", s.setModificationProtection),
	}
}

// loadBalancerParams name an instance. The RegionId says nothing more, since
// ids are unique.
type loadBalancerParams struct {
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId,required" maxlen:"64"`
	RegionID       string             `param:"RegionId"`
}

// loadBalancer finds the instance in the state, for reading alone.
func (s *Server) loadBalancer(p *loadBalancerParams) (*slb.State, *slb.LoadBalancer, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, nil, err
	}
	state := s.cfg.Store.State()
	lb, ok := state.LoadBalancers.Get(string(p.LoadBalancerID))
	if !ok {
		return nil, nil, slb.ErrLoadBalancerNotFound
	}
	return state, lb, nil
}

// editLoadBalancer commits what fn changes in its copy of the instance.
func (s *Server) editLoadBalancer(ctx context.Context, id slb.LoadBalancerID, fn func(tx *store.Tx, lb *slb.LoadBalancer) error) error {
	return s.update(ctx, string(id), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Edit(string(id))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		if err := fn(tx, lb); err != nil {
			return err
		}
		tx.LoadBalancers.Put(lb)
		return nil
	})
}

// deleteLoadBalancer takes the listeners with their rules, the server groups, the
// tags and the address along.
func (s *Server) deleteLoadBalancer(ctx context.Context, p *loadBalancerParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Get(string(p.LoadBalancerID))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		if lb.DeleteProtection == slb.On {
			return slb.ErrDeleteProtection
		}
		for _, l := range tx.Listeners.Prefix(slb.ListenerPrefix(lb.ID)) {
			dropListener(tx, l)
		}
		dropGroups(tx, lb.ID)
		releaseAddress(tx, lb)
		tx.LoadBalancers.Delete(lb.Key())
		return nil
	})
}

type setLoadBalancerNameParams struct {
	loadBalancerParams
	LoadBalancerName string `param:"LoadBalancerName,required" maxlen:"80" pattern:"[\\p{L}\\p{N}._/-]+" form:"letters, digits, '.', '_', '/' and '-'"`
}

func (s *Server) setLoadBalancerName(ctx context.Context, p *setLoadBalancerNameParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.editLoadBalancer(ctx, p.LoadBalancerID, func(_ *store.Tx, lb *slb.LoadBalancer) error {
		lb.Name = p.LoadBalancerName
		return nil
	})
}

type setLoadBalancerStatusParams struct {
	loadBalancerParams
	LoadBalancerStatus string `param:"LoadBalancerStatus,required" enum:"active|inactive"`
}

// setLoadBalancerStatus: inactive stops all forwarding and leaves the listeners'
// states as they are; active resumes it.
func (s *Server) setLoadBalancerStatus(ctx context.Context, p *setLoadBalancerStatusParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.editLoadBalancer(ctx, p.LoadBalancerID, func(tx *store.Tx, lb *slb.LoadBalancer) error {
		if lb.Status == slb.Locked {
			return slb.ErrLocked
		}
		status := slb.LoadBalancerStatus(p.LoadBalancerStatus)
		if status == slb.Active && lb.Status != slb.Active {
			for _, l := range tx.Listeners.Prefix(slb.ListenerPrefix(lb.ID)) {
				if l.Status != slb.Running {
					continue
				}
				if err := s.canBind(lb, l); err != nil {
					return err
				}
			}
		}
		lb.Status = status
		return nil
	})
}

// canBind asks the data plane whether the listener could take its port.
func (s *Server) canBind(lb *slb.LoadBalancer, l *slb.Listener) error {
	if s.cfg.Binder == nil {
		return nil
	}
	if err := s.cfg.Binder.CanBind(l.Protocol, netip.AddrPortFrom(lb.Address, l.Port)); err != nil {
		return slb.ErrListenerBind.With(err)
	}
	return nil
}

// protectionParams name an instance where the reference demands the region.
type protectionParams struct {
	LoadBalancerID slb.LoadBalancerID `param:"LoadBalancerId,required" maxlen:"64"`
	RegionID       string             `param:"RegionId,required"`
}

type setDeleteProtectionParams struct {
	protectionParams
	DeleteProtection slb.Switch `param:"DeleteProtection,required"`
}

func (s *Server) setDeleteProtection(ctx context.Context, p *setDeleteProtectionParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.editLoadBalancer(ctx, p.LoadBalancerID, func(_ *store.Tx, lb *slb.LoadBalancer) error {
		lb.DeleteProtection = p.DeleteProtection
		return nil
	})
}

type setModificationProtectionParams struct {
	protectionParams
	Status slb.ModificationProtection `param:"ModificationProtectionStatus,required"`
	Reason *string                    `param:"ModificationProtectionReason" maxlen:"80" pattern:"\\p{L}[\\p{L}\\p{N}._-]*" form:"a letter, then letters, digits, '.', '_' and '-'"`
}

// setModificationProtection restricts the console alone; calls go on.
func (s *Server) setModificationProtection(ctx context.Context, p *setModificationProtectionParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.editLoadBalancer(ctx, p.LoadBalancerID, func(_ *store.Tx, lb *slb.LoadBalancer) error {
		lb.ModificationProtection = p.Status
		switch {
		case p.Status == slb.NonProtection:
			lb.ModificationProtectionReason = ""
		case p.Reason != nil:
			lb.ModificationProtectionReason = *p.Reason
		}
		return nil
	})
}
