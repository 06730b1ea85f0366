package l7

import (
	"context"
	"crypto/tls"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openslb/openslb/internal/dataplane/acl"
	"github.com/openslb/openslb/internal/dataplane/l7/h1"
	"github.com/openslb/openslb/internal/dataplane/l7/policy"
	"github.com/openslb/openslb/internal/dataplane/limit"
	"github.com/openslb/openslb/internal/dataplane/loop"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

type member = pool.Member

// HTTP is one HTTP or HTTPS frontend.
type HTTP struct {
	e        *Engine
	id       spec.FrontendID
	acceptor *acceptor  // of the goroutine driver
	lots     []*reactor // whose loops watch what is parked
	budget   *loop.Budget
	ports    []*loopPort // of the loop driver
	fds      []int       // theirs
	addr     netip.AddrPort
	snap     atomic.Pointer[snapshot]
	bounds
	closing atomic.Bool
	leaving atomic.Bool // other processes have the port: no request more on a connection
	shards  [counterShards]counters

	conns sync.WaitGroup

	mu   sync.Mutex
	list *conn // open connections
}

// snapshot is policy's with what the driver derives from it.
type snapshot struct {
	*policy.Snapshot
	acl  *acl.List
	log  *requestLog // nil: requests are not logged
	drop h1.Mask     // the client's headers that are ours to give
	host []byte      // stands in where an HTTP/1.0 client named none
	tls  *tls.Config // of HTTPS
	// tlsOf are the settings that tls was made from.
	tlsOf *spec.TLSOptions
}

// toHTTP2 tells whether servers are asked by HTTP/2.
func (s *snapshot) toHTTP2() bool { return s.Frontend.HTTP != nil && s.Frontend.HTTP.ServersHTTP2 }

// internet tells whether clients come by the internet.
func (s *snapshot) internet() bool { return s.Frontend.HTTP != nil && s.Frontend.HTTP.Internet }

// owned translates policy's headers to the protocol's.
var owned = map[policy.Header]h1.ID{
	policy.SLBIP:            h1.SLBIP,
	policy.SLBID:            h1.SLBID,
	policy.ForwardedProto:   h1.XForwardedProto,
	policy.ForwardedPort:    h1.XForwardedPort,
	policy.ForwardedSrcPort: h1.XForwardedClientSrcPort,
}

func (e *Engine) newSnapshot(f spec.Frontend, p *pool.Pool, rules []*pool.Pool) *snapshot {
	s := &snapshot{Snapshot: policy.NewSnapshot(e.options.Secret, f, p, rules...), acl: acl.New(f.ACL), host: []byte(f.Listen.String()), log: newRequestLog(e.options.Logs, &f)}
	for header, id := range owned {
		if s.Headers().Own&header != 0 {
			s.drop |= h1.Of(id)
		}
	}
	return s
}

// NewHTTP opens a frontend's port and serves it, over TLS if its protocol is
// HTTPS. A port that cannot be had is a *sock.BindError. p may be nil for a
// redirect, and limits where there are none; rules are the pools of the
// frontend's rules, in their order.
func (e *Engine) NewHTTP(f spec.Frontend, p *pool.Pool, limits *limit.Frontend, rules ...*pool.Pool) (*HTTP, error) {
	s := e.newSnapshot(f, p, rules)
	if f.ID.Protocol == spec.HTTPS {
		var err error
		if s.tls, err = e.tlsConfig(f); err != nil {
			return nil, err
		}
		s.tlsOf = f.TLS
	}
	lots, err := e.reactors.start(e)
	if err != nil {
		return nil, err
	}
	h := &HTTP{e: e, id: f.ID, lots: lots, budget: lots[0].loop.Budget}
	h.snap.Store(s)
	if e.options.Driver == Loops && s.tls == nil {
		if err := e.listenLooped(h, f.Listen, limits); err != nil {
			return nil, err
		}
		return h, nil
	}
	h.bounds.init(limits, 0)
	group, err := e.options.Sockets.ListenTCP(f.Listen, 1)
	if err != nil {
		return nil, err
	}
	if !h.budget.Take(len(group.FDs)) {
		group.Close()
		return nil, &sock.BindError{Addr: f.Listen, Err: syscall.EMFILE}
	}
	h.addr = group.Addr
	if h.acceptor, err = newAcceptor(h, group.FDs); err != nil {
		return nil, err
	}
	if !e.options.Held.Load() {
		h.acceptor.resume()
	}
	return h, nil
}

// Addr is the address listened on.
func (h *HTTP) Addr() netip.AddrPort { return h.addr }

// Update changes settings and pools for requests that begin from now on, and
// certificates for handshakes that do.
func (h *HTTP) Update(f spec.Frontend, p *pool.Pool, rules ...*pool.Pool) {
	s := h.e.newSnapshot(f, p, rules)
	if h.id.Protocol == spec.HTTPS {
		s.tls, s.tlsOf = h.changeTLS(f)
	}
	h.snap.Store(s)
}

// changeTLS returns the TLS settings for f: those there are, if nothing changes
// or the new ones cannot be used.
func (h *HTTP) changeTLS(f spec.Frontend) (*tls.Config, *spec.TLSOptions) {
	now := h.snap.Load()
	if reflect.DeepEqual(now.tlsOf, f.TLS) {
		return now.tls, now.tlsOf // reading keys again would cost much
	}
	config, err := h.e.tlsConfig(f)
	if err != nil {
		h.e.log.Error("changing TLS settings: the former ones stay", "frontend", h.id, "error", err)
		return now.tls, now.tlsOf
	}
	return config, f.TLS
}

// Facts are the counters since the start.
func (h *HTTP) Facts() spec.FrontendFacts {
	f := spec.FrontendFacts{ID: h.id, Listening: !h.closing.Load()}
	sum(&h.shards, &f)
	return f
}

// start serves one accepted connection, or closes it without an answer if the
// access control of the frontend, its limits or the budget of descriptors say so.
func (h *HTTP) start(fd int, remote netip.AddrPort) {
	shard := h.e.seq.Add(1)
	count := &h.shards[shard%counterShards]
	if !h.admit(remote.Addr(), count) {
		sock.Close(fd)
		return
	}
	if !h.budget.TakeFirst(1) {
		h.noRoom(count)
		sock.Close(fd)
		return
	}
	c := newConn(h, remote, shard)
	if err := c.init(fd, h.e.wheel, h.budget); err != nil {
		h.left(count)
		return
	}
	h.conns.Add(1)
	h.adopt(c)
}

// adopt has a goroutine serve a connection that is counted already.
func (h *HTTP) adopt(c *conn) {
	h.mu.Lock()
	c.next = h.list
	if h.list != nil {
		h.list.prev = c
	}
	h.list = c
	h.mu.Unlock()
	h.e.serve(c)
}

// forget takes an ended connection off the list.
func (h *HTTP) forget(c *conn) {
	h.mu.Lock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		h.list = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	h.mu.Unlock()
	h.left(c.count)
	h.conns.Done()
}

// Close stops accepting at once and closes idle connections. Requests in
// progress are finished; those left when ctx ends are cut off, and ctx's error
// is returned.
func (h *HTTP) Close(ctx context.Context) error {
	// First, so that a client that is told to go elsewhere does not come back here.
	h.stopAccepting()
	if h.closing.Swap(true) {
		return nil
	}
	h.eachPort((*loopPort).interruptIdle)
	h.each((*conn).interruptIdle)
	done := make(chan struct{})
	go func() {
		h.conns.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for {
		h.eachPort((*loopPort).cut)
		h.each((*conn).cutOff)
		select {
		case <-done:
			return ctx.Err()
		case <-time.After(10 * time.Millisecond): // one may have just begun to connect to a server
		}
	}
}

func (h *HTTP) each(fn func(*conn)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := h.list; c != nil; c = c.next {
		fn(c)
	}
}
