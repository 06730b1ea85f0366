package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) modifyActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("ModifyLoadBalancerInstanceSpec", s.modifyInstanceSpec),
		rpc.NewAction("ModifyLoadBalancerInstanceChargeType", s.modifyInstanceChargeType),
		rpc.NewAction("ModifyLoadBalancerInternetSpec", s.modifyInternetSpec),
		rpc.NewAction("ModifyLoadBalancerPayType", s.modifyPayType),
		rpc.NewAction("MoveResourceGroup", s.moveResourceGroup),
	}
}

// modify commits what fn changes in an instance. The answers of these actions
// lack OrderId: there are no orders here.
func (s *Server) modify(ctx context.Context, id slb.LoadBalancerID, region string, demanded bool, fn func(tx *store.Tx, lb *slb.LoadBalancer) error) (*rpc.Empty, error) {
	if err := s.checkRegion(region, demanded); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.editLoadBalancer(ctx, id, fn)
}

type modifyInstanceSpecParams struct {
	loadBalancerParams
	LoadBalancerSpec string `param:"LoadBalancerSpec,required" maxlen:"64" pattern:"slb\\.[a-z0-9]+\\.[a-z0-9]+" form:"like slb.s1.small"`
	AutoPay          bool   `param:"AutoPay"`
}

// modifyInstanceSpec: subscriptions can only be raised.
func (s *Server) modifyInstanceSpec(ctx context.Context, p *modifyInstanceSpecParams) (*rpc.Empty, error) {
	return s.modify(ctx, p.LoadBalancerID, p.RegionID, false, func(_ *store.Tx, lb *slb.LoadBalancer) error {
		if lb.PayType == slb.PrePay && slb.WeakerSpec(p.LoadBalancerSpec, lb.Spec) {
			return slb.ErrSpecNotRaised
		}
		lb.Spec = p.LoadBalancerSpec
		return nil
	})
}

type modifyInstanceChargeTypeParams struct {
	protectionParams
	Bandwidth          int                    `param:"Bandwidth"` // not needed
	InstanceChargeType slb.InstanceChargeType `param:"InstanceChargeType,required"`
	InternetChargeType slb.InternetChargeType `param:"InternetChargeType"`
	LoadBalancerSpec   string                 `param:"LoadBalancerSpec" maxlen:"64" pattern:"slb\\.[a-z0-9]+\\.[a-z0-9]+" form:"like slb.s1.small"`
}

// modifyInstanceChargeType: metering by LCU goes with payment by traffic alone.
// The way back to a specification is not documented, but the controller goes it.
func (s *Server) modifyInstanceChargeType(ctx context.Context, p *modifyInstanceChargeTypeParams) (*rpc.Empty, error) {
	return s.modify(ctx, p.LoadBalancerID, p.RegionID, true, func(_ *store.Tx, lb *slb.LoadBalancer) error {
		lb.InstanceChargeType = p.InstanceChargeType
		if p.InstanceChargeType == slb.PayByCLCU {
			if p.InternetChargeType == slb.PayByBandwidth {
				return invalid("InternetChargeType", string(p.InternetChargeType), "paybytraffic where InstanceChargeType is PayByCLCU")
			}
			lb.InternetChargeType = slb.PayByTraffic
			return nil
		}
		if p.LoadBalancerSpec != "" {
			lb.Spec = p.LoadBalancerSpec
		}
		if lb.Spec == "" {
			return missing("LoadBalancerSpec")
		}
		return nil
	})
}

type modifyInternetSpecParams struct {
	loadBalancerParams
	AutoPay            bool                   `param:"AutoPay" default:"true"`
	Bandwidth          int                    `param:"Bandwidth" range:"-1|1..5120" err:"InvalidParameter|400|The specified Bandwidth is invalid."`
	InternetChargeType slb.InternetChargeType `param:"InternetChargeType"`
}

// modifyInternetSpec acts at once, a change of the billing method included.
func (s *Server) modifyInternetSpec(ctx context.Context, p *modifyInternetSpecParams) (*rpc.Empty, error) {
	return s.modify(ctx, p.LoadBalancerID, p.RegionID, false, func(tx *store.Tx, lb *slb.LoadBalancer) error {
		before := lb.InternetChargeType
		if p.InternetChargeType != "" {
			lb.InternetChargeType = p.InternetChargeType
		}
		changed := lb.InternetChargeType != before
		switch {
		case lb.InternetChargeType == slb.PayByBandwidth && lb.AddressType == slb.Intranet:
			return slb.ErrIntranetBandwidth
		case lb.InternetChargeType == slb.PayByBandwidth && lb.InstanceChargeType == slb.PayByCLCU:
			return invalid("InternetChargeType", string(lb.InternetChargeType), "paybytraffic for an instance whose InstanceChargeType is PayByCLCU")
		case lb.PayType == slb.PrePay && changed:
			return slb.ErrPrepayChargeType
		case lb.PayType == slb.PrePay && p.Bandwidth > 0 && p.Bandwidth < lb.Bandwidth:
			return slb.ErrBandwidthNotRaised
		}
		if p.Bandwidth > 0 {
			lb.Bandwidth = p.Bandwidth
		}
		if lb.InternetChargeType == slb.PayByBandwidth && lb.Bandwidth == 0 {
			return missing("Bandwidth")
		}
		return checkReserved(tx, lb)
	})
}

// checkReserved: what the listeners of an instance paid by bandwidth have
// reserved must fit into its bandwidth.
func checkReserved(tx *store.Tx, lb *slb.LoadBalancer) error {
	if lb.InternetChargeType != slb.PayByBandwidth {
		return nil
	}
	sum := 0
	for _, l := range tx.Listeners.Prefix(slb.ListenerPrefix(lb.ID)) {
		sum += max(l.Bandwidth, 0)
	}
	if sum > lb.Bandwidth {
		return slb.ErrBandwidthExceeded.Because("The listeners have reserved %d Mbit/s of %d.", sum, lb.Bandwidth)
	}
	return nil
}

type modifyPayTypeParams struct {
	protectionParams
	AutoPay      bool        `param:"AutoPay"`
	Duration     int         `param:"Duration" range:"1..9"`
	PayType      slb.PayType `param:"PayType" default:"PayOnDemand"`
	PricingCycle string      `param:"PricingCycle" enum:"month|year"`
}

// modifyPayType goes one way, to a subscription.
func (s *Server) modifyPayType(ctx context.Context, p *modifyPayTypeParams) (*rpc.Empty, error) {
	return s.modify(ctx, p.LoadBalancerID, p.RegionID, true, func(_ *store.Tx, lb *slb.LoadBalancer) error {
		switch {
		case p.PayType != slb.PrePay:
			return slb.ErrOnlyToPrepay
		case lb.AddressType == slb.Internet && lb.InternetChargeType == slb.PayByTraffic:
			return slb.ErrTrafficToPrepay
		}
		lb.PayType = slb.PrePay
		return nil
	})
}

// moveResourceGroupParams: an instance is a loadbalancer here, and an instance
// in the actions on tags.
type moveResourceGroupParams struct {
	NewResourceGroupID string `param:"NewResourceGroupId,required" maxlen:"64"`
	RegionID           string `param:"RegionId,required"`
	ResourceGroupID    string `param:"ResourceGroupId"` // the present one; not looked at
	ResourceID         string `param:"ResourceId,required" maxlen:"128"`
	ResourceType       string `param:"ResourceType,required" enum:"loadbalancer|certificate|acl"`
}

func (s *Server) moveResourceGroup(ctx context.Context, p *moveResourceGroupParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, p.ResourceID, func(tx *store.Tx) error {
		switch p.ResourceType {
		case "loadbalancer":
			lb, ok := tx.LoadBalancers.Edit(p.ResourceID)
			if !ok {
				return slb.ErrLoadBalancerNotFound
			}
			lb.ResourceGroupID = p.NewResourceGroupID
			tx.LoadBalancers.Put(lb)
		case "acl":
			acl, ok := tx.AccessControlLists.Edit(p.ResourceID)
			if !ok {
				return slb.ErrACLNotFound
			}
			acl.ResourceGroupID = p.NewResourceGroupID
			tx.AccessControlLists.Put(acl)
		default:
			return moveCertificate(tx, p.ResourceID, p.NewResourceGroupID)
		}
		return nil
	})
}

// moveCertificate: server and CA certificates are one type of resource.
func moveCertificate(tx *store.Tx, id, group string) error {
	if c, ok := tx.ServerCertificates.Edit(id); ok {
		c.ResourceGroupID = group
		tx.ServerCertificates.Put(c)
		return nil
	}
	c, ok := tx.CACertificates.Edit(id)
	if !ok {
		return slb.ErrTaggedNotFound
	}
	c.ResourceGroupID = group
	tx.CACertificates.Put(c)
	return nil
}
