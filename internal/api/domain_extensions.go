package api

import (
	"context"
	"strings"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) domainExtensionActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("CreateDomainExtension", s.createDomainExtension),
		rpc.NewAction("DeleteDomainExtension", s.deleteDomainExtension),
		rpc.NewAction("SetDomainExtensionAttribute", s.setDomainExtension),
		rpc.NewAction("DescribeDomainExtensions", s.describeDomainExtensions),
		rpc.NewAction("DescribeDomainExtensionAttribute", s.describeDomainExtension),
	}
}

// httpsListenerParams name an HTTPS listener where the reference demands the
// region.
type httpsListenerParams struct {
	protectionParams
	ListenerPort uint16 `param:"ListenerPort,required" range:"1..65535" err:"InvalidParameter|400|The specified port is not valid."`
}

// httpsListener finds the listener for a change of its additional domains.
//
// Every such change writes the listener, changed or not. Thereby changes of one
// listener's domains, its deletion, and the deletion of a certificate that it is
// about to use meet in the store, on whatever nodes they are made; and the data
// plane hears of a change by the listener.
func httpsListener(tx *store.Tx, lb slb.LoadBalancerID, port uint16) (*slb.Listener, error) {
	if _, ok := tx.LoadBalancers.Get(string(lb)); !ok {
		return nil, slb.ErrLoadBalancerNotFound
	}
	l, ok := tx.Listeners.Edit(slb.ListenerKey(lb, slb.HTTPS.Family(), port))
	switch {
	case !ok:
		return nil, slb.ErrResourceNotFound
	case l.Protocol != slb.HTTPS:
		return nil, slb.ErrFixedProtocolPort
	}
	tx.Listeners.Put(l)
	return l, nil
}

type createDomainExtensionParams struct {
	httpsListenerParams
	Domain              string `param:"Domain,required"`
	ServerCertificateID string `param:"ServerCertificateId" maxlen:"128"`
}

type createDomainExtensionResult struct {
	DomainExtensionID string `out:"DomainExtensionId"`
	ListenerPort      int    `out:"ListenerPort"`
}

func (s *Server) createDomainExtension(ctx context.Context, p *createDomainExtensionParams) (*createDomainExtensionResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	if !hostPattern(p.Domain) {
		return nil, invalid("Domain", p.Domain, "a host name, or one with '*' as its first label")
	}
	if p.ServerCertificateID == "" {
		return nil, slb.ErrServerCertificateNone
	}
	d := &slb.DomainExtension{
		ID:                  slb.NewDomainExtensionID(),
		LoadBalancerID:      p.LoadBalancerID,
		ListenerPort:        p.ListenerPort,
		Domain:              p.Domain,
		ServerCertificateID: p.ServerCertificateID,
		CreatedAt:           s.now(),
	}
	err := s.update(ctx, string(p.LoadBalancerID), func(tx *store.Tx) error {
		l, err := httpsListener(tx, p.LoadBalancerID, p.ListenerPort)
		if err != nil {
			return err
		}
		if _, ok := tx.ServerCertificates.Get(p.ServerCertificateID); !ok {
			return slb.ErrServerCertificate
		}
		there := tx.State().DomainExtensionsOf(l.Key())
		for _, other := range there {
			if strings.EqualFold(other.Domain, p.Domain) {
				return slb.ErrDomainExtensionExists
			}
		}
		if exceeds(len(there)+1, s.cfg.Quotas.DomainExtensions) {
			return slb.ErrQuota
		}
		tx.DomainExtensions.Put(d.Clone())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &createDomainExtensionResult{d.ID, int(d.ListenerPort)}, nil
}

// hostPattern reports whether text is a host name, or one with a star for
// everything left of its first dot. Source: the vendor's page on domain
// extensions.
func hostPattern(text string) bool {
	text = strings.TrimPrefix(text, "*.")
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

// domainExtensionParams name an additional domain.
type domainExtensionParams struct {
	RegionID          string `param:"RegionId,required"`
	DomainExtensionID string `param:"DomainExtensionId,required" maxlen:"64"`
}

func (s *Server) domainExtension(p *domainExtensionParams) (*slb.DomainExtension, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	d, ok := s.cfg.Store.State().DomainExtensions.Get(p.DomainExtensionID)
	if !ok {
		return nil, slb.ErrDomainExtension
	}
	return d, nil
}

// changeDomainExtension commits what fn does to its copy of an additional
// domain. Which instance it belongs to never changes, and decides the scope.
func (s *Server) changeDomainExtension(ctx context.Context, p *domainExtensionParams, fn func(tx *store.Tx, d *slb.DomainExtension) error) error {
	d, err := s.domainExtension(p)
	if err != nil {
		return err
	}
	return s.update(ctx, string(d.LoadBalancerID), func(tx *store.Tx) error {
		d, ok := tx.DomainExtensions.Edit(p.DomainExtensionID)
		if !ok {
			return slb.ErrDomainExtension
		}
		if _, err := httpsListener(tx, d.LoadBalancerID, d.ListenerPort); err != nil {
			return err
		}
		return fn(tx, d)
	})
}

func (s *Server) deleteDomainExtension(ctx context.Context, p *domainExtensionParams) (*rpc.Empty, error) {
	return &rpc.Empty{}, s.changeDomainExtension(ctx, p, func(tx *store.Tx, d *slb.DomainExtension) error {
		tx.DomainExtensions.Delete(d.Key())
		return nil
	})
}

type setDomainExtensionParams struct {
	domainExtensionParams
	ServerCertificateID string `param:"ServerCertificateId" maxlen:"128"`
}

// setDomainExtension changes the certificate, which is all that can be changed.
func (s *Server) setDomainExtension(ctx context.Context, p *setDomainExtensionParams) (*rpc.Empty, error) {
	if p.ServerCertificateID == "" {
		return nil, slb.ErrServerCertificateNone
	}
	return &rpc.Empty{}, s.changeDomainExtension(ctx, &p.domainExtensionParams, func(tx *store.Tx, d *slb.DomainExtension) error {
		if _, ok := tx.ServerCertificates.Get(p.ServerCertificateID); !ok {
			return slb.ErrServerCertificate
		}
		d.ServerCertificateID = p.ServerCertificateID
		tx.DomainExtensions.Put(d)
		return nil
	})
}

// domainExtensionOut is an additional domain in lists.
type domainExtensionOut struct {
	Domain              string `out:"Domain"`
	DomainExtensionID   string `out:"DomainExtensionId"`
	ServerCertificateID string `out:"ServerCertificateId"`
}

func domainExtensionOutOf(d *slb.DomainExtension) domainExtensionOut {
	return domainExtensionOut{d.Domain, d.ID, d.ServerCertificateID}
}

func domainExtensionsOut(state *slb.State, l *slb.Listener) []domainExtensionOut {
	var out []domainExtensionOut
	for _, d := range state.DomainExtensionsOf(l.Key()) {
		out = append(out, domainExtensionOutOf(d))
	}
	return out
}

type describeDomainExtensionsParams struct {
	httpsListenerParams
	DomainExtensionID string `param:"DomainExtensionId"`
}

type describeDomainExtensionsResult struct {
	DomainExtensions []domainExtensionOut `out:"DomainExtensions>DomainExtension"`
}

func (s *Server) describeDomainExtensions(_ context.Context, p *describeDomainExtensionsParams) (*describeDomainExtensionsResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	state := s.cfg.Store.State()
	if _, ok := state.LoadBalancers.Get(string(p.LoadBalancerID)); !ok {
		return nil, slb.ErrLoadBalancerNotFound
	}
	l, ok := state.Listeners.Get(slb.ListenerKey(p.LoadBalancerID, slb.HTTPS.Family(), p.ListenerPort))
	if !ok || l.Protocol != slb.HTTPS {
		return nil, slb.ErrResourceNotFound
	}
	r := &describeDomainExtensionsResult{}
	for _, d := range state.DomainExtensionsOf(l.Key()) {
		if p.DomainExtensionID == "" || p.DomainExtensionID == d.ID {
			r.DomainExtensions = append(r.DomainExtensions, domainExtensionOutOf(d))
		}
	}
	return r, nil
}

type describeDomainExtensionResult struct {
	domainExtensionOut
	ListenerPort   int    `out:"ListenerPort"`
	LoadBalancerID string `out:"LoadBalancerId"`
}

func (s *Server) describeDomainExtension(_ context.Context, p *domainExtensionParams) (*describeDomainExtensionResult, error) {
	d, err := s.domainExtension(p)
	if err != nil {
		return nil, err
	}
	return &describeDomainExtensionResult{domainExtensionOutOf(d), int(d.ListenerPort), string(d.LoadBalancerID)}, nil
}
