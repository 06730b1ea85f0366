package rpc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// verifier decides whether a request comes from the holder of a key, at this
// time, once. The order of its checks is part of the interface: clients and
// people tell by the code how far they got.
type verifier struct {
	keys   KeyStore
	nonces *nonceStore
	now    func() time.Time
}

// maxEchoBytes bounds the string to sign in an error; every real request is
// below, and nobody reads a megabyte.
const maxEchoBytes = 64 << 10

// v1 checks a request whose signature stands among the parameters. f is sorted.
// known is the key as soon as the store knows it, for the log; err is nil if
// the caller may go on.
func (v *verifier) v1(ctx context.Context, method string, f form) (known string, err error) {
	if strings.EqualFold(f.get("SignatureType"), "BEARERTOKEN") || f.get("BearerToken") != "" {
		return "", errBearer
	}
	timestamp := f.get("Timestamp")
	if timestamp == "" {
		timestamp = f.get("TimeStamp") // the spelling of the product's samples
	}
	keyID, signature, nonce := f.get("AccessKeyId"), f.get("Signature"), f.get("SignatureNonce")
	signatureMethod, signatureVersion := f.get("SignatureMethod"), f.get("SignatureVersion")
	for _, p := range [...]pair{{"AccessKeyId", keyID}, {"Signature", signature}, {"SignatureMethod", signatureMethod},
		{"SignatureVersion", signatureVersion}, {"SignatureNonce", nonce}, {"Timestamp", timestamp}} {
		if p.value == "" {
			return "", missingCommon(p.name)
		}
	}
	secret, known, err := v.secret(ctx, keyID, f.get("SecurityToken"))
	if err != nil {
		return known, err
	}
	newHash := hashV1(signatureMethod)
	if newHash == nil {
		return known, errSignatureMethod
	}
	if signatureVersion != "1.0" {
		return known, errSignatureVersion
	}
	at, now, err := v.time(timestamp)
	if err != nil {
		return known, err
	}
	buf := getBuffer()
	defer buf.free()
	buf.b = appendStringToSignV1(buf.b, method, f)
	right := signatureV1(newHash, buf.b, secret)
	if subtle.ConstantTimeCompare([]byte(signature), []byte(right)) != 1 {
		return known, &Error{http.StatusBadRequest, "SignatureDoesNotMatch",
			"Specified signature is not matched with our calculation. server string to sign is:" + clip(buf.b)}
	}
	return known, v.nonces.use(keyID, nonce, at, now)
}

// v3 checks a request whose signature stands in Authorization. query is sorted
// and holds the parameters of the query alone.
func (v *verifier) v3(ctx context.Context, r *http.Request, query form, body []byte) (known string, err error) {
	h := r.Header
	if h.Get("x-acs-bearer-token") != "" || strings.EqualFold(h.Get("x-acs-signature-type"), "BEARERTOKEN") ||
		strings.EqualFold(query.get("SignatureType"), "BEARERTOKEN") {
		return "", errBearer
	}
	header := h.Get("Authorization")
	if header == "" {
		return "", missingCommon("Authorization")
	}
	auth, ok := parseAuthorization(header)
	if !ok {
		return "", errIncomplete
	}
	date, nonce, hash := h.Get("x-acs-date"), h.Get("x-acs-signature-nonce"), h.Get("x-acs-content-sha256")
	for _, p := range [...]pair{{"x-acs-date", date}, {"x-acs-signature-nonce", nonce}, {"x-acs-content-sha256", hash}} {
		if p.value == "" {
			return "", missingCommon(p.name)
		}
	}
	secret, known, err := v.secret(ctx, auth.keyID, h.Get("x-acs-security-token"))
	if err != nil {
		return known, err
	}
	if auth.algorithm != algorithmV3 {
		return known, errSignatureMethod
	}
	if !auth.covers(h) {
		return known, errIncomplete
	}
	at, now, err := v.time(date)
	if err != nil {
		return known, err
	}
	buf := getBuffer()
	defer buf.free()
	bodyHash := hexHash(body)
	buf.b = appendCanonicalV3(buf.b, r, query, auth.signedHeaders, bodyHash)
	right, stringToSign := signatureV3(buf.b, secret)
	if hash != bodyHash || subtle.ConstantTimeCompare([]byte(auth.signature), []byte(right)) != 1 {
		return known, &Error{http.StatusBadRequest, "SignatureDoesNotMatch", fmt.Sprintf(
			"Specified signature does not match our calculation. server StringToSign is [%s] server CanonicalRequest is [%s]",
			stringToSign, clip(buf.b))}
	}
	return known, v.nonces.use(auth.keyID, nonce, at, now)
}

// secret finds the secret of a key that may be used. No temporary keys are
// issued here, thus no token fits any key.
func (v *verifier) secret(ctx context.Context, keyID, token string) (secret, known string, err error) {
	secret, enabled, err := v.keys.Secret(ctx, keyID)
	switch {
	case errors.Is(err, ErrUnknownKey):
		if strings.HasPrefix(keyID, "STS.") {
			if token == "" {
				return "", "", missingCommon("SecurityToken")
			}
			return "", "", errTokenMalformed
		}
		return "", "", errKeyNotFound
	case err != nil:
		return "", "", &unavailable{fmt.Errorf("look up an access key: %w", err)}
	case !enabled:
		return "", keyID, errKeyInactive
	case token != "":
		return "", keyID, errTokenMismatch
	}
	return secret, keyID, nil
}

// time reads the time of a request and compares it with the clock.
func (v *verifier) time(text string) (at, now time.Time, err error) {
	// time.Parse takes a fraction that the layout does not have.
	if len(text) != len(timeFormat) {
		return at, now, errTimestampFormat
	}
	if at, err = time.Parse(timeFormat, text); err != nil {
		return at, now, errTimestampFormat
	}
	now = v.now()
	if d := now.Sub(at); d > timeWindow || d < -timeWindow {
		return at, now, errTimestampExpired
	}
	return at, now, nil
}

// clip bounds what an error repeats of the request.
func clip(b []byte) string {
	return string(b[:min(len(b), maxEchoBytes)])
}
