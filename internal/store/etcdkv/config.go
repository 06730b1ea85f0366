package etcdkv

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// What one transaction may hold. etcd's own 128 operations and 1.5 MiB are too
// few for what must not be split: deleting an instance with all its listeners
// and rules, or seeding a register. Every request is kept in memory by raft and
// written twice, hence not more than this; etcd advises against over 10 MiB.
const (
	MaxTxnOps   = 8192
	MaxTxnBytes = 8 << 20
)

// requestBytes is room for MaxTxnBytes with keys, conditions and framing.
const requestBytes = MaxTxnBytes + 1<<20

// Defaults of Config.
const (
	// DefaultQuota is far above the need: 10,000 servers and 1,000 listeners take
	// some 20 MB, the history that is kept about as much again. It bounds the file,
	// which is mapped into memory, and the time of a defragmentation.
	DefaultQuota            = 2 << 30
	DefaultRetainRevisions  = 10_000
	DefaultMaintainInterval = 30 * time.Second
	DefaultDefragInterval   = time.Hour
	DefaultProgressInterval = 5 * time.Second
)

// Config is an embedded etcd.
type Config struct {
	// Dir is the data directory; it is created with mode 0700. One process at a
	// time may have it.
	Dir    string
	Logger *slog.Logger // nil: slog.Default()
	// Quota is the greatest size of the database file in bytes; 0: DefaultQuota.
	// Past it writes fail with kv.ErrNoSpace, deletions are still taken.
	Quota int64
	// RetainRevisions is how much history is kept for watches that fall behind;
	// 0: DefaultRetainRevisions.
	RetainRevisions int64
	// MaintainInterval is the pause between looks at size and history; 0:
	// DefaultMaintainInterval.
	MaintainInterval time.Duration
	// DefragInterval is the least time between two defragmentations, which stop
	// all else for as long as they take; 0: DefaultDefragInterval. They are done
	// only when more than half of the file, and 64 MiB, would be freed.
	DefragInterval time.Duration
	// ProgressInterval is the longest time that a watch says nothing about
	// revisions that do not concern it; 0: DefaultProgressInterval.
	ProgressInterval time.Duration
	// NoSocket leaves out the unix socket <Dir>/etcd.sock, by which etcd's own
	// tools reach the database. It is also left out where the path is too long
	// for a socket.
	NoSocket bool
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	orElse(&c.Quota, DefaultQuota)
	orElse(&c.RetainRevisions, DefaultRetainRevisions)
	orElse(&c.MaintainInterval, DefaultMaintainInterval)
	orElse(&c.DefragInterval, DefaultDefragInterval)
	orElse(&c.ProgressInterval, DefaultProgressInterval)
	return c
}

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// DialConfig is an etcd cluster run by someone else. Its history, space and
// limits are its operator's business: MaxTxnOps and MaxTxnBytes do not hold
// there unless it is configured so.
type DialConfig struct {
	// Endpoints are host:port or URLs: http, https, unix.
	Endpoints []string
	TLS       *tls.Config // nil: none
	Username  string
	Password  string
	// Timeout bounds the first contact; 0: 5 s.
	Timeout          time.Duration
	ProgressInterval time.Duration // as in Config
	Logger           *slog.Logger  // nil: slog.Default()
}
