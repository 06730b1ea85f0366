package l4

import (
	"net/netip"
	"time"

	"github.com/openslb/openslb/internal/dataplane/acl"
	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/sock"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

const (
	// DefaultIdleTimeout holds for a TCP frontend that states none: the vendor's
	// default of EstablishedTimeout.
	DefaultIdleTimeout = 900 * time.Second
	// DefaultFlowTimeout ends a UDP flow without traffic on a frontend that states
	// no time. Source: the vendor's FAQ about load balancing.
	DefaultFlowTimeout = 90 * time.Second
)

// settings are what new connections and flows begin with. They are immutable.
type settings struct {
	pool        *pool.Pool
	listen      netip.AddrPort
	acl         *acl.List
	idle        int64 // nanoseconds
	drain       int64 // nanoseconds; 0: off
	persistence int64 // nanoseconds; 0: off
	affinity    *affinity
	proxied     bool // a PROXY header precedes what a server gets
}

// settingsOf takes the settings from f. What is remembered of clients stays, as
// long as persistence stays on and the pool the same.
func settingsOf(f *spec.Frontend, p *pool.Pool, listen netip.AddrPort, last *settings) *settings {
	next := &settings{pool: p, listen: listen, acl: acl.New(f.ACL)}
	var idle, drain, persistence time.Duration
	switch {
	case f.TCP != nil:
		idle, drain, persistence = f.TCP.IdleTimeout, f.TCP.Drain, f.TCP.Persistence
		next.proxied = f.TCP.ProxyProtocol
	case f.UDP != nil:
		idle, drain, persistence = f.UDP.IdleTimeout, f.UDP.Drain, f.UDP.Persistence
		next.proxied = f.UDP.ProxyProtocol
	}
	if idle <= 0 {
		idle = DefaultIdleTimeout
		if f.ID.Protocol == spec.UDP {
			idle = DefaultFlowTimeout
		}
	}
	next.idle, next.drain, next.persistence = int64(idle), int64(max(drain, 0)), int64(max(persistence, 0))
	if next.persistence > 0 {
		if last != nil && last.pool == p && last.affinity != nil {
			next.affinity = last.affinity
		} else {
			next.affinity = newAffinity()
		}
	}
	return next
}

// choose finds the server for a new connection or flow of a client; nil: there
// is none.
func (s *settings) choose(client netip.Addr, key uint64, now int64) *pool.Member {
	switch {
	case s.pool == nil:
		return nil
	case s.affinity == nil:
		return s.pool.Pick(key)
	}
	if m := s.affinity.get(client, now, s.persistence); m != nil {
		return m
	}
	m := s.pool.Pick(key)
	if m == nil {
		return nil
	}
	return s.affinity.put(client, m, now, s.persistence)
}

// destination is the address that the client of a connection asked for.
func (s *settings) destination(fd int) netip.AddrPort {
	if s.listen.Addr().IsUnspecified() {
		if local, err := sock.LocalAddr(fd); err == nil {
			return local
		}
	}
	return s.listen
}
