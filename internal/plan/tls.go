package plan

import (
	"slices"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

// tlsVersions are the numbers that the protocol gives to the versions.
var tlsVersions = map[string]uint16{slb.TLS10: 0x0301, slb.TLS11: 0x0302, slb.TLS12: 0x0303, slb.TLS13: 0x0304}

// cipherSuites are the registered numbers of the suites that policies name.
var cipherSuites = map[string]uint16{
	"DES-CBC3-SHA":                  0x000a,
	"AES128-SHA":                    0x002f,
	"AES256-SHA":                    0x0035,
	"AES128-SHA256":                 0x003c,
	"AES256-SHA256":                 0x003d,
	"AES128-GCM-SHA256":             0x009c,
	"AES256-GCM-SHA384":             0x009d,
	"ECDHE-ECDSA-AES128-SHA":        0xc009,
	"ECDHE-ECDSA-AES256-SHA":        0xc00a,
	"ECDHE-RSA-AES128-SHA":          0xc013,
	"ECDHE-RSA-AES256-SHA":          0xc014,
	"ECDHE-ECDSA-AES128-SHA256":     0xc023,
	"ECDHE-ECDSA-AES256-SHA384":     0xc024,
	"ECDHE-RSA-AES128-SHA256":       0xc027,
	"ECDHE-RSA-AES256-SHA384":       0xc028,
	"ECDHE-ECDSA-AES128-GCM-SHA256": 0xc02b,
	"ECDHE-ECDSA-AES256-GCM-SHA384": 0xc02c,
	"ECDHE-RSA-AES128-GCM-SHA256":   0xc02f,
	"ECDHE-RSA-AES256-GCM-SHA384":   0xc030,
	"TLS_AES_128_GCM_SHA256":        0x1301,
	"TLS_AES_256_GCM_SHA384":        0x1302,
	"TLS_CHACHA20_POLY1305_SHA256":  0x1303,
	"TLS_AES_128_CCM_SHA256":        0x1304,
	"TLS_AES_128_CCM_8_SHA256":      0x1305,
}

// tlsOptions returns what an HTTPS listener agrees on with clients, nil for the
// other protocols. Private keys stay sealed. What the listener names and is not
// there is left out; the engine then says what is missing.
func tlsOptions(s *slb.State, l *slb.Listener) *spec.TLSOptions {
	if l.Protocol != slb.HTTPS || l.HTTPS == nil {
		return nil
	}
	o := &spec.TLSOptions{Default: l.HTTPS.ServerCertificateID, HTTP2: l.HTTPS.EnableHTTP2 == slb.On}
	add := func(id string) {
		c, ok := s.ServerCertificates.Get(id)
		if ok && !slices.ContainsFunc(o.Certificates, func(c spec.Certificate) bool { return c.ID == id }) {
			o.Certificates = append(o.Certificates, spec.Certificate{ID: id, Chain: c.Chain, SealedKey: c.SealedKey})
		}
	}
	add(o.Default)
	for _, d := range s.DomainExtensionsOf(l.Key()) {
		add(d.ServerCertificateID)
		o.Domains = append(o.Domains, spec.DomainCertificate{Domain: d.Domain, Certificate: d.ServerCertificateID})
	}
	if ca, ok := s.CACertificates.Get(l.HTTPS.CACertificateID); ok {
		o.ClientCA = ca.PEM
	} else if l.HTTPS.CACertificateID != "" {
		// Serving everybody would be worse than serving nobody.
		o.ClientCA = "no such certificate: " + l.HTTPS.CACertificateID
	}
	if policy, ok := s.TLSPolicy(l.HTTPS.TLSCipherPolicy); ok {
		o.Versions = numbers(policy.TLSVersions, tlsVersions)
		slices.Sort(o.Versions)
		o.CipherSuites = numbers(policy.Ciphers, cipherSuites)
	}
	return o
}

func numbers(names []string, table map[string]uint16) []uint16 {
	out := make([]uint16, 0, len(names))
	for _, n := range names {
		if v, ok := table[n]; ok {
			out = append(out, v)
		}
	}
	return out
}

// affectedByCertificate returns the load balancers whose HTTPS listeners name a
// certificate, for themselves or for an additional domain.
func affectedByCertificate(s *slb.State, id string) []slb.LoadBalancerID {
	var out []slb.LoadBalancerID
	for _, l := range s.ListenersUsingCertificate(id) {
		out = append(out, l.LoadBalancerID)
	}
	for _, d := range s.DomainExtensionsUsing(id) {
		out = append(out, d.LoadBalancerID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// affectedByPolicy returns the load balancers whose HTTPS listeners name a TLS
// policy.
func affectedByPolicy(s *slb.State, id string) []slb.LoadBalancerID {
	var out []slb.LoadBalancerID
	for _, l := range s.ListenersUsingPolicy(id) {
		out = append(out, l.LoadBalancerID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
