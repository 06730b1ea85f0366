package rpc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// algorithmV3 is the one algorithm of V3 that is taken. The vendor has others,
// with SM3 and with RSA.
const algorithmV3 = "ACS3-HMAC-SHA256"

// timeFormat is the form of Timestamp and of x-acs-date, in UTC.
const timeFormat = "2006-01-02T15:04:05Z"

// appendCanonicalV3 appends the canonical request of V3. query is sorted;
// signedHeaders is the list as it stands in Authorization.
func appendCanonicalV3(b []byte, r *http.Request, query form, signedHeaders, bodyHash string) []byte {
	b = append(b, r.Method...)
	b = append(b, "\n/\n"...)
	for i := range query {
		if i > 0 {
			b = append(b, '&')
		}
		b = appendEncoded(b, query[i].name)
		b = append(b, '=')
		b = appendEncoded(b, query[i].value)
	}
	b = append(b, '\n')
	for name := range strings.SplitSeq(signedHeaders, ";") {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeaderValue(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, signedHeaders...)
	b = append(b, '\n')
	return append(b, bodyHash...)
}

// appendHeaderValue appends the value of a header, its name in lower case; of
// several values the sorted list.
func appendHeaderValue(b []byte, r *http.Request, name string) []byte {
	if name == "host" {
		host := r.Host
		if host == "" && r.URL != nil {
			host = r.URL.Host // a request on its way out
		}
		return append(b, strings.TrimSpace(host)...)
	}
	values := headerValues(r.Header, name)
	switch len(values) {
	case 0:
		return b
	case 1:
		return append(b, strings.TrimSpace(values[0])...)
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.TrimSpace(v)
	}
	slices.Sort(trimmed)
	return append(b, strings.Join(trimmed, ",")...)
}

// headerValues is Header.Values for a lower-case name, without the allocation
// that making the name canonical would cost.
func headerValues(h http.Header, name string) []string {
	for key, values := range h {
		if len(key) == len(name) && strings.EqualFold(key, name) {
			return values
		}
	}
	return nil
}

// signatureV3 signs a canonical request. It returns the string to sign, too.
func signatureV3(canonical []byte, secret string) (signature, stringToSign string) {
	sum := sha256.Sum256(canonical)
	var buf [len(algorithmV3) + 1 + 2*sha256.Size]byte
	text := append(buf[:0], algorithmV3...)
	text = append(text, '\n')
	text = hex.AppendEncode(text, sum[:])
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(sum[:0])), string(text)
}

// hexHash is the lower-case hex SHA-256 of a body.
func hexHash(body []byte) string {
	if len(body) == 0 {
		return "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// SignV3 signs a request that is about to be sent with this body: it sets
// x-acs-content-sha256 and Authorization, and also x-acs-date and
// x-acs-signature-nonce if they are absent. x-acs-action and x-acs-version must
// be there. A query that cannot be parsed is signed as far as it can be.
func SignV3(req *http.Request, body []byte, keyID, secret string) {
	bodyHash := hexHash(body)
	req.Header.Set("x-acs-content-sha256", bodyHash)
	if req.Header.Get("x-acs-date") == "" {
		req.Header.Set("x-acs-date", time.Now().UTC().Format(timeFormat))
	}
	if req.Header.Get("x-acs-signature-nonce") == "" {
		req.Header.Set("x-acs-signature-nonce", rand.Text())
	}
	names := []string{"host"}
	for key := range req.Header {
		if name := strings.ToLower(key); strings.HasPrefix(name, "x-acs-") || name == "content-type" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	signedHeaders := strings.Join(names, ";")
	query, _ := parseForm(nil, req.URL.RawQuery, 1<<20)
	query.sort()
	canonical := appendCanonicalV3(nil, req, query, signedHeaders, bodyHash)
	signature, _ := signatureV3(canonical, secret)
	req.Header.Set("Authorization", algorithmV3+" Credential="+keyID+",SignedHeaders="+signedHeaders+",Signature="+signature)
}
