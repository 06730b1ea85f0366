package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// pair is a certificate with its key; "sealed" is the key with its bytes turned
// round, which unseal undoes.
type pair struct {
	spec.Certificate
	key  []byte
	x509 *x509.Certificate
	by   crypto.Signer
}

func mirrored(b []byte) []byte {
	out := bytes.Clone(b)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func unseal(id string, sealed []byte) ([]byte, error) {
	if id == "locked" {
		return nil, errors.New("sealed with another key")
	}
	return mirrored(sealed), nil
}

var ecKey = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
var rsaKey = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
var shortKey = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 1024)) })

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// certify makes a self-signed certificate, or one signed by parent.
func certify(id string, key crypto.Signer, parent *pair, names ...string) *pair {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: id}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer, by := c, key
	if parent != nil {
		issuer, by = parent.x509, parent.by
	} else {
		c.IsCA, c.BasicConstraintsValid = true, true
	}
	der := must(x509.CreateCertificate(rand.Reader, c, issuer, key.Public(), by))
	p := &pair{x509: must(x509.ParseCertificate(der)), by: key}
	p.ID = id
	p.Chain = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	p.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
	p.SealedKey = mirrored(p.key)
	return p
}

// options offers everything with one certificate.
func options(certs ...*pair) *spec.TLSOptions {
	o := &spec.TLSOptions{Default: certs[0].ID, Versions: []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}}
	for _, c := range certs {
		o.Certificates = append(o.Certificates, c.Certificate)
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		o.CipherSuites = append(o.CipherSuites, s.ID)
	}
	return o
}

func frontend(o *spec.TLSOptions) spec.Frontend {
	return spec.Frontend{ID: spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTPS, Port: 443}, TLS: o}
}

func config(t testing.TB, b *Builder, o *spec.TLSOptions) *tls.Config {
	t.Helper()
	c, err := b.Config(frontend(o))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// anyClient trusts everybody and offers all that crypto/tls can.
func anyClient(change ...func(*tls.Config)) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		c.CipherSuites = append(c.CipherSuites, s.ID)
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// shake makes a connection over loopback, passes a byte each way, and returns
// what both sides agreed on.
func shake(t testing.TB, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(c, server)
		if _, err = s.Read(make([]byte, 1)); err == nil {
			_, err = s.Write([]byte{1})
		}
		served <- err
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Client(raw, client)
	_, err = c.Write([]byte{1})
	if err == nil {
		// In TLS 1.3 the client learns here what the server thinks of it.
		_, err = c.Read(make([]byte, 1))
	}
	raw.Close()
	return c.ConnectionState(), errors.Join(err, <-served)
}
