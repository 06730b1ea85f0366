package api

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// pair is a certificate with its key, in the forms that a client may send.
type pair struct {
	cert, key string // PEM; the key as PKCS#8
	x509      *x509.Certificate
	signer    crypto.Signer
}

// corpus makes each kind of key once, since long keys take their time.
var corpus = struct {
	mu    sync.Mutex
	pairs map[string]*pair
}{pairs: map[string]*pair{}}

// certified returns a self-signed pair with a key of the kind: rsa1024 to
// rsa4104, p224 to p521, ed25519.
func certified(t testing.TB, kind string) *pair {
	t.Helper()
	corpus.mu.Lock()
	defer corpus.mu.Unlock()
	p := corpus.pairs[kind]
	if p == nil {
		p = signed(t, newKey(t, kind), template(kind+".example.com", kind+".example.com", "*."+kind+".example.com"), nil)
		corpus.pairs[kind] = p
	}
	return p
}

func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	curves := map[string]elliptic.Curve{"p224": elliptic.P224(), "p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()}
	bits := map[string]int{"rsa1024": 1024, "rsa2048": 2048, "rsa4096": 4096, "rsa4104": 4104}
	var key crypto.Signer
	var err error
	switch {
	case curves[kind] != nil:
		key, err = ecdsa.GenerateKey(curves[kind], rand.Reader)
	case bits[kind] != 0:
		key, err = rsa.GenerateKey(rand.Reader, bits[kind])
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(cn string, names ...string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(7),
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames:     names,
	}
}

// signed makes a certificate of the template; a nil parent means self-signed.
func signed(t testing.TB, key crypto.Signer, tmpl *x509.Certificate, parent *pair) *pair {
	t.Helper()
	issuer, by := tmpl, key
	if parent != nil {
		issuer, by = parent.x509, parent.signer
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{cert: armour("CERTIFICATE", der), key: armour("PRIVATE KEY", keyDER), x509: c, signer: key}
}

// authority is a CA with an intermediate and a leaf below it.
func authority(t testing.TB) (root, middle, leaf *pair) {
	ca := func(cn string) *x509.Certificate {
		c := template(cn)
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		return c
	}
	root = signed(t, newKey(t, "p256"), ca("test root"), nil)
	middle = signed(t, newKey(t, "p256"), ca("test intermediate"), root)
	tmpl := template("www.example.com", "www.example.com", "example.com")
	tmpl.IPAddresses = []net.IP{net.ParseIP("192.0.2.7")}
	return root, middle, signed(t, newKey(t, "p256"), tmpl, middle)
}

func armour(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// pkcs1 and sec1 are the older forms of a pair's key.
func (p *pair) pkcs1() string {
	return armour("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(p.signer.(*rsa.PrivateKey)))
}

func (p *pair) sec1(t testing.TB) string {
	der, err := x509.MarshalECPrivateKey(p.signer.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return armour("EC PRIVATE KEY", der)
}

// ecParameters is the block that openssl writes before an EC key of P-256.
func ecParameters(t testing.TB) string {
	der, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	if err != nil {
		t.Fatal(err)
	}
	return armour("EC PARAMETERS", der)
}

// encryptedPKCS1 is a key as openssl encrypts it by default in the old form; the
// content does not matter.
func encryptedPKCS1() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("sixteen byte text"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00112233445566778899AABBCCDDEEFF"}}))
}

// upload stores a pair and returns the certificate's id.
func (w *world) upload(p *pair, more ...string) string {
	w.t.Helper()
	return w.ok("UploadServerCertificate", append([]string{"RegionId", "cn-hangzhou", "ServerCertificate", p.cert, "PrivateKey", p.key}, more...)...).text(w.t, "ServerCertificateId")
}

// uploadCA stores a CA certificate and returns its id.
func (w *world) uploadCA(p *pair, more ...string) string {
	w.t.Helper()
	return w.ok("UploadCACertificate", append([]string{"RegionId", "cn-hangzhou", "CACertificate", p.cert}, more...)...).text(w.t, "CACertificateId")
}

// https makes an HTTPS listener.
func (w *world) https(lb, port, certificate string, p ...string) {
	w.t.Helper()
	w.ok("CreateLoadBalancerHTTPSListener", append([]string{"LoadBalancerId", lb, "ListenerPort", port, "BackendServerPort", "8080",
		"Bandwidth", "-1", "HealthCheck", "off", "ServerCertificateId", certificate}, p...)...)
}

// policy makes a TLS policy and returns its id.
func (w *world) policy(name string) string {
	w.t.Helper()
	return w.ok("CreateTLSCipherPolicy", "RegionId", "cn-hangzhou", "Name", name, "TLSVersions.1", "TLSv1.2",
		"Ciphers.1", "ECDHE-ECDSA-AES128-GCM-SHA256").text(w.t, "TLSCipherPolicyId")
}

// extension adds a domain to a listener and returns its id.
func (w *world) extension(lb, port, domain, certificate string) string {
	w.t.Helper()
	return w.ok("CreateDomainExtension", "RegionId", "cn-hangzhou", "LoadBalancerId", lb, "ListenerPort", port,
		"Domain", domain, "ServerCertificateId", certificate).text(w.t, "DomainExtensionId")
}
