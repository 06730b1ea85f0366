// Package spec describes what the data plane should be (Config) and what it was
// seen to be (Facts), as plain values. It knows nothing of the API.
//
// Values are immutable once handed to the engine: a change builds new ones. An
// unchanged *Instance may be handed over again.
package spec

import (
	"net/netip"
	"time"
)

// Config is the whole desired state of one data-plane node.
type Config struct {
	Instances map[string]*Instance // by Instance.ID
}

// Instance is one load balancer: its frontends and the pools they use.
type Instance struct {
	ID        string
	Limits    Limits
	Frontends []Frontend // unique by Frontend.ID
	Pools     []Pool     // unique by Pool.ID; every Frontend.Pool is among them
}

// Protocol of a frontend.
type Protocol string

// The protocols.
const (
	TCP   Protocol = "tcp"
	UDP   Protocol = "udp"
	HTTP  Protocol = "http"
	HTTPS Protocol = "https"
)

// FrontendID names a frontend for its whole life.
type FrontendID struct {
	Instance string
	Protocol Protocol
	Port     uint16
}

// Frontend is one listening port that forwards.
type Frontend struct {
	ID     FrontendID
	Listen netip.AddrPort
	Pool   string // Pool.ID; empty for a redirect
	ACL    *ACL   // who may connect; nil: everybody
	// AccessLog is where requests are logged; nil: nowhere. Layer 7 only.
	AccessLog *AccessLog
	TCP       *TCPOptions  // for TCP and UDP
	UDP       *UDPOptions  // for UDP
	HTTP      *HTTPOptions // for HTTP and HTTPS
	TLS       *TLSOptions  // for HTTPS

	// MaxConnections is how many client connections or flows may be open at once;
	// more are refused. 0: no limit.
	MaxConnections int
	// Bandwidth towards clients in bits a second: set aside in that of the
	// instance, and at the same time the most there is. 0: no limit of its own.
	Bandwidth int64
}

// TCPOptions are the settings of a TCP frontend.
type TCPOptions struct {
	// IdleTimeout ends an established connection without traffic by a reset to
	// both sides.
	IdleTimeout time.Duration
	// Persistence keeps a client address on its server for this long; 0 is off.
	Persistence time.Duration
	// Drain resets the connections of a server that has been removed, of weight 0
	// or unhealthy for this long; 0: they live on until they end.
	Drain time.Duration
	// ProxyProtocol begins each connection to a server with a header of the PROXY
	// protocol, version 2.
	ProxyProtocol bool
}

// UDPOptions are the settings of a UDP frontend.
type UDPOptions struct {
	// IdleTimeout ends a flow without traffic; 0: 90 s.
	IdleTimeout time.Duration
	// Persistence keeps a client address on its server for this long; 0 is off.
	Persistence time.Duration
	// Drain ends the flows of a server that has been removed, of weight 0 or
	// unhealthy for this long; 0: they live on while they are used.
	Drain time.Duration
	// ProxyProtocol puts a header of the PROXY protocol, version 2, in front of
	// each datagram to a server.
	ProxyProtocol bool
}

// HTTPOptions are the settings of an HTTP frontend.
type HTTPOptions struct {
	IdleTimeout    time.Duration // client connection between requests
	RequestTimeout time.Duration // wait for the server's answer
	XForwardedFor  bool
	SLBIP          bool // send SLB-IP
	SLBID          bool // send SLB-ID
	Proto          bool // send X-Forwarded-Proto
	Port           bool // send X-Forwarded-Port
	ClientSrcPort  bool // send X-Forwarded-Client-srcport
	Gzip           bool // compress answers for clients that take it
	ClientCert     ClientCertHeaders
	// ServersHTTP2 asks servers by HTTP/2 with prior knowledge; on HTTPS frontends.
	ServersHTTP2 bool
	// Internet says that clients come by the internet: anybody may be one.
	Internet bool
	// Redirect, when set, answers every request itself.
	Redirect *Redirect
	// Rules send some requests elsewhere than to Frontend.Pool. No two have the
	// same Domain and Path.
	Rules []Rule
	// Sticky keeps sessions on their servers, those of rules excepted; nil: off.
	Sticky *Sticky
}

// ClientCertHeaders names the headers that tell servers of a client's
// certificate. Empty: not sent.
type ClientCertHeaders struct {
	Subject     string // distinguished name by RFC 2253
	Issuer      string // the same of who issued it
	Fingerprint string // SHA-1, in hexadecimal
	Verify      string // SUCCESS, or NONE without a certificate
}

// UsualClientCertHeaders are the names of the vendor's sibling product.
var UsualClientCertHeaders = ClientCertHeaders{
	Subject:     "X-Forwarded-Clientcert-subjectdn",
	Issuer:      "X-Forwarded-Clientcert-issuerdn",
	Fingerprint: "X-Forwarded-Clientcert-fingerprint",
	Verify:      "X-Forwarded-Clientcert-clientverify",
}

// AccessLog is the destination of an instance's log of requests, and what its
// lines say of the instance.
type AccessLog struct {
	Project, Store                 string // parts of the file's path
	Name, Region, NetworkType, VPC string
}

// Redirect sends clients to an HTTPS port of the same host.
type Redirect struct {
	Port uint16
	Code int
}

// Scheduler names a picker of package balance.
type Scheduler string

// The schedulers.
const (
	WRR Scheduler = "wrr"
	RR  Scheduler = "rr"
	WLC Scheduler = "wlc"
	SCH Scheduler = "sch"
	TCH Scheduler = "tch"
	QCH Scheduler = "qch"
)

// Pool is a group of targets with one scheduler and one health check.
type Pool struct {
	ID string
	// Origin is what the pools of one group share that one listener uses with
	// different settings; empty: it shares nothing. A target that may have traffic
	// in one of them may have it at once in one that begins, until its check
	// decides.
	Origin    string
	Scheduler Scheduler
	Check     *Check // nil: no check, every target with weight counts as usable
	Targets   []Target
}

// Target is one server in a pool, known by ID and Addr.
type Target struct {
	ID string
	// Addr is where to dial. One without a valid address is Disabled and is not
	// probed.
	Addr   netip.AddrPort
	Weight int // 0 to 100
	// Backup has traffic only while no other target of the pool can have it.
	Backup bool
	// Unchecked leaves the target out of the pool's check: it counts as well.
	Unchecked bool
	// Disabled takes the target out of traffic whatever its health, because its
	// server is stopped in the register. It is reported abnormal.
	Disabled bool
}

// CheckKind is the kind of a health check.
type CheckKind string

// The check kinds.
const (
	CheckTCP  CheckKind = "tcp"
	CheckHTTP CheckKind = "http"
	CheckUDP  CheckKind = "udp"
)

// Check is a health check's settings. It is comparable: targets that are
// probed alike at one address share one probe.
type Check struct {
	Kind CheckKind
	Port uint16 // 0: the target's own
	// Timeout of one probe. Interval is counted from the end of a probe to the
	// start of the next.
	Timeout, Interval  time.Duration
	Healthy, Unhealthy int // consecutive results that change the state
	// HTTP probes.
	Method      string // HEAD or GET
	Host        string // empty: the target's address
	URI         string
	HTTPVersion string // "1.0" or "1.1"
	Codes       uint8  // bit n set: class nxx is success
	UserAgent   string
	// UDP probes. Without Expect, silence is success.
	Request, Expect string
}

// Health is the state of a target.
type Health uint8

// The health states.
const (
	HealthUnknown Health = iota // not yet decided, or no check
	HealthUp
	HealthDown
)

// TargetFacts is what was seen of one target of one pool.
type TargetFacts struct {
	Pool   string
	Target string
	Addr   netip.AddrPort
	Health Health
	// Active is the number of connections or requests now on the target; Total
	// counts all since the target was added.
	Active, Total uint64
}

// FrontendFacts are counters of one frontend since it was started.
type FrontendFacts struct {
	ID FrontendID
	// Listening is false when the socket could not be bound; Error says why.
	Listening bool
	Error     string

	ActiveConnections uint64
	NewConnections    uint64
	// DropConnections counts connections refused for want of a server or beyond
	// a limit.
	DropConnections uint64
	// ShortConnections are those of DropConnections that were refused because the
	// process or the system had no room for more: no descriptors, or no place for a
	// UDP flow.
	ShortConnections uint64
	BytesIn          uint64 // from clients
	BytesOut         uint64 // to clients

	// The datagrams of UDP. What was dropped is not among those that passed.
	PacketsIn, PacketsOut         uint64
	DropPacketsIn, DropPacketsOut uint64
	DropBytesIn, DropBytesOut     uint64
	// EvictedFlows counts UDP flows that were ended before their time to make
	// room for others.
	EvictedFlows uint64
	// SourceFallbacks counts connections to servers and flows that have the node's
	// address though transparent mode is in force, as the client's was taken.
	SourceFallbacks uint64

	Requests  uint64    // L7
	Status    [6]uint64 // L7: answers to clients by class; [0] is "other"
	Upstream4 uint64    // L7: 4xx from servers
	Upstream5 uint64    // L7: 5xx from servers

	// ResponseTimes are, for answers that clients got whole, the times from the
	// request to the last byte; UpstreamTimes, for answers that servers gave
	// whole, those to the server's last byte. L7 alone; tunnels are in neither.
	ResponseTimes, UpstreamTimes Times
	// HandshakeFailures counts clients with whom no agreement on TLS was reached.
	HandshakeFailures uint64
	// RefusedHandshakes are those of HandshakeFailures that were ended since
	// unfinished handshakes held as much as they may in all.
	RefusedHandshakes uint64
	// SlowHeads, SlowBodies and SlowReads count clients given up because they were
	// too slow: with a request's head, with its body, or to take an answer. L7.
	SlowHeads, SlowBodies, SlowReads uint64
	// RefusedStreams, RefusedHeads and RefusedMemory count HTTP/2 requests that were
	// refused, for the client to send again: beyond the streams of a connection,
	// beyond what its heads may take, beyond what all connections together may have.
	RefusedStreams, RefusedHeads, RefusedMemory uint64
	// Floods counts HTTP/2 connections ended because the client made us work for
	// nothing: empty frames, requests given up by the hundred, heads without end.
	Floods uint64
}

// EngineFacts are what was seen of the engine as a whole.
type EngineFacts struct {
	// Loops is the number of event loops of each layer.
	Loops int
	// DescriptorsInUse are those that connections, flows and listeners hold now,
	// of at most DescriptorLimit; the rest of what the process may open is kept
	// for the store, the API and health checks.
	DescriptorsInUse, DescriptorLimit int
	// DescriptorShortages counts what was refused for want of a descriptor.
	DescriptorShortages uint64
}

// TimeBounds are the upper bounds of the classes of Times.
var TimeBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second,
}

// Times is how often something was done, and how long it took together.
type Times struct {
	Count uint64
	Total time.Duration
	// Classes has a count for each of TimeBounds, of what took at most that long
	// and is in no class before. What took longer than all is in none.
	Classes [len(TimeBounds)]uint64
}
