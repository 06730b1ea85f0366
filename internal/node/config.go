package node

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// The defaults of a Config, which the command line shows as its own.
const (
	DefaultListen = "127.0.0.1:8680"
	DefaultRegion = "cn-hangzhou"
	// DefaultHandoverTimeout is many times what a node with thousands of listeners
	// needs to start.
	DefaultHandoverTimeout = 30 * time.Second
	// The whole of 127.0.0.0/8 is the host itself on Linux, so that every balancer
	// has an address of its own, with all ports free, without any set-up.
	DefaultInternetPool = "127.1.0.0/17"
	DefaultIntranetPool = "127.1.128.0/17"
)

// Config says how to run a node. Only Data is required; the zero value of every
// other field is its default.
type Config struct {
	// Data is the directory of everything the node keeps. It is made, with mode
	// 0700, when it does not exist, and belongs to one node at a time.
	Data string
	// Listen is the host:port of the API. Empty: DefaultListen. Port 0 takes a
	// free one, which Endpoint tells.
	Listen string
	// Dev accepts the fixed key pair DevKeyID and DevKeySecret beside those of
	// the store. The pair is never stored: a later start without Dev refuses it.
	Dev bool
	// Region is the only region of the node. Empty: DefaultRegion.
	Region string
	// InternetPool and IntranetPool give balancers of that address type their
	// addresses. Empty: DefaultInternetPool, DefaultIntranetPool.
	InternetPool, IntranetPool []netip.Prefix
	// ServersFile seeds the register at each start, see Seed. Empty: none.
	ServersFile string
	// ServerNames are further host names and addresses that the API's TLS
	// certificate is valid for, beside localhost and the host's own name.
	ServerNames []string
	// StoreEndpoints are the client URLs of an outside etcd cluster. Empty: the
	// node runs an etcd of its own under Data.
	StoreEndpoints []string
	// TakeOver replaces the node that uses Data, if there is one, without an
	// interruption. Without it that is an error.
	TakeOver bool
	// HandoverTimeout is how long a process that takes over may take from the
	// moment the other has given up the store. 0: DefaultHandoverTimeout.
	HandoverTimeout time.Duration
	// Quotas are limits of the API by the vendor's names, see QuotaHelp. Those that
	// are absent or 0 have their defaults; -1 is no limit.
	Quotas map[string]int
	// SealKeyFile holds the key that seals secrets in the store; nodes that share
	// a store share the key. Empty: seal.key under Data. Made when it is missing.
	SealKeyFile string
	// SourceMode says whose address servers of TCP and UDP listeners see: proxy is
	// the node's, transparent the client's, auto the client's where the node has the
	// rights. Transparent fails without them. Empty: proxy.
	SourceMode string
	// ProbeSources are the addresses of this host that health probes come from, one
	// for each family at most. Empty: the system chooses.
	ProbeSources []netip.Addr
	// Logs are the settings of the logs of traffic.
	Logs LogFiles
	// Trace has requests recorded as spans.
	Trace Tracing
	// Profiling serves Go's profiles at /debug/pprof/ of the API port, to callers
	// on the same host.
	Profiling bool
	// Version is what the node calls itself. Empty: "devel".
	Version string
	// Logger takes the log. Nil: nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	if len(c.InternetPool) == 0 {
		c.InternetPool = []netip.Prefix{netip.MustParsePrefix(DefaultInternetPool)}
	}
	if len(c.IntranetPool) == 0 {
		c.IntranetPool = []netip.Prefix{netip.MustParsePrefix(DefaultIntranetPool)}
	}
	if c.HandoverTimeout <= 0 {
		c.HandoverTimeout = DefaultHandoverTimeout
	}
	if c.SealKeyFile == "" {
		c.SealKeyFile = filepath.Join(c.Data, "seal.key")
	}
	if c.Version == "" {
		c.Version = "devel"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// zones are the availability zones that the node claims to have. The vendor's
// clients want at least one, and a primary and a secondary to choose from.
func (c Config) zones() []string { return []string{c.Region + "-a", c.Region + "-b"} }

// DefaultData is where a node keeps its data when it is not told: below
// $XDG_DATA_HOME, else ~/.local/share, else ./openslb-data.
func DefaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "openslb")
	}
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) && home != "/" {
		return filepath.Join(home, ".local", "share", "openslb")
	}
	return "openslb-data"
}
