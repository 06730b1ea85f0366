package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openslb/openslb/internal/testutil"
)

// served is a node that the serve command runs inside of the test.
type served struct {
	t    *testing.T
	data string
	out  string // standard output up to the ready line
	end  func() (code int, stderr string)
}

// serve runs the serve command until the test or end ends it.
func serve(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{t: t, data: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	var errs bytes.Buffer
	code := make(chan int, 1)
	args = append([]string{"serve", "--data", s.data, "--listen", "127.0.0.1:0", "--log-level", "error"}, args...)
	go func() {
		code <- run(ctx, args, streams{out: w, err: &errs})
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		s.out += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "ready ") {
			break
		}
	}
	go io.Copy(io.Discard, r)
	ended := false
	result := 0
	s.end = func() (int, string) {
		cancel()
		if !ended {
			ended, result = true, <-code
		}
		return result, errs.String()
	}
	t.Cleanup(func() {
		if code, text := s.end(); code != exitOK {
			t.Errorf("serve ended with %d: %s", code, text)
		}
	})
	if !strings.Contains(s.out, "\nready endpoint=http://127.0.0.1:") {
		t.Fatalf("no ready line in %q", s.out)
	}
	return s
}

// try runs a command against the node.
func (s *served) try(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	code = run(s.t.Context(), append(args, "--data", s.data), streams{in: strings.NewReader(""), out: &out, err: &errs})
	return code, out.String(), errs.String()
}

// do runs a command that must succeed.
func (s *served) do(args ...string) string {
	s.t.Helper()
	code, out, errs := s.try(args...)
	if code != exitOK {
		s.t.Fatalf("openslb %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

func TestServeTellsHowToUseIt(t *testing.T) {
	testutil.NoLeaks(t)
	s := serve(t)
	credentials, err := os.ReadFile(filepath.Join(s.data, "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"AccessKeySecret", "ca.pem", "aliyun configure", `provider "alicloud"`, "client.Domain", s.data} {
		if !strings.Contains(s.out, part) {
			t.Errorf("the start does not tell %q", part)
		}
	}
	secret := ""
	for line := range strings.Lines(string(credentials)) {
		if v, ok := strings.CutPrefix(line, "access_key_secret = "); ok {
			secret = strings.TrimSpace(v)
		}
	}
	if secret == "" || strings.Count(s.out, secret) != 1 {
		t.Errorf("the secret is shown %d times, want once", strings.Count(s.out, secret))
	}
}

func TestCallEverySignatureAndFormat(t *testing.T) {
	s := serve(t, "--dev")
	for _, signature := range []string{"v1", "v1-sha256", "v3"} {
		for _, method := range []string{"GET", "POST"} {
			out := s.do("call", "DescribeRegions", "--signature", signature, "--method", method)
			if !json.Valid([]byte(out)) || !strings.Contains(out, `"Regions"`) {
				t.Errorf("%s %s: %s", signature, method, out)
			}
			out = s.do("call", "DescribeRegions", "--signature", signature, "--method", method, "--format", "xml")
			if xml.Unmarshal([]byte(out), new(struct{})) != nil || !strings.Contains(out, "<DescribeRegionsResponse>") {
				t.Errorf("%s %s xml: %s", signature, method, out)
			}
		}
	}
	code, out, errs := s.try("call", "DescribeLoadBalancerAttribute", "LoadBalancerId=lb-none")
	if code != exitFailure || out != "" || !strings.Contains(errs, "InvalidLoadBalancerId.NotFound") {
		t.Errorf("API error: code %d, stdout %q, stderr %q", code, out, errs)
	}
	code, _, errs = s.try("call", "DescribeRegions", "--key-id", "nobody", "--key-secret", "x")
	if code != exitFailure || !strings.Contains(errs, "nobody came from the command line") {
		t.Errorf("unknown key: code %d, stderr %q", code, errs)
	}
}

// TestProductsOfActions: every action that the node serves is found by its name
// alone.
func TestProductsOfActions(t *testing.T) {
	s := serve(t, "--dev")
	for _, p := range products {
		for _, action := range p.actions {
			// Without parameters many of them fail, but never for want of the action.
			_, _, errs := s.try("call", action)
			if strings.Contains(errs, "InvalidAction") || strings.Contains(errs, "InvalidVersion") {
				t.Errorf("%s: %s", action, errs)
			}
			if got, err := versionOfProduct(strings.ToUpper(p.name)); err != nil || got != p.version {
				t.Errorf("--product %s means version %q, %v", p.name, got, err)
			}
		}
	}
}

func TestServerCommands(t *testing.T) {
	s := serve(t)
	s.do("server", "add", "i-a", "--ip", "10.0.0.1", "--ip", "10.0.0.2", "--name", "web", "--tag", "team=x", "--tag", "env=prod")
	s.do("server", "add", "i-b", "--ip", "10.0.0.3", "--zone", "cn-hangzhou-b", "--vpc", "vpc-1")
	out := s.do("server", "list")
	want := `
ID   ADDRESSES          STATUS   NAME  ZONE           VPC    TAGS
i-a  10.0.0.1,10.0.0.2  Running  web   -              -      env=prod,team=x
i-b  10.0.0.3           Running  -     cn-hangzhou-b  vpc-1  -
`
	if out != want[1:] {
		t.Errorf("list is\n%swant%s", out, want)
	}
	s.do("server", "set", "i-a", "--status", "Stopped", "--ip", "10.0.0.9")
	var list []registered
	if err := json.Unmarshal([]byte(s.do("server", "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Status != "Stopped" || strings.Join(list[0].Addresses.Address, " ") != "10.0.0.9" || list[0].ServerName != "web" {
		t.Errorf("after set: %+v", list)
	}

	var lb struct{ LoadBalancerId string }
	if err := json.Unmarshal([]byte(s.do("call", "CreateLoadBalancer")), &lb); err != nil {
		t.Fatal(err)
	}
	s.do("call", "AddBackendServers", "LoadBalancerId="+lb.LoadBalancerId, `BackendServers=[{"ServerId":"i-b"}]`)
	if code, _, errs := s.try("server", "remove", "i-b"); code != exitFailure || !strings.Contains(errs, "i-b") {
		t.Errorf("removal of a server in use: code %d, %s", code, errs)
	}
	s.do("server", "remove", "i-b", "--force")
	s.do("server", "remove", "i-a")
	if out := s.do("server", "list", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("after removal: %s", out)
	}
	for _, args := range [][]string{{"server", "add", "i-c"}, {"server", "set", "i-c"}, {"server", "set", "i-c", "--status", "Up"}} {
		if code, _, errs := s.try(args...); code != exitUsage {
			t.Errorf("%q: code %d, %s", args, code, errs)
		}
	}
}

func TestKeyCommands(t *testing.T) {
	s := serve(t)
	var key accessKey
	if err := json.Unmarshal([]byte(s.do("key", "create", "--description", "for tests", "--json")), &key); err != nil {
		t.Fatal(err)
	}
	withKey := []string{"call", "DescribeRegions", "--key-id", key.AccessKeyID, "--key-secret", key.AccessKeySecret}
	s.do(withKey...)
	if out := s.do("key", "list"); !strings.Contains(out, "for tests") || strings.Contains(out, key.AccessKeySecret) || strings.Count(out, "Active") != 2 {
		t.Errorf("list is\n%s", out)
	}
	s.do("key", "disable", key.AccessKeyID)
	if code, _, _ := s.try(withKey...); code != exitFailure {
		t.Error("a disabled key was accepted")
	}
	s.do("key", "enable", key.AccessKeyID)
	s.do(withKey...)
	s.do("key", "delete", key.AccessKeyID)
	if code, _, _ := s.try(withKey...); code != exitFailure {
		t.Error("a deleted key was accepted")
	}
}

// TestPagesOfServers: the list is whole beyond one page.
func TestPagesOfServers(t *testing.T) {
	if testing.Short() {
		t.Skip("registers 101 servers")
	}
	file := filepath.Join(t.TempDir(), "servers.yaml")
	var b strings.Builder
	b.WriteString("servers:\n")
	for i := range 101 {
		b.WriteString("  - {id: i-" + strings.Repeat("x", i+1) + ", addresses: [10.0.0.1]}\n")
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--servers", file)
	if n := strings.Count(s.do("server", "list"), "\n"); n != 102 {
		t.Errorf("%d lines, want a head and 101 servers", n)
	}
}

func TestQuickstart(t *testing.T) {
	testutil.NoLeaks(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	t.Setenv("TMPDIR", t.TempDir())
	// A real environment may be full of settings for other endpoints.
	t.Setenv("OPENSLB_ENDPOINT", "http://192.0.2.1:1")
	t.Setenv("OPENSLB_REGION", "elsewhere")
	t.Setenv(envKeyID, "LTAIcloud")
	code := run(ctx, []string{"quickstart", "--exit"}, streams{out: &out, err: &errs})
	t.Log(out.String())
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for _, part := range []string{
		"openslb call AddBackendServers", "openslb call SetBackendServers", "abnormal",
		"openslb call RemoveBackendServers", "HTTP, keep-alive", "TCP, new conns", "and hold.",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the story lacks %q", part)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
