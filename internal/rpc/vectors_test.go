package rpc

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const vectorServers = `[{"ServerId":"i-bp1demo0001","Weight":"100","Type":"ecs","Description":"web *~ a+b/ü"}]`

// vectorParams are the parameters of the reference's vectors A to C.
func vectorParams() url.Values {
	return url.Values{
		"Action": {"AddBackendServers"}, "Version": {"2014-05-15"}, "Format": {"JSON"}, "RegionId": {"cn-hangzhou"},
		"LoadBalancerId": {"lb-demo0001"}, "BackendServers": {vectorServers}, "AccessKeyId": {"testid"},
		"SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"}, "SignatureNonce": {"6f2c1a34-0001"},
		"Timestamp": {"2024-01-02T03:04:05Z"},
	}
}

func with(v url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestVectorsV1(t *testing.T) {
	regions := func(timestamp string) url.Values {
		return url.Values{"Action": {"DescribeRegions"}, "Format": {"XML"}, "Version": {"2014-05-26"}, "AccessKeyId": {"testid"},
			"SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"}, "SignatureNonce": {"3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"},
			timestamp: {"2016-02-23T12:46:24Z"}}
	}
	for _, tc := range []struct {
		name, method string
		params       url.Values
		want         string
	}{
		{"A POST", "POST", vectorParams(), "elK3IhFD1aA7YE1SnzsyG3H2ZG4="},
		{"A GET", "GET", vectorParams(), "5LHb8KFdn8DFURX6k14iXiNMzI0="},
		{"A no method named", "POST", with(vectorParams(), "Signature", "old"), "elK3IhFD1aA7YE1SnzsyG3H2ZG4="},
		{"B SHA-256", "POST", with(vectorParams(), "SignatureMethod", "HMAC-SHA256"), "vyWnUtFghQ/YbPOOrUydrkd7VEuTwbmw6qy9mKGJuVQ="},
		{"C STS, empty values, empty name", "POST", with(vectorParams(), "SecurityToken", "stsTok/en+=", "SignatureType", "",
			"Tag.1.Key", "env", "Tag.1.Value", "", "", "80"), "FX1od+J2nSJ9TqQB6TaxRUyYsTo="},
		{"published, Timestamp", "GET", regions("Timestamp"), "OLeaidS1JvxuMvnyHOwuJ+uX5qY="},
		{"published, TimeStamp", "GET", regions("TimeStamp"), "CT9X0VtwR86fNWSnsc6v8YGOjuE="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := SignV1(tc.method, tc.params, "testsecret"); got != tc.want {
				t.Errorf("signature %s, want %s", got, tc.want)
			}
			if got := tc.params.Get("Signature"); got != tc.want {
				t.Errorf("params hold signature %q", got)
			}
		})
	}
}

func TestStringToSignV1(t *testing.T) {
	f, err := parseForm(nil, vectorParams().Encode(), 100)
	if err != nil {
		t.Fatal(err)
	}
	f.sort()
	const want = "POST&%2F&AccessKeyId%3Dtestid%26Action%3DAddBackendServers%26BackendServers%3D%255B%257B%2522ServerId%2522%253A%2522i-bp1demo0001%2522%252C%2522Weight%2522%253A%2522100%2522%252C%2522Type%2522%253A%2522ecs%2522%252C%2522Description%2522%253A%2522web%2520%252A~%2520a%252Bb%252F%25C3%25BC%2522%257D%255D%26Format%3DJSON%26LoadBalancerId%3Dlb-demo0001%26RegionId%3Dcn-hangzhou%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D6f2c1a34-0001%26SignatureVersion%3D1.0%26Timestamp%3D2024-01-02T03%253A04%253A05Z%26Version%3D2014-05-15"
	if got := string(appendStringToSignV1(nil, "POST", f)); got != want {
		t.Errorf("string to sign\n%s\nwant\n%s", got, want)
	}
}

// vectorRequest is vector D or E before it is signed.
func vectorRequest(query url.Values, body, host, action, version, date, nonce string, extra ...string) *http.Request {
	r := httptest.NewRequest("POST", "http://"+host+"/?"+query.Encode(), strings.NewReader(body))
	r.Header.Set("x-acs-action", action)
	r.Header.Set("x-acs-version", version)
	r.Header.Set("x-acs-date", date)
	r.Header.Set("x-acs-signature-nonce", nonce)
	for i := 0; i < len(extra); i += 2 {
		r.Header.Set(extra[i], extra[i+1])
	}
	return r
}

func vectorD() *http.Request {
	return vectorRequest(url.Values{"RegionId": {"cn-hangzhou"}, "LoadBalancerId": {"lb-demo0001"}, "BackendServers": {vectorServers}}, "",
		"127.0.0.1:8080", "AddBackendServers", "2014-05-15", "2024-01-02T03:04:05Z", "6f2c1a34-0002")
}

const vectorBodyE = "LoadBalancerId=lb-demo0001&LoadBalancerName=web%201"

func vectorE() *http.Request {
	return vectorRequest(url.Values{"RegionId": {"cn-hangzhou"}}, vectorBodyE, "127.0.0.1:8080", "SetLoadBalancerName", "2014-05-15",
		"2024-01-02T03:04:05Z", "6f2c1a34-0003", "content-type", "application/x-www-form-urlencoded",
		"x-acs-security-token", "stsTok/en+=", "x-acs-accesskey-id", "testid")
}

func TestVectorsV3(t *testing.T) {
	published := vectorRequest(url.Values{"ImageId": {"win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}, "RegionId": {"cn-shanghai"}}, "",
		"ecs.cn-shanghai.aliyuncs.com", "RunInstances", "2014-05-26", "2023-10-26T10:22:32Z", "3156853299f313e23d1673dc12e1703d")
	for _, tc := range []struct {
		name               string
		r                  *http.Request
		body, id, secret   string
		signed, hash, want string
	}{
		{"D", vectorD(), "", "testid", "testsecret",
			"host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version",
			"6e5c0927b8066afef20f595e565a0a67797bb94785f64c3f400fedcf9b83fe6f",
			"101f50b16b1671a4a401ccf11d3d88ad73436cca84aae5b02e97aa83a7f23a04"},
		{"E", vectorE(), vectorBodyE, "testid", "testsecret",
			"content-type;host;x-acs-accesskey-id;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version",
			"6d197f192a37155d1317f42f1c44bdb4be9f24a414717565bef4c16c7bd461c9",
			"ec597eb5714361439a5bdfdf743c7fd1a24f3cf60f9245929a78b96537747f49"},
		{"published", published, "", "YourAccessKeyId", "YourAccessKeySecret", "", "",
			"06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			SignV3(tc.r, []byte(tc.body), tc.id, tc.secret)
			a, ok := parseAuthorization(tc.r.Header.Get("Authorization"))
			if !ok || a.algorithm != "ACS3-HMAC-SHA256" || a.keyID != tc.id || a.signature != tc.want {
				t.Errorf("Authorization %q, want signature %s", tc.r.Header.Get("Authorization"), tc.want)
			}
			if tc.signed != "" && a.signedHeaders != tc.signed {
				t.Errorf("signed headers %s\nwant %s", a.signedHeaders, tc.signed)
			}
			query, err := parseForm(nil, tc.r.URL.RawQuery, 100)
			if err != nil {
				t.Fatal(err)
			}
			query.sort()
			canonical := appendCanonicalV3(nil, tc.r, query, a.signedHeaders, hexHash([]byte(tc.body)))
			if sum := sha256.Sum256(canonical); tc.hash != "" && hex.EncodeToString(sum[:]) != tc.hash {
				t.Errorf("canonical request\n%s\nhash %x, want %s", canonical, sum, tc.hash)
			}
		})
	}
	if got := hexHash([]byte(vectorBodyE)); got != "709925a8d7e4872b605d0019d2ecb979b1092f9f3ac048c6b93db4b72715f5da" {
		t.Errorf("body hash of E: %s", got)
	}
	if sum := sha256.Sum256(nil); hexHash(nil) != hex.EncodeToString(sum[:]) {
		t.Error("the constant for the empty body is wrong")
	}
}
