package rpc

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestParseForm(t *testing.T) {
	for in, want := range map[string]form{
		"":                      nil,
		"&&":                    nil,
		"a=1&b=2":               {{"a", "1"}, {"b", "2"}},
		"b=2&a=1&B=3&A.10=x":    {{"A.10", "x"}, {"B", "3"}, {"a", "1"}, {"b", "2"}},
		"a=2&a=1":               {{"a", "2"}, {"a", "1"}},
		"=80&a&b=":              {{"", "80"}, {"a", ""}, {"b", ""}},
		"a=b=c;d":               {{"a", "b=c;d"}},
		"a+b=c+d%20e%2B%2b%2F~": {{"a b", "c d e++/~"}},
		"a=%C3%BC%00":           {{"a", "ü\x00"}},
	} {
		got, err := parseForm(nil, in, 100)
		got.sort()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"a=%", "a=%4", "a=%g0", "a=%0g", "%=a", "b=1&a=%zz"} {
		if _, err := parseForm(nil, in, 100); err == nil {
			t.Errorf("%s was accepted", in)
		}
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "=80&a&b=", "a+b=%C3%BC%zz", vectorParams().Encode(), "Tag.1.Key=a&Tag.1.Value=", "a=1&a=2&&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseForm(nil, s, 1000)
		if strings.Count(s, "&") >= 1000 {
			return
		}
		want, wantErr := url.ParseQuery(strings.ReplaceAll(s, ";", "%3B"))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, net/url says %v", s, err, wantErr)
		}
		if err != nil {
			return
		}
		// What is encoded again reads the same, in the order of the signature.
		got.sort()
		var b []byte
		for i, p := range got {
			if want[p.name][0] != p.value {
				t.Fatalf("%q: %q=%q, net/url has %q", s, p.name, p.value, want[p.name])
			}
			want[p.name] = want[p.name][1:]
			if v := got.get(p.name); i == 0 || got[i-1].name != p.name {
				if v != p.value {
					t.Fatalf("%q: lookup of %q finds %q", s, p.name, v)
				}
			}
			b = append(b, '&')
			b = append(appendEncoded(b, p.name), '=')
			b = appendEncoded(b, p.value)
		}
		again, err := parseForm(nil, string(b), 1000)
		if err != nil || !slices.Equal(got, again) {
			t.Fatalf("%q: encoded %q, read %q, %v", s, b, again, err)
		}
	})
}

// FuzzCanonicalV1 checks the two encodings at once against encoding twice, and
// that a signature holds for the parameters it was made for and no others.
func FuzzCanonicalV1(f *testing.F) {
	f.Add("GET", "a", "b", "c", "d")
	f.Add("POST", "", "80", "Tag.1.Key", "ü *~+/")
	f.Add("POST", "a", "1&b=2", "b", "")
	f.Fuzz(func(t *testing.T, method, n1, v1, n2, v2 string) {
		pairs := form{{n1, v1}, {n2, v2}}
		pairs.sort()
		var query []byte
		for _, p := range pairs {
			if p.name == "Signature" {
				continue
			}
			if len(query) > 0 {
				query = append(query, '&')
			}
			query = append(appendEncoded(query, p.name), '=')
			query = appendEncoded(query, p.value)
		}
		want := string(appendEncoded([]byte(method+"&%2F&"), string(query)))
		if got := string(appendStringToSignV1(nil, method, pairs)); got != want {
			t.Fatalf("%q\nwant %q", got, want)
		}
		if n1 != n2 && n1 != "Signature" {
			other := slices.Clone(pairs)
			other[0].value += "x"
			if other[0].name != "Signature" && string(appendStringToSignV1(nil, method, other)) == want {
				t.Fatal("two sets of parameters, one string to sign")
			}
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{
		"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host;x-acs-action,Signature=00",
		"ACS3-HMAC-SHA256 Signature=00, SignedHeaders=host, Credential=a=b",
		"ACS3-HMAC-SM3 Credential=,SignedHeaders=;;,Signature=", "ACS3-", "ACS3-HMAC-SHA256", "ACS3- Credential=a,Credential=b",
	} {
		f.Add(s)
	}
	h, _ := newTestHandler(f)
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := parseAuthorization(s)
		if ok && (a.keyID == "" || a.signedHeaders == "" || a.signature == "" || strings.ContainsAny(a.keyID+a.signedHeaders+a.signature, ",")) {
			t.Fatalf("%q accepted as %+v", s, a)
		}
		r := vectorD()
		r.Header.Set("Authorization", s)
		r.Header.Set("x-acs-content-sha256", hexHash(nil))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Fatalf("%q: HTTP %d %s", s, w.Code, w.Body)
		}
	})
}

func TestParseAuthorization(t *testing.T) {
	for in, want := range map[string]authorization{
		"A Credential=i,SignedHeaders=h;x,Signature=00":   {"A", "i", "h;x", "00"},
		"A Signature=0=0 , SignedHeaders=h ,Credential=i": {"A", "i", "h", "0=0"},
		"A":                              {},
		"A Credential=i,SignedHeaders=h": {},
		"A Credential=i,SignedHeaders=h,Signature=":               {},
		"A Credential=i,Credential=j,SignedHeaders=h,Signature=0": {},
		"A Credential=i,SignedHeaders=h,Signature=0,Region=x":     {},
	} {
		if got, ok := parseAuthorization(in); ok != (want != authorization{}) || ok && got != want {
			t.Errorf("%s: %+v, %v", in, got, ok)
		}
	}
}
