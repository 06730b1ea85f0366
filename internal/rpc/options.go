package rpc

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// KeyStore knows the secrets of access keys.
type KeyStore interface {
	// Secret returns the secret of a key and whether the key may be used. An
	// unknown key is ErrUnknownKey; any other error makes the call fail with
	// ServiceUnavailable.
	Secret(ctx context.Context, accessKeyID string) (secret string, enabled bool, err error)
}

// Options configure a Handler. Mux and Keys are needed; zero values of the rest
// mean the default named at each.
type Options struct {
	Mux  *Mux
	Keys KeyStore
	// HostID is the name of the endpoint in error bodies; empty: what the
	// request says in Host.
	HostID string
	Logger *slog.Logger     // default: slog.Default()
	Now    func() time.Time // default: time.Now

	MaxURIBytes   int // of path and query; default 256 KiB
	MaxBodyBytes  int // default 1 MiB
	MaxParameters int // of query and body together; default 2000
	MaxNonces     int // remembered at once; default 4 million, see nonceStore
	// Nonces keeps used nonces beyond a restart; nil: they are kept in memory alone.
	Nonces      *NonceFile
	CallTimeout time.Duration // an action's context ends after it; default 30 s

	// CallsPerSecond bounds the calls of one access key, with bursts of up to
	// Burst calls (default: one second's worth). 0 means no bound.
	CallsPerSecond float64
	Burst          int

	// Tell are the names of parameters whose values OnCall is told; those numbered
	// as lists ("Name.1") count by their first part. None of them may be a secret.
	Tell []string

	// OnCall, if set, is told of every answered request. It must be quick and
	// safe for concurrent use.
	OnCall func(CallInfo)
}

// CallInfo is what an observer learns of an answered request. Product and
// Action are empty when no action was found, so that a stranger cannot make up
// label values; AccessKeyID is empty unless the signature was right.
type CallInfo struct {
	Product, Action string
	AccessKeyID     string
	RequestID       string
	Remote          netip.AddrPort
	Read            bool // the action changes nothing
	// Params are those of Options.Tell that the call had, by name; nil unless the
	// signature was right.
	Params   map[string]string
	Status   int    // HTTP
	Code     string // of the error, empty for success
	Duration time.Duration
}

func (o Options) withDefaults() Options {
	if o.Mux == nil || o.Keys == nil {
		panic("rpc: Options need Mux and Keys")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	setDefault(&o.MaxURIBytes, 256<<10)
	setDefault(&o.MaxBodyBytes, 1<<20)
	setDefault(&o.MaxParameters, 2000)
	setDefault(&o.MaxNonces, 4_000_000)
	setDefault(&o.CallTimeout, 30*time.Second)
	setDefault(&o.Burst, max(1, int(o.CallsPerSecond)))
	return o
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}
