package slb

import (
	"fmt"
	"slices"
	"time"
)

// Listener is one port of an instance. Fields that do not concern its protocol
// are zero.
type Listener struct {
	LoadBalancerID LoadBalancerID
	Port           uint16
	Protocol       Protocol
	Status         ListenerStatus
	Description    string `json:",omitempty"`
	// BackendServerPort is the port of every server of the default group; 0 when
	// a group with ports of its own is used.
	BackendServerPort uint16 `json:",omitempty"`
	// Bandwidth is in Mbit/s; -1 is unlimited.
	Bandwidth              int
	Scheduler              Scheduler
	MaxConnection          int    `json:",omitempty"`
	VServerGroupID         string `json:",omitempty"`
	MasterSlaveServerGroup string `json:",omitempty"`
	ACL                    ListenerACL
	HealthCheck            HealthCheck
	WhiteList              WhiteList     `json:",omitzero"`
	TCP                    *TCPOptions   `json:",omitempty"` // TCP and UDP
	HTTP                   *HTTPOptions  `json:",omitempty"` // HTTP and HTTPS
	HTTPS                  *HTTPSOptions `json:",omitempty"`
	Tags                   []Tag         `json:",omitempty"`
	CreatedAt              time.Time
}

// ListenerKey is the key of the listener of a port family ("tcp" or "udp") on
// an instance. Ports are padded, so that keys sort by number.
func ListenerKey(id LoadBalancerID, family string, port uint16) string {
	return fmt.Sprintf("%s/%05d-%s", id, port, family)
}

// ListenerPrefix is the prefix of the keys of all listeners of an instance.
func ListenerPrefix(id LoadBalancerID) string { return string(id) + "/" }

// Key is the resource's key in the store.
func (l *Listener) Key() string { return ListenerKey(l.LoadBalancerID, l.Protocol.Family(), l.Port) }

// Clone returns a copy that shares nothing mutable with l.
func (l *Listener) Clone() *Listener {
	c := *l
	c.ACL.IDs = slices.Clone(l.ACL.IDs)
	c.HealthCheck.HTTPCodes = slices.Clone(l.HealthCheck.HTTPCodes)
	if l.TCP != nil {
		t := *l.TCP
		c.TCP = &t
	}
	if l.HTTP != nil {
		h := *l.HTTP
		c.HTTP = &h
	}
	if l.HTTPS != nil {
		h := *l.HTTPS
		c.HTTPS = &h
	}
	c.WhiteList.Items = slices.Clone(l.WhiteList.Items)
	c.Tags = slices.Clone(l.Tags)
	return &c
}

// IndexKeys are the entries of the listener in State's index.
func (l *Listener) IndexKeys() []string {
	var keys []string
	add := func(relation, id string) {
		if id != "" {
			keys = append(keys, indexKey(relation, id, l.Key()))
		}
	}
	add(indexGroupListeners, l.VServerGroupID)
	add(indexGroupListeners, l.MasterSlaveServerGroup)
	for _, id := range l.ACL.IDs {
		add(indexACLListeners, id)
	}
	if l.HTTPS != nil {
		add(indexCertificateListeners, l.HTTPS.ServerCertificateID)
		add(indexCertificateListeners, l.HTTPS.CACertificateID)
		add(indexPolicyListeners, l.HTTPS.TLSCipherPolicy)
	}
	return append(keys, tagKeys(TagListener, l.Key(), l.Tags)...)
}

// ListenerACL is the access control of a listener.
type ListenerACL struct {
	Status Switch
	Type   ACLType  `json:",omitempty"`
	IDs    []string `json:",omitempty"`
}

// TCPOptions are the settings of TCP and UDP listeners alone.
type TCPOptions struct {
	// EstablishedTimeout ends an idle connection with a reset to both sides;
	// 10 s to 900 s, default 900 s.
	EstablishedTimeout time.Duration
	// PersistenceTimeout keeps a source address on its server; 0 is off, at most
	// one hour.
	PersistenceTimeout     time.Duration
	ConnectionDrain        Switch
	ConnectionDrainTimeout time.Duration // 10 s to 900 s; 0 when drain is off
	ProxyProtocolV2        bool
	SynProxy               string `json:",omitempty"` // enable or disable; empty: never set
}

// HTTPOptions are the settings of HTTP and HTTPS listeners alone.
type HTTPOptions struct {
	// IdleTimeout of a client connection between requests: 1 s to 60 s, default 15 s.
	IdleTimeout time.Duration
	// RequestTimeout bounds the wait for the server's answer: 1 s to 180 s,
	// default 60 s; past it the client gets 504.
	RequestTimeout time.Duration
	Gzip           Switch

	StickySession     Switch
	StickySessionType StickySessionType `json:",omitempty"`
	CookieTimeout     time.Duration     // insert: 1 s to 86,400 s
	Cookie            string            `json:",omitempty"` // server: name of the server's cookie

	XForwardedFor              Switch
	XForwardedForSLBIP         Switch
	XForwardedForSLBID         Switch
	XForwardedForProto         Switch
	XForwardedForSLBPort       Switch
	XForwardedForClientSrcPort Switch

	// ListenerForward turns the listener into a redirect to ForwardPort; every
	// other setting is then without effect.
	ListenerForward Switch
	ForwardPort     uint16 `json:",omitempty"`
	ForwardCode     int    `json:",omitempty"`
}

// UsesGroup reports whether the listener forwards to a group of its own rather
// than to the instance's default servers.
func (l *Listener) UsesGroup() bool { return l.VServerGroupID != "" || l.MasterSlaveServerGroup != "" }

// Redirects reports whether the listener only redirects to another port.
func (l *Listener) Redirects() bool { return l.HTTP != nil && l.HTTP.ListenerForward == On }

// HTTPSOptions are the settings of HTTPS listeners alone.
type HTTPSOptions struct {
	ServerCertificateID string
	CACertificateID     string `json:",omitempty"` // set: clients must present a certificate
	// TLSCipherPolicy is a built-in policy's name or a custom one's ID.
	TLSCipherPolicy string
	EnableHTTP2     Switch
	// BackendProtocol is how servers are asked; empty: BackendHTTP.
	BackendProtocol BackendProtocol `json:",omitempty"`
	// ClientCert are the headers that tell servers of a client's certificate.
	ClientCert ClientCertHeaders `json:",omitzero"`
}

// ClientCertHeaders are the headers about the certificate of a client, of which
// there is one only with a CACertificateID.
type ClientCertHeaders struct {
	SubjectDN, IssuerDN, Fingerprint, ClientVerify ClientCertHeader
}

// ClientCertHeader is one of them. The zero value is switched off.
type ClientCertHeader struct {
	Switch Switch `json:",omitempty"`
	Alias  string `json:",omitempty"` // the header's name; empty: the usual one
}

// HealthCheck are the settings of the probe of one listener or rule.
type HealthCheck struct {
	Enabled bool
	Type    HealthCheckType
	Method  HealthCheckMethod `json:",omitempty"` // HTTP probes
	// HTTPVersion is "1.0" or "1.1".
	HTTPVersion string `json:",omitempty"`
	// Domain is the probe's Host; empty or "$_ip" means the server's address.
	Domain string `json:",omitempty"`
	URI    string `json:",omitempty"`
	// HTTPCodes are the accepted classes: http_2xx to http_5xx.
	HTTPCodes []string `json:",omitempty"`
	// ConnectPort is the probed port; 0 means the port of each server.
	ConnectPort        uint16 `json:",omitempty"`
	Timeout            time.Duration
	Interval           time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	Request            string `json:",omitempty"` // UDP
	Expect             string `json:",omitempty"` // UDP
}
