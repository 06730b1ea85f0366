package policy

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/openslb/openslb/internal/dataplane/pool"
	"github.com/openslb/openslb/internal/dataplane/spec"
)

func frontend(o spec.HTTPOptions) spec.Frontend {
	return spec.Frontend{
		ID:     spec.FrontendID{Instance: "lb-1", Protocol: spec.HTTP, Port: 8080},
		Listen: netip.MustParseAddrPort("127.1.0.1:8080"),
		HTTP:   &o,
	}
}

func TestDecideHeaders(t *testing.T) {
	p := pool.NewStatic()
	defer p.Close()
	for _, c := range []struct {
		name    string
		options spec.HTTPOptions
		want    Headers
		lines   string
	}{
		{"none", spec.HTTPOptions{}, Headers{}, ""},
		{"forwarded for", spec.HTTPOptions{XForwardedFor: true}, Headers{ForwardedFor: true}, ""},
		{"ip", spec.HTTPOptions{SLBIP: true}, Headers{Own: SLBIP}, "SLB-IP: 127.1.0.1\r\n"},
		{"id", spec.HTTPOptions{SLBID: true}, Headers{Own: SLBID}, "SLB-ID: lb-1\r\n"},
		{"proto and port", spec.HTTPOptions{Proto: true, Port: true}, Headers{Own: ForwardedProto | ForwardedPort}, "X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n"},
		{"source port", spec.HTTPOptions{ClientSrcPort: true}, Headers{Own: ForwardedSrcPort, SrcPort: true}, ""},
	} {
		plan := NewSnapshot(nil, frontend(c.options), p).Decide(&View{PeerKey: 7})
		h := plan.Headers
		if plan.Action != Forward || plan.Pool != p || plan.Key != 7 {
			t.Errorf("%s: plan %+v", c.name, plan)
		}
		if h.Own != c.want.Own || h.ForwardedFor != c.want.ForwardedFor || h.SrcPort != c.want.SrcPort || string(h.Lines) != c.lines {
			t.Errorf("%s: headers %+v, lines %q", c.name, *h, h.Lines)
		}
	}
}

func TestDecideRefusals(t *testing.T) {
	p := pool.NewStatic()
	defer p.Close()
	if plan := NewSnapshot(nil, frontend(spec.HTTPOptions{}), p).Decide(&View{Hops: maxHops}); plan.Action != Refuse || plan.Status != 500 {
		t.Errorf("loop: %+v", plan)
	}
	if plan := NewSnapshot(nil, frontend(spec.HTTPOptions{}), p).Decide(&View{Hops: maxHops - 1}); plan.Action != Forward {
		t.Errorf("some hops: %+v", plan)
	}
	if plan := NewSnapshot(nil, frontend(spec.HTTPOptions{}), nil).Decide(&View{}); plan.Action != Refuse || plan.Status != 503 {
		t.Errorf("no pool: %+v", plan)
	}
}

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		redirect     spec.Redirect
		host, target string
		status       int
		location     string
	}{
		{spec.Redirect{}, "a", "/x?y", 301, "https://a/x?y"},
		{spec.Redirect{Port: 8443, Code: 308}, "a:80", "/", 308, "https://a:8443/"},
		{spec.Redirect{Port: 443, Code: 302}, "[::1]:80", "/", 302, "https://[::1]/"},
		{spec.Redirect{Port: 443}, "[::1]", "?q", 301, "https://[::1]/?q"},
		{spec.Redirect{Port: 443}, "a", "*", 301, "https://a/"},
		{spec.Redirect{Port: 443}, "a", "", 301, "https://a/"},
	} {
		v := &View{Host: []byte(c.host), Target: []byte(c.target), Hops: 99}
		plan := NewSnapshot(nil, frontend(spec.HTTPOptions{Redirect: &c.redirect}), nil).Decide(v)
		if plan.Action != Redirect || plan.Status != c.status {
			t.Errorf("%+v: plan %+v", c, plan)
		}
		if l := string(AppendLocation(nil, v, plan.RedirectPort)); l != c.location {
			t.Errorf("%s%s: location %q, want %q", c.host, c.target, l, c.location)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	p := pool.NewStatic(spec.Target{ID: "a", Addr: netip.MustParseAddrPort("127.0.0.1:1"), Weight: 1})
	defer p.Close()
	s := NewSnapshot(nil, frontend(spec.HTTPOptions{XForwardedFor: true, SLBID: true}), p)
	v := &View{Host: []byte("www.example.com"), Target: []byte("/")}
	b.ReportAllocs()
	for b.Loop() {
		if plan := s.Decide(v); plan.Pool.Pick(plan.Key) == nil {
			b.Fatal("no member")
		}
	}
}

// TestOwnNames: a client cannot give headers about its certificate, under the usual
// names nor under others, where any of them is sent; else it may.
func TestOwnNames(t *testing.T) {
	p := pool.NewStatic()
	defer p.Close()
	usual := []string{"x-forwarded-clientcert-subjectdn", "x-forwarded-clientcert-issuerdn", "x-forwarded-clientcert-fingerprint", "x-forwarded-clientcert-clientverify"}
	for _, c := range []struct {
		sent spec.ClientCertHeaders
		want []string
	}{
		{spec.ClientCertHeaders{}, nil},
		{spec.ClientCertHeaders{Subject: "X-Forwarded-Clientcert-subjectdn"}, usual},
		{spec.ClientCertHeaders{Verify: "My_Verify", Issuer: "Other"}, append([]string{"other", "my-verify"}, usual...)},
	} {
		h := NewSnapshot(nil, frontend(spec.HTTPOptions{ClientCert: c.sent}), p).Decide(&View{}).Headers
		if !slices.Equal(h.OwnNames, c.want) || h.ClientCert != c.sent {
			t.Errorf("%+v: own names %q, want %q", c.sent, h.OwnNames, c.want)
		}
	}
}
