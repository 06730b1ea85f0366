package slb

import (
	"fmt"
	"time"
)

// NewCertificateID returns a fresh identifier of the vendor's form for a server
// or CA certificate: account, time in hexadecimal and two random parts. Clients
// treat it as opaque. Identifiers made later sort behind earlier ones.
func NewCertificateID(account string, now time.Time) string {
	return fmt.Sprintf("%s_%x_%s_%s", account, now.UnixMilli(), RandomToken(10), RandomToken(9))
}

// CertificateKeyContext is the context under which the private key of a server
// certificate is sealed, so that a sealed text of another kind or certificate
// cannot take its place.
func CertificateKeyContext(id string) []byte { return []byte("server certificate key\x00" + id) }
