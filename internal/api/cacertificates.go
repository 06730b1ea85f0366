package api

import (
	"context"
	"iter"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) caCertificateActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("UploadCACertificate", s.uploadCACertificate),
		rpc.NewAction("DeleteCACertificate", s.deleteCACertificate),
		rpc.NewAction("DescribeCACertificates", s.describeCACertificates),
		rpc.NewAction("SetCACertificateName", s.setCACertificateName),
	}
}

type uploadCACertificateParams struct {
	resourceGroup
	RegionID          string     `param:"RegionId,required"`
	CACertificate     string     `param:"CACertificate,required" lines:"true"`
	CACertificateName string     `param:"CACertificateName" maxlen:"80" pattern:"\\p{L}[\\p{L}\\p{N}._-]*" form:"a letter, then letters, digits, '.', '_' and '-'"`
	Tags              []tagParam `param:"Tag.N"`
}

type caCertificateOut struct {
	CACertificateID   string `out:"CACertificateId"`
	CACertificateName string `out:"CACertificateName"`
	CommonName        string `out:"CommonName"`
	CreateTime        string `out:"CreateTime"`
	CreateTimeStamp   int64  `out:"CreateTimeStamp"` // milliseconds
	ExpireTime        string `out:"ExpireTime"`
	ExpireTimeStamp   int64  `out:"ExpireTimeStamp"` // milliseconds
	Fingerprint       string `out:"Fingerprint"`
	ResourceGroupID   string `out:"ResourceGroupId"`
}

func caCertificateOutOf(c *slb.CACertificate) caCertificateOut {
	return caCertificateOut{
		CACertificateID:   c.ID,
		CACertificateName: c.Name,
		CommonName:        c.CommonName,
		CreateTime:        timeText(c.CreatedAt),
		CreateTimeStamp:   c.CreatedAt.UnixMilli(),
		ExpireTime:        timeText(c.ExpiresAt),
		ExpireTimeStamp:   c.ExpiresAt.UnixMilli(),
		Fingerprint:       c.Fingerprint,
		ResourceGroupID:   c.ResourceGroupID,
	}
}

// uploadCACertificate takes one certificate or several, each of which is then
// trusted; name, time and fingerprint in answers are the first one's.
func (s *Server) uploadCACertificate(ctx context.Context, p *uploadCACertificateParams) (*caCertificateOut, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	tags, err := tagsWithin("Tag", p.Tags, maxTagKeyCA)
	if err != nil {
		return nil, err
	}
	kept, chain, err := parseChain(p.CACertificate)
	if err != nil {
		return nil, err
	}
	c := &slb.CACertificate{
		ID:              slb.NewCertificateID(s.cfg.AccountID, s.cfg.Now()),
		Name:            p.CACertificateName,
		PEM:             kept,
		Fingerprint:     fingerprint(chain[0]),
		CommonName:      commonName(chain[0]),
		ExpiresAt:       chain[0].NotAfter.UTC(),
		ResourceGroupID: p.ResourceGroupID,
		RegionID:        s.cfg.Region,
		Tags:            tags,
		CreatedAt:       s.now(),
	}
	err = s.update(ctx, "", func(tx *store.Tx) error {
		if exceeds(tx.CACertificates.CountPrefix("")+1, s.cfg.Quotas.CACertificates) {
			return slb.ErrQuota
		}
		tx.CACertificates.Put(c.Clone())
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := caCertificateOutOf(c)
	return &out, nil
}

// caCertificateParams name a CA certificate.
type caCertificateParams struct {
	RegionID        string `param:"RegionId,required"`
	CACertificateID string `param:"CACertificateId,required" maxlen:"128"`
}

// deleteCACertificate reads the range of listeners as deleteServerCertificate does.
func (s *Server) deleteCACertificate(ctx context.Context, p *caCertificateParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	id := p.CACertificateID
	return &rpc.Empty{}, s.update(ctx, "", func(tx *store.Tx) error {
		if _, ok := tx.CACertificates.Get(id); !ok {
			return slb.ErrCACertificate
		}
		tx.Listeners.Prefix("")
		if len(tx.State().ListenersUsingCertificate(id)) > 0 {
			return slb.ErrCACertificateUsed
		}
		tx.CACertificates.Delete(id)
		return nil
	})
}

type setCACertificateNameParams struct {
	caCertificateParams
	CACertificateName string `param:"CACertificateName,required" maxlen:"80" pattern:"\\p{L}[\\p{L}\\p{N}._-]*" form:"a letter, then letters, digits, '.', '_' and '-'"`
}

func (s *Server) setCACertificateName(ctx context.Context, p *setCACertificateNameParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, "", func(tx *store.Tx) error {
		c, ok := tx.CACertificates.Edit(p.CACertificateID)
		if !ok {
			return slb.ErrCACertificate
		}
		c.Name = p.CACertificateName
		tx.CACertificates.Put(c)
		return nil
	})
}

type describeCACertificatesParams struct {
	resourceGroup
	RegionID        string     `param:"RegionId,required"`
	CACertificateID string     `param:"CACertificateId"`
	Tags            []tagParam `param:"Tag.N" listmax:"20"`
}

type listedCACertificate struct {
	caCertificateOut
	RegionID string   `out:"RegionId"`
	Tags     []tagOut `out:"Tags>Tag"`
}

type describeCACertificatesResult struct {
	CACertificates []listedCACertificate `out:"CACertificates>CACertificate"`
}

// describeCACertificates is as describeServerCertificates.
func (s *Server) describeCACertificates(_ context.Context, p *describeCACertificatesParams) (*describeCACertificatesResult, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	r := &describeCACertificatesResult{}
	filters := tagConditions(p.Tags)
	for c := range oneOrAll(s.cfg.Store.State().CACertificates, p.CACertificateID) {
		if p.ResourceGroupID != "" && p.ResourceGroupID != c.ResourceGroupID || !tagsMatch(c.Tags, filters) {
			continue
		}
		r.CACertificates = append(r.CACertificates, listedCACertificate{caCertificateOutOf(c), c.RegionID, tagsOut(c.Tags)})
	}
	return r, nil
}

// oneOrAll yields the resource of that key if there is one, or without a key the
// whole table in the order of keys.
func oneOrAll[T any](table slb.Table[T], key string) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		if key != "" {
			if v, ok := table.Get(key); ok {
				yield(v)
			}
			return
		}
		for _, v := range table.All() {
			if !yield(v) {
				return
			}
		}
	}
}
