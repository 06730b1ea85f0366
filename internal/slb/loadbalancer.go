package slb

import (
	"net/netip"
	"slices"
	"time"
)

// LoadBalancer is one instance with its default server group.
type LoadBalancer struct {
	ID               LoadBalancerID
	Name             string
	RegionID         string
	Status           LoadBalancerStatus
	Address          netip.Addr
	AddressType      AddressType
	AddressIPVersion IPVersion
	VpcID            string `json:",omitempty"`
	VSwitchID        string `json:",omitempty"`
	MasterZoneID     string `json:",omitempty"`
	SlaveZoneID      string `json:",omitempty"`
	// Bandwidth is in Mbit/s; it applies to PayByBandwidth only. 0: not given.
	Bandwidth          int `json:",omitempty"`
	InternetChargeType InternetChargeType
	InstanceChargeType InstanceChargeType
	PayType            PayType
	// Spec is the performance specification; empty means shared performance.
	Spec                         string `json:",omitempty"`
	DeleteProtection             Switch
	ModificationProtection       ModificationProtection
	ModificationProtectionReason string `json:",omitempty"`
	ResourceGroupID              string `json:",omitempty"`
	CreatedAt                    time.Time
	Tags                         []Tag           `json:",omitempty"`
	BackendServers               []BackendServer `json:",omitempty"`
	// AccessLog is where the log of layer 7 requests goes; nil when it is off.
	AccessLog *AccessLog `json:",omitempty"`
}

// MaxBandwidth is the highest bandwidth of an instance or listener in Mbit/s.
const MaxBandwidth = 5120

// NetworkType is "vpc" for an instance inside a VPC, else "classic".
func (lb *LoadBalancer) NetworkType() string {
	if lb.VpcID != "" || lb.VSwitchID != "" {
		return "vpc"
	}
	return "classic"
}

// Key is the resource's key in the store.
func (lb *LoadBalancer) Key() string { return string(lb.ID) }

// Clone returns a copy that shares nothing mutable with lb.
func (lb *LoadBalancer) Clone() *LoadBalancer {
	c := *lb
	c.Tags = slices.Clone(lb.Tags)
	c.BackendServers = slices.Clone(lb.BackendServers)
	if lb.AccessLog != nil {
		a := *lb.AccessLog
		c.AccessLog = &a
	}
	return &c
}

// IndexKeys are the entries of the instance in State's index.
func (lb *LoadBalancer) IndexKeys() []string {
	keys := []string{indexKey(indexName, lb.Name, string(lb.ID))}
	for i := range lb.BackendServers {
		keys = append(keys, indexKey(indexAttached, string(lb.BackendServers[i].ServerID), string(lb.ID), ""))
	}
	return append(keys, tagKeys(TagInstance, string(lb.ID), lb.Tags)...)
}

// Tag is a key with a value, unique by key on one resource.
type Tag struct {
	Key   string
	Value string
}

// BackendServer is one entry of a default server group. The entry is known by
// ServerID and, for eni and eci, by ServerIP.
type BackendServer struct {
	ServerID ServerID
	// ServerIP is the address named in the request; it may be invalid (absent),
	// then the register decides.
	ServerIP    netip.Addr `json:",omitzero"`
	Weight      int        // 0 to 100; 0 takes no new traffic
	Type        ServerType
	Description string `json:",omitempty"`
}

// DefaultWeight is the weight of a server that was added without one.
// Source: AddBackendServers.
const DefaultWeight = 100

// MaxServersPerCall is the most servers that one call on a default group may
// name. Source: AddBackendServers.
const MaxServersPerCall = 20
