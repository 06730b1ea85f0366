package api

import (
	"context"

	"github.com/openslb/openslb/internal/slb"
)

// The end of an instance that is paid for as it goes. Source: sample answers of
// DescribeLoadBalancerAttribute.
const (
	endNever      = "2999-09-08T16:00:00Z"
	endNeverStamp = 32493801600000 // milliseconds
)

// basicAttributes are what the list and the attribute action tell alike.
type basicAttributes struct {
	Address                      string   `out:"Address"`
	AddressIPVersion             string   `out:"AddressIPVersion"`
	AddressType                  string   `out:"AddressType"`
	Bandwidth                    int      `out:"Bandwidth"`
	CreateTime                   string   `out:"CreateTime"`
	CreateTimeStamp              int64    `out:"CreateTimeStamp"` // milliseconds
	DeleteProtection             string   `out:"DeleteProtection"`
	InstanceChargeType           string   `out:"InstanceChargeType"`
	LoadBalancerID               string   `out:"LoadBalancerId"`
	LoadBalancerName             string   `out:"LoadBalancerName"`
	LoadBalancerSpec             string   `out:"LoadBalancerSpec"`
	LoadBalancerStatus           string   `out:"LoadBalancerStatus"`
	MasterZoneID                 string   `out:"MasterZoneId"`
	ModificationProtectionReason string   `out:"ModificationProtectionReason,omitempty"`
	ModificationProtectionStatus string   `out:"ModificationProtectionStatus"`
	NetworkType                  string   `out:"NetworkType"`
	PayType                      string   `out:"PayType"`
	RegionID                     string   `out:"RegionId"`
	RegionIDAlias                string   `out:"RegionIdAlias"`
	ResourceGroupID              string   `out:"ResourceGroupId"`
	SlaveZoneID                  string   `out:"SlaveZoneId"`
	Tags                         []tagOut `out:"Tags>Tag"`
	VSwitchID                    string   `out:"VSwitchId"`
	VpcID                        string   `out:"VpcId"`
}

func basicAttributesOf(lb *slb.LoadBalancer) basicAttributes {
	bandwidth := lb.Bandwidth
	if bandwidth == 0 {
		// Not given: samples show the upper limit.
		bandwidth = slb.MaxBandwidth
	}
	return basicAttributes{
		Address:                      lb.Address.String(),
		AddressIPVersion:             string(lb.AddressIPVersion),
		AddressType:                  string(lb.AddressType),
		Bandwidth:                    bandwidth,
		CreateTime:                   timeText(lb.CreatedAt),
		CreateTimeStamp:              lb.CreatedAt.UnixMilli(),
		DeleteProtection:             string(lb.DeleteProtection),
		InstanceChargeType:           string(lb.InstanceChargeType),
		LoadBalancerID:               string(lb.ID),
		LoadBalancerName:             lb.Name,
		LoadBalancerSpec:             lb.Spec,
		LoadBalancerStatus:           string(lb.Status),
		MasterZoneID:                 lb.MasterZoneID,
		ModificationProtectionReason: lb.ModificationProtectionReason,
		ModificationProtectionStatus: string(lb.ModificationProtection),
		NetworkType:                  lb.NetworkType(),
		PayType:                      string(lb.PayType),
		RegionID:                     lb.RegionID,
		RegionIDAlias:                lb.RegionID,
		ResourceGroupID:              lb.ResourceGroupID,
		SlaveZoneID:                  lb.SlaveZoneID,
		Tags:                         tagsOut(lb.Tags),
		VSwitchID:                    lb.VSwitchID,
		VpcID:                        lb.VpcID,
	}
}

// portAndProtocal is misspelled for ever; clients of either spelling exist.
type portAndProtocal struct {
	ListenerPort     int    `out:"ListenerPort"`
	ListenerProtocal string `out:"ListenerProtocal"`
}

type portAndProtocol struct {
	Description      string `out:"Description,omitempty"`
	ForwardPort      int    `out:"ForwardPort,omitempty"`
	ListenerForward  string `out:"ListenerForward,omitempty"`
	ListenerPort     int    `out:"ListenerPort"`
	ListenerProtocol string `out:"ListenerProtocol"`
}

// attributeServer is an entry of the default group with its address, if the
// request that added it named one.
type attributeServer struct {
	ServerID    string `out:"ServerId"`
	ServerIP    string `out:"ServerIp,omitempty"`
	Weight      int    `out:"Weight"`
	Description string `out:"Description,omitempty"`
	Type        string `out:"Type"`
}

// describeAttributeResult leaves out what only subscriptions have: RenewalStatus
// and its companions, and AutoReleaseTime.
type describeAttributeResult struct {
	basicAttributes
	BackendServers           []attributeServer `out:"BackendServers>BackendServer"`
	EndTime                  string            `out:"EndTime"`
	EndTimeStamp             int64             `out:"EndTimeStamp"`
	InternetChargeType       string            `out:"InternetChargeType"`
	ListenerPorts            []int             `out:"ListenerPorts>ListenerPort"`
	ListenerPortsAndProtocal []portAndProtocal `out:"ListenerPortsAndProtocal>ListenerPortAndProtocal"`
	ListenerPortsAndProtocol []portAndProtocol `out:"ListenerPortsAndProtocol>ListenerPortAndProtocol"`
}

func (s *Server) describeLoadBalancerAttribute(_ context.Context, p *loadBalancerParams) (*describeAttributeResult, error) {
	state, lb, err := s.loadBalancer(p)
	if err != nil {
		return nil, err
	}
	r := &describeAttributeResult{
		basicAttributes:    basicAttributesOf(lb),
		BackendServers:     make([]attributeServer, 0, len(lb.BackendServers)),
		EndTime:            endNever,
		EndTimeStamp:       endNeverStamp,
		InternetChargeType: string(lb.InternetChargeType),
	}
	for i := range lb.BackendServers {
		b := &lb.BackendServers[i]
		o := attributeServer{ServerID: string(b.ServerID), Weight: b.Weight, Description: b.Description, Type: string(b.Type)}
		if b.ServerIP.IsValid() {
			o.ServerIP = b.ServerIP.String()
		}
		r.BackendServers = append(r.BackendServers, o)
	}
	for _, l := range state.ListenersOf(lb.ID) {
		port, protocol := int(l.Port), string(l.Protocol)
		r.ListenerPorts = append(r.ListenerPorts, port)
		r.ListenerPortsAndProtocal = append(r.ListenerPortsAndProtocal, portAndProtocal{port, protocol})
		o := portAndProtocol{Description: l.Description, ListenerPort: port, ListenerProtocol: protocol}
		if l.HTTP != nil && l.Protocol == slb.HTTP {
			o.ListenerForward = string(l.HTTP.ListenerForward)
			if l.Redirects() {
				o.ForwardPort = int(l.HTTP.ForwardPort)
			}
		}
		r.ListenerPortsAndProtocol = append(r.ListenerPortsAndProtocol, o)
	}
	return r, nil
}
