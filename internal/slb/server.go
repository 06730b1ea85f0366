package slb

import (
	"net/netip"
	"slices"
	"time"
)

// Server is one entry of the register: it gives a ServerId an address that can
// be dialled.
type Server struct {
	ID   ServerID
	Name string `json:",omitempty"`
	// Addresses are the private addresses; the first is used unless an entry
	// names another.
	Addresses []netip.Addr
	Status    ServerStatus
	ZoneID    string `json:",omitempty"`
	// VpcID is the network of the server; empty means classic or unknown, which
	// fits every instance.
	VpcID     string `json:",omitempty"`
	Tags      []Tag  `json:",omitempty"`
	CreatedAt time.Time
}

// Key is the resource's key in the store.
func (s *Server) Key() string { return string(s.ID) }

// Clone returns a copy that shares nothing mutable with s.
func (s *Server) Clone() *Server {
	c := *s
	c.Addresses = slices.Clone(s.Addresses)
	c.Tags = slices.Clone(s.Tags)
	return &c
}

// ServerHealth is one row of DescribeHealthStatus: a server as one listener
// sees it.
type ServerHealth struct {
	ListenerPort uint16
	Protocol     Protocol
	ServerID     ServerID
	Port         uint16 // of the server
	ServerIP     netip.Addr
	Type         ServerType
	Status       HealthStatus
}
