package spec

// TLSOptions are what an HTTPS frontend agrees on with its clients.
type TLSOptions struct {
	Certificates []Certificate // unique by ID
	// Default is the ID of the certificate for clients that name no host, or none
	// of Domains.
	Default string
	Domains []DomainCertificate // unique by Domain, without regard to case
	// ClientCA are PEM certificates. Set, clients must present a certificate that
	// one of them vouches for.
	ClientCA string
	// Versions are those offered, by their number in the protocol, ascending.
	Versions []uint16
	// CipherSuites are those offered, by their registered number. The engine
	// leaves out what it has no code for.
	CipherSuites []uint16
	HTTP2        bool // offer it, where version and suites allow
}

// Certificate is a certificate with its private key, which only the engine
// opens.
type Certificate struct {
	ID        string
	Chain     string // PEM, the leaf first
	SealedKey []byte
}

// DomainCertificate gives a host name its certificate.
type DomainCertificate struct {
	Domain      string // exact, or *.example.com for all that is below
	Certificate string // Certificate.ID
}
