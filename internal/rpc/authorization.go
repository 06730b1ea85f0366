package rpc

import (
	"net/http"
	"strings"
)

// authorization is the header of V3, taken apart.
type authorization struct {
	algorithm     string
	keyID         string
	signedHeaders string // as sent: lower case, joined by semicolons
	signature     string
}

// isV3 reports whether a request speaks V3. SDKs set x-acs-action and
// x-acs-version with V1, too, so that only the algorithm in Authorization
// tells. Without it, and with no Version among the parameters, the headers are
// all there is: a V3 client without credentials, or with a bearer token.
func isV3(r *http.Request, query form) bool {
	if strings.HasPrefix(r.Header.Get("Authorization"), "ACS3-") {
		return true
	}
	if _, ok := query.lookup("Version"); ok {
		return false
	}
	return headerValues(r.Header, "x-acs-version") != nil && headerValues(r.Header, "x-acs-signature-nonce") != nil
}

// parseAuthorization reads "ALGORITHM Credential=..,SignedHeaders=..,Signature=..".
// The three stand in any order, blanks around commas are taken.
func parseAuthorization(text string) (a authorization, ok bool) {
	var rest string
	if a.algorithm, rest, ok = strings.Cut(text, " "); !ok {
		return a, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var into *string
		switch name {
		case "Credential":
			into = &a.keyID
		case "SignedHeaders":
			into = &a.signedHeaders
		case "Signature":
			into = &a.signature
		default:
			return a, false
		}
		if *into != "" || value == "" {
			return a, false
		}
		*into = value
	}
	return a, a.keyID != "" && a.signedHeaders != "" && a.signature != ""
}

// covers reports whether the list of signed headers has all that matters: host,
// and each x-acs- header of the request. One that is present several times is
// refused, as the signature does not keep the order of its values.
func (a *authorization) covers(h http.Header) bool {
	if !inList(a.signedHeaders, "host") {
		return false
	}
	for key, values := range h {
		if len(key) > 6 && strings.EqualFold(key[:6], "x-acs-") {
			if len(values) != 1 || !inList(a.signedHeaders, key) {
				return false
			}
		}
	}
	return true
}

// inList looks for a header in a list of lower-case names.
func inList(list, name string) bool {
	for item := range strings.SplitSeq(list, ";") {
		if len(item) == len(name) && strings.EqualFold(item, name) {
			return item == strings.ToLower(item)
		}
	}
	return false
}
