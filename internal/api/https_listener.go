package api

import (
	"context"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) httpsListenerActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateLoadBalancerHTTPSListener", s.createHTTPSListener),
		rpc.NewAction("SetLoadBalancerHTTPSListenerAttribute", s.setHTTPSListener),
		rpc.NewAction("DescribeLoadBalancerHTTPSListenerAttribute", s.describeHTTPSListener),
	}
}

// httpsSettings are the parameters of HTTPS listeners in create and set: those
// of HTTP listeners and a few more. An empty CACertificateId ends mutual TLS.
type httpsSettings struct {
	httpSettings
	clientCertSettings
	CACertificateID     *string     `param:"CACertificateId" allowempty:"true" maxlen:"128"`
	EnableHTTP2         *slb.Switch `param:"EnableHttp2"`
	ServerCertificateID *string     `param:"ServerCertificateId" maxlen:"128"`
	TLSCipherPolicy     *string     `param:"TLSCipherPolicy" maxlen:"64"`
}

func (p *httpsSettings) apply(l *slb.Listener, isNew bool) error {
	o := l.HTTPS
	set(&o.ServerCertificateID, p.ServerCertificateID)
	set(&o.CACertificateID, p.CACertificateID)
	set(&o.EnableHTTP2, p.EnableHTTP2)
	set(&o.TLSCipherPolicy, p.TLSCipherPolicy)
	if builtin, ok := slb.BuiltinTLSCipherPolicy(o.TLSCipherPolicy); ok {
		o.TLSCipherPolicy = builtin.ID
	}
	if err := p.clientCertSettings.apply(&o.ClientCert); err != nil {
		return err
	}
	if o.ServerCertificateID == "" {
		return slb.ErrServerCertificateNone
	}
	return p.httpSettings.apply(l, isNew)
}

// checkHTTPS judges the certificates and the policy that l is to have. They are
// read for the record, so that the call fails or runs again when one of them is
// deleted beside it, on this node or another; the deletion for its part reads
// the range of all listeners, in which l is written.
func checkHTTPS(tx *store.Tx, l *slb.Listener) error {
	if l.HTTPS == nil {
		return nil
	}
	if _, ok := tx.ServerCertificates.Get(l.HTTPS.ServerCertificateID); !ok {
		return slb.ErrServerCertificate
	}
	if id := l.HTTPS.CACertificateID; id != "" {
		if _, ok := tx.CACertificates.Get(id); !ok {
			return slb.ErrCACertificate
		}
	}
	if _, ok := slb.BuiltinTLSCipherPolicy(l.HTTPS.TLSCipherPolicy); ok {
		return nil
	}
	// With a policy that nothing can be served by, the data plane could but keep
	// what it has, and whatever else the call asks for would come to nothing.
	if policy, ok := tx.TLSCipherPolicies.Get(l.HTTPS.TLSCipherPolicy); !ok {
		return invalid("TLSCipherPolicy", l.HTTPS.TLSCipherPolicy, "a built-in policy or one that ListTLSCipherPolicies tells")
	} else if !policy.Servable() {
		return invalidBecause("TLSCipherPolicy", "This server has none of the cipher suites of the policy "+policy.Name+".")
	}
	return nil
}

// dropDomainExtensions deletes the additional domains of a listener that is
// being deleted. One that comes into being beside it writes the listener, so
// that one of the two transactions runs again.
func dropDomainExtensions(tx *store.Tx, l *slb.Listener) {
	for _, d := range tx.State().DomainExtensionsOf(l.Key()) {
		tx.DomainExtensions.Delete(d.Key())
	}
}

type createHTTPSListenerParams struct {
	listenerParams
	newListenerParams
	httpsSettings
}

// createHTTPSListener: the new listener is stopped. HealthCheck is mandatory.
func (s *Server) createHTTPSListener(ctx context.Context, p *createHTTPSListenerParams) (*rpc.Empty, error) {
	l := slb.NewHTTPSListener(p.LoadBalancerID, p.ListenerPort)
	return &rpc.Empty{}, s.createListener(ctx, &p.listenerParams, &p.newListenerParams, l, func(l *slb.Listener) error {
		if p.HealthCheck == nil {
			return missing("HealthCheck")
		}
		if err := (groupChange{vServerID: p.VServerGroup}).apply(l); err != nil {
			return err
		}
		return p.httpsSettings.apply(l, true)
	})
}

type setHTTPSListenerParams struct {
	listenerParams
	httpsSettings
	DryRun        bool        `param:"DryRun"`
	VServerSwitch *slb.Switch `param:"VServerGroup"`
}

// setHTTPSListener changes what is given and nothing else.
func (s *Server) setHTTPSListener(ctx context.Context, p *setHTTPSListenerParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.setListener(ctx, &p.listenerParams, slb.HTTPS, p.DryRun, func(l *slb.Listener) error {
		if err := (groupChange{vServer: p.VServerSwitch, vServerID: p.VServerGroup}).apply(l); err != nil {
			return err
		}
		return p.httpsSettings.apply(l, false)
	})
}

type describeHTTPSListenerResult struct {
	httpAttributes
	CACertificateID     string               `out:"CACertificateId,omitempty"`
	DomainExtensions    []domainExtensionOut `out:"DomainExtensions>DomainExtension"`
	EnableHTTP2         string               `out:"EnableHttp2"`
	ServerCertificateID string               `out:"ServerCertificateId"`
	TLSCipherPolicy     string               `out:"TLSCipherPolicy"`
	clientCertOut
}

func (s *Server) describeHTTPSListener(_ context.Context, p *listenerParams) (*describeHTTPSListenerResult, error) {
	l, err := s.listenerOf(p, slb.HTTPS)
	if err != nil {
		return nil, err
	}
	return &describeHTTPSListenerResult{
		httpAttributes:      httpAttributesOf(s.cfg.Store.State(), l),
		clientCertOut:       clientCertOf(&l.HTTPS.ClientCert),
		CACertificateID:     l.HTTPS.CACertificateID,
		DomainExtensions:    domainExtensionsOut(s.cfg.Store.State(), l),
		EnableHTTP2:         string(l.HTTPS.EnableHTTP2),
		ServerCertificateID: l.HTTPS.ServerCertificateID,
		TLSCipherPolicy:     l.HTTPS.TLSCipherPolicy,
	}, nil
}
