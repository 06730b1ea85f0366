package localca

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The clock of the tests; certificates are checked at this time, not at ours.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func mustEnsure(t *testing.T, dir string, now time.Time, names ...string) tls.Certificate {
	t.Helper()
	cert, ca, err := ensure(dir, names, now)
	if err != nil {
		t.Fatal(err)
	}
	if ca != filepath.Join(dir, "ca.pem") {
		t.Fatalf("authority at %s", ca)
	}
	return cert
}

func pool(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(text) {
		t.Fatal("ca.pem holds no certificate")
	}
	return p
}

func TestCertificateFitsItsNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	cert := mustEnsure(t, dir, start, "LB1.example.net.", "192.0.2.7", "", "2001:db8::7", "localhost")
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "lb1.example.net", "192.0.2.7", "2001:db8::7"} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool(t, dir), DNSName: name, CurrentTime: start}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool(t, dir), DNSName: "other.example.net", CurrentTime: start}); err == nil {
		t.Error("the certificate fits a name it was not made for")
	}
	if key, ok := cert.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve.Params().Name != "P-256" {
		t.Errorf("key %T", cert.PrivateKey)
	}
	if days := cert.Leaf.NotAfter.Sub(start).Hours() / 24; days != 365 {
		t.Errorf("server certificate lives %v days", days)
	}
	for file, mode := range map[string]os.FileMode{"ca.pem": 0o644, "ca-key.pem": 0o600, "server.pem": 0o644, "server-key.pem": 0o600} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestEnsureKeepsAndRenews(t *testing.T) {
	day := 24 * time.Hour
	for _, tc := range []struct {
		name               string
		prepare            func(t *testing.T, dir string)
		later              time.Duration
		names              []string
		sameCA, sameServer bool
	}{
		{"nothing changed", nil, time.Hour, []string{"a.example", "b.example"}, true, true},
		{"names in another order", nil, time.Hour, []string{"b.example", "a.example", "a.example"}, true, true},
		{"name added", nil, time.Hour, []string{"a.example", "b.example", "c.example"}, true, false},
		{"name gone", nil, time.Hour, []string{"a.example"}, true, false},
		{"31 days before its end", nil, 334 * day, []string{"a.example", "b.example"}, true, true},
		{"29 days before its end", nil, 336 * day, []string{"a.example", "b.example"}, true, false},
		{"authority near its end", nil, 3625 * day, []string{"a.example", "b.example"}, false, false},
		{"clock a little behind", nil, -30 * time.Minute, []string{"a.example", "b.example"}, true, true},
		{"server key lost", remove("server-key.pem"), time.Hour, []string{"a.example", "b.example"}, true, false},
		{"server certificate damaged", scribble("server.pem"), time.Hour, []string{"a.example", "b.example"}, true, false},
		{"server key was readable", chmod("server-key.pem", 0o644), time.Hour, []string{"a.example", "b.example"}, true, false},
		{"authority lost", remove("ca.pem"), time.Hour, []string{"a.example", "b.example"}, false, false},
		{"authority's key taken away", remove("ca-key.pem"), time.Hour, []string{"a.example", "b.example"}, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			before := mustEnsure(t, dir, start, "a.example", "b.example")
			beforeCA := pool(t, dir)
			if tc.prepare != nil {
				tc.prepare(t, dir)
			}
			after := mustEnsure(t, dir, start.Add(tc.later), tc.names...)
			if same := before.Leaf.Equal(after.Leaf); same != tc.sameServer {
				t.Errorf("same server certificate: %v", same)
			}
			if same := beforeCA.Equal(pool(t, dir)); same != tc.sameCA {
				t.Errorf("same authority: %v", same)
			}
			if _, err := after.Leaf.Verify(x509.VerifyOptions{Roots: pool(t, dir), DNSName: "a.example", CurrentTime: start.Add(tc.later)}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEnsureFailsRatherThanReplaceAnAuthority(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		names   []string
		want    string
	}{
		"damaged":               {scribble("ca.pem"), nil, "ca.pem"},
		"key gone, name new":    {remove("ca-key.pem"), []string{"new.example"}, "authority's key"},
		"key of another":        {foreignKey, []string{"new.example"}, "is not the key of"},
		"not an authority":      {func(t *testing.T, dir string) { copyFile(t, dir, "server.pem", "ca.pem") }, nil, "not the certificate of an authority"},
		"name that is no name":  {func(*testing.T, string) {}, []string{"http://x/"}, "neither a host name"},
		"name that is no ASCII": {func(*testing.T, string) {}, []string{"bücher.example"}, "neither a host name"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustEnsure(t, dir, start)
			tc.prepare(t, dir)
			if _, _, err := ensure(dir, tc.names, start); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	clock := func() time.Time { return now }
	h, err := newHolder(dir, nil, clock)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		done := make(chan error, 1)
		go func() { done <- tls.Server(server, &tls.Config{GetCertificate: h.GetCertificate}).Handshake() }()
		c := tls.Client(client, &tls.Config{RootCAs: pool(t, dir), ServerName: "localhost", Time: clock})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	if now = now.Add(300 * 24 * time.Hour); serial() != first {
		t.Error("replaced without need")
	}
	if now = now.Add(40 * 24 * time.Hour); serial() == first {
		t.Error("not renewed in a running process")
	}
	if h.CAFile() != filepath.Join(dir, "ca.pem") {
		t.Error(h.CAFile())
	}
}

func remove(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func scribble(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("scribble"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func chmod(file string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Chmod(filepath.Join(dir, file), mode); err != nil {
			t.Fatal(err)
		}
	}
}

func foreignKey(t *testing.T, dir string) { copyFile(t, dir, "server-key.pem", "ca-key.pem") }

func copyFile(t *testing.T, dir, from, to string) {
	text, err := os.ReadFile(filepath.Join(dir, from))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, to), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
