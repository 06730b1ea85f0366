package node

import (
	"context"
	"net/netip"

	"github.com/openslb/openslb/internal/dataplane"
	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/reconcile"
	"github.com/openslb/openslb/internal/slb"
)

// startEngine starts the data plane, without any balancer.
func (n *Node) startEngine(context.Context) error {
	o := dataplane.Options{Logger: n.log.With("part", "dataplane"), Source: n.source, ProbeSources: n.cfg.ProbeSources, AccessLogs: n.accessLogs, ConnectionLog: n.connectionLog, HealthLog: n.healthLog(), Tracer: n.tracer,
		Secret: n.sealer.Derive("session cookies"), Unseal: n.unseal}
	if o.Restored = n.old == nil; !o.Restored {
		o.Estate, o.FDs, n.old.fds = n.old.estate, n.old.fds, nil
	}
	n.engine = dataplane.New(o)
	n.onStop("data plane", n.engine.Close)
	return nil
}

// unseal opens the private key of a certificate for the data plane.
func (n *Node) unseal(id string, sealed []byte) ([]byte, error) {
	return n.sealer.Open(sealed, slb.CertificateKeyContext(id))
}

// startReconciler carries what the store holds to the data plane, and goes on
// with every change. It returns when the first is done.
func (n *Node) startReconciler(ctx context.Context) error {
	n.reconciler = reconcile.New(n.store, n.engine, n.log.With("part", "reconcile"))
	n.goes("reconciler", n.reconciler.Run)
	if err := n.reconciler.WaitApplied(ctx, n.store.State().Revision); err != nil {
		return err
	}
	if n.old == nil {
		n.engine.Settled()
	}
	n.startHistory()
	return nil
}

// binder answers the API's question whether a listener could start.
type binder struct{ n *Node }

// CanBind implements api.Binder.
func (b binder) CanBind(protocol slb.Protocol, addr netip.AddrPort) error {
	return b.n.engine.CanServe(spec.Protocol(protocol), addr)
}
