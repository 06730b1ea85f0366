package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// certificates makes what scripts upload: CERT and KEY for web.example.com,
// CERTB and KEYB for api.example.com, CA. FINGERPRINT is that of CERT.
func certificates(t testing.TB) map[string]string {
	t.Helper()
	vars := map[string]string{}
	for i, c := range []struct {
		suffix, name string
		ca           bool
	}{{"", "web.example.com", false}, {"B", "api.example.com", false}, {"", "Example Client CA", true}} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		model := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: c.name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		}
		if c.ca {
			model.IsCA, model.KeyUsage = true, x509.KeyUsageCertSign
		} else {
			model.DNSNames = []string{c.name}
		}
		der, err := x509.CreateCertificate(rand.Reader, model, model, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		if c.ca {
			vars["CA"] = text
			continue
		}
		private, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		vars["CERT"+c.suffix] = text
		vars["KEY"+c.suffix] = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
		sum := sha1.Sum(der)
		vars["FINGERPRINT"+c.suffix] = strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")
	}
	return vars
}
