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
	// Metrics are figures over time. nil: there are none.
	Metrics Metrics
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
	// Node tells about the node that answers.
	Node() slb.NodeFacts
}

// Metrics are figures of the data plane over time.
type Metrics interface {
	// Metrics lists all figures, in the order of the vendor's page.
	Metrics() []slb.Metric
	// MetricPoints answers with the periods that are over, by beginning and then by
	// listener.
	MetricPoints(q slb.MetricQuery) []slb.MetricPoint
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
