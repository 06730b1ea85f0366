package l7

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // as in clientcert.go
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// clientCertificate is one of a client with a hostile and many-part name.
func clientCertificate(t *testing.T) (tls.Certificate, *x509.Certificate) {
	base := testCertificates()[0]
	name := pkix.Name{CommonName: "a,b\r\nX-Evil: 1", Organization: []string{"Ünï \"x\""}, Country: []string{"CN"}}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, publicKey(base), base.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: base.PrivateKey}, leaf
}

func publicKey(c tls.Certificate) any {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		panic(err)
	}
	return leaf.PublicKey
}

func TestClientCertHeaders(t *testing.T) {
	if !overTLS {
		return
	}
	b := answering(t, func(m *message) string { return ok("x") })
	headers := spec.ClientCertHeaders{Subject: "X-Forwarded-Clientcert-subjectdn", Issuer: "X-Forwarded-Clientcert-issuerdn", Fingerprint: "My_Print", Verify: "X-Forwarded-Clientcert-clientverify"}
	const dn = `CN=a\,b\0D\0AX-Evil: 1,O=\C3\9Cn\C3\AF \"x\",C=CN`
	cert, leaf := clientCertificate(t)
	print := sha1.Sum(leaf.Raw) //nolint:gosec // as above
	for _, c := range []struct {
		name   string
		mutual bool
		want   []string // subject, issuer, fingerprint, verify, evil
	}{
		{"mutual", true, []string{dn, dn, hex.EncodeToString(print[:]), "SUCCESS", ""}},
		{"without", false, []string{"", "", "", "NONE", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, spec.HTTPOptions{ClientCert: headers}, target(b))
			config := &tls.Config{InsecureSkipVerify: true}
			if c.mutual {
				p.e.newTLS = func(spec.Frontend) (*tls.Config, error) {
					pool := x509.NewCertPool()
					pool.AddCert(leaf)
					return &tls.Config{Certificates: testCertificates(), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, nil
				}
				p.changeTLS()
				config.Certificates = []tls.Certificate{cert}
			}
			plain := p.dialPlain()
			secured := tls.Client(plain, config)
			cl := &client{Conn: secured, tcp: plain, t: t, br: bufio.NewReader(secured)}
			for range 2 { // the second time from memory
				cl.send("GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-clientcert-subjectdn: forged\r\nX_Forwarded_Clientcert_Issuerdn: forged\r\nMY-PRINT: forged\r\n" +
					"X-Forwarded-Clientcert-Clientverify: SUCCESS\r\nX-Forwarded-Clientcert-Clientverify: SUCCESS\r\nX-Other: kept\r\n" +
					"X-Forwarded-Clientcert-Fingerprint: forged under the usual name\r\n\r\n")
				cl.want(200, "x")
				seen := b.seen()
				m := &message{head: seen[len(seen)-1]}
				for i, name := range []string{headers.Subject, headers.Issuer, headers.Fingerprint, headers.Verify, "X-Evil"} {
					if got := strings.Join(m.header(name), "|"); got != c.want[i] {
						t.Errorf("%s is %q, want %q", name, got, c.want[i])
					}
				}
				if strings.Contains(m.head, "forged") || m.header("X-Other") == nil {
					t.Errorf("head %q", m.head)
				}
			}
		})
	}
}

func TestDistinguishedName(t *testing.T) {
	for _, bad := range [][]byte{nil, {0x30}, {0x30, 0x00, 0x00}} {
		if got := distinguishedName(bad); got != "" {
			t.Errorf("%x became %q", bad, got)
		}
	}
	// Two values in one part, and one of a type that has no short name.
	rdns := pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "CN"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "a+b"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "u"}},
		{{Type: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: "v"}}}
	der, err := asn1.Marshal(rdns)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := distinguishedName(der), `1.2.3.4=#130176,CN=a\+b+OU=u,C=CN`; got != want && got != `1.2.3.4=#130176,OU=u+CN=a\+b,C=CN` {
		t.Errorf("%s, want %s", got, want)
	}
}
