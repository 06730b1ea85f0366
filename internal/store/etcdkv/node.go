package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// node is the embedded etcd of a KV.
type node struct {
	cfg   Config
	etcd  *embed.Etcd
	lock  *os.File
	quiet *atomic.Bool // while starting and stopping
	*failure
	maintenance
}

// Open starts etcd in this process on the data directory and returns when it
// takes writes. It opens no TCP port. A directory that another process has gives
// a *LockedError at once.
func Open(ctx context.Context, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("etcd data directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	n := &node{cfg: cfg, lock: lock, quiet: new(atomic.Bool), failure: newFailure()}
	n.quiet.Store(true)
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd in %s: %w", dir, err), n.close())
	}
	n.quiet.Store(false)
	k := newKV(v3client.New(n.etcd.Server), cfg.ProgressInterval)
	k.node, k.failure = n, n.failure
	k.begin()
	go func() {
		defer k.running.Done()
		n.maintain(k.ctx, k.client)
	}()
	return k, nil
}

func (n *node) start(ctx context.Context) error {
	select {
	case starting <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-starting }()
	if err := n.begin(); err != nil {
		return err
	}
	electing, cancel := context.WithCancel(ctx)
	elected := make(chan struct{})
	go func() {
		defer close(elected)
		n.elect(electing)
	}()
	err := n.ready(ctx)
	cancel()
	select {
	case <-elected:
	case <-n.failure.seen(): // raft may not answer any more
	}
	return err
}

// ready returns when etcd takes writes, or has been told to stop.
func (n *node) ready(ctx context.Context) (err error) {
	slow := time.NewTimer(slowStart)
	defer slow.Stop()
	for {
		select {
		case <-n.etcd.Server.ReadyNotify():
			return nil
		case err = <-n.etcd.Err():
		case <-n.etcd.Server.StopNotify():
			err = errors.New("etcd stopped while it started")
		case <-n.failure.seen():
			return n.failure.err()
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-slow.C:
			n.cfg.Logger.Warn("the store has not started yet: its disk is slow, or its files are damaged",
				"dir", n.cfg.Dir, "after", slowStart.String())
			continue
		}
		// Close alone waits for the server to become ready, which it may never do.
		n.etcd.Server.Stop()
		return err
	}
}

// slowStart is when a start that goes on is worth a word.
const slowStart = 10 * time.Second

// begin looks at the files and starts etcd. Where some are missing or empty, etcd
// panics or ends the process; that becomes an error, since whoever can put the
// files back should not have to read a stack for it.
func (n *node) begin() error {
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	begun := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("the files of the store are damaged or incomplete, %s: etcd: %v", putBack, p)
			}
			begun <- r
		}()
		if r.err = checkFiles(n.cfg.Dir, n.cfg.Logger); r.err == nil {
			r.etcd, r.err = embed.StartEtcd(n.embedConfig())
		}
	}()
	select {
	case r := <-begun:
		n.etcd = r.etcd
		return r.err
	case <-n.failure.seen():
		return n.failure.err()
	}
}

func (n *node) embedConfig() *embed.Config {
	c := embed.NewConfig()
	c.Name = "openslb"
	c.Dir = n.cfg.Dir
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(bridge(n.cfg.Logger, n.quiet, zap.WithFatalHook(n.failure), zap.WithPanicHook(n.failure)))

	// One member speaks to nobody: no peer listener at all. The advertised address
	// is a name for the member that is never dialled.
	c.ListenPeerUrls = nil
	c.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.ListenClientUrls, c.AdvertiseClientUrls = nil, []url.URL{{Scheme: "unix", Path: n.socket()}}
	if n.socketFits() && !n.cfg.NoSocket {
		c.ListenClientUrls = c.AdvertiseClientUrls
	}
	c.EnableGRPCGateway = false

	// Each tick wakes an idle process. Without peers the times have no meaning but
	// for the start, which does not wait for them, see elect.
	c.TickMs, c.ElectionMs = tickMs, electionMs

	c.QuotaBackendBytes = n.cfg.Quota
	c.MaxTxnOps = MaxTxnOps
	c.MaxRequestBytes = requestBytes
	c.AutoCompactionMode = embed.CompactorModeRevision
	c.AutoCompactionRetention = fmt.Sprint(n.cfg.RetainRevisions)
	// UnsafeNoFsync stays false: what was acknowledged survives a power cut.
	// A slow disk is worth a word, but not at every hiccup.
	c.WarningApplyDuration = 500 * time.Millisecond
	c.WarningUnaryRequestDuration = time.Second
	return c
}

const (
	tickMs     = 250
	electionMs = 5 * tickMs // the least that etcd takes
)

func (n *node) socket() string { return filepath.Join(n.cfg.Dir, "etcd.sock") }

// socketFits tells whether the system can bind a socket at such a long path.
func (n *node) socketFits() bool {
	return len(n.socket()) < len(unix.RawSockaddrUnix{}.Path)
}

// close ends etcd. One that has failed, or does so at its end, stays as it is.
func (n *node) close() error {
	n.quiet.Store(true)
	var err error
	if n.etcd != nil {
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			select {
			case <-n.failure.seen():
				return
			default:
			}
			n.etcd.Close()
			<-n.etcd.Server.StopNotify()
		}()
		select {
		case <-closed:
		case <-n.failure.seen():
		}
		err = n.failure.err()
	}
	return errors.Join(err, n.lock.Close())
}
