package l7

import (
	"crypto/sha1" //nolint:gosec // the name by which the vendor's engines know a certificate; nothing is proved by it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"

	"github.com/openslb/openslb/internal/dataplane/l7/policy"
)

// certLines are the header lines about a client's certificate, and what they
// were made for.
type certLines struct {
	of    *policy.Headers
	lines []byte
}

// certLines gives the lines that tell servers of the client's certificate. They
// are made once, and again when the settings change.
func (c *conn) certLines(h *policy.Headers) []byte {
	made := c.cert.Load()
	if made == nil || made.of != h {
		var leaf *x509.Certificate
		if c.tls != nil {
			if all := c.tls.conn.ConnectionState().PeerCertificates; len(all) > 0 {
				leaf = all[0]
			}
		}
		made = &certLines{h, appendCertLines(nil, h, leaf)}
		c.cert.Store(made)
	}
	return made.lines
}

// appendCertLines writes the lines about a certificate; nil is none. One that is
// there has been verified: the handshake lets no other pass.
func appendCertLines(dst []byte, h *policy.Headers, leaf *x509.Certificate) []byte {
	add := func(name, value string) {
		if name != "" {
			dst = append(append(append(append(dst, name...), ": "...), value...), "\r\n"...)
		}
	}
	if leaf == nil {
		add(h.ClientCert.Verify, "NONE")
		return dst
	}
	print := sha1.Sum(leaf.Raw) //nolint:gosec // see the import
	add(h.ClientCert.Subject, distinguishedName(leaf.RawSubject))
	add(h.ClientCert.Issuer, distinguishedName(leaf.RawIssuer))
	add(h.ClientCert.Fingerprint, hex.EncodeToString(print[:]))
	add(h.ClientCert.Verify, "SUCCESS")
	return dst
}

// distinguishedName writes a name as RFC 2253 does, in the order of the
// certificate reversed. All but printable ASCII is written as \xx, which the RFC
// allows, so that no name can break out of a header.
func distinguishedName(der []byte) string {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 {
		return ""
	}
	const digits = "0123456789ABCDEF"
	var out []byte
	for _, b := range []byte(rdns.String()) {
		if b < ' ' || b > '~' {
			out = append(out, '\\', digits[b>>4], digits[b&15])
		} else {
			out = append(out, b)
		}
	}
	return string(out)
}
