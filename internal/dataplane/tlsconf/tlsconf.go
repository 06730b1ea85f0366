// Package tlsconf makes the TLS settings of HTTPS frontends: certificates by
// host name, versions and cipher suites by policy, client certificates, and
// tickets that resume sessions.
package tlsconf

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// Options of a Builder.
type Options struct {
	// Unseal opens the private key of a certificate, in PEM. It is required. What
	// it returns is overwritten after use.
	Unseal func(id string, sealed []byte) ([]byte, error)
	// HTTP2 says that the engine serves HTTP/2. Without it no frontend offers it.
	HTTP2 bool
	Now   func() time.Time // nil: time.Now
}

// Builder makes settings. Sessions survive a change of settings, unless the
// change is one that a client has to be judged by again. It is safe for
// concurrent use.
type Builder struct {
	unseal  func(id string, sealed []byte) ([]byte, error)
	http2   bool
	now     func() time.Time
	tickets tickets
}

// NewBuilder returns a Builder.
func NewBuilder(o Options) *Builder {
	b := &Builder{unseal: o.Unseal, http2: o.HTTP2, now: o.Now}
	if b.now == nil {
		b.now = time.Now
	}
	if b.unseal == nil {
		b.unseal = func(string, []byte) ([]byte, error) { return nil, errors.New("private keys cannot be opened here") }
	}
	b.tickets.now = b.now
	return b
}

// http1 are the protocols of package h1. Clients that speak HTTP/1.0 alone say
// so, curl --http1.0 for one, and crypto/tls ends a handshake in which nothing
// is in common.
var http1 = []string{"http/1.1", "http/1.0"}

// Config returns the settings of an HTTPS frontend. They are new each time and
// meant for all of its connections from now on; those that are open keep what
// they have begun with.
func (b *Builder) Config(f spec.Frontend) (*tls.Config, error) {
	if f.TLS == nil {
		return nil, errors.New("the frontend has no TLS settings")
	}
	o := f.TLS
	certs, err := b.certificates(o)
	if err != nil {
		return nil, err
	}
	offer, err := offerOf(o)
	if err != nil {
		return nil, err
	}
	base := &tls.Config{
		GetCertificate: certs.get,
		CipherSuites:   offer.suites,
		MinVersion:     offer.versions[0],
		MaxVersion:     offer.versions[len(offer.versions)-1],
		NextProtos:     http1,
		Time:           b.now,
	}
	if o.ClientCA != "" {
		base.ClientCAs = x509.NewCertPool()
		if !base.ClientCAs.AppendCertsFromPEM([]byte(o.ClientCA)) {
			return nil, errors.New("no certificate to check clients against")
		}
		base.ClientAuth = tls.RequireAndVerifyClientCert
	}
	binding, err := bindingOf(f)
	if err != nil {
		return nil, err
	}
	base.WrapSession = func(_ tls.ConnectionState, s *tls.SessionState) ([]byte, error) { return b.tickets.seal(s, binding) }
	base.UnwrapSession = func(ticket []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
		return b.tickets.open(ticket, binding), nil
	}
	variants(base, offer, certs, o.HTTP2 && b.http2)
	return base, nil
}

// bindingOf sums up the settings that a client was judged by when it got its
// ticket. With others, the ticket is void.
func bindingOf(f spec.Frontend) ([]byte, error) {
	text, err := json.Marshal([]any{f.ID, f.TLS.ClientCA, f.TLS.Versions, f.TLS.CipherSuites})
	if err != nil {
		return nil, fmt.Errorf("bind sessions to their frontend: %w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// variants makes base choose among settings by what the client offers, where
// one set does not do: versions with a gap between them, and HTTP/2, which must
// not be agreed on with an older version or with suites that it forbids.
func variants(base *tls.Config, offer *offer, certs *certificates, http2 bool) {
	gap := false
	for i := 1; i < len(offer.versions); i++ {
		gap = gap || offer.versions[i] != offer.versions[i-1]+1
	}
	if !gap && !http2 {
		return
	}
	top := offer.versions[len(offer.versions)-1]
	plain, modern := make(map[uint16]*tls.Config), make(map[uint16]*tls.Config)
	for _, v := range offer.versions {
		c := base.Clone()
		c.MinVersion = v
		plain[v] = c
		if http2 && v >= tls.VersionTLS12 {
			c = c.Clone()
			c.NextProtos = append([]string{"h2"}, http1...)
			modern[v] = c
		}
	}
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		for _, v := range slices.Backward(offer.versions) {
			if !slices.Contains(hello.SupportedVersions, v) {
				continue
			}
			c := plain[v]
			if m := modern[v]; m != nil && (v > tls.VersionTLS12 || offer.forwardSecret(hello, certs.pick(hello.ServerName))) {
				c = m
			}
			// The settings say how far the server would have gone: with a lower end
			// crypto/tls would neither tell clients nor notice that somebody keeps the
			// two from a better version. Only what is in a gap has to be shut out.
			if inGap := func(o uint16) bool { return o > v && o < top }; slices.ContainsFunc(hello.SupportedVersions, inGap) {
				c = c.Clone()
				c.MaxVersion = v
			}
			return c, nil
		}
		// No version in common. One that is not in the gap makes the handshake fail
		// as it should.
		return plain[top], nil
	}
}
