package api

import (
	"context"
	"net/netip"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// createScope serialises creations in this process, so that parallel callers do
// not run into each other over addresses and the quota.
const createScope = "create-load-balancer"

// createLoadBalancerParams: commercial parameters are taken and have no effect;
// see docs/divergences.md.
type createLoadBalancerParams struct {
	RegionID               string                     `param:"RegionId,required"`
	Address                netip.Addr                 `param:"Address"`
	AddressIPVersion       slb.IPVersion              `param:"AddressIPVersion" default:"ipv4"`
	AddressType            slb.AddressType            `param:"AddressType"` // default: intranet with a VSwitchId, else internet
	AutoPay                bool                       `param:"AutoPay"`
	Bandwidth              int                        `param:"Bandwidth" range:"-1|1..5120" err:"InvalidParameter|400|The specified Bandwidth is invalid."`
	ClientToken            string                     `param:"ClientToken" maxlen:"64" pattern:"[ -~]+" form:"printable ASCII"`
	DeleteProtection       slb.Switch                 `param:"DeleteProtection" default:"off"`
	Duration               int                        `param:"Duration" range:"1..9"`
	InstanceChargeType     slb.InstanceChargeType     `param:"InstanceChargeType" default:"PayBySpec"`
	InternetChargeType     slb.InternetChargeType     `param:"InternetChargeType" default:"paybytraffic"`
	LoadBalancerName       string                     `param:"LoadBalancerName" maxlen:"80" pattern:"\\p{L}[\\p{L}\\p{N}._/-]*" form:"a letter, then letters, digits, '.', '_', '/' and '-'"`
	LoadBalancerSpec       string                     `param:"LoadBalancerSpec" maxlen:"64" pattern:"slb\\.[a-z0-9]+\\.[a-z0-9]+" form:"like slb.s1.small"`
	MasterZoneID           string                     `param:"MasterZoneId" maxlen:"64"`
	ModificationProtection slb.ModificationProtection `param:"ModificationProtectionStatus" default:"NonProtection"`
	ModificationReason     string                     `param:"ModificationProtectionReason" maxlen:"80" pattern:"\\p{L}[\\p{L}\\p{N}._-]*" form:"a letter, then letters, digits, '.', '_' and '-'"`
	PayType                slb.PayType                `param:"PayType" default:"PayOnDemand"`
	PricingCycle           string                     `param:"PricingCycle" enum:"month|year"`
	ResourceGroupID        string                     `param:"ResourceGroupId" maxlen:"64"`
	SlaveZoneID            string                     `param:"SlaveZoneId" maxlen:"64"`
	Tags                   []tagParam                 `param:"Tag.N"`
	VSwitchID              string                     `param:"VSwitchId" maxlen:"64"`
	VpcID                  string                     `param:"VpcId" maxlen:"64"`
}

// createLoadBalancerResult has no OrderId: there are no orders here.
type createLoadBalancerResult struct {
	Address          string `out:"Address"`
	AddressIPVersion string `out:"AddressIPVersion"`
	LoadBalancerID   string `out:"LoadBalancerId"`
	LoadBalancerName string `out:"LoadBalancerName"`
	NetworkType      string `out:"NetworkType"`
	ResourceGroupID  string `out:"ResourceGroupId"`
	VSwitchID        string `out:"VSwitchId"`
	VpcID            string `out:"VpcId"`
}

// defaultName is the name of an instance that was given none.
const defaultName = "auto_named_slb"

func (s *Server) createLoadBalancer(ctx context.Context, p *createLoadBalancerParams) (*createLoadBalancerResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	model, err := s.newLoadBalancer(p)
	if err != nil {
		return nil, err
	}
	var result *createLoadBalancerResult
	err = s.update(ctx, createScope, func(tx *store.Tx) error {
		s.sweepClientTokens(tx)
		if known, err := s.answerOfToken(tx, p); known != nil || err != nil {
			result = known
			return err
		}
		if exceeds(tx.LoadBalancers.CountPrefix("")+1, s.cfg.Quotas.LoadBalancers) {
			return slb.ErrLoadBalancerQuota
		}
		lb := model.Clone()
		if err := s.claimAddress(tx, lb, p.Address); err != nil {
			return err
		}
		tx.LoadBalancers.Put(lb)
		result = &createLoadBalancerResult{
			Address:          lb.Address.String(),
			AddressIPVersion: string(lb.AddressIPVersion),
			LoadBalancerID:   string(lb.ID),
			LoadBalancerName: lb.Name,
			NetworkType:      lb.NetworkType(),
			ResourceGroupID:  lb.ResourceGroupID,
			VSwitchID:        lb.VSwitchID,
			VpcID:            lb.VpcID,
		}
		return s.rememberToken(tx, p, lb, result)
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// newLoadBalancer is the instance that the params describe, without an address.
func (s *Server) newLoadBalancer(p *createLoadBalancerParams) (*slb.LoadBalancer, error) {
	tags, err := tagsOf("Tag", p.Tags)
	if err != nil {
		return nil, err
	}
	lb := &slb.LoadBalancer{
		ID:                     slb.NewLoadBalancerID(),
		Name:                   p.LoadBalancerName,
		RegionID:               s.cfg.Region,
		Status:                 slb.Active,
		AddressType:            p.AddressType,
		AddressIPVersion:       p.AddressIPVersion,
		VpcID:                  p.VpcID,
		VSwitchID:              p.VSwitchID,
		MasterZoneID:           p.MasterZoneID,
		SlaveZoneID:            p.SlaveZoneID,
		Bandwidth:              max(p.Bandwidth, 0),
		InternetChargeType:     p.InternetChargeType,
		InstanceChargeType:     p.InstanceChargeType,
		PayType:                p.PayType,
		Spec:                   p.LoadBalancerSpec,
		DeleteProtection:       p.DeleteProtection,
		ModificationProtection: p.ModificationProtection,
		ResourceGroupID:        p.ResourceGroupID,
		CreatedAt:              s.now(),
		Tags:                   tags,
	}
	if lb.Name == "" {
		lb.Name = defaultName
	}
	if lb.AddressType == "" {
		lb.AddressType = slb.Internet
		if lb.VSwitchID != "" {
			lb.AddressType = slb.Intranet
		}
	}
	if lb.VSwitchID != "" && lb.VpcID == "" {
		lb.VpcID = slb.VpcIDOf(lb.VSwitchID)
	}
	if lb.MasterZoneID == "" {
		lb.MasterZoneID = s.cfg.Zones[0]
	}
	if lb.SlaveZoneID == "" {
		lb.SlaveZoneID = s.cfg.Zones[min(1, len(s.cfg.Zones)-1)]
	}
	// The reason belongs to the protection; alone it says nothing.
	if lb.ModificationProtection == slb.ConsoleProtection {
		lb.ModificationProtectionReason = p.ModificationReason
	}
	switch {
	case lb.PayType != slb.PrePay:
	case lb.AddressType == slb.Internet && lb.InternetChargeType != slb.PayByBandwidth:
		return nil, slb.ErrPrepayInternetTraffic
	case lb.AddressType == slb.Intranet && lb.InternetChargeType != slb.PayByTraffic:
		return nil, slb.ErrPrepayIntranetCharge
	}
	return lb, nil
}
