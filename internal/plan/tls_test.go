package plan

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openslb/openslb/internal/dataplane/spec"
	"github.com/openslb/openslb/internal/slb"
)

var updatePolicies = flag.Bool("update", false, "write the file of policies")

// secured puts certificates, domains and policies into a state.
func secured(s *slb.State, resources ...any) *slb.State {
	for _, r := range resources {
		switch r := r.(type) {
		case *slb.ServerCertificate:
			slb.Set(s, &s.ServerCertificates, r.Key(), r, 0)
		case *slb.CACertificate:
			slb.Set(s, &s.CACertificates, r.Key(), r, 0)
		case *slb.DomainExtension:
			slb.Set(s, &s.DomainExtensions, r.Key(), r, 0)
		case *slb.TLSCipherPolicy:
			slb.Set(s, &s.TLSCipherPolicies, r.Key(), r, 0)
		default:
			panic(fmt.Sprintf("no table for %T", r))
		}
	}
	return s
}

func https(id string, port uint16, o slb.HTTPSOptions) *slb.Listener {
	return listener(id, slb.HTTPS, port, func(l *slb.Listener) { l.HTTPS = &o })
}

func TestTLSOptions(t *testing.T) {
	cert := func(id string) *slb.ServerCertificate {
		return &slb.ServerCertificate{ID: id, Chain: "chain of " + id, SealedKey: []byte("key of " + id)}
	}
	domain := func(id, name, certificate string) *slb.DomainExtension {
		return &slb.DomainExtension{ID: id, LoadBalancerID: "lb", ListenerPort: 443, Domain: name, ServerCertificateID: certificate}
	}
	other := domain("de-9", "c.example.com", "c2")
	other.ListenerPort = 444
	s := secured(stateOf(balancer("lb", "127.1.0.1"),
		https("lb", 443, slb.HTTPSOptions{ServerCertificateID: "c1", CACertificateID: "ca", TLSCipherPolicy: "tls-1", EnableHTTP2: slb.On}),
		https("lb", 444, slb.HTTPSOptions{ServerCertificateID: "c2", TLSCipherPolicy: "tls_cipher_policy_1_2", EnableHTTP2: slb.Off}),
		https("lb", 445, slb.HTTPSOptions{ServerCertificateID: "gone", CACertificateID: "gone", TLSCipherPolicy: "gone"}),
		listener("lb", slb.HTTP, 80)),
		cert("c1"), cert("c2"), cert("unused"), &slb.CACertificate{ID: "ca", PEM: "authority"},
		domain("de-1", "*.example.com", "c2"), domain("de-2", "a.example.com", "c1"), domain("de-3", "b.example.com", "c2"), other,
		&slb.TLSCipherPolicy{ID: "tls-1", TLSVersions: []string{slb.TLS13, slb.TLS12}, Ciphers: []string{"TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES256-SHA384"}})
	inst := Instance(s, "lb")
	got := map[uint16]*spec.TLSOptions{}
	for _, f := range inst.Frontends {
		got[f.ID.Port] = f.TLS
	}
	c1, c2 := spec.Certificate{ID: "c1", Chain: "chain of c1", SealedKey: []byte("key of c1")}, spec.Certificate{ID: "c2", Chain: "chain of c2", SealedKey: []byte("key of c2")}
	want := map[uint16]*spec.TLSOptions{
		80: nil,
		443: {
			Certificates: []spec.Certificate{c1, c2}, Default: "c1", ClientCA: "authority", HTTP2: true,
			Domains:  []spec.DomainCertificate{{Domain: "*.example.com", Certificate: "c2"}, {Domain: "a.example.com", Certificate: "c1"}, {Domain: "b.example.com", Certificate: "c2"}},
			Versions: []uint16{tls.VersionTLS12, tls.VersionTLS13}, CipherSuites: []uint16{0x1301, 0xc028},
		},
		444: {
			Certificates: []spec.Certificate{c2}, Default: "c2", Domains: []spec.DomainCertificate{{Domain: "c.example.com", Certificate: "c2"}},
			Versions: []uint16{tls.VersionTLS12}, CipherSuites: got[444].CipherSuites,
		},
		// Without its authority it lets nobody in rather than everybody.
		445: {Default: "gone", ClientCA: "no such certificate: gone"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}
	if n := len(got[444].CipherSuites); n != 19 {
		t.Errorf("%d suites in a built-in policy", n)
	}
}

// TestAffectedByTLS: a certificate or policy concerns those who name it, through
// an additional domain too.
func TestAffectedByTLS(t *testing.T) {
	s := secured(stateOf(balancer("lb-1", "127.1.0.1"), balancer("lb-2", "127.1.0.2"),
		https("lb-1", 443, slb.HTTPSOptions{ServerCertificateID: "c1", CACertificateID: "ca", TLSCipherPolicy: "tls-1"}),
		https("lb-1", 444, slb.HTTPSOptions{ServerCertificateID: "c1", TLSCipherPolicy: "tls-1"}),
		https("lb-2", 443, slb.HTTPSOptions{ServerCertificateID: "c2", TLSCipherPolicy: "tls-2"})),
		&slb.DomainExtension{ID: "de-1", LoadBalancerID: "lb-2", ListenerPort: 443, Domain: "a", ServerCertificateID: "c1"})
	for _, c := range []struct {
		kind slb.Kind
		key  string
		want string
	}{
		{slb.KindServerCertificate, "c1", "[lb-1 lb-2]"},
		{slb.KindServerCertificate, "c2", "[lb-2]"},
		{slb.KindServerCertificate, "c3", "[]"},
		{slb.KindCACertificate, "ca", "[lb-1]"},
		{slb.KindTLSCipherPolicy, "tls-1", "[lb-1]"},
		{slb.KindTLSCipherPolicy, "tls-3", "[]"},
	} {
		if got := fmt.Sprint(Affected(s, c.kind, c.key)); got != c.want {
			t.Errorf("%s %s concerns %s, want %s", c.kind, c.key, got, c.want)
		}
	}
}

// TestSuiteNumbers compares our table with the one of crypto/tls, as far as that
// goes; every name that a policy may have is in ours. What is not in theirs makes
// no policy that can be served.
func TestSuiteNumbers(t *testing.T) {
	theirs := map[string]uint16{}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		theirs[s.Name] = s.ID
	}
	known := 0
	for _, name := range slb.TLSCiphers {
		id, ok := cipherSuites[name]
		if !ok {
			t.Errorf("%s has no number", name)
		}
		want, ok := theirs[registeredName(name)]
		alone := slb.TLSCipherPolicy{TLSVersions: slb.TLSVersions, Ciphers: []string{name}}
		if alone.Servable() != ok {
			t.Errorf("%s alone can be served: %t; crypto/tls has it: %t", name, alone.Servable(), ok)
		}
		if ok {
			known++
			if id != want {
				t.Errorf("%s is %#x, crypto/tls says %#x", name, id, want)
			}
		}
	}
	// The others: three with CBC and AES-256 and SHA-2, and two with CCM.
	if known != len(slb.TLSCiphers)-5 {
		t.Errorf("crypto/tls knows %d of %d", known, len(slb.TLSCiphers))
	}
	for _, v := range slb.TLSVersions {
		if want := strings.Replace(v, "v", " ", 1); tls.VersionName(tlsVersions[v]) != want {
			t.Errorf("%s is %s", v, tls.VersionName(tlsVersions[v]))
		}
	}
}

// registeredName turns OpenSSL's name of a suite into the registered one.
func registeredName(name string) string {
	if strings.HasPrefix(name, "TLS_") {
		return name
	}
	if name == "DES-CBC3-SHA" {
		return "TLS_RSA_WITH_3DES_EDE_CBC_SHA"
	}
	exchange := "RSA"
	for _, e := range []string{"ECDHE-ECDSA", "ECDHE-RSA"} {
		if rest, ok := strings.CutPrefix(name, e+"-"); ok {
			exchange, name = strings.ReplaceAll(e, "-", "_"), rest
		}
	}
	name = strings.Replace(strings.Replace(name, "AES", "AES_", 1), "-", "_", -1)
	if !strings.Contains(name, "GCM") {
		name = strings.Replace(name, "_SHA", "_CBC_SHA", 1)
	}
	return "TLS_" + exchange + "_WITH_" + name
}

// TestPolicies writes down what each built-in policy compiles to. The tests of
// package tlsconf, which must not know policies, make handshakes by it.
func TestPolicies(t *testing.T) {
	var b strings.Builder
	b.WriteString("# name; versions; cipher suites\n")
	for _, name := range []string{"tls_cipher_policy_1_0", "tls_cipher_policy_1_1", "tls_cipher_policy_1_2", "tls_cipher_policy_1_2_strict", "tls_cipher_policy_1_2_strict_with_1_3"} {
		o := tlsOptions(&slb.State{}, https("lb", 443, slb.HTTPSOptions{TLSCipherPolicy: name}))
		fmt.Fprintf(&b, "%s;%04x;%04x\n", name, o.Versions, o.CipherSuites)
	}
	const file = "testdata/policies.txt"
	if *updatePolicies {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}
