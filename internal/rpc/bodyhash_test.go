package rpc

import (
	"io"
	"strings"
	"testing"
)

// TestBodyHashV3 changes the body, or the hash that is told of it, behind the
// back of the signature.
func TestBodyHashV3(t *testing.T) {
	h, _ := newTestHandler(t)
	r := vectorE()
	r.Header.Del("x-acs-security-token")
	SignV3(r, []byte(vectorBodyE), "testid", "testsecret")
	r.Body = io.NopCloser(strings.NewReader(strings.Replace(vectorBodyE, "web", "wex", 1)))
	if a := send(t, h, r); a.code != "SignatureDoesNotMatch" {
		t.Errorf("another body: %d %s", a.status, a.code)
	}
	// Everything is signed, but the header does not say what the body is.
	r = vectorE()
	r.Header.Del("x-acs-security-token")
	SignV3(r, []byte(vectorBodyE), "testid", "testsecret")
	auth, _ := parseAuthorization(r.Header.Get("Authorization"))
	r.Header.Set("x-acs-content-sha256", hexHash(nil))
	canonical := appendCanonicalV3(nil, r, form{{"RegionId", "cn-hangzhou"}}, auth.signedHeaders, hexHash([]byte(vectorBodyE)))
	signature, _ := signatureV3(canonical, "testsecret")
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), auth.signature, signature, 1))
	if a := send(t, h, r); a.code != "SignatureDoesNotMatch" {
		t.Errorf("a hash of something else: %d %s", a.status, a.code)
	}
}
