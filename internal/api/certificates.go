package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/openslb/openslb/internal/rpc"
	"github.com/openslb/openslb/internal/slb"
	"github.com/openslb/openslb/internal/store"
)

func (s *Server) certificateActions() []rpc.Action {
	return []rpc.Action{
		rpc.NewAction("UploadServerCertificate", s.uploadServerCertificate),
		rpc.NewAction("DeleteServerCertificate", s.deleteServerCertificate),
		rpc.NewAction("DescribeServerCertificates", s.describeServerCertificates),
		rpc.NewAction("SetServerCertificateName", s.setServerCertificateName),
	}
}

// Sealer encrypts the private keys that are kept; see store.Sealer.
type Sealer interface {
	Seal(plaintext, context []byte) []byte
}

var errNoSealer = errors.New("this server has no key to seal private keys with")

// resourceGroup is the parameter of that name; any value.
type resourceGroup struct {
	ResourceGroupID string `param:"ResourceGroupId" maxlen:"64"`
}

// uploadServerCertificateParams: clients put certificate and key into the URL,
// so that neither may get into a log or an error.
type uploadServerCertificateParams struct {
	resourceGroup
	RegionID                  string     `param:"RegionId,required"`
	AliCloudCertificateID     string     `param:"AliCloudCertificateId" maxlen:"128"`
	AliCloudCertificateName   string     `param:"AliCloudCertificateName" maxlen:"256"`
	AliCloudCertificateRegion string     `param:"AliCloudCertificateRegionId" maxlen:"64"`
	PrivateKey                string     `param:"PrivateKey" lines:"true" secret:"true"`
	ServerCertificate         string     `param:"ServerCertificate" lines:"true"`
	ServerCertificateName     string     `param:"ServerCertificateName" maxlen:"80" pattern:"[\\p{L}\\p{N}*._/-]+" form:"letters, digits, '*', '.', '_', '/' and '-'"`
	Tags                      []tagParam `param:"Tag.N"`
}

// serverCertificateOut is a certificate in answers; its key is in none.
type serverCertificateOut struct {
	AliCloudCertificateID   string   `out:"AliCloudCertificateId"`
	AliCloudCertificateName string   `out:"AliCloudCertificateName"`
	CommonName              string   `out:"CommonName"`
	CreateTime              string   `out:"CreateTime"`
	CreateTimeStamp         int64    `out:"CreateTimeStamp"` // milliseconds
	ExpireTime              string   `out:"ExpireTime"`
	ExpireTimeStamp         int64    `out:"ExpireTimeStamp"` // milliseconds
	Fingerprint             string   `out:"Fingerprint"`
	IsAliCloudCertificate   int      `out:"IsAliCloudCertificate"` // 0 or 1
	RegionID                string   `out:"RegionId"`
	ResourceGroupID         string   `out:"ResourceGroupId"`
	ServerCertificateID     string   `out:"ServerCertificateId"`
	ServerCertificateName   string   `out:"ServerCertificateName"`
	SubjectAlternativeNames []string `out:"SubjectAlternativeNames>SubjectAlternativeName"`
}

func serverCertificateOutOf(c *slb.ServerCertificate) serverCertificateOut {
	return serverCertificateOut{
		AliCloudCertificateID:   c.AliCloudCertificateID,
		AliCloudCertificateName: c.AliCloudCertificateName,
		CommonName:              c.CommonName,
		CreateTime:              timeText(c.CreatedAt),
		CreateTimeStamp:         c.CreatedAt.UnixMilli(),
		ExpireTime:              timeText(c.ExpiresAt),
		ExpireTimeStamp:         c.ExpiresAt.UnixMilli(),
		Fingerprint:             c.Fingerprint,
		RegionID:                c.RegionID,
		ResourceGroupID:         c.ResourceGroupID,
		ServerCertificateID:     c.ID,
		ServerCertificateName:   c.Name,
		SubjectAlternativeNames: c.SubjectAlternativeNames,
	}
}

// uploadServerCertificate keeps the certificate as PEM and the key sealed. A mere
// reference to the vendor's certificate service is refused: its material cannot
// be had here.
func (s *Server) uploadServerCertificate(ctx context.Context, p *uploadServerCertificateParams) (*serverCertificateOut, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	c, err := s.newServerCertificate(p)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, "", func(tx *store.Tx) error {
		if exceeds(tx.ServerCertificates.CountPrefix("")+1, s.cfg.Quotas.ServerCertificates) {
			return slb.ErrQuota
		}
		tx.ServerCertificates.Put(c.Clone())
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := serverCertificateOutOf(c)
	return &out, nil
}

func (s *Server) newServerCertificate(p *uploadServerCertificateParams) (*slb.ServerCertificate, error) {
	tags, err := tagsOf("Tag", p.Tags)
	if err != nil {
		return nil, err
	}
	switch {
	case p.ServerCertificate == "" && p.PrivateKey == "" && p.AliCloudCertificateID != "":
		return nil, slb.ErrUnsupported
	case p.ServerCertificate == "" || p.PrivateKey == "":
		return nil, slb.ErrCertificateOrKeyEmpty
	}
	kept, chain, err := parseChain(p.ServerCertificate)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if !servable(leaf.PublicKey) {
		return nil, slb.ErrCertificateKind
	}
	key, keyText, err := parseKey(p.PrivateKey)
	if err != nil {
		return nil, err
	}
	if !belongs(key, leaf.PublicKey) {
		return nil, slb.ErrPrivateKeyMismatch
	}
	if s.cfg.Sealer == nil {
		return nil, fmt.Errorf("upload server certificate: %w", errNoSealer)
	}
	id := slb.NewCertificateID(s.cfg.AccountID, s.cfg.Now())
	return &slb.ServerCertificate{
		ID:                        id,
		Name:                      p.ServerCertificateName,
		Chain:                     kept,
		SealedKey:                 s.cfg.Sealer.Seal(keyText, slb.CertificateKeyContext(id)),
		Fingerprint:               fingerprint(leaf),
		CommonName:                commonName(leaf),
		SubjectAlternativeNames:   alternativeNames(leaf),
		ExpiresAt:                 leaf.NotAfter.UTC(),
		AliCloudCertificateID:     p.AliCloudCertificateID,
		AliCloudCertificateName:   p.AliCloudCertificateName,
		AliCloudCertificateRegion: p.AliCloudCertificateRegion,
		ResourceGroupID:           p.ResourceGroupID,
		RegionID:                  s.cfg.Region,
		Tags:                      tags,
		CreatedAt:                 s.now(),
	}, nil
}

type deleteServerCertificateParams struct {
	RegionID            string `param:"RegionId"`
	ServerCertificateID string `param:"ServerCertificateId,required" maxlen:"128"`
}

// deleteServerCertificate: who starts to use the certificate writes a listener,
// also for an additional domain. Reading the range of all listeners for the
// record makes this transaction run again if anybody does so beside it, on this
// node or another; and who came too late has read the certificate.
func (s *Server) deleteServerCertificate(ctx context.Context, p *deleteServerCertificateParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, err
	}
	id := p.ServerCertificateID
	return &rpc.Empty{}, s.update(ctx, "", func(tx *store.Tx) error {
		if _, ok := tx.ServerCertificates.Get(id); !ok {
			return slb.ErrServerCertificate
		}
		tx.Listeners.Prefix("")
		if len(tx.State().ListenersUsingCertificate(id)) > 0 || len(tx.State().DomainExtensionsUsing(id)) > 0 {
			return slb.ErrServerCertificateUsed
		}
		tx.ServerCertificates.Delete(id)
		return nil
	})
}

type setServerCertificateNameParams struct {
	RegionID              string `param:"RegionId,required"`
	ServerCertificateID   string `param:"ServerCertificateId,required" maxlen:"128"`
	ServerCertificateName string `param:"ServerCertificateName,required" maxlen:"80" pattern:"[\\p{L}\\p{N}*._/-]+" form:"letters, digits, '*', '.', '_', '/' and '-'"`
}

func (s *Server) setServerCertificateName(ctx context.Context, p *setServerCertificateNameParams) (*rpc.Empty, error) {
	if err := s.checkRegion(p.RegionID, true); err != nil {
		return nil, err
	}
	return &rpc.Empty{}, s.update(ctx, "", func(tx *store.Tx) error {
		c, ok := tx.ServerCertificates.Edit(p.ServerCertificateID)
		if !ok {
			return slb.ErrServerCertificate
		}
		c.Name = p.ServerCertificateName
		tx.ServerCertificates.Put(c)
		return nil
	})
}

type describeServerCertificatesParams struct {
	resourceGroup
	RegionID            string     `param:"RegionId"`
	ServerCertificateID string     `param:"ServerCertificateId"`
	Tags                []tagParam `param:"Tag.N" listmax:"20"`
}

type listedServerCertificate struct {
	serverCertificateOut
	Tags []tagOut `out:"Tags>Tag"`
}

type describeServerCertificatesResult struct {
	ServerCertificates []listedServerCertificate `out:"ServerCertificates>ServerCertificate"`
}

// describeServerCertificates has no pages, and an unknown id is no error: clients
// take an error for a failure to look.
func (s *Server) describeServerCertificates(_ context.Context, p *describeServerCertificatesParams) (*describeServerCertificatesResult, error) {
	if err := s.checkRegion(p.RegionID, false); err != nil {
		return nil, err
	}
	r := &describeServerCertificatesResult{}
	filters := tagConditions(p.Tags)
	for c := range oneOrAll(s.cfg.Store.State().ServerCertificates, p.ServerCertificateID) {
		if p.ResourceGroupID != "" && p.ResourceGroupID != c.ResourceGroupID || !tagsMatch(c.Tags, filters) {
			continue
		}
		r.ServerCertificates = append(r.ServerCertificates, listedServerCertificate{serverCertificateOutOf(c), tagsOut(c.Tags)})
	}
	return r, nil
}
