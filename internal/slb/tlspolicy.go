package slb

import (
	"slices"
	"strings"
)

// DefaultTLSCipherPolicy is the policy of a listener that names none. Source:
// CreateLoadBalancerHTTPSListener.
const DefaultTLSCipherPolicy = "tls_cipher_policy_1_0"

// The versions of TLS, as policies name them.
const (
	TLS10 = "TLSv1.0"
	TLS11 = "TLSv1.1"
	TLS12 = "TLSv1.2"
	TLS13 = "TLSv1.3"
)

// TLSVersions are all of them, the oldest first.
var TLSVersions = []string{TLS10, TLS11, TLS12, TLS13}

// The sets of cipher suites that the policies are made of. Source: the vendor's
// page on TLS security policies, which shows the ECDSA variants for one policy
// only; without them a certificate with an ECDSA key could not be served.
var (
	suitesECDHE = []string{
		"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384",
		"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384",
	}
	suitesRSA       = []string{"AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA256"}
	suitesECDHESHA1 = []string{"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA"}
	suitesLegacy    = []string{"AES128-SHA", "AES256-SHA", "DES-CBC3-SHA"}
	suites13        = []string{
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
		"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256",
	}

	suitesTo11   = slices.Concat(suitesECDHESHA1, suitesLegacy)
	suitesTo12   = slices.Concat(suitesECDHE, suitesRSA, suitesTo11)
	suitesStrict = slices.Concat(suitesECDHE, suitesECDHESHA1)
)

// TLSCiphers are all cipher suites that policies may name.
var TLSCiphers = slices.Concat(suitesTo12, suites13)

// CiphersOfVersion are the cipher suites that a policy may name for a version;
// none for a version that does not exist. Source: CreateTLSCipherPolicy.
func CiphersOfVersion(version string) []string {
	switch version {
	case TLS10, TLS11:
		return suitesTo11
	case TLS12:
		return suitesTo12
	case TLS13:
		return suites13
	}
	return nil
}

// suitesWithoutCode are those that the data plane's TLS does not have. Policies
// may name them, but they are never agreed on.
var suitesWithoutCode = []string{
	"ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384", "AES256-SHA256",
	"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256",
}

// Servable tells whether a client can come to terms with the policy: one of its
// versions has one of its suites.
func (p *TLSCipherPolicy) Servable() bool {
	return slices.ContainsFunc(p.Ciphers, func(suite string) bool {
		fits := func(version string) bool { return slices.Contains(CiphersOfVersion(version), suite) }
		return !slices.Contains(suitesWithoutCode, suite) && slices.ContainsFunc(p.TLSVersions, fits)
	})
}

// builtinPolicies are listed in no answer; listeners name them.
var builtinPolicies = []*TLSCipherPolicy{
	{ID: "tls_cipher_policy_1_0", TLSVersions: []string{TLS10, TLS11, TLS12}, Ciphers: suitesTo12},
	{ID: "tls_cipher_policy_1_1", TLSVersions: []string{TLS11, TLS12}, Ciphers: suitesTo12},
	{ID: "tls_cipher_policy_1_2", TLSVersions: []string{TLS12}, Ciphers: suitesTo12},
	{ID: "tls_cipher_policy_1_2_strict", TLSVersions: []string{TLS12}, Ciphers: suitesStrict},
	{ID: "tls_cipher_policy_1_2_strict_with_1_3", TLSVersions: []string{TLS12, TLS13}, Ciphers: slices.Concat(suites13, suitesStrict)},
}

// BuiltinTLSCipherPolicy finds a policy of the vendor by its name, whatever its
// case. It is shared and must not be changed.
func BuiltinTLSCipherPolicy(name string) (*TLSCipherPolicy, bool) {
	for _, p := range builtinPolicies {
		if strings.EqualFold(p.ID, name) {
			return p, true
		}
	}
	return nil, false
}

// TLSPolicy finds a policy as listeners name it: a built-in one by name, or a
// custom one by its ID.
func (s *State) TLSPolicy(name string) (*TLSCipherPolicy, bool) {
	if p, ok := BuiltinTLSCipherPolicy(name); ok {
		return p, true
	}
	return s.TLSCipherPolicies.Get(name)
}
