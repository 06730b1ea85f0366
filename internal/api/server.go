package api

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// applyLimit bounds the wait for traffic to follow a committed change. Past it
// the call still succeeds: the change is committed, and the data plane catches
// up.
const applyLimit = 2 * time.Second

// Server answers the actions. It is safe for concurrent use.
type Server struct {
	cfg       Config
	pools     []*pool
	attaching attachGuard
	lastSweep atomic.Int64 // of expired client tokens, Unix seconds
}

// New returns a Server for cfg.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg.withDefaults()}
	for _, p := range s.cfg.Pools {
		s.pools = append(s.pools, &pool{AddressPool: p})
	}
	return s
}

// Products lists all actions by product.
func (s *Server) Products() []rpc.Product {
	return []rpc.Product{
		{Name: "Slb", Version: "2014-05-15", Actions: join(
			s.regionActions(),
			s.loadBalancerActions(),
			s.listActions(),
			s.backendActions(),
			s.vServerGroupActions(),
			s.masterSlaveGroupActions(),
			s.healthActions(),
			s.listenerActions(),
			s.tcpListenerActions(),
			s.httpListenerActions(),
			s.ruleActions(),
			s.httpsListenerActions(),
			s.certificateActions(),
			s.caCertificateActions(),
			s.domainExtensionActions(),
			s.tlsPolicyActions(),
			s.udpListenerActions(),
			s.aclActions(),
			s.whiteListActions(),
			s.modifyActions(),
			s.availableActions(),
			s.accessLogActions(),
			s.monitorActions(),
			s.listenersListActions(),
			s.tagActions(),
			s.oldTagActions(),
		)},
		{Name: "OpenSLB", Version: "2026-11-01", Actions: join(
			s.serverActions(),
			s.accessKeyActions(),
			s.nodeActions(),
			s.backendProtocolActions(),
		)},
		{Name: "Cms", Version: "2019-01-01", Actions: s.cmsActions()},
		{Name: "Sts", Version: "2015-04-01", Actions: s.stsActions()},
		{Name: "Location", Version: "2015-06-12", Actions: s.locationActions()},
		{Name: "Vpc", Version: "2016-04-28", Actions: s.vpcActions()},
		{Name: "Ecs", Version: "2014-05-26", Actions: s.ecsActions()},
	}
}

func join(lists ...[]rpc.Action) []rpc.Action {
	var out []rpc.Action
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// update commits fn under the scope, normally an instance's id, and waits until
// the traffic follows it.
func (s *Server) update(ctx context.Context, scope string, fn func(tx *store.Tx) error) error {
	seen := int64(-1)
	for attempt := 1; ; attempt++ {
		revision, err := s.cfg.Store.Update(ctx, scope, fn)
		if err == nil {
			s.waitApplied(ctx, revision)
			return nil
		}
		// A port may be held by what another call has just taken away and the
		// traffic has yet to follow: then the question is asked again.
		now := s.cfg.Store.State().Revision
		if !asksAgain(err) || now == seen || attempt == maxAttempts {
			return err
		}
		s.waitApplied(ctx, now)
		seen = now
	}
}

// maxAttempts bounds how often a change is tried where others never cease.
const maxAttempts = 5

// asksAgain tells whether an error is the data plane's, and so may be about a
// state that is past.
func asksAgain(err error) bool {
	var e *slb.Error
	return errors.As(err, &e) && e.Code == slb.ErrListenerBind.Code
}

func (s *Server) waitApplied(ctx context.Context, revision int64) {
	if s.cfg.Applier == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	if err := s.cfg.Applier.WaitApplied(ctx, revision); err != nil {
		s.cfg.Logger.WarnContext(ctx, "change is committed but not yet applied", "revision", revision, "error", err)
	}
}

// now is the server's time in the resolution that answers have.
func (s *Server) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// endpoint is the API's host:port.
func (s *Server) endpoint() string {
	e := s.cfg.Endpoint()
	if u, err := url.Parse(e); err == nil && u.Host != "" {
		return u.Host
	}
	return e
}

// timeText is the form of times in answers.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// checkRegion judges the RegionId of an action. demanded says that the
// reference demands it there.
func (s *Server) checkRegion(region string, demanded bool) error {
	switch s.cfg.RegionCheck {
	case RegionCheckOff:
		return nil
	case RegionCheckRequired:
		if !demanded {
			return nil
		}
	}
	if region != "" && region != s.cfg.Region {
		return slb.ErrRegionNotFound.Because("It is %s; this server is %s.", rpc.Shown(region), s.cfg.Region)
	}
	return nil
}

// missing is the error for an absent parameter that others make mandatory.
func missing(name string) error { return slb.ErrMissingParameter.With(name) }

// invalid is the error for a parameter whose value does not fit the others; must
// completes the sentence "it must be ...".
func invalid(name, value, must string) error { return rpc.InvalidParameter(name, value, must) }

// invalidBecause is invalid with a reason in a sentence of its own.
func invalidBecause(name, reason string) error { return rpc.InvalidParameterBecause(name, reason) }
