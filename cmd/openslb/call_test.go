package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadParams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, []byte("PEM\n=text,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readParams([]string{
		"LoadBalancerId=lb-1", `BackendServers=[{"ServerId":"i-a","Weight":"100"}]`, "Empty=", "Bandwidth=-1",
		"Cert=@" + file, "Mail=@@x", "In=@-", "Tag.1.Value=a=b",
	}, strings.NewReader("from stdin"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"LoadBalancerId": "lb-1", "BackendServers": `[{"ServerId":"i-a","Weight":"100"}]`, "Empty": "", "Bandwidth": "-1",
		"Cert": "PEM\n=text,\n", "Mail": "@x", "In": "from stdin", "Tag.1.Value": "a=b",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for _, bad := range [][]string{{"NoValue"}, {"=x"}, {"A=1", "A=2"}, {"A=@" + file + ".missing"}} {
		if got, err := readParams(bad, strings.NewReader("")); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
}

func TestShellQuote(t *testing.T) {
	words := []string{"plain", "A=b,c", "", "a b", `[{"ServerId":"i-a"}]`, "it's", "$HOME", "`x`", "*", "a\nb", "~"}
	for _, w := range words {
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(w)).Output()
		if err != nil || string(out) != w {
			t.Errorf("%q quoted as %s reads back as %q, %v", w, shellQuote(w), out, err)
		}
	}
	if q := shellQuote("LoadBalancerId=lb-1"); q != "LoadBalancerId=lb-1" {
		t.Errorf("quoted without need: %s", q)
	}
}
