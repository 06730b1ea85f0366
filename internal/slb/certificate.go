package slb

import (
	"slices"
	"time"
)

// ServerCertificate is a certificate chain with its private key.
type ServerCertificate struct {
	ID   string
	Name string
	// Chain is PEM text, the leaf first. SealedKey is the PEM private key, sealed
	// under CertificateKeyContext.
	Chain     string
	SealedKey []byte
	// Fingerprint is the SHA-1 of the leaf's DER form: lower-case hex pairs
	// joined by colons.
	Fingerprint             string
	CommonName              string
	SubjectAlternativeNames []string `json:",omitempty"`
	ExpiresAt               time.Time
	// The three AliCloud fields are what the caller told of a certificate that
	// the cloud's certificate service would hold.
	AliCloudCertificateID     string `json:",omitempty"`
	AliCloudCertificateName   string `json:",omitempty"`
	AliCloudCertificateRegion string `json:",omitempty"`
	ResourceGroupID           string `json:",omitempty"`
	RegionID                  string
	Tags                      []Tag `json:",omitempty"`
	CreatedAt                 time.Time
}

// Key is the resource's key in the store.
func (c *ServerCertificate) Key() string { return c.ID }

// Clone returns a copy that shares nothing mutable with c.
func (c *ServerCertificate) Clone() *ServerCertificate {
	d := *c
	d.SealedKey = slices.Clone(c.SealedKey)
	d.SubjectAlternativeNames = slices.Clone(c.SubjectAlternativeNames)
	d.Tags = slices.Clone(c.Tags)
	return &d
}

// IndexKeys are the entries of the certificate in State's index.
func (c *ServerCertificate) IndexKeys() []string { return tagKeys(TagCertificate, c.ID, c.Tags) }

// CACertificate is a certificate that client certificates are checked against.
type CACertificate struct {
	ID              string
	Name            string
	PEM             string
	Fingerprint     string // as ServerCertificate's
	CommonName      string
	ExpiresAt       time.Time
	ResourceGroupID string `json:",omitempty"`
	RegionID        string
	Tags            []Tag `json:",omitempty"`
	CreatedAt       time.Time
}

// Key is the resource's key in the store.
func (c *CACertificate) Key() string { return c.ID }

// Clone returns a copy that shares nothing mutable with c.
func (c *CACertificate) Clone() *CACertificate {
	d := *c
	d.Tags = slices.Clone(c.Tags)
	return &d
}

// IndexKeys are the entries of the certificate in State's index.
func (c *CACertificate) IndexKeys() []string { return tagKeys(TagCertificate, c.ID, c.Tags) }

// DomainExtension binds another host name with its own certificate to an HTTPS
// listener.
type DomainExtension struct {
	ID                  string // de-...
	LoadBalancerID      LoadBalancerID
	ListenerPort        uint16
	Domain              string // exact, or *.example.com
	ServerCertificateID string
	CreatedAt           time.Time
}

// Key is the resource's key in the store.
func (d *DomainExtension) Key() string { return d.ID }

// Clone returns a copy of d.
func (d *DomainExtension) Clone() *DomainExtension { c := *d; return &c }

// IndexKeys are the entries of the extension in State's index.
func (d *DomainExtension) IndexKeys() []string {
	return []string{
		indexKey(indexDomainsOf, ListenerKey(d.LoadBalancerID, "tcp", d.ListenerPort), d.ID),
		indexKey(indexCertificateDomains, d.ServerCertificateID, d.ID),
	}
}

// NewDomainExtensionID returns a fresh identifier of the vendor's form.
func NewDomainExtensionID() string { return "de-" + RandomToken(13) }

// TLSCipherPolicy is a custom choice of TLS versions and cipher suites.
type TLSCipherPolicy struct {
	ID          string // tls-...
	Name        string
	TLSVersions []string
	Ciphers     []string
	RegionID    string
	CreatedAt   time.Time
}

// Key is the resource's key in the store.
func (p *TLSCipherPolicy) Key() string { return p.ID }

// Clone returns a copy that shares nothing mutable with p.
func (p *TLSCipherPolicy) Clone() *TLSCipherPolicy {
	c := *p
	c.TLSVersions = slices.Clone(p.TLSVersions)
	c.Ciphers = slices.Clone(p.Ciphers)
	return &c
}

// NewTLSCipherPolicyID returns a fresh identifier of the vendor's form.
func NewTLSCipherPolicyID() string { return "tls-" + RandomToken(17) }
