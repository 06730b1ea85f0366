package api

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// Config is what the actions work with. Store is required; a nil Applier, Facts
// or Binder means a node without a data plane.
type Config struct {
	Store   *store.Store
	Applier Applier
	Facts   Facts
	Keys    KeyManager
	Binder  Binder
	// Sealer encrypts private keys of certificates. Without one none can be
	// uploaded.
	Sealer Sealer

	// Region is the region that this server claims to be. Default cn-hangzhou.
	Region string
	// RegionCheck says which calls are refused for a RegionId that is not Region.
	// Empty: RegionCheckRequired.
	RegionCheck RegionCheck
	// Zones are the zones of the region. Default: region-a and region-b.
	Zones []string
	// Pools are where instances get their addresses from. Default: DefaultPools.
	Pools  []AddressPool
	Quotas Quotas
	// Endpoint is the host:port, or URL, at which clients reach the API.
	Endpoint func() string
	// AccountID is the account that GetCallerIdentity tells. Default: sixteen
	// digits that are no real account.
	AccountID string
	// AllowForeignENI accepts eni and eci entries that name a ServerIp without
	// being in the register.
	AllowForeignENI bool

	Now    func() time.Time
	Logger *slog.Logger
}

// Applier tells when a revision of the store has reached the traffic.
type Applier interface {
	WaitApplied(ctx context.Context, revision int64) error
}

// Facts are observations of the data plane.
type Facts interface {
	// ServerHealth lists the servers of the instance as each of its listeners
	// sees them.
	ServerHealth(id slb.LoadBalancerID) []slb.ServerHealth
}

// Binder tells whether a listener of a protocol could run at an address and port
// of this node.
// The text of its error says what to do about it.
type Binder interface {
	CanBind(protocol slb.Protocol, addr netip.AddrPort) error
}

// KeyManager makes access keys. The other changes of keys are transactions of
// this package.
type KeyManager interface {
	// Create makes a key pair and returns it with its secret in clear. An empty
	// id or secret is generated.
	Create(ctx context.Context, id, secret, description string) (slb.AccessKey, string, error)
}

// RegionCheck is the severity towards a RegionId other than the server's own.
type RegionCheck string

const (
	// RegionCheckRequired refuses it where the reference demands a RegionId, and
	// passes over it elsewhere: clients send it with every call out of habit.
	RegionCheckRequired RegionCheck = "required"
	// RegionCheckAll refuses it in every action of the product Slb.
	RegionCheckAll RegionCheck = "all"
	// RegionCheckOff never looks at it.
	RegionCheckOff RegionCheck = "off"
)

// AddressPool is a set of service addresses for instances.
type AddressPool struct {
	// Type is the address type that the pool serves. Empty: both.
	Type slb.AddressType
	// Prefixes are the addresses. The first and the last of an IPv4 prefix larger
	// than /31, and the first of an IPv6 prefix, are left out.
	Prefixes []netip.Prefix
	// VSwitchID restricts the pool to instances in that vSwitch. Empty: any.
	VSwitchID string
	// Shared gives every instance the pool's one address; their listeners must
	// then have different ports.
	Shared bool
}

// DefaultPools is one half of 127.1.0.0/16 for each address type: on Linux all of
// 127.0.0.0/8 is the host itself, so that no address has to be set up.
func DefaultPools() []AddressPool {
	return []AddressPool{
		{Type: slb.Internet, Prefixes: []netip.Prefix{netip.MustParsePrefix("127.1.0.0/17")}},
		{Type: slb.Intranet, Prefixes: []netip.Prefix{netip.MustParsePrefix("127.1.128.0/17")}},
	}
}

// Quotas are upper limits. 0 means the default, -1 no limit.
type Quotas struct {
	LoadBalancers          int // of the server; default 60
	BackendServers         int // of one instance, in all its groups; default 200
	Listeners              int // of one instance; default 50
	AttachmentsPerServer   int // instances that one server may join; default 50
	ServerGroups           int // of one instance and kind; default 1000
	GroupServers           int // entries of one vserver group; default 1000
	GroupServersPerCall    int // entries that one action on vserver groups may name; default 40
	Rules                  int // forwarding rules of one listener; default 40
	ACLs                   int // of the server; default 50
	ACLEntries             int // of one access control list; default 300
	ACLEntriesPerListener  int // of all lists of one listener; default 1000
	ListenersPerACL        int // listeners that one list may be named by; default 50
	WhiteListItems         int // of the old white list of one listener; default 300
	ServerCertificates     int // of the server; default 100
	CACertificates         int // of the server; default 100
	DomainExtensions       int // additional domains of one HTTPS listener; default 3
	TagsPerResource        int // default 20
	AccessKeys             int // default 100
	RegisteredServers      int // default no limit
	ClientTokenSweepPerRun int // expired tokens deleted by one creation; default 32
}

// Unlimited is the value of a quota without a limit.
const Unlimited = -1

// DefaultQuotas are the figures of the vendor's limits pages, where they exist.
// The 40 servers of a call are what the vendor's own controller sends, which the
// documented 20 would shut out.
func DefaultQuotas() Quotas {
	return Quotas{
		LoadBalancers:          60,
		BackendServers:         200,
		Listeners:              50,
		AttachmentsPerServer:   50,
		ServerGroups:           1000,
		GroupServers:           1000,
		GroupServersPerCall:    40,
		Rules:                  40,
		ACLs:                   50,
		ACLEntries:             300,
		ACLEntriesPerListener:  1000,
		ListenersPerACL:        50,
		WhiteListItems:         300,
		ServerCertificates:     100,
		CACertificates:         100,
		DomainExtensions:       3,
		TagsPerResource:        20,
		AccessKeys:             100,
		RegisteredServers:      Unlimited,
		ClientTokenSweepPerRun: 32,
	}
}

func (q Quotas) withDefaults() Quotas {
	d := DefaultQuotas()
	for _, f := range []struct {
		value    *int
		fallback int
	}{
		{&q.LoadBalancers, d.LoadBalancers},
		{&q.BackendServers, d.BackendServers},
		{&q.Listeners, d.Listeners},
		{&q.AttachmentsPerServer, d.AttachmentsPerServer},
		{&q.ServerGroups, d.ServerGroups},
		{&q.GroupServers, d.GroupServers},
		{&q.GroupServersPerCall, d.GroupServersPerCall},
		{&q.Rules, d.Rules},
		{&q.ACLs, d.ACLs},
		{&q.ACLEntries, d.ACLEntries},
		{&q.ACLEntriesPerListener, d.ACLEntriesPerListener},
		{&q.ListenersPerACL, d.ListenersPerACL},
		{&q.WhiteListItems, d.WhiteListItems},
		{&q.ServerCertificates, d.ServerCertificates},
		{&q.CACertificates, d.CACertificates},
		{&q.DomainExtensions, d.DomainExtensions},
		{&q.TagsPerResource, d.TagsPerResource},
		{&q.AccessKeys, d.AccessKeys},
		{&q.RegisteredServers, d.RegisteredServers},
		{&q.ClientTokenSweepPerRun, d.ClientTokenSweepPerRun},
	} {
		if *f.value == 0 {
			*f.value = f.fallback
		}
	}
	return q
}

// exceeds reports whether count is above the limit.
func exceeds(count, limit int) bool { return limit >= 0 && count > limit }

func (c Config) withDefaults() Config {
	if c.Region == "" {
		c.Region = "cn-hangzhou"
	}
	if c.RegionCheck == "" {
		c.RegionCheck = RegionCheckRequired
	}
	if len(c.Zones) == 0 {
		c.Zones = []string{c.Region + "-a", c.Region + "-b"}
	}
	if len(c.Pools) == 0 {
		c.Pools = DefaultPools()
	}
	if c.Endpoint == nil {
		c.Endpoint = func() string { return "127.0.0.1:8680" }
	}
	if c.AccountID == "" {
		c.AccountID = "1000000000000000"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Quotas = c.Quotas.withDefaults()
	return c
}
