package tlsconf

import (
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"slices"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// offer is the part of a policy that this program can do.
type offer struct {
	versions []uint16 // ascending, at least one
	// suites of TLS 1.2 and before; never nil, since nil would mean Go's choice.
	suites []uint16
}

// known are the suites that crypto/tls has, the outdated ones too, with the
// versions that they are for.
var known = func() map[uint16][]uint16 {
	m := make(map[uint16][]uint16)
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		m[s.ID] = s.SupportedVersions
	}
	return m
}()

var errNothingOffered = errors.New("the TLS policy has no version with a cipher suite that this server can do")

// offerOf leaves out the suites that crypto/tls lacks and then the versions that
// are left without any. Which suites of TLS 1.3 are offered cannot be chosen: if
// the policy has one of them, all are.
func offerOf(o *spec.TLSOptions) (*offer, error) {
	out := &offer{suites: []uint16{}}
	usable := make(map[uint16]bool)
	for _, id := range o.CipherSuites {
		versions, ok := known[id]
		if !ok {
			continue
		}
		for _, v := range versions {
			usable[v] = true
		}
		if !slices.Contains(versions, tls.VersionTLS13) && !slices.Contains(out.suites, id) {
			out.suites = append(out.suites, id)
		}
	}
	for _, v := range o.Versions {
		if usable[v] && !slices.Contains(out.versions, v) {
			out.versions = append(out.versions, v)
		}
	}
	slices.Sort(out.versions)
	if len(out.versions) == 0 {
		return nil, errNothingOffered
	}
	return out, nil
}

// The suites of TLS 1.2 that HTTP/2 does not forbid, among those of the
// policies. Source: RFC 9113, appendix A. crypto/tls prefers them to all others.
var (
	forwardSecretECDSA = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
	forwardSecretRSA   = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}
)

// forwardSecret reports whether a suite that HTTP/2 allows comes about with the
// client and the certificate.
func (o *offer) forwardSecret(hello *tls.ClientHelloInfo, c *tls.Certificate) bool {
	good := forwardSecretRSA
	if c.Leaf != nil {
		if _, ok := c.Leaf.PublicKey.(*ecdsa.PublicKey); ok {
			good = forwardSecretECDSA
		}
	}
	for _, id := range good {
		if slices.Contains(o.suites, id) && slices.Contains(hello.CipherSuites, id) {
			return true
		}
	}
	return false
}
