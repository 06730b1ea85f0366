package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/dataplane/spec"
)

// TestHostNames: exact before narrower before wider, no match and no name the
// default; what the client sees is the certificate.
func TestHostNames(t *testing.T) {
	certs := []*pair{certify("default", ecKey(), nil)}
	o := options(certs[0])
	for domain, id := range map[string]string{"www.Example.com": "exact", "*.example.com": "wide", "*.shop.example.com": "narrow", "*.org": "top"} {
		c := certify(id, ecKey(), nil)
		o.Certificates = append(o.Certificates, c.Certificate)
		o.Domains = append(o.Domains, spec.DomainCertificate{Domain: domain, Certificate: id})
	}
	server := config(t, NewBuilder(Options{Unseal: unseal}), o)
	for name, want := range map[string]string{
		"":                       "default",
		"www.example.com":        "exact",
		"WWW.example.COM":        "exact",
		"www.example.com.":       "exact",
		"a.www.example.com":      "wide", // an exact name covers nothing below
		"blog.example.com":       "wide",
		"x.y.z.example.com":      "wide",
		"example.com":            "default", // a wildcard does not cover the name itself
		"shop.example.com":       "wide",
		"a.shop.example.com":     "narrow",
		"b.a.shop.example.com":   "narrow",
		"example.net":            "default",
		"something.org":          "top",
		"org":                    "default",
		"notexample.com":         "default",
		"wwwexample.com.evil.it": "default",
	} {
		state, err := shake(t, server, anyClient(func(c *tls.Config) { c.ServerName = name }))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := state.PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q gets %s, want %s", name, got, want)
		}
	}
}

// TestKinds: every kind of key that can be uploaded serves every version.
func TestKinds(t *testing.T) {
	for name, c := range map[string]*pair{"rsa": certify("rsa", rsaKey(), nil), "short": certify("short", shortKey(), nil), "ec": certify("ec", ecKey(), nil)} {
		server := config(t, NewBuilder(Options{Unseal: unseal}), options(c))
		for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
			state, err := shake(t, server, anyClient(func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }))
			if err != nil || state.Version != v {
				t.Errorf("%s, %s: %v, %s", name, tls.VersionName(v), err, tls.VersionName(state.Version))
			}
		}
	}
}

// TestVersionGap: a policy may leave out a version between two others. A client
// that could use it falls back to one that is offered, or fails.
func TestVersionGap(t *testing.T) {
	o := options(certify("c", ecKey(), nil))
	o.Versions = []uint16{tls.VersionTLS12, tls.VersionTLS10}
	for _, http2 := range []bool{false, true} {
		o.HTTP2 = http2
		server := config(t, NewBuilder(Options{Unseal: unseal, HTTP2: true}), o)
		for _, c := range []struct{ low, high, want uint16 }{
			{tls.VersionTLS10, tls.VersionTLS13, tls.VersionTLS12},
			{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS10},
			{tls.VersionTLS10, tls.VersionTLS10, tls.VersionTLS10},
			{tls.VersionTLS11, tls.VersionTLS11, 0},
			{tls.VersionTLS13, tls.VersionTLS13, 0},
		} {
			state, err := shake(t, server, anyClient(func(cfg *tls.Config) { cfg.MinVersion, cfg.MaxVersion = c.low, c.high }))
			if (err != nil) != (c.want == 0) || err == nil && state.Version != c.want {
				t.Errorf("%s to %s: %v, %s", tls.VersionName(c.low), tls.VersionName(c.high), err, tls.VersionName(state.Version))
			}
		}
	}
}

// TestHTTP2: offered with versions and suites that it allows, and else not.
func TestHTTP2(t *testing.T) {
	ec, rsa := certify("ec", ecKey(), nil), certify("rsa", rsaKey(), nil)
	with := func(protos ...string) func(*tls.Config) { return func(c *tls.Config) { c.NextProtos = protos } }
	upTo := func(v uint16) func(*tls.Config) { return func(c *tls.Config) { c.MaxVersion = v } }
	only := func(ids ...uint16) func(*tls.Config) { return func(c *tls.Config) { c.CipherSuites = ids } }
	for _, c := range []struct {
		name       string
		cert       *pair
		on, engine bool
		client     []func(*tls.Config)
		want       string
	}{
		{"1.3", ec, true, true, []func(*tls.Config){with("h2", "http/1.1")}, "h2"},
		{"1.2", ec, true, true, []func(*tls.Config){with("h2", "http/1.1"), upTo(tls.VersionTLS12)}, "h2"},
		{"1.2 RSA", rsa, true, true, []func(*tls.Config){with("h2", "http/1.1"), upTo(tls.VersionTLS12)}, "h2"},
		{"1.1", ec, true, true, []func(*tls.Config){with("h2", "http/1.1"), upTo(tls.VersionTLS11)}, "http/1.1"},
		{"1.2 with a suite that is forbidden", rsa, true, true, []func(*tls.Config){with("h2", "http/1.1"), upTo(tls.VersionTLS12), only(tls.TLS_RSA_WITH_AES_128_GCM_SHA256)}, "http/1.1"},
		{"1.2, suites of the other key", rsa, true, true, []func(*tls.Config){with("h2", "http/1.1"), upTo(tls.VersionTLS12), only(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)}, "http/1.1"},
		{"only 1.1 wanted", ec, true, true, []func(*tls.Config){with("http/1.1")}, "http/1.1"},
		{"only 1.0 wanted", ec, true, true, []func(*tls.Config){with("http/1.0")}, "http/1.0"},
		{"only 1.0 wanted, off", ec, false, true, []func(*tls.Config){with("http/1.0")}, "http/1.0"},
		{"no ALPN", ec, true, true, nil, ""},
		{"off", ec, false, true, []func(*tls.Config){with("h2", "http/1.1")}, "http/1.1"},
		{"not served", ec, true, false, []func(*tls.Config){with("h2", "http/1.1")}, "http/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(c.cert)
			o.HTTP2 = c.on
			state, err := shake(t, config(t, NewBuilder(Options{Unseal: unseal, HTTP2: c.engine}), o), anyClient(c.client...))
			if err != nil || state.NegotiatedProtocol != c.want {
				t.Errorf("%q, %v; want %q", state.NegotiatedProtocol, err, c.want)
			}
		})
	}
}

// TestMutualTLS: only clients that one of the authorities vouches for come in,
// in every version.
func TestMutualTLS(t *testing.T) {
	server, ca, other := certify("server", ecKey(), nil), certify("ca", ecKey(), nil), certify("other", rsaKey(), nil)
	o := options(server)
	o.ClientCA = ca.Chain + certify("second", ecKey(), nil).Chain
	cfg := config(t, NewBuilder(Options{Unseal: unseal}), o)
	with := func(p *pair) func(*tls.Config) {
		return func(c *tls.Config) { c.Certificates = []tls.Certificate{must(tls.X509KeyPair([]byte(p.Chain), p.key))} }
	}
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
		at := func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }
		if _, err := shake(t, cfg, anyClient(at, with(certify("alice", ecKey(), ca)))); err != nil {
			t.Errorf("%s: a good client: %v", tls.VersionName(v), err)
		}
		if _, err := shake(t, cfg, anyClient(at, with(certify("mallory", ecKey(), other)))); err == nil {
			t.Errorf("%s: a stranger came in", tls.VersionName(v))
		}
		if _, err := shake(t, cfg, anyClient(at)); err == nil {
			t.Errorf("%s: nobody came in", tls.VersionName(v))
		}
	}
}

// TestServerIsVerified: an ordinary client that trusts the root accepts a chain
// with its intermediate.
func TestServerIsVerified(t *testing.T) {
	root := certify("root", ecKey(), nil)
	leaf := certify("leaf", rsaKey(), root, "www.example.com")
	leaf.Chain += root.Chain
	pool := x509.NewCertPool()
	pool.AddCert(root.x509)
	state, err := shake(t, config(t, NewBuilder(Options{Unseal: unseal}), options(leaf)), &tls.Config{RootCAs: pool, ServerName: "www.example.com"})
	if err != nil || len(state.PeerCertificates) != 2 {
		t.Error(err, len(state.PeerCertificates))
	}
}

// TestRefused: what cannot be served is an error that says why, and tells no key.
func TestRefused(t *testing.T) {
	good := certify("good", ecKey(), nil)
	change := func(f func(o *spec.TLSOptions)) *spec.TLSOptions {
		o := options(good)
		f(o)
		return o
	}
	for _, c := range []struct {
		o    *spec.TLSOptions
		want string
	}{
		{nil, "no TLS settings"},
		{change(func(o *spec.TLSOptions) { o.Default = "gone" }), "certificate gone is not part of the configuration"},
		{change(func(o *spec.TLSOptions) { o.Domains = []spec.DomainCertificate{{Domain: "a.b", Certificate: "gone"}} }), "certificate gone is not part"},
		{change(func(o *spec.TLSOptions) { o.Certificates[0].ID, o.Default = "locked", "locked" }), "private key of certificate locked: sealed with another key"},
		{change(func(o *spec.TLSOptions) { o.Certificates[0].SealedKey = []byte("x") }), "certificate good"},
		{change(func(o *spec.TLSOptions) { o.Certificates[0].Chain = certify("x", rsaKey(), nil).Chain }), "certificate good"},
		{change(func(o *spec.TLSOptions) { o.ClientCA = "x" }), "check clients against"},
		{change(func(o *spec.TLSOptions) { o.Versions = nil }), "policy"},
		{change(func(o *spec.TLSOptions) { o.CipherSuites = []uint16{0xc028, 0x1304} }), "policy"}, // not in crypto/tls
		{change(func(o *spec.TLSOptions) {
			o.CipherSuites = []uint16{tls.TLS_AES_128_GCM_SHA256}
			o.Versions = []uint16{tls.VersionTLS12}
		}), "policy"},
	} {
		_, err := NewBuilder(Options{Unseal: unseal}).Config(frontend(c.o))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := NewBuilder(Options{}).Config(frontend(options(good))); err == nil {
		t.Error("without a way to open keys")
	}
}

// TestOffer: what crypto/tls lacks is left out, and versions without a suite too.
func TestOffer(t *testing.T) {
	for _, c := range []struct{ versions, suites, wantVersions, wantSuites []uint16 }{
		{[]uint16{0x303, 0x304}, []uint16{0xc02f, 0xc028, 0x1304}, []uint16{0x303}, []uint16{0xc02f}},
		{[]uint16{0x304, 0x303}, []uint16{0x1301, 0xc02f, 0xc02f}, []uint16{0x303, 0x304}, []uint16{0xc02f}},
		{[]uint16{0x301, 0x303}, []uint16{0xc02f}, []uint16{0x303}, []uint16{0xc02f}}, // a suite of 1.2 alone
		{[]uint16{0x301, 0x302, 0x303}, []uint16{0x002f}, []uint16{0x301, 0x302, 0x303}, []uint16{0x002f}},
		{[]uint16{0x304}, []uint16{0x1303}, []uint16{0x304}, []uint16{}},
	} {
		got, err := offerOf(&spec.TLSOptions{Versions: c.versions, CipherSuites: c.suites})
		if err != nil || !slices.Equal(got.versions, c.wantVersions) || !slices.Equal(got.suites, c.wantSuites) || got.suites == nil {
			t.Errorf("%x %x: %+v, %v", c.versions, c.suites, got, err)
		}
	}
}

// TestHotSwap: a change reaches the handshakes after it and no connection that
// is open, and old and new configurations serve side by side.
func TestHotSwap(t *testing.T) {
	b := NewBuilder(Options{Unseal: unseal})
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	configs := make(chan *tls.Config, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var open []net.Conn
		for cfg := range configs {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s := tls.Server(c, cfg)
			open = append(open, s)
			go func() { // echo until the client closes
				buf := make([]byte, 1)
				for {
					if _, err := s.Read(buf); err != nil {
						return
					}
					s.Write(buf)
				}
			}()
		}
		for _, c := range open {
			c.Close()
		}
	}()
	var conns []*tls.Conn
	for i := range 3 {
		name := fmt.Sprint("cert", i)
		configs <- config(t, b, options(certify(name, ecKey(), nil)))
		c := must(tls.Dial("tcp", ln.Addr().String(), anyClient()))
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("%s, want %s", got, name)
		}
		conns = append(conns, c)
		for _, old := range conns {
			if _, err := old.Write([]byte{7}); err != nil {
				t.Error(err)
			}
			if _, err := old.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
	}
	for _, c := range conns {
		c.Close()
	}
	close(configs)
	<-ended
}
