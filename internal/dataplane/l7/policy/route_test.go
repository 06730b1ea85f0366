package policy

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

// rulesOf makes rules of "domain path" texts; each is its own ID.
func rulesOf(texts ...string) []spec.Rule {
	var rules []spec.Rule
	for _, t := range texts {
		domain, path, _ := strings.Cut(t, " ")
		rules = append(rules, spec.Rule{ID: t, Domain: domain, Path: path})
	}
	return rules
}

// routes decides by a whole snapshot; the answer is the rule's ID, "listener"
// or "404".
func routes(t testing.TB, rules []spec.Rule) func(host, requested string) string {
	names := map[*pool.Pool]string{}
	newPool := func(name string) *pool.Pool {
		p := pool.NewStatic()
		t.Cleanup(p.Close)
		names[p] = name
		return p
	}
	var pools []*pool.Pool
	for _, r := range rules {
		pools = append(pools, newPool(r.ID))
	}
	s := NewSnapshot(nil, frontend(spec.HTTPOptions{Rules: rules}), newPool("listener"), pools...)
	return func(host, requested string) string {
		plan := s.Decide(&View{Host: []byte(host), Target: []byte(requested)})
		if plan.Action == Refuse {
			return fmt.Sprint(plan.Status)
		}
		return names[plan.Pool]
	}
}

// TestFold goes through the ends of what is folded and decoded.
func TestFold(t *testing.T) {
	ask := routes(t, rulesOf("az.test", "b.test /\tx"))
	for request, want := range map[string]string{
		"AZ.TEST /": "az.test", "aZ.test. /": "az.test", "[z.test /": "listener", "b.test /%09x": "b.test /\tx", "b.test /%0gx": "404", "b.test /%90x": "404",
	} {
		host, requested, _ := strings.Cut(request, " ")
		if got := ask(host, requested); got != want {
			t.Errorf("%q: %s, want %s", request, got, want)
		}
	}
}

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []spec.Rule
		want  map[string]string // by "host target"
	}{
		{"domains of the vendor's page", rulesOf("*.aliyun.com", "*.market.aliyun.com", "www.aliyun.com"), map[string]string{
			"www.aliyun.com /":           "www.aliyun.com",
			"market.aliyun.com /":        "*.aliyun.com",
			"info.market.aliyun.com /":   "*.market.aliyun.com",
			"a.info.market.aliyun.com /": "*.market.aliyun.com",
			"a.b.aliyun.com /x":          "*.aliyun.com",
			"aliyun.com /":               "listener", // a wildcard stands for a label at least
			"xaliyun.com /":              "listener",
			".aliyun.com /":              "listener",
			"www.aliyun.com.cn /":        "listener",
			" /":                         "listener",
		}},
		{"host as it may be written", rulesOf("www.a.com", "*.b.com"), map[string]string{
			"WWW.A.Com /":       "www.a.com",
			"www.a.com:8080 /":  "www.a.com",
			"www.a.com. /":      "www.a.com",
			"www.a.com.:443 /":  "www.a.com",
			"X.B.COM:1 /":       "*.b.com",
			"[::1]:80 /":        "listener",
			"[::1] /":           "listener",
			"www.a.com.. /":     "listener",
			"1.2.3.4.b.com: /":  "*.b.com",
			"a-b_c.d.b.com. /x": "*.b.com",
		}},
		{"rule as it may be written", rulesOf("WWW.A.com", "*.B.com /X"), map[string]string{
			"www.a.com /":  "WWW.A.com",
			"x.b.com /X":   "*.B.com /X",
			"x.b.com /x":   "404", // paths have case
			"x.b.com /XYZ": "*.B.com /X",
		}},
		{"longest path", rulesOf(" /abc", " /abcd", "a.com /", "a.com /abc", "a.com /abcd/"), map[string]string{
			"b.com /abcde":      " /abcd",
			"b.com /abcd":       " /abcd",
			"b.com /abc/d":      " /abc",
			"b.com /ab":         "listener",
			"b.com /zzz":        "listener",
			"a.com /abcde":      "a.com /abc",
			"a.com /abcd/e":     "a.com /abcd/",
			"a.com /":           "a.com /",
			"a.com /zzz":        "a.com /",
			"a.com /ab?/abcd/":  "a.com /",
			"a.com /abc?x=/abc": "a.com /abc",
		}},
		{"no way back from a domain", rulesOf("a.com /x", "*.com", " /y"), map[string]string{
			"a.com /y":  "404",
			"a.com /x":  "a.com /x",
			"b.com /y":  "*.com",
			"b.org /y":  " /y",
			"b.org /z":  "listener",
			"a.com *":   "404",
			"a.com ?/x": "404",
		}},
		{"root rule", rulesOf("a.com /x", "a.com"), map[string]string{
			"a.com /y": "a.com",
			"a.com /x": "a.com /x",
			"a.com *":  "a.com",
			"a.com ":   "a.com",
			"a.com ?q": "a.com",
		}},
		{"decoded path", rulesOf(" /#/", " /a b", " /%E4%BD%A0", " /%zz"), map[string]string{
			"h /%23/x":          " /#/",
			"h /a%20b":          " /a b",
			"h /%61%20%62c":     " /a b",
			"h /%e4%bd%a0/x":    " /%E4%BD%A0",
			"h /%25zz":          " /%zz",
			"h /%zz":            " /%zz",
			"h /a%2":            "listener",
			"h /%2":             "listener",
			"h /%":              "listener",
			"h /a%3Fb":          "listener",
			"h /%2523/":         "listener", // decoded once
			"h /x/../a%20b":     "listener", // as it was sent
			"h /%23?/x":         "listener",
			"h /%61%20%62%zz?%": " /a b",
		}},
		{"two ways to write one path", rulesOf(" /%61", " /a"), map[string]string{"h /a": " /%61"}},
		{"none", nil, map[string]string{"a.com /x": "listener"}},
	} {
		decide := routes(t, c.rules)
		for request, want := range c.want {
			host, requested, _ := strings.Cut(request, " ")
			if got := decide(host, requested); got != want {
				t.Errorf("%s: %q goes to %q, want %q", c.name, request, got, want)
			}
		}
	}
}

// A rule whose pool is not there must not send its requests elsewhere.
func TestRouteWithoutPool(t *testing.T) {
	p := pool.NewStatic()
	defer p.Close()
	for _, pools := range [][]*pool.Pool{nil, {nil}} {
		s := NewSnapshot(nil, frontend(spec.HTTPOptions{Rules: rulesOf("a.com")}), p, pools...)
		if plan := s.Decide(&View{Host: []byte("a.com"), Target: []byte("/")}); plan.Action != Refuse || plan.Status != 503 {
			t.Errorf("plan %+v", plan)
		}
	}
}

// naive is the documented order, one rule after the other.
func naive(rules []spec.Rule, host, requested string) string {
	host = strings.TrimSuffix(strings.ToLower(string(withoutPort([]byte(host)))), ".")
	requested, _, _ = strings.Cut(requested, "?")
	if requested == "" {
		requested = "/"
	}
	requested = decode(requested)
	best := func(domain string) (string, bool) {
		id, length, any := "404", -1, false
		for _, r := range rules {
			if strings.ToLower(r.Domain) != domain {
				continue
			}
			any = true
			if p := decode(r.Path); strings.HasPrefix(requested, p) && len(p) > length {
				id, length = r.ID, len(p)
			}
		}
		return id, any
	}
	if host != "" {
		if id, any := best(host); any {
			return id
		}
		labels := strings.Split(host, ".")
		for i := 1; i < len(labels); i++ {
			if i == 1 && labels[0] == "" {
				continue
			}
			if id, any := best("*." + strings.Join(labels[i:], ".")); any {
				return id
			}
		}
	}
	if id, _ := best(""); id != "404" {
		return id
	}
	return "listener"
}

// decode is for well encoded texts.
func decode(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

func TestRouteLikeNaive(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "b", "A", "c"})
	part := rapid.SampledFrom([]string{"/", "a", "b", "%61", "%2f", "#", "%23"})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
	})
	domain := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "", "*."}).Draw(t, "wildcard") + name.Draw(t, "name")
	})
	path := rapid.Custom(func(t *rapid.T) string { return "/" + strings.Join(rapid.SliceOfN(part, 0, 5).Draw(t, "path"), "") })
	rapid.Check(t, func(rt *rapid.T) {
		var rules []spec.Rule
		seen := map[string]bool{}
		for range rapid.IntRange(0, 20).Draw(rt, "rules") {
			var r spec.Rule
			if rapid.IntRange(0, 3).Draw(rt, "with domain") > 0 {
				r.Domain = domain.Draw(rt, "domain")
			}
			if r.Domain == "" || rapid.Bool().Draw(rt, "with path") {
				r.Path = path.Draw(rt, "path")
			}
			if key := strings.ToLower(r.Domain) + " " + decode(r.Path); !seen[key] {
				seen[key] = true
				r.ID = key
				rules = append(rules, r)
			}
		}
		decide := routes(t, rules)
		for range 20 {
			host := name.Draw(rt, "host") + rapid.SampledFrom([]string{"", ":80", "."}).Draw(rt, "end")
			requested := path.Draw(rt, "requested") + rapid.SampledFrom([]string{"", "?a", "?/a/b"}).Draw(rt, "query")
			if got, want := decide(host, requested), naive(rules, host, requested); got != want {
				rt.Fatalf("%s %s goes to %q, want %q\nrules %v", host, requested, got, want, rules)
			}
		}
	})
}

func FuzzRoute(f *testing.F) {
	decide := routes(f, rulesOf("a.com", "*.a.com", "*.b.a.com /x", "c.com /a", "c.com /a/b", " /%2f", " /a%20b/"))
	for _, s := range []string{"a.com /", "x.b.a.com: /x?", "c.com /a/%62", "[::1]:80 /%2F", ".. %%%", strings.Repeat("a.", 200) + "com " + strings.Repeat("/", 300)} {
		host, requested, _ := strings.Cut(s, " ")
		f.Add(host, requested)
	}
	f.Fuzz(func(t *testing.T, host, requested string) {
		got := decide(host, requested)
		// The query never counts, nor does the case of the host.
		bare, _, _ := strings.Cut(requested, "?")
		if again := decide(strings.ToUpper(host), bare+"?"); isASCII(host) && again != got {
			t.Errorf("%q %q goes to %q or %q", host, requested, got, again)
		}
	})
}

func isASCII(s string) bool {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// manyHosts is a frontend with rules for a thousand hosts.
func manyHosts() *Snapshot {
	var rules []spec.Rule
	var pools []*pool.Pool
	p := pool.NewStatic()
	for i := range 1000 {
		rules = append(rules, spec.Rule{Domain: fmt.Sprintf("host-%d.example.com", i), Path: "/api"}, spec.Rule{Domain: fmt.Sprintf("host-%d.example.com", i)})
		pools = append(pools, p, p)
	}
	rules = append(rules, spec.Rule{Domain: "*.wild.example.com"}, spec.Rule{Path: "/static/"})
	return NewSnapshot(nil, frontend(spec.HTTPOptions{Rules: rules}), p, append(pools, p, p)...)
}

var routed = map[string]View{
	"exact":    {Host: []byte("host-517.example.com"), Target: []byte("/api/v1/things?x=y")},
	"wildcard": {Host: []byte("a.wild.example.com:443"), Target: []byte("/")},
	"none":     {Host: []byte("www.example.org"), Target: []byte("/index.html")},
	"encoded":  {Host: []byte("HOST-1.example.com"), Target: []byte("/%61pi/v1")},
}

func TestRouteDoesNotAllocate(t *testing.T) {
	s := manyHosts()
	for name, v := range routed {
		if n := testing.AllocsPerRun(100, func() { s.Decide(&v) }); n > 0 {
			t.Errorf("%s: %.0f allocations", name, n)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	s := manyHosts()
	for name, v := range routed {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(&v)
			}
		})
	}
}
