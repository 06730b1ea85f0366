package tlsconf

import (
	"crypto/tls"
	"encoding/hex"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// policies reads what the built-in policies compile to, as the tests of package
// plan have written it down.
func policies(t *testing.T) map[string][2][]uint16 {
	t.Helper()
	text, err := os.ReadFile("../../plan/testdata/policies.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][2][]uint16{}
	for line := range strings.Lines(string(text)) {
		parts := strings.Split(strings.TrimSpace(line), ";")
		if strings.HasPrefix(line, "#") || len(parts) != 3 {
			continue
		}
		var p [2][]uint16
		for i, list := range parts[1:] {
			for number := range strings.FieldsSeq(strings.Trim(list, "[]")) {
				b, err := hex.DecodeString(number)
				if err != nil || len(b) != 2 {
					t.Fatalf("%q: %v", number, err)
				}
				p[i] = append(p[i], uint16(b[0])<<8|uint16(b[1]))
			}
		}
		out[parts[0]] = p
	}
	return out
}

// TestPolicies shakes hands under every built-in policy with each version alone,
// and with each suite alone, with either kind of key: what the policy has comes
// about, and nothing else does.
func TestPolicies(t *testing.T) {
	all := policies(t)
	allowed := map[string]string{
		"tls_cipher_policy_1_0":                 "TLS 1.0, TLS 1.1, TLS 1.2",
		"tls_cipher_policy_1_1":                 "TLS 1.1, TLS 1.2",
		"tls_cipher_policy_1_2":                 "TLS 1.2",
		"tls_cipher_policy_1_2_strict":          "TLS 1.2",
		"tls_cipher_policy_1_2_strict_with_1_3": "TLS 1.2, TLS 1.3",
	}
	if len(all) != len(allowed) {
		t.Fatalf("%d policies, want %d", len(all), len(allowed))
	}
	certs := map[string]*pair{"RSA": certify("rsa", rsaKey(), nil), "ECDSA": certify("ec", ecKey(), nil)}
	for name, p := range all {
		for kind, cert := range certs {
			t.Run(name+"/"+kind, func(t *testing.T) {
				o := options(cert)
				o.Versions, o.CipherSuites, o.HTTP2 = p[0], p[1], true
				server := config(t, NewBuilder(Options{Unseal: unseal, HTTP2: true}), o)
				for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
					want := slices.Contains(strings.Split(allowed[name], ", "), tls.VersionName(v))
					state, err := shake(t, server, anyClient(func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }))
					if (err == nil) != want || err == nil && state.Version != v {
						t.Errorf("%s: %v, want success %v", tls.VersionName(v), err, want)
					}
				}
				for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
					if !slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
						continue // suites of 1.3 cannot be chosen
					}
					// Without ECDHE the key encrypts, which only RSA can.
					fits := strings.Contains(s.Name, "_"+kind+"_") && (kind == "RSA" || strings.Contains(s.Name, "ECDHE"))
					want := fits && slices.Contains(p[1], s.ID)
					state, err := shake(t, server, anyClient(func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{s.ID} }))
					if (err == nil) != want || err == nil && state.CipherSuite != s.ID {
						t.Errorf("%s: %v, want success %v", s.Name, err, want)
					}
				}
			})
		}
	}
}

// TestDowngrade: a client that is served below the best version of the listener
// is told so in the server's random bytes (RFC 8446, 4.1.3), where it notices that
// somebody made its better offer vanish.
func TestDowngrade(t *testing.T) {
	const to12, to11 = "DOWNGRD\x01", "DOWNGRD\x00"
	cert := certify("ec", ecKey(), nil)
	for _, c := range []struct {
		name     string
		versions []uint16
		client   uint16
		http2    bool
		mark     string
	}{
		{"best", []uint16{tls.VersionTLS12, tls.VersionTLS13}, tls.VersionTLS13, true, ""},
		{"1.2 instead of 1.3", []uint16{tls.VersionTLS12, tls.VersionTLS13}, tls.VersionTLS12, false, to12},
		{"1.2 instead of 1.3, with HTTP/2", []uint16{tls.VersionTLS12, tls.VersionTLS13}, tls.VersionTLS12, true, to12},
		{"1.1 instead of 1.2, with HTTP/2", []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12}, tls.VersionTLS11, true, to11},
		{"1.0 instead of 1.2, over a gap", []uint16{tls.VersionTLS10, tls.VersionTLS12}, tls.VersionTLS10, false, to11},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(cert)
			o.Versions, o.HTTP2 = c.versions, c.http2
			server := config(t, NewBuilder(Options{Unseal: unseal, HTTP2: true}), o)
			near, far := net.Pipe()
			var all sync.WaitGroup
			all.Go(func() {
				defer far.Close()
				_ = tls.Server(far, server).Handshake() // the client goes away
			})
			tap := &tapped{Conn: near}
			_ = tls.Client(tap, anyClient(func(cfg *tls.Config) { cfg.MaxVersion = c.client })).Handshake()
			near.Close()
			all.Wait()
			// Headers of record and message, the version, then 32 random bytes.
			if len(tap.got) < 43 {
				t.Fatalf("the server said %x", tap.got)
			}
			if end := string(tap.got[35:43]); (c.mark != "" || strings.HasPrefix(end, "DOWNGRD")) && end != c.mark {
				t.Errorf("random bytes end with %q, want %q", end, c.mark)
			}
		})
	}
}

// tapped keeps what is read.
type tapped struct {
	net.Conn
	got []byte
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.got = append(c.got, p[:n]...)
	return n, err
}
