package slb

import (
	"net/netip"
	"slices"
	"time"
)

// AccessControlList is a named list of address ranges for listeners.
type AccessControlList struct {
	ID               string // acl-...
	Name             string
	AddressIPVersion IPVersion
	Entries          []ACLEntry `json:",omitempty"`
	ResourceGroupID  string     `json:",omitempty"`
	RegionID         string
	Tags             []Tag `json:",omitempty"`
	CreatedAt        time.Time
}

// ACLEntry is one range of an AccessControlList.
type ACLEntry struct {
	Prefix  netip.Prefix
	Comment string `json:",omitempty"`
}

// Key is the resource's key in the store.
func (a *AccessControlList) Key() string { return a.ID }

// Clone returns a copy that shares nothing mutable with a.
func (a *AccessControlList) Clone() *AccessControlList {
	c := *a
	c.Entries = slices.Clone(a.Entries)
	c.Tags = slices.Clone(a.Tags)
	return &c
}

// IndexKeys are the entries of the list in State's index.
func (a *AccessControlList) IndexKeys() []string { return tagKeys(TagACL, a.ID, a.Tags) }

// NewACLID returns a fresh identifier of the vendor's form.
func NewACLID() string { return "acl-" + RandomToken(21) }

// WhiteList is the old access control of one listener: open and empty, it
// refuses everybody. Source: SetListenerAccessControlStatus.
type WhiteList struct {
	Open  bool
	Items []netip.Prefix `json:",omitempty"`
}

// RegionSettings are the settings of a whole region.
type RegionSettings struct {
	RegionID string
	// MonitorProject and MonitorStore name the log store of the fine-grained
	// monitor; empty when it is off.
	MonitorProject string `json:",omitempty"`
	MonitorStore   string `json:",omitempty"`
}

// Key is the resource's key in the store.
func (r *RegionSettings) Key() string { return r.RegionID }

// Clone returns a copy of r.
func (r *RegionSettings) Clone() *RegionSettings { c := *r; return &c }

// AccessLog is where the access log of an instance goes.
type AccessLog struct {
	Project string
	Store   string
	Type    string // layer7
}
