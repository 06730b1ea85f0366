package slb

import (
	"fmt"
	"strings"
)

// parseEnum finds text among the allowed values without regard to case and
// answers the documented spelling. Clients send other cases: the Terraform
// provider sends PayByTraffic where the reference says paybytraffic. Empty text
// is the zero value: a resource in which it means "not given" has to come back
// from the store as it went in, and package rpc takes empty for absent anyway.
func parseEnum[T ~string](text []byte, into *T, allowed ...T) error {
	if len(text) == 0 {
		*into = ""
		return nil
	}
	for _, v := range allowed {
		if strings.EqualFold(string(text), string(v)) {
			*into = v
			return nil
		}
	}
	e := &NotAmong{Text: string(text)}
	for _, v := range allowed {
		e.Allowed = append(e.Allowed, string(v))
	}
	return e
}

// NotAmong says that a text is none of those that are documented.
type NotAmong struct {
	Text    string
	Allowed []string
}

// Error names the text and all that it could be.
func (e *NotAmong) Error() string { return fmt.Sprintf("%q is none of %v", e.Text, e.Allowed) }

// AllowedTexts is Allowed, for those who look for it by interface.
func (e *NotAmong) AllowedTexts() []string { return e.Allowed }

// Protocol is a listener's protocol, in the lower case of the answers.
type Protocol string

// The listener protocols. TCP, HTTP and HTTPS share one port space of an
// instance, UDP has its own.
const (
	TCP   Protocol = "tcp"
	UDP   Protocol = "udp"
	HTTP  Protocol = "http"
	HTTPS Protocol = "https"
)

// UnmarshalText accepts any case.
func (p *Protocol) UnmarshalText(b []byte) error { return parseEnum(b, p, TCP, UDP, HTTP, HTTPS) }

// Family is the port space the protocol lives in: "udp", or "tcp" for the rest.
func (p Protocol) Family() string {
	if p == UDP {
		return "udp"
	}
	return "tcp"
}

// IsL7 reports whether the protocol is scheduled per request.
func (p Protocol) IsL7() bool { return p == HTTP || p == HTTPS }

// Switch is the vendor's on/off.
type Switch string

// The two positions of a Switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// UnmarshalText accepts any case.
func (s *Switch) UnmarshalText(b []byte) error { return parseEnum(b, s, On, Off) }

// SwitchOf turns a bool into a Switch.
func SwitchOf(on bool) Switch {
	if on {
		return On
	}
	return Off
}

// BackendProtocol is how an HTTPS listener asks its servers.
type BackendProtocol string

// The protocols. BackendH2C is HTTP/2 with prior knowledge, without TLS.
const (
	BackendHTTP BackendProtocol = "http"
	BackendH2C  BackendProtocol = "h2c"
)

// UnmarshalText accepts any case.
func (p *BackendProtocol) UnmarshalText(b []byte) error {
	return parseEnum(b, p, BackendHTTP, BackendH2C)
}

// Scheduler is the way new connections or requests are spread over servers.
type Scheduler string

// The schedulers. SCH and TCH are for TCP and UDP, QCH for UDP only.
const (
	WRR Scheduler = "wrr" // share follows the weight
	RR  Scheduler = "rr"  // in turn; weights are ignored, but 0 excludes
	WLC Scheduler = "wlc" // fewest active connections for the weight
	SCH Scheduler = "sch" // consistent hash of the source address
	TCH Scheduler = "tch" // consistent hash of the four-tuple
	QCH Scheduler = "qch" // consistent hash of the QUIC connection ID
)

// UnmarshalText accepts any case.
func (s *Scheduler) UnmarshalText(b []byte) error {
	return parseEnum(b, s, WRR, RR, WLC, SCH, TCH, QCH)
}

// ServerType is the kind of thing a backend server entry stands for.
type ServerType string

// The server types. ENI and ECI entries may carry a ServerIp of their own.
const (
	ECS ServerType = "ecs"
	ENI ServerType = "eni"
	ECI ServerType = "eci"
)

// UnmarshalText accepts any case.
func (t *ServerType) UnmarshalText(b []byte) error { return parseEnum(b, t, ECS, ENI, ECI) }

// AddressType tells which address pool an instance's address comes from.
type AddressType string

// The address types.
const (
	Internet AddressType = "internet"
	Intranet AddressType = "intranet"
)

// UnmarshalText accepts any case.
func (t *AddressType) UnmarshalText(b []byte) error { return parseEnum(b, t, Internet, Intranet) }

// IPVersion is the address family of an instance.
type IPVersion string

// The IP versions.
const (
	IPv4 IPVersion = "ipv4"
	IPv6 IPVersion = "ipv6"
)

// UnmarshalText accepts any case.
func (v *IPVersion) UnmarshalText(b []byte) error { return parseEnum(b, v, IPv4, IPv6) }

// LoadBalancerStatus is the state of an instance that its owner sets.
type LoadBalancerStatus string

// The instance states. Locked is the operator's, not the owner's.
const (
	Active   LoadBalancerStatus = "active"
	Inactive LoadBalancerStatus = "inactive"
	Locked   LoadBalancerStatus = "locked"
)

// ListenerStatus is the state of a listener that its owner sets. The passing
// states of the cloud (starting, stopping, configuring) never occur: a call
// answers when the change is applied.
type ListenerStatus string

// The listener states.
const (
	Running ListenerStatus = "running"
	Stopped ListenerStatus = "stopped"
)

// ServerStatus is the state of a registered server.
type ServerStatus string

// The server states; only a Running server may be added to a group.
const (
	ServerRunning ServerStatus = "Running"
	ServerStopped ServerStatus = "Stopped"
)

// UnmarshalText accepts any case.
func (s *ServerStatus) UnmarshalText(b []byte) error {
	return parseEnum(b, s, ServerRunning, ServerStopped)
}

// InternetChargeType is how traffic of an internet instance is billed. It
// decides whether Bandwidth applies.
type InternetChargeType string

// The charge types.
const (
	PayByTraffic   InternetChargeType = "paybytraffic"
	PayByBandwidth InternetChargeType = "paybybandwidth"
)

// UnmarshalText accepts any case.
func (t *InternetChargeType) UnmarshalText(b []byte) error {
	return parseEnum(b, t, PayByTraffic, PayByBandwidth)
}

// InstanceChargeType is per specification or per LCU.
type InstanceChargeType string

// The instance charge types.
const (
	PayBySpec InstanceChargeType = "PayBySpec"
	PayByCLCU InstanceChargeType = "PayByCLCU"
)

// UnmarshalText accepts any case.
func (t *InstanceChargeType) UnmarshalText(b []byte) error {
	return parseEnum(b, t, PayBySpec, PayByCLCU)
}

// PayType is pay-as-you-go or subscription.
type PayType string

// The pay types.
const (
	PayOnDemand PayType = "PayOnDemand"
	PrePay      PayType = "PrePay"
)

// UnmarshalText accepts any case.
func (t *PayType) UnmarshalText(b []byte) error { return parseEnum(b, t, PayOnDemand, PrePay) }

// ModificationProtection is the read-only mode of the console.
type ModificationProtection string

// The modification protections.
const (
	NonProtection     ModificationProtection = "NonProtection"
	ConsoleProtection ModificationProtection = "ConsoleProtection"
)

// UnmarshalText accepts any case.
func (m *ModificationProtection) UnmarshalText(b []byte) error {
	return parseEnum(b, m, NonProtection, ConsoleProtection)
}

// ACLType says whether an access control list admits or refuses its entries.
type ACLType string

// The ACL types.
const (
	White ACLType = "white"
	Black ACLType = "black"
)

// UnmarshalText accepts any case.
func (t *ACLType) UnmarshalText(b []byte) error { return parseEnum(b, t, White, Black) }

// HealthCheckType is the kind of probe.
type HealthCheckType string

// The probe kinds.
const (
	CheckTCP  HealthCheckType = "tcp"
	CheckHTTP HealthCheckType = "http"
	CheckUDP  HealthCheckType = "udp"
)

// UnmarshalText accepts any case.
func (t *HealthCheckType) UnmarshalText(b []byte) error {
	return parseEnum(b, t, CheckTCP, CheckHTTP, CheckUDP)
}

// HealthCheckMethod is the request method of an HTTP probe.
type HealthCheckMethod string

// The probe methods.
const (
	MethodHead HealthCheckMethod = "head"
	MethodGet  HealthCheckMethod = "get"
)

// UnmarshalText accepts any case.
func (m *HealthCheckMethod) UnmarshalText(b []byte) error {
	return parseEnum(b, m, MethodHead, MethodGet)
}

// StickySessionType is how a session cookie comes about.
type StickySessionType string

// The stickiness types.
const (
	StickyInsert StickySessionType = "insert" // the balancer adds SERVERID
	StickyServer StickySessionType = "server" // the balancer rewrites the server's cookie
)

// UnmarshalText accepts any case.
func (t *StickySessionType) UnmarshalText(b []byte) error {
	return parseEnum(b, t, StickyInsert, StickyServer)
}

// HealthStatus is a server's health as DescribeHealthStatus spells it.
type HealthStatus string

// The health states. Unavailable: the check has not finished, or is off.
const (
	HealthNormal      HealthStatus = "normal"
	HealthAbnormal    HealthStatus = "abnormal"
	HealthUnavailable HealthStatus = "unavailable"
)
