package api

import (
	"context"

	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

// newListenerParams are what the create actions share beside the settings.
type newListenerParams struct {
	BackendServerPort uint16      `param:"BackendServerPort" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
	PortRange         []portRange `param:"PortRange.N"`
	Tags              []tagParam  `param:"Tag.N"`
}

// portRange is an undocumented parameter for listeners of many ports. It is read
// in order to refuse it: such a listener is not the one that was asked for.
type portRange struct {
	Start string `param:"StartPort"`
	End   string `param:"EndPort"`
}

// createListener commits a listener that build makes of the documented defaults.
func (s *Server) createListener(ctx context.Context, p *listenerParams, n *newListenerParams, l *slb.Listener, build func(l *slb.Listener) error) error {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return err
	}
	if len(n.PortRange) > 0 {
		return slb.ErrUnsupported
	}
	tags, err := tagsOf("Tag", n.Tags)
	if err != nil {
		return err
	}
	l.Tags = tags
	l.BackendServerPort = n.BackendServerPort
	l.CreatedAt = s.now()
	if err := build(l); err != nil {
		return err
	}
	switch {
	case l.Redirects():
		// The port that clients send along has no meaning, and answers with it
		// would make them replace the listener.
		l.BackendServerPort = 0
	case l.BackendServerPort == 0 && !l.UsesGroup():
		return missing("BackendServerPort")
	}
	return s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Get(string(p.LoadBalancerID))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		if _, taken := tx.Listeners.Get(l.Key()); taken {
			return slb.ErrListenerExists
		}
		if exceeds(tx.Listeners.CountPrefix(slb.ListenerPrefix(lb.ID))+1, s.cfg.Quotas.Listeners) {
			return slb.ErrListenerQuota
		}
		if err := checkGroups(tx, l, nil); err != nil {
			return err
		}
		if err := checkHTTPS(tx, l); err != nil {
			return err
		}
		if err := s.checkACLs(tx, lb, l, nil); err != nil {
			return err
		}
		if err := checkBandwidth(tx, lb, l); err != nil {
			return err
		}
		tx.Listeners.Put(l.Clone())
		return nil
	})
}

// setListener commits what change does to a listener of the protocol. With
// dryRun everything is checked and nothing committed.
func (s *Server) setListener(ctx context.Context, p *listenerParams, protocol slb.Protocol, dryRun bool, change func(l *slb.Listener) error) error {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return err
	}
	return s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Get(string(p.LoadBalancerID))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		l, ok := tx.Listeners.Edit(slb.ListenerKey(lb.ID, protocol.Family(), p.ListenerPort))
		switch {
		case !ok:
			return slb.ErrResourceNotFound
		case l.Protocol != protocol:
			return slb.ErrFixedProtocolPort
		}
		before := l.Clone()
		if err := change(l); err != nil {
			return err
		}
		if err := checkGroups(tx, l, before); err != nil {
			return err
		}
		if err := checkHTTPS(tx, l); err != nil {
			return err
		}
		if err := s.checkACLs(tx, lb, l, before); err != nil {
			return err
		}
		if err := checkBandwidth(tx, lb, l); err != nil {
			return err
		}
		if !dryRun {
			tx.Listeners.Put(l)
		}
		return nil
	})
}

// listenerOf finds a listener of the protocol, for reading alone. One of another
// protocol on the port does not count: clients take the error for the proof
// that theirs is gone.
func (s *Server) listenerOf(p *listenerParams, protocol slb.Protocol) (*slb.Listener, error) {
	state, lb, err := s.loadBalancer(&p.loadBalancerParams)
	if err != nil {
		return nil, err
	}
	l, ok := state.Listeners.Get(slb.ListenerKey(lb.ID, protocol.Family(), p.ListenerPort))
	if !ok || l.Protocol != protocol {
		return nil, slb.ErrResourceNotFound
	}
	return l, nil
}
