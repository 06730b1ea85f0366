package rpc

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/url"
	"strings"
)

// The signature methods of V1, compared without case: a page of the product
// writes Hmac-SHA1.
const (
	hmacSHA1   = "HMAC-SHA1"
	hmacSHA256 = "HMAC-SHA256"
)

// appendStringToSignV1 appends what V1 signs. f is sorted; Signature itself is
// left out, empty values and an empty name stay in.
func appendStringToSignV1(b []byte, method string, f form) []byte {
	b = append(b, method...)
	b = append(b, "&%2F&"...)
	first := true
	for i := range f {
		if f[i].name == "Signature" {
			continue
		}
		if !first {
			b = append(b, "%26"...)
		}
		first = false
		b = appendEncodedTwice(b, f[i].name)
		b = append(b, "%3D"...)
		b = appendEncodedTwice(b, f[i].value)
	}
	return b
}

// signatureV1 signs text with a hash of hashV1.
func signatureV1(newHash func() hash.Hash, text []byte, secret string) string {
	mac := hmac.New(newHash, append([]byte(secret), '&'))
	mac.Write(text)
	var sum [sha256.Size]byte
	return base64.StdEncoding.EncodeToString(mac.Sum(sum[:0]))
}

// hashV1 is the hash that a signature method names, or nil.
func hashV1(signatureMethod string) func() hash.Hash {
	switch {
	case strings.EqualFold(signatureMethod, hmacSHA1):
		return sha1.New
	case strings.EqualFold(signatureMethod, hmacSHA256):
		return sha256.New
	}
	return nil
}

// SignV1 signs the parameters of a request, those of the query and those of the
// form together, and stores the result in params as Signature. The hash is the
// one that the parameter SignatureMethod names, SHA-1 when it is absent. method
// is GET or POST.
func SignV1(method string, params url.Values, secret string) string {
	f := make(form, 0, len(params))
	for name, values := range params {
		for _, v := range values {
			f = append(f, pair{name, v})
		}
	}
	f.sort()
	newHash := hashV1(params.Get("SignatureMethod"))
	if newHash == nil {
		newHash = sha1.New
	}
	signature := signatureV1(newHash, appendStringToSignV1(nil, method, f), secret)
	params.Set("Signature", signature)
	return signature
}
