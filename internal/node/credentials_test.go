package node

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestCredentialsRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadCredentials(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing file: got %v, want fs.ErrNotExist", err)
	}
	for _, want := range []Credentials{
		{KeyID: "LTAI1", Secret: "a=b+/==", Endpoint: "http://127.0.0.1:8680", Region: "cn-hangzhou", CAFile: "/with blank/ca.pem"},
		{KeyID: "LTAI2", Secret: "s"}, // a second write replaces the first whole
	} {
		if err := writeCredentials(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadCredentials(dir)
		if err != nil || got != want {
			t.Errorf("read %+v, %v; wrote %+v", got, err, want)
		}
	}
	info, err := os.Stat(CredentialsFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode().Perm())
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind in the directory: %v, %v", entries, err)
	}
}

func TestCredentialsDamaged(t *testing.T) {
	for text, part := range map[string]string{
		"# comment\n[default]\nunknown = passed over\naccess_key_id LTAI\n": "credentials:4:",
		"": "credentials: it is empty",
		"access_key_id = LTAI\nendpoint = http://127.0.0.1:1\n":          "one is missing",
		"access_key_id = LTAI\naccess_key_secret =\n":                    "one is missing",
		"access_key_id = LTAI\n# " + strings.Repeat("x", 100_000) + "\n": "too long",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(CredentialsFile(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadCredentials(dir); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%.80q: got %v, want an error with %q", text, err, part)
		}
	}
}
