package policy

import (
	"strings"
	"testing"
)

// FuzzOffer: how Accept-Encoding is cut into headers and which case it is
// written in makes no difference, nor does a coding that nobody has, and what is
// understood to want gzip says so.
func FuzzOffer(f *testing.F) {
	for _, s := range []string{"gzip", "GZip;q=1.000", "br, gzip", "*;q=0, gzip", "gzip;q=0.5, identity;q=0.5", "gzip;q=", "gzip;q=1.001", "gzip;level=1",
		",,,gzip,", "gzip\x00", "x-gzip ; q=0.3", strings.Repeat("a,", 100) + "*"} {
		f.Add(s)
	}
	takes := func(headers ...string) bool {
		var o Offer
		for _, h := range headers {
			o.Add([]byte(h))
		}
		return o.Gzip()
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := takes(s)
		for _, same := range [][]string{strings.Split(s, ","), {strings.ToUpper(s)}, {s + ", nobody"}, {"nobody;q=0.1 , " + s}, {s, ""}} {
			if !isASCII(s) && same[0] == strings.ToUpper(s) {
				continue // letters of other scripts become ASCII ones
			}
			if got := takes(same...); got != want {
				t.Errorf("%q: %v, as %q: %v", s, want, same, got)
			}
		}
		if lower := strings.ToLower(s); want && !strings.Contains(lower, "gzip") && !strings.Contains(lower, "*") {
			t.Errorf("%q wants gzip", s)
		}
	})
}
