package api

import (
	"context"
	"iter"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) listenerActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("StartLoadBalancerListener", s.startListener),
		rpc.NewAction("StopLoadBalancerListener", s.stopListener),
		rpc.NewAction("DeleteLoadBalancerListener", s.deleteListener),
	}
}

// listenerParams name a port of an instance.
type listenerParams struct {
	loadBalancerParams
	ListenerPort uint16 `param:"ListenerPort,required" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
}

// anyListenerParams name a listener of any protocol.
type anyListenerParams struct {
	listenerParams
	ListenerProtocol slb.Protocol `param:"ListenerProtocol" err:"InvalidParameter|400|The specified protocol is not valid."`
}

// errAmbiguous: a TCP-like and a UDP listener share the port and the call does
// not say which is meant.
var errAmbiguous = missing("ListenerProtocol")

// resolveListener finds the listener of a port among those of an instance. One
// port may carry a TCP-like and a UDP listener; then the protocol is needed.
// Without it the only listener of the port is meant.
func resolveListener(listeners []*slb.Listener, port uint16, protocol slb.Protocol) (*slb.Listener, error) {
	var found *slb.Listener
	for _, l := range listeners {
		switch {
		case l.Port != port, protocol != "" && l.Protocol != protocol:
		case found != nil:
			return nil, errAmbiguous
		default:
			found = l
		}
	}
	if found == nil {
		return nil, slb.ErrResourceNotFound
	}
	return found, nil
}

func values[K, V any](seq iter.Seq2[K, V]) []V {
	var out []V
	for _, v := range seq {
		out = append(out, v)
	}
	return out
}

// changeListener commits what fn does to its copies of the instance and of one
// of its listeners. What fn does not put stays as it was.
func (s *Server) changeListener(ctx context.Context, p *anyListenerParams, fn func(tx *store.Tx, lb *slb.LoadBalancer, l *slb.Listener) error) error {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return err
	}
	return s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		lb, ok := tx.LoadBalancers.Edit(string(p.LoadBalancerID))
		if !ok {
			return slb.ErrLoadBalancerNotFound
		}
		l, err := resolveListener(values(tx.Listeners.Prefix(slb.ListenerPrefix(lb.ID))), p.ListenerPort, p.ListenerProtocol)
		if err != nil {
			return err
		}
		l, _ = tx.Listeners.Edit(l.Key())
		return fn(tx, lb, l)
	})
}

// startListener asks the data plane first whether the port can be taken, since
// a listener that says running and does not listen helps nobody. While the
// instance is inactive nothing listens, and there is nothing to ask.
func (s *Server) startListener(ctx context.Context, p *anyListenerParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.changeListener(ctx, p, func(tx *store.Tx, lb *slb.LoadBalancer, l *slb.Listener) error {
		if lb.Status == slb.Locked {
			return slb.ErrLocked
		}
		if l.Status == slb.Running {
			return nil
		}
		if lb.Status == slb.Active {
			if err := s.canBind(lb, l); err != nil {
				return err
			}
		}
		l.Status = slb.Running
		tx.Listeners.Put(l)
		return nil
	})
}

func (s *Server) stopListener(ctx context.Context, p *anyListenerParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.changeListener(ctx, p, func(tx *store.Tx, lb *slb.LoadBalancer, l *slb.Listener) error {
		if lb.Status == slb.Locked {
			return slb.ErrLocked
		}
		if l.Status == slb.Stopped {
			return nil
		}
		l.Status = slb.Stopped
		tx.Listeners.Put(l)
		return nil
	})
}

// deleteListener takes running and stopped listeners alike, with their rules.
// With its last listener the instance becomes inactive and stays so until
// SetLoadBalancerStatus. Source: SetLoadBalancerStatus.
func (s *Server) deleteListener(ctx context.Context, p *anyListenerParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.changeListener(ctx, p, func(tx *store.Tx, lb *slb.LoadBalancer, l *slb.Listener) error {
		dropListener(tx, l)
		if len(values(tx.Listeners.Prefix(slb.ListenerPrefix(lb.ID)))) == 0 && lb.Status == slb.Active {
			lb.Status = slb.Inactive
			tx.LoadBalancers.Put(lb)
		}
		return nil
	})
}
