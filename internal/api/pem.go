package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"github.com/openslb/openslb/internal/slb"
)

// Limits of what is taken in. A chain of twenty certificates with long keys has
// some 40 KiB; the longest private key served has 3.3 KiB.
const (
	maxCertificateBytes = 64 << 10
	maxKeyBytes         = 16 << 10
	maxChain            = 20 // certificates in one text
)

// Lengths of RSA keys, in bits. The vendor names 1024, 2048 and 4096; what lies
// between does no harm, beyond it a handshake costs too much.
const (
	minRSABits = 1024
	maxRSABits = 4096
)

// pemBlocks decodes a text of PEM blocks. It fails when anything in the text
// begins like a block and is none, which pem.Decode alone would pass over.
func pemBlocks(text string) ([]*pem.Block, bool) {
	var out []*pem.Block
	begun := strings.Count(text, "-----BEGIN ")
	for rest := []byte(text); len(out) < begun; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return nil, false
		}
		out = append(out, b)
	}
	return out, begun > 0
}

// parseChain reads PEM certificates, the leaf first, and returns them with the
// text that is to be kept: the blocks alone, since anything may stand between
// them.
func parseChain(text string) (kept string, chain []*x509.Certificate, err error) {
	if len(text) > maxCertificateBytes {
		return "", nil, slb.ErrParameterLength.Because("The certificates have %d bytes of at most %d.", len(text), maxCertificateBytes)
	}
	blocks, ok := pemBlocks(text)
	if !ok || len(blocks) > maxChain {
		return "", nil, slb.ErrCertificateFormat
	}
	var b strings.Builder
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			return "", nil, slb.ErrCertificateFormat
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", nil, slb.ErrCertificateFormat
		}
		chain = append(chain, c)
		b.Write(pem.EncodeToMemory(block))
	}
	return b.String(), chain, nil
}

// servable reports whether listeners can serve a certificate with this public
// key. Source: the vendor's page on limits.
func servable(public any) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return minRSABits <= bits && bits <= maxRSABits
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521()
	}
	return false
}

// fingerprint is the SHA-1 of a certificate's DER form as clients compare it:
// lower-case hexadecimal pairs joined by colons.
func fingerprint(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	text := hex.EncodeToString(sum[:])
	var b strings.Builder
	for i := 0; i < len(text); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(text[i : i+2])
	}
	return b.String()
}

// alternativeNames are the host names and addresses that a certificate is for.
func alternativeNames(c *x509.Certificate) []string {
	var out []string
	for _, name := range c.DNSNames {
		out = append(out, strings.ToValidUTF8(name, "?"))
	}
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

func commonName(c *x509.Certificate) string { return strings.ToValidUTF8(c.Subject.CommonName, "?") }
