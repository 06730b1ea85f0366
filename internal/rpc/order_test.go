package rpc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestOrderOfChecks starts with a request in which everything is wrong and
// repairs one thing after the other: each step must uncover the next fault.
func TestOrderOfChecks(t *testing.T) {
	h, _ := newTestHandler(t, func(o *Options) { o.CallsPerSecond = 0.001 })
	// The nonce is used up first, and the throttle's only call with it.
	if a := send(t, h, v1Request("POST", with(vectorParams(), "SignatureNonce", "used"))); a.status != 200 {
		t.Fatal(a.body)
	}
	path, method := "/slb", "PUT"
	params := url.Values{"Format": {"JSON"}, "SignatureNonce": {"used"}, "SecurityToken": {"token"}}
	sign := false
	steps := []struct {
		repair func()
		status int
		code   string
	}{
		{func() {}, 404, "InvalidAction.NotFound"},
		{func() { path = "/" }, 403, "UnsupportedHTTPMethod"},
		{func() { method = "POST" }, 400, "MissingVersion"},
		{func() { params.Set("Version", "2014-05-16") }, 400, "MissingAction"},
		{func() { params.Set("Action", "addBackendServers") }, 404, "InvalidVersion"},
		{func() { params.Set("Version", "2014-05-15") }, 404, "InvalidAction.NotFound"},
		{func() { params.Set("Action", "AddBackendServers") }, 400, "MissingAccessKeyId"},
		{func() { params.Set("AccessKeyId", "nobody") }, 400, "MissingSignature"},
		{func() { params.Set("Signature", "c2lnbmF0dXJl") }, 400, "MissingSignatureMethod"},
		{func() { params.Set("SignatureMethod", "RSA") }, 400, "MissingSignatureVersion"},
		{func() { params.Set("SignatureVersion", "2.0"); params.Del("SignatureNonce") }, 400, "MissingSignatureNonce"},
		{func() { params.Set("SignatureNonce", "used") }, 400, "MissingTimestamp"},
		{func() { params.Set("Timestamp", "yesterday") }, 404, "InvalidAccessKeyId.NotFound"},
		{func() { params.Set("AccessKeyId", "brokenid") }, 503, "ServiceUnavailable"},
		{func() { params.Set("AccessKeyId", "disabledid") }, 400, "InvalidAccessKeyId.Inactive"},
		{func() { params.Set("AccessKeyId", "testid") }, 400, "InvalidSecurityToken.MismatchWithAccessKey"},
		{func() { params.Set("SecurityToken", "") }, 400, "InvalidParamater"},
		{func() { params.Set("SignatureMethod", "HMAC-SHA1") }, 400, "InvalidParamater"},
		{func() { params.Set("SignatureVersion", "1.0") }, 400, "InvalidTimeStamp.Format"},
		{func() { params.Set("Timestamp", "2024-01-02T03:20:00Z") }, 400, "InvalidTimeStamp.Expired"},
		{func() { params.Set("Timestamp", "2024-01-02T03:04:00Z") }, 400, "SignatureDoesNotMatch"},
		{func() { sign = true }, 400, "SignatureNonceUsed"},
		{func() { params.Set("SignatureNonce", "fresh") }, 400, "Throttling.User"},
		{func() {
			h.throttle.perSecond = 0
			params.Set("SignatureNonce", "fresh2")
			params.Set("BackendServers", "{")
		}, 400, "MissingParameter"},
		{func() { params.Set("SignatureNonce", "fresh3"); params.Set("LoadBalancerId", "lb-1") }, 400, "InvalidParameter"},
		{func() { params.Set("SignatureNonce", "fresh4"); params.Set("BackendServers", "[]") }, 200, ""},
	}
	for i, s := range steps {
		s.repair()
		if sign {
			SignV1(method, params, "testsecret")
		}
		a := send(t, h, httptest.NewRequest(method, path+"?"+params.Encode(), nil))
		if a.status != s.status || a.code != s.code {
			t.Fatalf("step %d: %d %s (%s), want %d %s", i, a.status, a.code, a.message, s.status, s.code)
		}
	}
}

// TestOrderOfChecksV3 does the same for V3.
func TestOrderOfChecksV3(t *testing.T) {
	h, _ := newTestHandler(t)
	used := vectorD()
	used.Header.Set("x-acs-signature-nonce", "used")
	SignV3(used, nil, "testid", "testsecret")
	if a := send(t, h, used); a.status != 200 {
		t.Fatal(a.body)
	}
	header := http.Header{}
	set := func(name, value string) func() { return func() { header.Set(name, value) } }
	const list = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
	auth := func(algorithm, id, list string) func() {
		return set("Authorization", algorithm+" Credential="+id+",SignedHeaders="+list+",Signature=00")
	}
	sign := false
	steps := []struct {
		repair func()
		status int
		code   string
	}{
		{auth("ACS3-HMAC-SM3", "nobody", "x-acs-date"), 400, "MissingVersion"},
		{set("x-acs-version", "2014"), 400, "MissingAction"},
		{set("x-acs-action", "Nothing"), 404, "InvalidVersion"},
		{set("x-acs-version", "2014-05-15"), 404, "InvalidAction.NotFound"},
		{func() { header.Set("x-acs-action", "AddBackendServers"); header.Set("Authorization", "ACS3-HMAC-SM3") }, 400, "IncompleteSignature"},
		{auth("ACS3-HMAC-SM3", "nobody", "x-acs-date"), 400, "Missingx-acs-date"},
		{set("x-acs-date", "yesterday"), 400, "Missingx-acs-signature-nonce"},
		{set("x-acs-signature-nonce", "used"), 400, "Missingx-acs-content-sha256"},
		{set("x-acs-content-sha256", "00"), 404, "InvalidAccessKeyId.NotFound"},
		{auth("ACS3-HMAC-SM3", "disabledid", "x-acs-date"), 400, "InvalidAccessKeyId.Inactive"},
		{func() { auth("ACS3-HMAC-SM3", "testid", "x-acs-date")(); header.Set("x-acs-security-token", "t") }, 400, "InvalidSecurityToken.MismatchWithAccessKey"},
		{func() { header.Del("x-acs-security-token") }, 400, "InvalidParamater"},
		{auth("ACS3-RSA-SHA256", "testid", "x-acs-date"), 400, "InvalidParamater"},
		{auth("ACS3-HMAC-SHA256", "testid", strings.TrimPrefix(list, "host;")), 400, "IncompleteSignature"},
		{func() { auth("ACS3-HMAC-SHA256", "testid", list)(); header.Set("x-acs-extra", "1") }, 400, "IncompleteSignature"},
		{func() { header.Del("x-acs-extra"); header["X-Acs-Date"] = []string{"yesterday", "today"} }, 400, "IncompleteSignature"},
		{set("x-acs-date", "yesterday"), 400, "InvalidTimeStamp.Format"},
		{set("x-acs-date", "2024-01-02T02:49:04Z"), 400, "InvalidTimeStamp.Expired"},
		{set("x-acs-date", "2024-01-02T02:49:05Z"), 400, "SignatureDoesNotMatch"},
		{func() { sign = true }, 400, "SignatureNonceUsed"},
		{set("x-acs-signature-nonce", "fresh"), 200, ""},
	}
	for i, s := range steps {
		s.repair()
		r := httptest.NewRequest("POST", vectorD().URL.String(), nil)
		r.Header = header
		if sign {
			SignV3(r, nil, "testid", "testsecret")
		}
		if a := send(t, h, r); a.status != s.status || a.code != s.code {
			t.Fatalf("step %d: %d %s (%s), want %d %s", i, a.status, a.code, a.message, s.status, s.code)
		}
	}
}

// TestGatewayErrors shows each error once in both formats, with its text.
func TestGatewayErrors(t *testing.T) {
	withAuth := func(change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			r := vectorD()
			change(r)
			return r
		}
	}
	v1 := func(pairs ...string) func() *http.Request {
		return func() *http.Request {
			return rawRequest("POST", with(vectorParams(), append([]string{"Signature", "x"}, pairs...)...))
		}
	}
	signed := func(pairs ...string) func() *http.Request {
		return func() *http.Request { return v1Request("POST", with(vectorParams(), pairs...)) }
	}
	for _, tc := range []struct {
		name    string
		request func() *http.Request
		status  int
		code    string
		message string // a text that ends in ... may go on
	}{
		{"missing common", v1("AccessKeyId", ""), 400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action."},
		{"version", v1("Version", "2014-5-15"), 404, "InvalidVersion", "Specified parameter Version is not valid."},
		{"version of another product", v1("Version", "2016-04-28"), 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."},
		{"action", v1("Action", "addbackendservers"), 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."},
		{"key", v1("AccessKeyId", "nobody"), 404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."},
		{"key disabled", v1("AccessKeyId", "disabledid"), 400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."},
		{"STS key without token", v1("AccessKeyId", "STS.abc"), 400, "MissingSecurityToken", "SecurityToken is mandatory for this action."},
		{"STS token", v1("AccessKeyId", "STS.abc", "SecurityToken", "x"), 400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."},
		{"token of another key", v1("SecurityToken", "x"), 400, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."},
		{"bearer", v1("SignatureType", "BEARERTOKEN", "AccessKeyId", ""), 400, "InvalidSecurityToken.Malformed", "Specified BearerToken is not accepted, as this server issues none."},
		{"signature method", v1("SignatureMethod", "HMAC-MD5"), 400, "InvalidParamater", `The specified parameter "SignatureMethod" is not valid.`},
		{"signature version", v1("SignatureVersion", "2.0"), 400, "InvalidParamater", `The specified parameter "SignatureVersion" is not valid.`},
		{"time with fraction", v1("Timestamp", "2024-01-02T03:04:05.1Z"), 400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."},
		{"time with zone", v1("Timestamp", "2024-01-02T03:04+0100"), 400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."},
		{"time", v1("Timestamp", "2024-01-02T02:49:04Z"), 400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."},
		{"signature", v1(), 400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:POST&%2F&AccessKeyId%3Dtestid%26Action..."},
		{"signature of GET", func() *http.Request {
			r := v1Request("GET", vectorParams())
			r.Method = "POST"
			return r
		}, 400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:POST&..."},
		{"missing parameter", signed("LoadBalancerId", ""), 400, "MissingParameter", `The input parameter "LoadBalancerId" that is mandatory for processing this request is not supplied.`},
		{"invalid parameter", signed("BackendServers", "x"), 400, "InvalidParameter", `The specified parameter "BackendServers" is not valid. BackendServers is "x"; it must be a JSON array.`},
		{"error of an action", signed("Action", "SetLoadBalancerName", "LoadBalancerName", "x", "LoadBalancerId", "lb-2"), 404, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId does not exist."},
		{"internal", signed("Action", "Fail"), 500, "InternalError", "The request processing has failed due to some unknown error, exception or failure."},
		{"store away", v1("AccessKeyId", "brokenid"), 503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."},
		{"method", func() *http.Request { return httptest.NewRequest("DELETE", "/?Format=JSON", nil) }, 403, "UnsupportedHTTPMethod", "This http method is not supported."},
		{"HEAD", func() *http.Request { return httptest.NewRequest("HEAD", "/", nil) }, 403, "UnsupportedHTTPMethod", "This http method is not supported."},
		{"path", func() *http.Request { return httptest.NewRequest("GET", "/slb", nil) }, 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."},
		{"escape", func() *http.Request { return httptest.NewRequest("GET", "/?Action=%zz", nil) }, 400, "InvalidParameter", `The specified parameter "Action" is not valid. Its percent-encoding is broken.`},
		{"too many parameters", func() *http.Request { return httptest.NewRequest("GET", "/?"+strings.Repeat("a&", 2001), nil) }, 400, "InvalidParameter", "The request has more parameters than this server accepts."},
		{"too many in the form", func() *http.Request { return formRequest("a=1", strings.Repeat("a&", 2000)) }, 400, "InvalidParameter", "The request has more parameters than this server accepts."},
		{"query too long", func() *http.Request { return httptest.NewRequest("GET", "/?a="+strings.Repeat("a", 256<<10), nil) }, 414, "RequestURITooLarge", "The request line is longer than this server accepts."},
		{"body too long", func() *http.Request { return formRequest("", strings.Repeat("a", 1<<20+1)) }, 413, "RequestEntityTooLarge", "The request is larger than this server accepts."},
		{"body too long, length not told", func() *http.Request {
			r := formRequest("", strings.Repeat("a", 1<<20+1))
			r.ContentLength = -1
			return r
		}, 413, "RequestEntityTooLarge", "The request is larger than this server accepts."},
		{"V3 without Authorization", withAuth(func(*http.Request) {}), 400, "MissingAuthorization", "Authorization is mandatory for this action."},
		{"V3 bearer", withAuth(func(r *http.Request) { r.Header.Set("x-acs-bearer-token", "x") }), 400, "InvalidSecurityToken.Malformed", "Specified BearerToken is not accepted, as this server issues none."},
		{"V3 signature", withAuth(func(r *http.Request) { SignV3(r, nil, "testid", "wrong") }), 400, "SignatureDoesNotMatch",
			"Specified signature does not match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n6e5c0927b8066afef20f595e565a0a67797bb94785f64c3f400fedcf9b83fe6f] server CanonicalRequest is [POST\n/\nBackendServers=..."},
		{"V3 algorithm", withAuth(func(r *http.Request) {
			SignV3(r, nil, "testid", "testsecret")
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "SHA256", "SM3", 1))
		}), 400, "InvalidParamater", `The specified parameter "SignatureMethod" is not valid.`},
	} {
		for _, format := range []string{"JSON", "XML"} {
			t.Run(tc.name+" "+format, func(t *testing.T) {
				h, _ := newTestHandler(t)
				r := tc.request()
				// Accept does not disturb a signature, Format would.
				r.URL.RawQuery = strings.NewReplacer("Format=JSON&", "").Replace(r.URL.RawQuery)
				if strings.Contains(tc.code, "Parameter") && tc.status == 400 || tc.name == "error of an action" || tc.name == "internal" {
					r = tc.request() // signed for JSON
				}
				r.Header.Set("Accept", "application/"+strings.ToLower(format))
				a := send(t, h, r)
				want, open := strings.CutSuffix(tc.message, "...")
				if a.status != tc.status || a.code != tc.code || a.message != want && !(open && strings.HasPrefix(a.message, want)) {
					t.Errorf("%d %s %q\nwant %d %s %q", a.status, a.code, a.message, tc.status, tc.code, tc.message)
				}
				if got := a.header.Get("Content-Type"); format == "XML" && !strings.Contains(r.URL.RawQuery, "Format=") && got != "text/xml;charset=utf-8" {
					t.Errorf("asked for %s, got %s", format, got)
				}
			})
		}
	}
}
