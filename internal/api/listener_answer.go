package api

import (
	"strings"
	"time"

	"github.com/openslb/openslb/internal/slb"
)

// sameAsServer is how answers say that a probe goes to the server's own port.
const sameAsServer = -520

// listenerAttributes are told of listeners of every protocol. Numbers are JSON
// numbers, and what has no value is left out: a client casts without looking.
type listenerAttributes struct {
	ACLID             string   `out:"AclId,omitempty"`
	ACLIDs            []string `out:"AclIds>AclId"`
	ACLStatus         string   `out:"AclStatus"`
	ACLType           string   `out:"AclType,omitempty"`
	BackendServerPort int      `out:"BackendServerPort,omitempty"`
	Bandwidth         int      `out:"Bandwidth"`
	Description       string   `out:"Description,omitempty"`
	ListenerPort      int      `out:"ListenerPort"`
	LoadBalancerID    string   `out:"LoadBalancerId"`
	MaxConnection     int      `out:"MaxConnection,omitempty"`
	Scheduler         string   `out:"Scheduler"`
	Status            string   `out:"Status"`
	Tags              []tagOut `out:"Tags>Tag"`
	VServerGroupID    string   `out:"VServerGroupId,omitempty"`

	HealthCheck            string `out:"HealthCheck"`
	HealthCheckConnectPort int    `out:"HealthCheckConnectPort"`
	HealthCheckDomain      string `out:"HealthCheckDomain,omitempty"`
	HealthCheckHTTPCode    string `out:"HealthCheckHttpCode,omitempty"`
	HealthCheckHTTPVersion string `out:"HealthCheckHttpVersion,omitempty"`
	HealthCheckInterval    int    `out:"HealthCheckInterval"` // seconds
	HealthCheckMethod      string `out:"HealthCheckMethod,omitempty"`
	HealthCheckURI         string `out:"HealthCheckURI,omitempty"`
	HealthyThreshold       int    `out:"HealthyThreshold"`
	UnhealthyThreshold     int    `out:"UnhealthyThreshold"`
}

func listenerAttributesOf(l *slb.Listener) listenerAttributes {
	h := &l.HealthCheck
	out := listenerAttributes{
		ACLID:             strings.Join(l.ACL.IDs, ","),
		ACLIDs:            l.ACL.IDs,
		ACLStatus:         string(l.ACL.Status),
		ACLType:           string(l.ACL.Type),
		BackendServerPort: int(l.BackendServerPort),
		Bandwidth:         l.Bandwidth,
		Description:       l.Description,
		ListenerPort:      int(l.Port),
		LoadBalancerID:    string(l.LoadBalancerID),
		MaxConnection:     l.MaxConnection,
		Scheduler:         string(l.Scheduler),
		Status:            string(l.Status),
		Tags:              tagsOut(l.Tags),
		VServerGroupID:    l.VServerGroupID,

		HealthCheck:            string(slb.SwitchOf(h.Enabled)),
		HealthCheckConnectPort: int(h.ConnectPort),
		HealthCheckDomain:      h.Domain,
		HealthCheckHTTPCode:    strings.Join(h.HTTPCodes, ","),
		HealthCheckHTTPVersion: h.HTTPVersion,
		HealthCheckInterval:    seconds(h.Interval),
		HealthCheckMethod:      string(h.Method),
		HealthCheckURI:         h.URI,
		HealthyThreshold:       h.HealthyThreshold,
		UnhealthyThreshold:     h.UnhealthyThreshold,
	}
	if h.ConnectPort == 0 {
		out.HealthCheckConnectPort = sameAsServer
	}
	return out
}

func seconds(d time.Duration) int { return int(d / time.Second) }
