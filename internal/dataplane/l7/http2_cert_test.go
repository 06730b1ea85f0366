package l7

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHTTP2ClientCert: servers are told of the client's certificate with every
// request of its connection.
func TestHTTP2ClientCert(t *testing.T) {
	if !overTLS {
		return
	}
	b := answering(t, func(m *message) string { return ok("x") })
	p := newProxy(t, spec.HTTPOptions{ClientCert: spec.ClientCertHeaders{Verify: "X-Verified", Fingerprint: "X-Print"}}, target(b))
	cert, leaf := clientCertificate(t)
	p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
		pool := x509.NewCertPool()
		pool.AddCert(leaf)
		return &tls.Config{Certificates: testCertificates(), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, NextProtos: []string{"h2"}}, nil
	}
	p.changeTLS()
	c := p.http2Client()
	c.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{cert}
	for range 2 {
		r := p.request("GET", "/", nil)
		r.Header.Set("X-Verified", "forged")
		r.Header.Set("X-Forwarded-Clientcert-Subjectdn", "forged, though we send none")
		fetch(t, c, r)
		seen := b.seen()
		m := &message{head: seen[len(seen)-1]}
		if got := m.header("X-Verified"); len(got) != 1 || got[0] != "SUCCESS" || len(m.header("X-Print")) != 1 || len(m.header("X-Forwarded-Clientcert-subjectdn")) > 0 {
			t.Errorf("head %q", m.head)
		}
	}
	if n := p.Facts().NewConnections; n != 1 {
		t.Errorf("%d connections", n)
	}
}
